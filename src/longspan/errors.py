"""The exceptions a user may meet. Each message says what was expected, what arrived, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LongspanError(Exception):
    """Base of every error that Longspan raises on purpose.

    The command line prints the message of any ``LongspanError`` without a traceback and exits
    with code 2.
    """


class InputError(LongspanError, ValueError):
    """An argument, an option or the data cannot be used as given."""


class ModelDirectoryError(LongspanError, ValueError):
    """A saved model is incomplete, corrupted, hostile, or of a version that cannot be read."""


class CheckpointError(LongspanError, ValueError):
    """A checkpoint cannot be resumed: unreadable, or written under other settings."""


class TrainingDivergedError(LongspanError, RuntimeError):
    """The loss or a gradient became NaN or infinite, or the loss exploded."""


class MissingDependencyError(LongspanError, ImportError):
    """An optional dependency is needed; the message names the install command."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not among those known, with the closest match.

    >>> unknown_name("cell", "lsmt", ["gru", "lstm"])
    "Unknown cell 'lsmt'. Did you mean 'lstm'? Known: gru, lstm."
    """
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}."
