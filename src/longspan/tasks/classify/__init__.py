"""Sequences to classes: `Classifier`; and to vectors for other methods: `SequenceFeatures`."""

from typing import TYPE_CHECKING

from longspan.tasks.classify.config import AutoencoderConfig, ClassifyConfig, FeaturesConfig

if TYPE_CHECKING:
    from longspan.tasks.classify.classifier import Classifier
    from longspan.tasks.classify.features import SequenceFeatures

__all__ = [
    "AutoencoderConfig", "Classifier", "ClassifyConfig", "FeaturesConfig", "SequenceFeatures",
]  # fmt: skip


def __getattr__(name: str) -> object:
    # The classes need torch; the options alone, which the command line reads, do not.
    if name == "Classifier":
        from longspan.tasks.classify import classifier

        return classifier.Classifier
    if name == "SequenceFeatures":
        from longspan.tasks.classify import features

        return features.SequenceFeatures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
