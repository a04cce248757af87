"""A dialogue with a translator that answers: the turns so far are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longspan.data.pairs import clean, join_turns

if TYPE_CHECKING:
    from longspan.tasks.translate.translator import Translator


class Conversation:
    """Turns that follow one another; as many as the option `context_turns` says are read.

    Args:
        model: A fitted translator.
        options: Of `Translator.translate`.
    """

    def __init__(self, model: Translator, options: dict[str, Any] | None = None) -> None:
        self.model, self.options = model, options or {}
        self.turns: list[str] = []

    def reply(self, text: str) -> str:
        """Return the answer to what is said now, given what was said before.

        Nothing is answered by nothing, and forgotten.

        Raises:
            InputError: If it is not text.
        """
        config = self.model.engine_.config
        said = clean(text, config.lowercase)
        if not said:
            return ""
        turns = [*self.turns, said]
        source = join_turns(turns[max(len(turns) - 1 - config.context_turns, 0) :])
        answer = self.model._answer(source, self.options)
        self.turns = [*turns, answer] if answer else turns
        return answer

    def restart(self) -> None:
        """Forget what was said."""
        self.turns = []
