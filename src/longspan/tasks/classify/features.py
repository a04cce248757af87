"""`SequenceFeatures`: sequences to vectors, for methods that need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone

from longspan.errors import InputError
from longspan.tasks.classify.autoencoder import Autoencoder, reconstruction_loss
from longspan.tasks.classify.classifier import Classifier
from longspan.tasks.classify.config import ClassifyConfig, EncoderConfig, FeaturesConfig
from longspan.tasks.classify.engine import Part, encoder_of, fit_network, read
from longspan.tasks.classify.given import given, held_out
from longspan.tasks.classify.inputs import Inputs
from longspan.tasks.classify.network import SequenceEncoder
from longspan.tasks.classify.storage import (
    inputs_from_dict,
    inputs_tensors,
    inputs_to_dict,
    loaded_network,
)
from longspan.tasks.estimator import Estimator, checked
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel, guarded, save_directory
from longspan.training import History


class SequenceFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Turns each sequence into a vector: an LSTM before a support vector machine, say.

    Sequences are those that `Classifier` takes. Without labels an autoencoder learns them; with
    ``classifier=Classifier(…)`` the vectors are those that it tells the classes from. After `fit`:
    ``encoder_`` (the network), ``inputs_``, ``history_`` (the course of training).

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

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
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
        run: dict[str, Any] = {
            "checkpoint_dir": checkpoint_dir, "checkpoint_every": checkpoint_every,
            "resume": resume,
        }  # fmt: skip
        if len(getattr(X, "shape", ())) == 2:
            self.n_features_in_ = int(X.shape[1])
        if config.classifier is not None:
            logs = {"log_dir": log_dir, "tensorboard": tensorboard, "progress": progress}
            return self._of_classifier(config.classifier, X, y, run | logs)
        whole = given(X, None, kind=config.input, need_labels=False)
        share = config.share_of(len(whole))
        out = held_out(np.zeros(len(whole), int), share, config.seed)
        part = whole.part(np.flatnonzero(~out))
        self.inputs_ = Inputs.learn(config, part.data, part.kind)
        judged = None
        if out.any():
            judged = Part(self.inputs_.encode(whole.part(np.flatnonzero(out)).data))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = Autoencoder(config, self.inputs_.shape)
        self.history_ = fit_network(
            network, reconstruction_loss, config, Part(self.inputs_.encode(part.data)), judged,
            loggers=loggers(log_dir, tensorboard, progress), **run,
        )  # fmt: skip
        self.encoder_ = network.encoder
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the vector of each sequence, float32 (N, F).

        Args:
            X: Sequences, or a file or frame.
        """
        self._check_fitted()
        data = given(X, kind=self.inputs_.shape.kind, need_labels=False)
        self.inputs_.check_fits(data.data)
        found = read(self.encoder_, self.encoder_, self.inputs_.encode(data.data))
        return found.astype(np.float32)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: vectors are float32 whatever comes in."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.output_size

    def save(self, path: str | Path) -> None:
        """Write the model directory; a classifier's features are kept without its classes.

        Args:
            path: A new or empty directory, or one that holds a model, which is replaced.

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
            "inputs": inputs_to_dict(self.inputs_),
        }  # fmt: skip
        tensors = {f"encoder.{name}": t for name, t in self.encoder_.state_dict().items()}
        save_directory(
            Path(path), "features", config, tensors | inputs_tensors(self.inputs_),
            "# Features of sequences\n\nLoad it with `longspan.load` and call `transform`.\n",
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
        model.encoder_ = loaded_network(
            lambda: encoder_of(config, model.inputs_.shape), tensors, "encoder."
        )
        return model

    def _of_classifier(
        self, classifier: Any, X: Any, y: Any, options: dict[str, Any]
    ) -> SequenceFeatures:
        if not isinstance(classifier, Classifier):
            raise InputError(
                f"`classifier` must be a longspan.Classifier, got {type(classifier).__name__}."
            )
        if not hasattr(classifier, "network_"):
            fresh: Any = clone(classifier)
            classifier = fresh.fit(X, y, **options)
        self.inputs_, self.encoder_ = classifier.inputs_, classifier.network_.encoder
        self.history_ = getattr(classifier, "history_", History())
        return self
