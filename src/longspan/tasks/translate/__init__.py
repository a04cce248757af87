"""Translators: from one sequence to another, and dialogues."""

from typing import TYPE_CHECKING

from longspan.tasks.translate.config import TranslateConfig

if TYPE_CHECKING:
    from longspan.tasks.translate.translator import Translator

__all__ = ["TranslateConfig", "Translator"]


def __getattr__(name: str) -> object:
    if name == "Translator":
        # The class needs torch; the options alone, which the command line reads, do not.
        from longspan.tasks.translate import translator

        return translator.Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
