"""`Classifier`: which class a sequence belongs to, and how sure that is."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin

from longspan.errors import InputError
from longspan.tasks.classify import output, storage
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.classify.engine import (
    Part,
    build,
    classification_loss,
    fit_network,
    read,
    temperature_of,
)
from longspan.tasks.classify.given import (
    Given,
    classes_of,
    given,
    named,
    numbers_of,
    remembered,
    without,
)
from longspan.tasks.classify.inputs import Inputs
from longspan.tasks.classify.network import ClassifyNetwork
from longspan.tasks.classify.results import ClassifyRun
from longspan.tasks.classify.scores import Evaluation, evaluate
from longspan.tasks.estimator import Estimator
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel
from longspan.training import History

if TYPE_CHECKING:
    import polars as pl


class Classifier(ClassifierMixin, Estimator):
    """Tells the class of a sequence: of a numeric series, a text, or an image read row by row.

    Series are an array (N, T) or (N, T, C), time along the second axis, or a list of arrays (T,)
    or (T, C) of different lengths; texts a list of strings; images an array (N, rows, columns) of
    bytes or (N, rows, columns, colours). Or all of it is in a file or frame, with the labels: see
    `longspan.data.labelled.read_labelled`. An empty text is read as its beginning alone; a sequence
    longer than any in training is read to its end, but for the shuffled part of ``lstm_fcn``, which
    sees no more than the longest of training. After `fit`: ``classes_``, ``class_counts_``,
    ``temperature_``, ``history_`` (the course of training), ``evaluation_`` (scores on the test
    part, or None), ``run_`` (what a report shows), ``network_``, ``inputs_``.

    >>> import numpy as np
    >>> steps = np.arange(20)
    >>> waves = [np.sin(steps * f + p) for f in (0.3, 0.9) for p in np.linspace(0, 6, 30)]
    >>> names = ["slow"] * 30 + ["fast"] * 30
    >>> model = Classifier(hidden_size=8, max_epochs=40, learning_rate=0.02).fit(waves, names)
    >>> model.predict([np.sin(0.3 * steps + 0.5), np.sin(0.9 * steps[:15])]).tolist()
    ['slow', 'fast']
    >>> model.score(waves, names) > 0.9
    True
    """

    Config = ClassifyConfig
    _fitted_by = "network_"

    classes_: np.ndarray
    class_counts_: np.ndarray
    config_: ClassifyConfig
    inputs_: Inputs
    network_: ClassifyNetwork
    temperature_: float
    title_: str
    history_: History
    evaluation_: Evaluation | None
    run_: ClassifyRun

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        test: Any = None,
        test_share: float = 0.0,
        text: str | None = None,
        label: str | None = None,
        id: str | None = None,
        time: str | None = None,
        values: list[str] | None = None,
        encoding: str = "utf-8",
        checkpoint_dir: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        log_dir: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool = False,
    ) -> Classifier:
        """Learn classes from sequences.

        Args:
            X: Sequences, or a file or frame that has their labels too.
            y: Labels of any type, (N,); None if they are in `X`.
            validation: Held out to judge each epoch: a file or frame, or a pair (sequences,
                labels); by default drawn from `X` by class, as `validation_share` says.
            test: The same, to compute `evaluation_`.
            test_share: Share of each class that is held out for it if `test` is None.
            text: Column of the texts of a file or frame; see `read_labelled` for this and the
                next.
            label: Column of the labels.
            id: Column that names the sequence of a row.
            time: Column by which steps are put in order.
            values: Columns of the channels.
            encoding: Of files.
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
        config: ClassifyConfig = self._checked_config()
        self.config_ = config
        self.columns_ = named(
            text=text, label=label, id=id, time=time, values=values, encoding=encoding
        )
        whole = given(X, y, kind=config.input, **self.columns_)
        self.columns_ = remembered(self.columns_, whole)
        self.title_ = output.title_of(X, whole)
        if len(getattr(X, "shape", ())) == 2:
            self.n_features_in_ = int(X.shape[1])
        assert whole.labels is not None
        whole, tested = without(whole, test_share if test is None else 0.0, config.seed + 1)
        tested = tested if test is None else self._given(test, whole.kind)
        share = config.share_of(len(whole)) if validation is None else 0.0
        part, judged = without(whole, share, config.seed)
        judged = judged if validation is None else self._given(validation, whole.kind)
        assert part.labels is not None
        self.classes_, numbers = classes_of(part.labels)
        self.class_counts_ = np.bincount(numbers, minlength=len(self.classes_))
        self.inputs_ = Inputs.learn(config, part.data, part.kind)
        if tested is not None:  # before the training, which a mistake would throw away
            self.inputs_.check_fits(tested.data)
        learnt = Part(self.inputs_.encode(part.data), torch.from_numpy(numbers))
        known = None if judged is None else self._part(judged)
        began = clock.perf_counter()
        weights = output.class_weights(config, self.classes_, self.class_counts_)
        self.network_ = build(config, self.inputs_.shape, len(self.classes_), self.inputs_.vectors)
        self.inputs_ = replace(self.inputs_, vectors=None)
        self.history_ = fit_network(
            self.network_, classification_loss(config, torch.from_numpy(weights)), config, learnt,
            known, loggers=loggers(log_dir, tensorboard, progress), checkpoint_dir=checkpoint_dir,
            checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
        self.temperature_ = 1.0
        if config.calibrate and known is not None and known.labels is not None:
            scores = read(self.network_, self.network_, known.sequences)
            self.temperature_ = temperature_of(scores, known.labels.numpy())
        seconds = clock.perf_counter() - began
        self.evaluation_ = None if tested is None else self._evaluate(tested)
        parts = {"training": learnt, "validation": known}
        self.run_ = output.summary(self, parts, tested, seconds)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each sequence, (N,).

        Args:
            X: Sequences, or a file or frame as for `fit`, whose labels may be missing.
        """
        found = self.predict_proba(X)
        return self.classes_[found.argmax(1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, K), in the order of ``classes_``."""
        return self._probabilities(self._given(X, need_labels=False))

    def answer(self, X: Any) -> pl.DataFrame:
        """Return a table with a row for each sequence: its name, class and probabilities.

        Args:
            X: Sequences, or a file or frame as for `fit`, whose labels may be missing.

        Returns:
            The columns ``id`` (its number, from 0, where it has no name), ``predicted``, and
            ``p(CLASS)`` for each class.
        """
        import polars as pl

        data = self._given(X, need_labels=False)
        found = self._probabilities(data)
        columns: dict[str, Any] = {
            "id": data.ids, "predicted": self.classes_[found.argmax(1)].tolist(),
        }  # fmt: skip
        by_class = zip(self.classes_.tolist(), found.T, strict=True)
        return pl.DataFrame(columns | {f"p({name})": p for name, p in by_class})

    def features(self, X: Any) -> np.ndarray:
        """Return the vectors that the classes are told from, float32 (N, F)."""
        return self._vectors(self._given(X, need_labels=False))

    def answer_features(self, X: Any) -> pl.DataFrame:
        """Return a table with a row for each sequence: its name and its vector; see `features`.

        Args:
            X: Sequences, or a file or frame.

        Returns:
            The columns ``id`` (its number, from 0, where it has no name) and ``f0``, ``f1`` …
        """
        data = self._given(X, need_labels=False)
        return output.vector_table(data, self._vectors(data))

    def evaluate(self, X: Any, y: Any = None) -> Evaluation:
        """Score the model on sequences with labels, beside the most frequent class.

        Args:
            X: Sequences, or a file or frame that has their labels too.
            y: Labels, or None if they are in `X`. Some may be unknown: such sequences count as
                wrong, and the scores of probabilities leave them out.

        Raises:
            InputError: If they cannot be used.
        """
        return self._evaluate(self._given(X, y=y))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Args:
            X: Sequences, or a file or frame.
            y: Labels, or None if they are in `X`.
            sample_weight: Of each sequence, (N,).
        """
        data = self._given(X, y=y)
        right = self._probabilities(data).argmax(1) == self._numbers(data)[0]
        return float(np.average(right, weights=sample_weight))

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
    def _from_saved(cls, saved: SavedModel) -> Classifier:
        return storage.restore(cls, saved)

    def _given(
        self, data: Any, kind: str | None = None, *, y: Any = None, need_labels: bool = True
    ) -> Given:
        if kind is None:
            self._check_fitted()
            kind = self.inputs_.shape.kind
        return given(data, y, kind=kind, need_labels=need_labels, **self.columns_)

    def _part(self, data: Given) -> Part:
        """Return a part whose labels training must know."""
        self.inputs_.check_fits(data.data)
        numbers, names = self._numbers(data)
        if len(names) > len(self.classes_):
            raise InputError(
                f"The validation part has the label {names[len(self.classes_)]!r}, which the "
                "training part does not have. Leave it out, or add it there."
            )
        return Part(self.inputs_.encode(data.data), torch.from_numpy(numbers))

    def _numbers(self, data: Given) -> tuple[np.ndarray, list[Any]]:
        assert data.labels is not None
        return numbers_of(data.labels, self.classes_, by_text=data.from_file)

    def _probabilities(self, data: Given) -> np.ndarray:
        self.inputs_.check_fits(data.data)
        scores = read(self.network_, self.network_, self.inputs_.encode(data.data))
        return softmax(scores / self.temperature_, axis=1)

    def _vectors(self, data: Given) -> np.ndarray:
        self.inputs_.check_fits(data.data)
        found = read(self.network_.encoder, self.network_, self.inputs_.encode(data.data))
        return found.astype(np.float32)

    def _evaluate(self, data: Given) -> Evaluation:
        found = self._probabilities(data)
        numbers, names = self._numbers(data)
        prior = self.class_counts_ / self.class_counts_.sum()
        made = evaluate(found, numbers, len(self.classes_), names, prior)
        made.mistakes.extend(output.mistakes(data, found, numbers, names))
        return made
