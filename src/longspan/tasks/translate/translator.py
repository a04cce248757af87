"""`Translator`: from one sequence to another, and dialogues."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longspan.data.files import is_file
from longspan.data.pairs import Pairs, clean, read_pairs
from longspan.data.ragged import Ragged
from longspan.errors import InputError
from longspan.tasks.estimator import Estimator
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel
from longspan.tasks.translate import output, storage
from longspan.tasks.translate.baselines import NearestPair
from longspan.tasks.translate.config import TranslateConfig
from longspan.tasks.translate.conversation import Conversation
from longspan.tasks.translate.encoding import Vocabularies, divide
from longspan.tasks.translate.engine import Engine
from longspan.tasks.translate.results import Alignment, TranslateRun, Translation
from longspan.tasks.translate.scores import Evaluation, examples, score, tools
from longspan.tasks.translate.search import Beam, Found
from longspan.training import History


class Translator(Estimator):
    r"""Writes one sequence for another: translations, pronunciations, answers.

    Texts are normalised, and an end of line in one counts as a space. What the training part does
    not have is unknown: one token for all such words or characters. A text of nothing is translated
    as nothing. After `fit`: ``vocabularies_``, ``history_`` (the course of training),
    ``evaluation_`` (scores on the test part, or None), ``run_`` (what a report shows), ``engine_``
    (the network).

    >>> words = ["zero", "one", "two"]
    >>> pairs = [(f"{a}{b}", f"{words[a]} {words[b]}") for a in range(3) for b in range(3)] * 9
    >>> model = Translator(tokens="characters", target_tokens="words", hidden_size=32, dropout=0.0,
    ...                    batch_size=9, learning_rate=0.01, validation_share=0.0)
    >>> model.fit(pairs).predict(["02", "21"])
    ['zero two', 'two one']
    """

    Config = TranslateConfig

    vocabularies_: Vocabularies
    title_: str
    engine_: Engine
    history_: History
    evaluation_: Evaluation | None
    run_: TranslateRun

    def fit(
        self,
        source: Any,
        target: Any = None,
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
    ) -> Translator:
        """Learn from pairs of texts, or from dialogues.

        Args:
            source: With `target`, a list of texts or a file with one a line; without, a list of
                pairs or dialogues, or files of them: see `longspan.data.pairs.read_pairs`.
            target: The other side, in the same order.
            validation: Pairs for early stopping, as `source` without `target`, or a tuple (source,
                target); by default `validation_share` of the pairs.
            test: The same, to compute `evaluation_`.
            test_share: Share of the pairs that is the test part if `test` is None.
            encoding: Of the files.
            checkpoint_dir: Where to write checkpoints; see `resume`.
            checkpoint_every: Steps between them, besides those after each epoch.
            resume: Go on from the checkpoint in `checkpoint_dir`, if there is one.
            log_dir: Where to write ``log.jsonl`` and TensorBoard events.
            tensorboard: Whether to write the latter.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the options or the data cannot be used; the message says what to do.
            MissingDependencyError: If there is a test part and sacrebleu or jiwer are missing.
            TrainingDivergedError: If training diverges.
            CheckpointError: If the checkpoint does not fit.
        """
        config: TranslateConfig = self._checked_config()
        if test is not None or test_share:
            tools()  # before the training, not after it
        parts = divide(config, source, target, validation, test, test_share, encoding)
        known = self.vocabularies_ = Vocabularies.learn(config, parts.train)
        self.title_ = _title(source)
        tokens = {name: self._tokens(part) for name, part in parts.named().items()}
        began = clock.perf_counter()
        self.engine_ = Engine(
            config, (len(known.source.symbols), len(known.target.symbols)),
            (known.source.newline, known.target.newline),
            int(tokens["training"][1].lengths.max()) - 1,
        )  # fmt: skip
        self.history_ = self.engine_.train(
            tokens["training"], tokens.get("validation"),
            loggers=loggers(log_dir, tensorboard, progress), checkpoint_dir=checkpoint_dir,
            checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
        seconds = clock.perf_counter() - began
        self.evaluation_ = None
        if parts.test is not None:
            nearest = NearestPair(parts.train.sources, parts.train.targets)
            self.evaluation_ = self._evaluate(parts.test, nearest)
        self.run_ = output.summary(self, parts, tokens, seconds)
        return self

    def predict(self, source: str | Sequence[str]) -> Any:
        """Return the best translation of a text, or of each of several."""
        found = self.translate(source)
        return found[0].text if isinstance(source, str) else [each[0].text for each in found]

    def translate(
        self,
        source: str | Sequence[str],
        *,
        n_best: int = 1,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
    ) -> Any:
        """Return the best translations of a text, or of each of several, with their scores.

        Args:
            source: A text, or several.
            n_best: How many of each, at most `beam_size`; there may be fewer.
            beam_size: In place of the option of that name; likewise the others.
            length_penalty: See `TranslateConfig`.
            max_length: See `TranslateConfig`.

        Returns:
            A list of `Translation`, the best first; a list of such lists for several texts.

        Raises:
            InputError: If something is not text, or an option is out of range.
        """
        self._check_fitted()
        beam, longest = self._search_options(n_best, beam_size, length_penalty, max_length)
        lowercase = self.engine_.config.lowercase
        given = [source] if isinstance(source, str) else list(source)
        found = self._translate([clean(text, lowercase) for text in given], beam, longest)
        return found[0] if isinstance(source, str) else found

    def align(self, source: str, target: str | None = None) -> Alignment:
        """Return where the decoder looks while it writes a target.

        Args:
            source: A text.
            target: What it writes; by default its best translation.

        Raises:
            InputError: If the network has no attention.
        """
        self._check_fitted()
        if self.engine_.network.attention is None:
            raise InputError("This translator has attention='none'; train one with attention.")
        lowercase = self.engine_.config.lowercase
        sources = self.vocabularies_.sources([clean(source, lowercase)])
        if target is None:
            best = self.engine_.translate(sources, self._beam())[0][0]
            targets = Ragged.of([[*best.tokens, self.vocabularies_.target.newline]])
        else:
            targets = self.vocabularies_.targets([clean(target, lowercase)])
        return output.alignments(self, sources, targets)[0]

    def conversation(self, **options: Any) -> Conversation:
        """Return a dialogue with this model, which keeps the turns between calls of `reply`.

        Args:
            options: `beam_size`, `length_penalty`, `max_length`: see `translate`.

        Raises:
            InputError: If an option is out of range.
        """
        self._check_fitted()
        self._search_options(**options)
        return Conversation(self, options)

    def evaluate(self, source: Any, target: Any = None, *, encoding: str = "utf-8") -> Evaluation:
        """Score the model on pairs, beside a copy of the source.

        Args:
            source: As for `fit`.
            target: As for `fit`.
            encoding: Of the files.

        Raises:
            InputError: If the pairs cannot be read, or there is none with text on both sides.
            MissingDependencyError: If sacrebleu or jiwer are missing.
        """
        self._check_fitted()
        return self._evaluate(self._pairs(source, target, encoding))

    def score(self, source: Any, target: Any = None) -> float:
        """Return minus the nats a token of the targets: for scikit-learn, larger is better."""
        self._check_fitted()
        sources, targets = self._tokens(self._pairs(source, target, "utf-8"))
        return -float(self.engine_.nll(sources, targets).sum() / len(targets.values))

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
    def _from_saved(cls, saved: SavedModel) -> Translator:
        return storage.restore(cls, saved)

    def _answer(self, source: str, options: dict[str, Any]) -> str:
        """Return the best translation of turns that are joined already."""
        beam, max_length = self._search_options(**options)
        return self._translate([source], beam, max_length)[0][0].text

    def _search_options(
        self,
        n_best: int = 1,
        beam_size: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
    ) -> tuple[Beam, int | None]:
        config = self.engine_.config
        # Where no beam is asked for, it has room for what is asked for.
        size = max(config.beam_size, n_best) if beam_size is None else beam_size
        penalty = config.length_penalty if length_penalty is None else length_penalty
        if max_length is not None and max_length < 1:
            raise InputError(f"`max_length` must be at least 1, got {max_length}.")
        return Beam(size, penalty, n_best), max_length

    def _pairs(self, source: Any, target: Any, encoding: str) -> Pairs:
        config = self.engine_.config
        pairs = read_pairs(
            source, target, context_turns=config.context_turns, lowercase=config.lowercase,
            encoding=encoding,
        )  # fmt: skip
        if not len(pairs):
            raise InputError("There is no pair with text on both sides. Give at least one.")
        return pairs

    def _tokens(self, pairs: Pairs) -> tuple[Ragged, Ragged]:
        known = self.vocabularies_
        return known.sources(pairs.sources), known.targets(pairs.targets)

    def _beam(self) -> Beam:
        config = self.engine_.config
        return Beam(config.beam_size, config.length_penalty)

    def _translate(
        self, texts: Sequence[str], beam: Beam, max_length: int | None = None
    ) -> list[list[Translation]]:
        """Return translations of clean texts; those of nothing are nothing, for certain."""
        found = [[Translation("", 0.0, 0.0)] for _ in texts]
        some = [k for k, text in enumerate(texts) if text]
        sources = self.vocabularies_.sources([texts[k] for k in some])
        best = self.engine_.translate(sources, beam, max_length)
        flat = [(place, each) for place, row in enumerate(best) for each in row]
        written = output.texts(self, [texts[some[place]] for place, _ in flat],
                               [each.tokens for _, each in flat])  # fmt: skip
        rows: dict[int, list[Translation]] = {k: [] for k in some}
        for (place, each), text in zip(flat, written, strict=True):
            rows[some[place]].append(_named(each, text))
        for k, row in rows.items():
            found[k] = row
        return found

    def _evaluate(self, pairs: Pairs, nearest: NearestPair | None = None) -> Evaluation:
        tools()
        sources, targets = self._tokens(pairs)
        outputs = {"model": [row[0].text for row in self._translate(pairs.sources, self._beam())]}
        if nearest is not None:
            outputs["nearest training pair"] = nearest.translate(pairs.sources)
        outputs["copy of the source"] = list(pairs.sources)
        encode = self.vocabularies_.target.encode
        right = [encode(text).tolist() for text in pairs.targets]
        scores, signature = {}, ""
        for who, texts in outputs.items():
            tokens = ([encode(text).tolist() for text in texts], right)
            scores[who], signature = score(
                texts, pairs.targets, tokens, self.engine_.config.bleu_tokens
            )
        nats = self.engine_.nll(sources, targets).sum() / len(targets.values)
        scores["model"]["perplexity"] = float(np.exp(min(nats, 700.0)))
        unknown = output.unknown(self.vocabularies_.source, sources)
        return Evaluation(
            scores, len(pairs), len(targets.values),
            unknown + output.unknown(self.vocabularies_.target, targets), signature,
            examples(pairs.sources, pairs.targets, outputs["model"]),
        )  # fmt: skip


def _named(found: Found, text: str) -> Translation:
    return Translation(text, found.log_prob, found.score)


def _title(source: Any) -> str:
    if isinstance(source, Path) or is_file(source) or isinstance(source, str):
        return Path(source).name
    return "pairs"
