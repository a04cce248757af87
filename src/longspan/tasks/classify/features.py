"""`SequenceFeatures`: sequences to vectors, for methods that need them."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone

from longspan.errors import InputError
from longspan.tasks.classify.autoencoder import Autoencoder, reconstruction_loss
from longspan.tasks.classify.classifier import Classifier
from longspan.tasks.classify.config import ClassifyConfig, EncoderConfig, FeaturesConfig
from longspan.tasks.classify.engine import Part, encoder_of, fit_network, read
from longspan.tasks.classify.given import Given, given, named, remembered, without
from longspan.tasks.classify.inputs import Inputs
from longspan.tasks.classify.network import SequenceEncoder
from longspan.tasks.classify.output import facts_of, notes_of, title_of, vector_table
from longspan.tasks.classify.reconstruction import Reconstruction, picture, reconstruction
from longspan.tasks.classify.results import FeaturesRun
from longspan.tasks.classify.storage import (
    inputs_from_dict,
    inputs_tensors,
    inputs_to_dict,
    loaded_network,
)
from longspan.tasks.estimator import Estimator, checked
from longspan.tasks.running import facts, loggers, versions
from longspan.tasks.storage import SavedModel, guarded, save_directory
from longspan.training import History

if TYPE_CHECKING:
    import polars as pl


class SequenceFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Turns each sequence into a vector: an LSTM before a support vector machine, say.

    Sequences are those that `Classifier` takes. Without labels an autoencoder learns them; with
    ``classifier=Classifier(…)`` the vectors are those that it tells the classes from. After `fit`:
    ``encoder_`` (the network), ``inputs_``, ``history_`` (the course of training), and without
    labels ``evaluation_`` (what the vectors hold of sequences that were held out, or None) and
    ``run_`` (what `longspan.insight.features_html` shows).

    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> steps = np.arange(20)
    >>> waves = [np.sin(steps * f + p) for f in (0.3, 0.9) for p in np.linspace(0, 6, 30)]
    >>> features = SequenceFeatures(hidden_size=16, max_epochs=60, learning_rate=0.01)
    >>> model = make_pipeline(features, SVC()).fit(waves, ["slow"] * 30 + ["fast"] * 30)
    >>> model.predict([np.sin(0.3 * steps + 0.5), np.sin(0.9 * steps)]).tolist()
    ['slow', 'fast']
    """

    Config = FeaturesConfig
    _fitted_by = "encoder_"

    inputs_: Inputs
    encoder_: SequenceEncoder
    history_: History
    columns_: dict[str, Any]
    title_: str
    evaluation_: Reconstruction | None
    run_: FeaturesRun

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
    ) -> SequenceFeatures:
        """Learn to read sequences.

        Args:
            X: Sequences, or a file or frame.
            y: Labels, for a classifier that is not fitted; otherwise they do not matter.
            validation: Held out to judge each epoch, a file or frame, or sequences; by default
                drawn from `X`, as `validation_share` says. This and the next two are for an
                autoencoder.
            test: The same, to compute `evaluation_`.
            test_share: Share of the sequences that is held out for it if `test` is None.
            text: Column of the texts of a file or frame; see `longspan.data.read_labelled` for this
                and the next.
            label: Column of the labels, for a classifier and for the report's picture: there,
                labels that are incomplete or no classes are left out.
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
            InputError: If the options or the data cannot be used.
            TrainingDivergedError: If training diverges.
            CheckpointError: If the checkpoint does not fit.
        """
        config: FeaturesConfig = self._checked_config()
        self.columns_ = named(
            text=text, label=label, id=id, time=time, values=values, encoding=encoding
        )
        run: dict[str, Any] = {
            "checkpoint_dir": checkpoint_dir, "checkpoint_every": checkpoint_every,
            "resume": resume,
        }  # fmt: skip
        if len(getattr(X, "shape", ())) == 2:
            self.n_features_in_ = int(X.shape[1])
        if config.classifier is not None:
            logs = {"log_dir": log_dir, "tensorboard": tensorboard, "progress": progress}
            if validation is not None or test is not None or test_share:
                raise InputError(
                    "Parts are held out where an autoencoder learns. Fit the classifier with its "
                    "own (`Classifier.fit`), and give it fitted."
                )
            return self._of_classifier(config.classifier, X, y, run | logs)
        logs = loggers(log_dir, tensorboard, progress)
        given_parts = self._parts(X, validation, test, test_share, config)
        return self._learn(config, given_parts, {"loggers": logs} | run)

    def transform(self, X: Any) -> np.ndarray:
        """Return the vector of each sequence, float32 (N, F).

        Args:
            X: Sequences, or a file or frame.
        """
        return self._vectors(self._given(X))

    def answer(self, X: Any) -> pl.DataFrame:
        """Return a table with a row for each sequence: its name and its vector.

        Args:
            X: Sequences, or a file or frame.

        Returns:
            The columns ``id`` (its number, from 0, where it has no name) and ``f0``, ``f1`` …
        """
        data = self._given(X)
        return vector_table(data, self._vectors(data))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: vectors are float32 whatever comes in."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.output_size

    def save(self, path: str | Path, *, report: str | None = None) -> None:
        """Write the model directory; a classifier's features are kept without its classes.

        Args:
            path: A new or empty directory, or one that holds a model, which is replaced.
            report: HTML to put beside it as ``report.html``.

        Raises:
            ModelDirectoryError: If the directory holds something else.
        """
        self._check_fitted()
        options = self.inputs_.config.model_dump(
            mode="json", exclude={"classifier", "class_weight"}
        )
        of_classifier = isinstance(self.inputs_.config, ClassifyConfig)
        config = {
            "options": options, "of_classifier": of_classifier,
            "inputs": inputs_to_dict(self.inputs_), "columns": self.columns_,
        }  # fmt: skip
        tensors = {f"encoder.{name}": t for name, t in self.encoder_.state_dict().items()}
        save_directory(
            Path(path), "features", config, tensors | inputs_tensors(self.inputs_),
            "# Features of sequences\n\nLoad it with `longspan.load` and call `transform`.\n",
            report,
        )  # fmt: skip

    @classmethod
    def _from_saved(cls, saved: SavedModel) -> SequenceFeatures:
        return guarded(lambda: cls._restored(saved.config, dict(saved.tensors)))

    @classmethod
    def _restored(cls, values: dict[str, Any], tensors: dict[str, Any]) -> SequenceFeatures:
        kind = ClassifyConfig if values["of_classifier"] else FeaturesConfig
        config: EncoderConfig = checked(kind, dict(values["options"]))
        own = {name: getattr(config, name) for name in kind.model_fields}
        model = cls() if values["of_classifier"] else cls(**own)
        model.inputs_ = inputs_from_dict(config, values["inputs"], tensors)
        model.columns_, model.evaluation_ = dict(values["columns"]), None
        model.encoder_ = loaded_network(
            lambda: encoder_of(config, model.inputs_.shape), tensors, "encoder."
        )
        return model

    def _parts(
        self, data: Any, validation: Any, test: Any, test_share: float, config: FeaturesConfig
    ) -> tuple[Given, Given | None, Given | None]:
        """Return what is learnt from, what judges each epoch, and what is scored on."""

        def other(found: Any) -> Given:
            return given(found, kind=whole.kind, need_labels=False, **self.columns_)

        whole = given(data, None, kind=config.input, need_labels=False, **self.columns_)
        self.columns_ = remembered(self.columns_, whole)
        self.title_ = title_of(data, whole)
        share = test_share if test is None else 0.0
        whole, tested = without(whole, share, config.seed + 1, by_class=False)
        tested = tested if test is None else other(test)
        share = config.share_of(len(whole)) if validation is None else 0.0
        part, judged = without(whole, share, config.seed, by_class=False)
        return part, judged if validation is None else other(validation), tested

    def _learn(
        self, config: FeaturesConfig, found: tuple[Given, Given | None, Given | None],
        options: dict[str, Any],
    ) -> SequenceFeatures:  # fmt: skip
        """Train an autoencoder."""
        part = found[0]
        self.inputs_ = Inputs.learn(config, part.data, part.kind)
        learnt = self._part(part)
        known, others = (None if own is None else self._part(own) for own in found[1:])
        began = clock.perf_counter()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = Autoencoder(config, self.inputs_.shape)
        self.history_ = fit_network(network, reconstruction_loss, config, learnt, known, **options)
        seconds = clock.perf_counter() - began
        self.encoder_, self.evaluation_ = network.encoder, None
        if others is not None:
            self.evaluation_ = reconstruction(network, learnt.sequences, others.sequences)
        parts = {"training": learnt, "validation": known, "test": others}
        self.run_ = FeaturesRun(
            title=self.title_, kind=part.kind, evaluation=self.evaluation_, history=self.history_,
            settings=config.model_dump(mode="json", exclude={"classifier"}),
            facts={f"{name} sequences": len(own.sequences) for name, own in parts.items() if own}
            | facts_of(self.inputs_, learnt.sequences)
            | {"numbers of a vector": self.encoder_.output_size}
            | facts(network, self.history_, seconds),
            versions=versions(), notes=notes_of(self.inputs_, parts),
            picture=picture(self.encoder_, learnt.sequences, part.labels, config.seed),
        )  # fmt: skip
        return self

    def _of_classifier(
        self, classifier: Any, X: Any, y: Any, options: dict[str, Any]
    ) -> SequenceFeatures:
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"`classifier` must be a longspan.Classifier, got {type(classifier).__name__}."
            )
        if not hasattr(classifier, "network_"):
            fresh: Any = clone(classifier)
            classifier = fresh.fit(X, y, **options, **self.columns_)
        self.inputs_, self.encoder_ = classifier.inputs_, classifier.network_.encoder
        own = {n: v for n, v in self.columns_.items() if (n, v) != ("encoding", "utf-8")}
        self.columns_, self.evaluation_ = classifier.columns_ | own, None
        vars(self).pop("run_", None)  # of an autoencoder that was fitted before
        self.history_ = getattr(classifier, "history_", History())
        return self

    def _given(self, data: Any) -> Given:
        self._check_fitted()
        found = given(data, kind=self.inputs_.shape.kind, need_labels=False, **self.columns_)
        self.inputs_.check_fits(found.data)
        return found

    def _part(self, data: Given) -> Part:
        self.inputs_.check_fits(data.data)
        return Part(self.inputs_.encode(data.data))

    def _vectors(self, data: Given) -> np.ndarray:
        found = read(self.encoder_, self.encoder_, self.inputs_.encode(data.data))
        return found.astype(np.float32)
