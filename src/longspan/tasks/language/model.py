"""`LanguageModel`: what comes next in a text, and texts that go on."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.data.files import is_file, read_text
from longspan.data.text import CODECS, Codec, normalise, pieces
from longspan.errors import InputError
from longspan.tasks.estimator import Estimator
from longspan.tasks.language import output, storage
from longspan.tasks.language.baselines import KneserNey
from longspan.tasks.language.config import LanguageConfig
from longspan.tasks.language.corpus import divide
from longspan.tasks.language.engine import Engine
from longspan.tasks.language.generation import Continuation, Sampling, generate
from longspan.tasks.language.results import LanguageRun
from longspan.tasks.language.scores import Evaluation, Size, bands, score
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel
from longspan.training import History

if TYPE_CHECKING:
    import polars as pl

#: Tokens at the end of the training part that the longer baseline counts at most.
COUNTED = 10_000_000
#: Tokens of a scored text that an evaluation keeps, to be shown.
PASSAGE = 400
#: Where bands of tokens of like frequency begin.
BANDS = (0, 10, 100, 1000, 10_000)


class LanguageModel(Estimator):
    r"""Predicts each character, word or subword of a text from all before it, and writes on.

    A text begins as after the end of a line. What the training part does not have is unknown:
    one token for all such characters or words. After `fit`: ``codec_`` (the vocabulary),
    ``history_`` (the course of training), ``evaluation_`` (scores on the test part, or None),
    ``run_`` (what a report shows), ``engine_`` (the network).

    >>> text = "the cat sat on the mat\n" * 40
    >>> model = LanguageModel(hidden_size=16, num_layers=1, bptt_length=20, max_epochs=10)
    >>> model = model.fit(text, test_share=0.1)
    >>> sorted(model.evaluation_.scores)
    ['Kneser-Ney 5-gram', 'model', 'unigram']
    >>> len(model.generate("the c", max_tokens=5))
    5
    >>> model.predict("the ca", top=1)["token"].item()
    't'
    """

    Config = LanguageConfig

    codec_: Codec
    title_: str
    engine_: Engine
    history_: History
    evaluation_: Evaluation | None
    run_: LanguageRun
    unigram_: np.ndarray

    def fit(
        self,
        data: Any,
        *,
        validation: Any = None,
        test: Any = None,
        test_share: float = 0.0,
        encoding: str = "utf-8",
        checkpoint_dir: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        log_dir: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool = False,
    ) -> LanguageModel:
        """Learn from a text.

        Args:
            data: The text; the path of a file, also of a compressed one (``.gz``); or several.
            validation: The same, for early stopping; by default `validation_share` of `data`, its
                end before the test part.
            test: The same, to compute `evaluation_`.
            test_share: Share of `data`, its end, that is the test part if `test` is None.
            encoding: Of the files.
            checkpoint_dir: Where to write checkpoints; see `resume`.
            checkpoint_every: Steps between them, besides those after each epoch.
            resume: Go on from the checkpoint in `checkpoint_dir`, if there is one.
            log_dir: Where to write ``log.jsonl`` and TensorBoard events.
            tensorboard: Whether to write the latter.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the options or the text cannot be used; the message says what to do.
            TrainingDivergedError: If training diverges.
            CheckpointError: If the checkpoint does not fit.
        """
        config: LanguageConfig = self._checked_config()
        parts = divide(
            data, validation, test, validation_share=config.validation_share,
            test_share=test_share, lowercase=config.lowercase, encoding=encoding,
        )  # fmt: skip
        codec = CODECS[config.tokens].learn(parts.train, config.least_count, config.vocab_size)
        self.codec_, self.title_ = codec, _title(data)
        streams = {part: _stream(codec, text) for part, text in parts.named().items()}
        tokens = streams["training"]
        if "test" in streams:
            _check_tokens(streams["test"], "The test part")  # before the training, not after it
        began = clock.perf_counter()
        self.engine_ = Engine(config, len(codec.symbols))
        self.history_ = self.engine_.train(
            tokens, streams.get("validation"), loggers=loggers(log_dir, tensorboard, progress),
            checkpoint_dir=checkpoint_dir, checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
        seconds = clock.perf_counter() - began
        one = KneserNey(tokens[1:], len(codec.symbols), 1)
        self.unigram_ = one.probabilities(np.arange(len(codec.symbols)))
        self.evaluation_ = None
        if parts.test is not None:
            counted = KneserNey(tokens[-COUNTED:], len(codec.symbols), config.order)
            name = f"Kneser-Ney {config.order}-gram"
            self.evaluation_ = self._evaluate(parts.test, {name: counted})
        notes = output.notes(self.engine_, codec, streams)
        self.run_ = output.summary(self, streams, seconds, notes)
        return self

    def evaluate(self, data: Any, *, encoding: str = "utf-8") -> Evaluation:
        """Score the model on a text, as one stream, beside the frequencies of single tokens.

        Args:
            data: A text as for `fit`.
            encoding: Of the files.

        Raises:
            InputError: If the text is empty or cannot be read.
        """
        self._check_fitted()
        return self._evaluate(self._normalised(data, encoding), {})

    def score(self, data: Any) -> float:
        """Return minus the nats a token of `evaluate`: for scikit-learn, larger is better."""
        return -self.evaluate(data).scores["model"]["cross_entropy"]

    def perplexity(self, data: Any) -> float:
        """Return the perplexity a token of a text."""
        return self.evaluate(data).scores["model"]["perplexity"]

    def predict(self, prompt: str = "", top: int | None = None) -> pl.DataFrame:
        """Return the distribution of the next token after a prompt.

        Args:
            prompt: What stands before it; nothing is the beginning of a text.
            top: How many of the likeliest tokens; None returns all.

        Returns:
            A table with the columns ``token`` and ``probability``, the likeliest first.
        """
        import polars as pl

        self._check_fitted()
        if top is not None and top < 1:
            raise InputError(f"`top` must be at least 1, got {top}.")
        log_probs = Continuation(self.engine_.network, [self._prompt(prompt)], fast=False).log_probs
        order = np.argsort(-log_probs[0], kind="stable")[:top]
        return pl.DataFrame(
            {
                "token": [self.codec_.symbols[k] for k in order],
                "probability": np.exp(log_probs[0][order].astype(np.float64)),
            }
        )

    def generate(
        self, prompt: str | Sequence[str] = "", *, max_tokens: int = 200, **options: Any
    ) -> Any:
        """Write on after a prompt, or after each of several at once.

        Args:
            prompt: What stands before, one text or several.
            max_tokens: Tokens to write at most.
            options: `temperature`, `top_k`, `top_p`, `seed`, `stop`: see `stream`.

        Returns:
            The new text, without the prompt; a list of texts for a list of prompts.
        """
        if isinstance(prompt, str):
            return "".join(self.stream(prompt, max_tokens=max_tokens, **options))
        if not prompt:
            return []
        stop = options.pop("stop", None)
        prompts = [self._prompt(each) for each in prompt]
        steps = list(self._tokens(prompts, max_tokens, **options))
        columns = np.stack(steps, 1) if steps else np.zeros((len(prompts), 0), np.int64)
        return [
            "".join(_until(stop, pieces(self.codec_, before, tokens)))
            for before, tokens in zip(prompts, columns, strict=True)
        ]

    def stream(
        self, prompt: str = "", *, max_tokens: int | None = None, stop: str | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:  # fmt: skip
        """Write on after a prompt and yield each piece of text as soon as it is there.

        The same prompt, options and seed give the same text. The unknown token is never drawn.

        Args:
            prompt: What stands before.
            max_tokens: Tokens to write at most; None goes on for ever.
            stop: Text before which to end.
            temperature: See `longspan.tasks.language.generation.Sampling`; 0 takes the likeliest.
            top_k: Draw from the k likeliest tokens alone.
            top_p: Draw from the fewest likeliest tokens that have this probability together.
            seed: Of the draws; by default that of the model.

        Raises:
            InputError: If an option is out of range.
        """
        before = self._prompt(prompt)
        rows = self._tokens([before], max_tokens, temperature=temperature, top_k=top_k,
                            top_p=top_p, seed=seed)  # fmt: skip
        return _until(stop, pieces(self.codec_, before, (int(row[0]) for row in rows)))

    def save(self, path: str | Path, *, report: str | None = None) -> None:
        """Write the model directory: ``config.json``, ``model.safetensors``, ``README.md``.

        Args:
            path: A new or empty directory, or one that holds a model, which is replaced.
            report: HTML to put beside it as ``report.html``.

        Raises:
            ModelDirectoryError: If the directory holds something else.
        """
        self._check_fitted()
        storage.save(self, Path(path), report)

    @classmethod
    def _from_saved(cls, saved: SavedModel) -> LanguageModel:
        return storage.restore(cls, saved)

    def _tokens(
        self, prompts: Sequence[Sequence[int]], max_tokens: int | None, *,
        seed: int | None = None, **sampling: Any,
    ) -> Iterator[np.ndarray]:  # fmt: skip
        if max_tokens is not None and max_tokens < 0:
            raise InputError(f"`max_tokens` must be 0 or more, got {max_tokens}.")
        if seed is not None and seed < 0:
            raise InputError(f"`seed` must be 0 or more, got {seed}.")
        unknown = self.codec_.unknown
        drawn = generate(
            self.engine_.network, prompts, Sampling(**sampling),
            seed=self.engine_.config.seed if seed is None else seed,
            forbidden=() if unknown is None else (unknown,),
        )  # fmt: skip
        return islice(drawn, max_tokens)

    def _prompt(self, text: str) -> list[int]:
        self._check_fitted()
        given = normalise(text, self.engine_.config.lowercase)
        return [self.codec_.newline, *self.codec_.encode(given).tolist()]

    def _normalised(self, data: Any, encoding: str) -> str:
        text = normalise(read_text(data, encoding), self.engine_.config.lowercase)
        if not text:
            raise InputError("The text is empty. Give one with at least one character.")
        return text

    def _evaluate(self, text: str, counted: dict[str, KneserNey]) -> Evaluation:
        tokens = _stream(self.codec_, text)
        _check_tokens(tokens, "The text")
        unknown = self.codec_.unknown
        missing = 0 if unknown is None else int((tokens[1:] == unknown).sum())
        size = Size.of(text, len(tokens) - 1, missing)
        nats = {"model": self.engine_.nll(tokens)}
        nats |= {n: -np.log(m.probabilities(tokens, 1)) for n, m in counted.items()}
        nats["unigram"] = -np.log(self.unigram_[tokens[1:]])
        return Evaluation(
            scores={name: score(each, size) for name, each in nats.items()},
            size=size,
            passage=tuple(self.codec_.symbols[k] for k in tokens[1 : PASSAGE + 1]),
            bits=nats["model"][:PASSAGE] / np.log(2.0),
            bands=tuple(bands(tokens[1:], nats, BANDS)),
        )


def _stream(codec: Codec, text: str) -> np.ndarray:
    """Return the tokens of a text, after the end of a line before it."""
    return np.concatenate([[codec.newline], codec.encode(text)])


def _check_tokens(tokens: np.ndarray, what: str) -> None:
    if len(tokens) < 2:
        raise InputError(f"{what} has no tokens. Give one with at least one word.")


def _until(stop: str | None, parts: Iterator[str]) -> Iterator[str]:
    """Yield the text up to where `stop` begins; what may become it is held back."""
    if not stop:
        yield from parts
        return
    held = ""
    for part in parts:
        held += part
        at = held.find(stop)
        if at >= 0:
            yield held[:at]
            return
        begun = next(k for k in range(min(len(stop) - 1, len(held)), -1, -1)
                     if held.endswith(stop[:k]))  # fmt: skip
        if len(held) > begun:
            yield held[: len(held) - begun]
            held = held[len(held) - begun :]
    yield held


def _title(data: Any) -> str:
    if isinstance(data, Sequence) and not isinstance(data, str):
        return ", ".join(map(_title, data[:3])) + (", …" if len(data) > 3 else "")
    return Path(data).name if is_file(data) else "a text"
