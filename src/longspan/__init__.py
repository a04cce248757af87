"""Longspan: train, explain and serve LSTM networks and their family on the computer you have.

Names are loaded when first used, so that ``import longspan`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longspan.tasks import load as load
    from longspan.tasks.classify import Classifier as Classifier
    from longspan.tasks.classify import SequenceFeatures as SequenceFeatures
    from longspan.tasks.forecast import Forecaster as Forecaster
    from longspan.tasks.language import LanguageModel as LanguageModel
    from longspan.tasks.tag import Tagger as Tagger
    from longspan.tasks.translate import Translator as Translator

__version__ = "0.1.0"

_LAZY = {
    "Classifier": "longspan.tasks.classify",
    "Forecaster": "longspan.tasks.forecast",
    "LanguageModel": "longspan.tasks.language",
    "SequenceFeatures": "longspan.tasks.classify",
    "Tagger": "longspan.tasks.tag",
    "Translator": "longspan.tasks.translate",
    "load": "longspan.tasks",
}
_SUBPACKAGES = (
    "cells",
    "comparison",
    "data",
    "errors",
    "experiments",
    "insight",
    "kernels",
    "nn",
    "tasks",
    "training",
)

__all__ = [
    "Classifier", "Forecaster", "LanguageModel", "SequenceFeatures", "Tagger", "Translator",
    "__version__", "load",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"longspan.{name}")
    raise AttributeError(f"module 'longspan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
