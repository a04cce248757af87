"""From what a user passes to the parts of a text: training, validation, test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longspan.data.files import read_text
from longspan.data.text import NEWLINE, normalise
from longspan.errors import InputError

#: A text is cut at an end of line if there is one so many characters on.
NEAR = 1000


@dataclass(frozen=True)
class Parts:
    """A text in parts, normalised; a part that there is not is None."""

    train: str
    validation: str | None = None
    test: str | None = None

    def named(self) -> dict[str, str]:
        """Return the parts that there are, by name, in their order."""
        every = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: text for name, text in every.items() if text is not None}


def divide(
    data: Any,
    validation: Any,
    test: Any,
    *,
    validation_share: float,
    test_share: float,
    lowercase: bool,
    encoding: str = "utf-8",
) -> Parts:
    """Return the parts of a text, strictly in this order: training, validation, test.

    Args:
        data: As for `read_text`.
        validation: A text of its own for validation; None takes a share of `data`.
        test: A text of its own for the test; None takes a share of `data`.
        validation_share: Share of the characters, before the test's.
        test_share: Share of the characters, at the end.
        lowercase: See `normalise`.
        encoding: Of the files.

    Raises:
        InputError: If a text that is needed is empty, or cannot be read.
    """
    if not 0.0 <= test_share < 1.0 or validation_share + test_share >= 1.0:
        raise InputError(
            f"`test_share` must be at least 0 and, with validation_share = {validation_share}, "
            f"leave something to learn from; got {test_share}."
        )
    text = _part(data, "data", encoding, lowercase)
    end = len(text)
    if test is None and test_share:
        begin = _cut(text, end - round(len(text) * test_share), end)
        last, end = text[begin:end], begin
    else:
        last = None if test is None else _part(test, "test", encoding, lowercase)
    if validation is None and validation_share:
        begin = _cut(text, end - round(len(text) * validation_share), end)
        held_out, end = text[begin:end], begin
    else:
        held_out = None if validation is None else _part(validation, "validation", encoding,
                                                         lowercase)  # fmt: skip
    if not end:
        raise InputError(
            f"A text of {len(text)} characters is too short to be divided. Give a longer one, or "
            "validation_share=0."
        )
    return Parts(text[:end], held_out or None, last or None)


def _part(data: Any, name: str, encoding: str, lowercase: bool) -> str:
    text = normalise(read_text(data, encoding), lowercase)
    if not text.strip():
        raise InputError(f"The text `{name}` is empty. Give one with at least one word.")
    return text


def _cut(text: str, at: int, end: int) -> int:
    """Return where to cut: at the next end of line, if it is near and something follows it."""
    line = text.find(NEWLINE, at, min(at + NEAR, end - 1))
    return at if line < 0 else line + 1
