"""Language models: what comes next in a text, and texts that go on."""

from typing import TYPE_CHECKING

from longspan.tasks.language.config import LanguageConfig

if TYPE_CHECKING:
    from longspan.tasks.language.model import LanguageModel

__all__ = ["LanguageConfig", "LanguageModel"]


def __getattr__(name: str) -> object:
    if name == "LanguageModel":
        # The class needs torch; the options alone, which the command line reads, do not.
        from longspan.tasks.language import model

        return model.LanguageModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
