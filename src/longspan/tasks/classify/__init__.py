"""Sequences to classes: `Classifier`; and to vectors for other methods: `SequenceFeatures`."""

from longspan.tasks.classify.classifier import Classifier
from longspan.tasks.classify.config import ClassifyConfig, FeaturesConfig
from longspan.tasks.classify.features import SequenceFeatures
from longspan.tasks.classify.results import ClassifyRun
from longspan.tasks.classify.scores import ClassScore, Evaluation

__all__ = [
    "ClassScore", "Classifier", "ClassifyConfig", "ClassifyRun", "Evaluation", "FeaturesConfig",
    "SequenceFeatures",
]  # fmt: skip
