"""`Tagger`: a label for each word of a sequence, and one for the whole where there is one."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longspan.data.tagged import TaggedText
from longspan.errors import InputError
from longspan.tasks.estimator import Estimator
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel
from longspan.tasks.tag import output, storage
from longspan.tasks.tag.baselines import MOST_FREQUENT, MostFrequent
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.encoding import EncodedText, Encoder
from longspan.tasks.tag.engine import Engine
from longspan.tasks.tag.parts import Parts, Reading, as_text, divide, given_part, title
from longspan.tasks.tag.results import TagRun
from longspan.tasks.tag.scores import Answers, Evaluation, evaluate, main_metric
from longspan.training import History


class Labelling(NamedTuple):
    """One way to label a sequence.

    Attributes:
        labels: A label for each word.
        probability: Of all of them together, by the model.
    """

    labels: list[str]
    probability: float


class Tagger(Estimator):
    """Labels each word of a sequence: parts of speech, names, slots; and the whole: its intent.

    Labels of spans (B-LOC, I-LOC, O) are recognised, in BIO, IOB1 or BIOES, and are then well
    formed in every prediction. Words that training did not see are read by their characters. After
    `fit`: ``encoder_`` (words, labels and intents), ``history_`` (the course of training),
    ``evaluation_`` (scores on the test part, or None), ``run_`` (what a report shows), ``engine_``
    (the network), ``classes_`` and ``intents_`` (what probabilities belong to).

    >>> words = [["fly", "to", city] for city in ("Rome", "Oslo", "Bonn", "Kyiv")] * 8
    >>> labels = [["O", "O", "B-city"]] * 32
    >>> tagger = Tagger(hidden_size=8, word_size=8, character_size=8, learning_rate=0.05)
    >>> tagger.fit(words, labels).predict([["fly", "to", "Lima"], []])
    [['O', 'O', 'B-city'], []]
    """

    Config = TagConfig

    title_: str
    encoder_: Encoder
    engine_: Engine
    baseline_: MostFrequent
    history_: History
    evaluation_: Evaluation | None
    run_: TagRun

    def fit(
        self,
        data: Any,
        labels: Any = None,
        intents: Any = None,
        *,
        validation: Any = None,
        test: Any = None,
        test_share: float = 0.0,
        word_column: str | int | None = None,
        label_column: str | int | None = None,
        encoding: str = "utf-8",
        checkpoint_dir: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        log_dir: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool = False,
    ) -> Tagger:
        """Learn from labelled sequences.

        Args:
            data: Lists of words; or a file, as `longspan.data.read_tagged` reads it.
            labels: Beside lists of words, a list of labels for each.
            intents: Beside lists of words, a label for each as a whole; or None.
            validation: A file, or (words, labels) or (words, labels, intents), for early stopping;
                by default `validation_share` of `data`, drawn by the seed.
            test: The same, to compute `evaluation_`.
            test_share: Share of `data`, drawn by the seed, that is the test part if `test` is None.
            word_column: Of files with columns: that of the words.
            label_column: That of the labels.
            encoding: Of the files.
            checkpoint_dir: Where to write checkpoints; see `resume`.
            checkpoint_every: Steps between them, besides those after each epoch.
            resume: Go on from the checkpoint in `checkpoint_dir`, if there is one.
            log_dir: Where to write ``log.jsonl`` and TensorBoard events.
            tensorboard: Whether to write the latter.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the options or the data cannot be used; the message says what to do.
            TrainingDivergedError: If training diverges.
            CheckpointError: If the checkpoint does not fit.
        """
        config: TagConfig = self._checked_config()
        reading = Reading(word_column, label_column, encoding)
        parts = divide(
            as_text(data, labels, intents, reading=reading), given_part(validation, reading),
            given_part(test, reading), validation_share=config.validation_share,
            test_share=test_share, seed=config.seed,
        )  # fmt: skip
        self.title_ = title(data)
        self.encoder_ = Encoder.fit(config, parts.train)
        self.baseline_ = MostFrequent.fit(parts.train)
        began = clock.perf_counter()
        self.engine_ = Engine(config, self.encoder_)
        self.encoder_.given = None  # the network has them now
        later = None if parts.validation is None else self.encoder_.encode(parts.validation)
        if parts.test is not None:
            _check_words(parts.test)
            self.encoder_.encode(parts.test)  # its mistakes must not cost a training
        self.history_ = self.engine_.train(
            self.encoder_.encode(parts.train), later,
            loggers=loggers(log_dir, tensorboard, progress), checkpoint_dir=checkpoint_dir,
            checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
        self._finish(parts, clock.perf_counter() - began)
        return self

    def predict(self, data: Any, **reading: Any) -> list[list[str]]:
        """Return the most probable labels of each sequence, in the scheme of the training data.

        Args:
            data: Lists of words, or a file, whose labels are not read.
            reading: For files, ``word_column`` and ``encoding`` as in `fit`.
        """
        return self._answers(self._words(data, **reading)).labels

    def answer(self, data: Any, **reading: Any) -> tuple[list[list[str]], Answers]:
        """Return the words, and labels, intents and their probability at once; see `predict`."""
        text = self._words(data, **reading)
        return text.words, self._answers(text)

    def predict_intent(self, data: Any, **reading: Any) -> list[str]:
        """Return the most probable intent of each sequence; arguments as in `predict`.

        Raises:
            InputError: If the training data had no intents.
        """
        self._check_intents()
        return self._answers(self._words(data, **reading)).intents or []

    def predict_k_best(self, data: Any, k: int = 5, **reading: Any) -> list[list[Labelling]]:
        """Return the k most probable ways to label each sequence, the best first.

        A sequence that can be labelled in fewer ways has fewer.

        Args:
            data: As in `predict`.
            k: How many.
            reading: As in `predict`.

        Raises:
            InputError: If `k` is less than 1.
        """
        text = self._words(data, **reading)
        found = self.engine_.k_best(self.encoder_.encode(text), k)
        return [[Labelling(self._named(own), p) for own, p in ways] for ways in found]

    def predict_proba(self, data: Any, **reading: Any) -> list[np.ndarray]:
        """Return the probability of each label at each word: float64 (words, labels) a sequence.

        Columns are the labels in `classes_`; each row sums to 1. Arguments as in `predict`.
        """
        text = self._words(data, **reading)
        belongs = self.encoder_.classes()[1].numpy()
        return [own @ belongs for own in self.engine_.marginals(self.encoder_.encode(text))[0]]

    def predict_intent_proba(self, data: Any, **reading: Any) -> np.ndarray:
        """Return the probability of each of `intents_`, float64 (sequences, intents).

        Raises:
            InputError: If the training data had no intents.
        """
        self._check_intents()
        text = self._words(data, **reading)
        found = self.engine_.marginals(self.encoder_.encode(text))[1]
        assert found is not None
        return found

    def evaluate(
        self, data: Any, labels: Any = None, intents: Any = None, *,
        word_column: str | int | None = None, label_column: str | int | None = None,
        encoding: str = "utf-8",
    ) -> Evaluation:  # fmt: skip
        """Score the model on labelled sequences, beside the most frequent label of each word.

        Args:
            data: As in `fit`, as are the others.
            labels: Beside lists of words.
            intents: Beside lists of words.
            word_column: Of files with columns.
            label_column: Of files with columns.
            encoding: Of the file.

        Raises:
            InputError: If there are no sequences or labels, or they cannot be read.
        """
        self._check_fitted()
        reading = Reading(word_column, label_column, encoding)
        return self._evaluate(as_text(data, labels, intents, reading=reading))

    def score(self, data: Any, labels: Any = None) -> float:
        """Return the F1 of spans, or the accuracy of plain labels; for scikit-learn."""
        scores = self.evaluate(data, labels).scores["model"]
        return scores[main_metric(scores)]

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

    @property
    def classes_(self) -> list[str]:
        """The labels that `predict_proba` has columns for.

        Those of BIO where the training data are spans in BIO or IOB1; BIOES where they are that.
        """
        self._check_fitted()
        return self.encoder_.classes()[0]

    @property
    def intents_(self) -> list[str]:
        """The intents that `predict_intent_proba` has columns for; none without intents."""
        self._check_fitted()
        return list(self.encoder_.intents)

    @classmethod
    def _from_saved(cls, saved: SavedModel) -> Tagger:
        return storage.restore(cls, saved)

    def _finish(self, parts: Parts, seconds: float) -> None:
        self.evaluation_ = None if parts.test is None else self._evaluate(parts.test)
        self.run_ = output.summary(self, parts, seconds, output.notes(self, parts))

    def _words(
        self, data: Any, *, word_column: str | int | None = None, encoding: str = "utf-8"
    ) -> TaggedText:
        self._check_fitted()
        reading = Reading(word_column, None, encoding)
        return TaggedText(as_text(data, reading=reading, labelled=False).words)

    def _answers(self, text: TaggedText) -> Answers:
        encoded: EncodedText = self.encoder_.encode(TaggedText(text.words))
        found = self.engine_.decode(encoded)
        intents = None
        if found.intents is not None:
            intents = [self.encoder_.intents[k] for k in found.intents.tolist()]
        labels = [self._named(own) for own in found.labels]
        return Answers(labels, intents, np.exp(found.log_probability).tolist())

    def _named(self, numbers: Sequence[int] | np.ndarray) -> list[str]:
        return self.encoder_.outward([self.encoder_.labels[int(k)] for k in numbers])

    def _evaluate(self, text: TaggedText) -> Evaluation:
        _check_words(text)
        text = self.encoder_.respelled(text)
        counted = self.baseline_
        intents = None if counted.intent is None else [counted.intent] * len(text)
        answers = {
            "model": self._answers(text),
            MOST_FREQUENT: Answers(counted.predict(text.words), intents),
        }
        return evaluate(text, answers, self.encoder_.scheme is not None, self.encoder_.knows)

    def _check_intents(self) -> None:
        self._check_fitted()
        if not self.encoder_.intents:
            raise InputError(
                "This Tagger was trained without intents. Train it with one for each sequence."
            )


def _check_words(text: TaggedText) -> None:
    if not any(text.words):
        raise InputError("There are no words to score. Give at least one sequence with some.")
