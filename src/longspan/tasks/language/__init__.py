"""Language models: what comes next, one token after the other."""

from longspan.tasks.language.model import LanguageModel

__all__ = ["LanguageModel"]
