"""Tagging: a label for each step, and one for the whole sequence where there is one."""

from typing import TYPE_CHECKING

from longspan.tasks.tag.config import TagConfig

if TYPE_CHECKING:
    from longspan.tasks.tag.tagger import Labelling, Tagger

__all__ = ["Labelling", "TagConfig", "Tagger"]


def __getattr__(name: str) -> object:
    if name in ("Labelling", "Tagger"):
        # The class needs torch; the options alone, which the command line reads, do not.
        from longspan.tasks.tag import tagger

        return getattr(tagger, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
