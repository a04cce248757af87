"""Between texts and tokens, both sides; and the parts of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.data.pairs import Pairs, read_pairs
from longspan.data.ragged import Ragged
from longspan.data.text import CODECS, Codec
from longspan.errors import InputError
from longspan.tasks.translate.config import TranslateConfig


@dataclass(frozen=True)
class Vocabularies:
    """What turns both sides into tokens and back; one object twice where they are shared."""

    source: Codec
    target: Codec

    @classmethod
    def learn(cls, config: TranslateConfig, train: Pairs) -> Vocabularies:
        """Return the vocabularies of the training part."""
        sides = (train.sources, train.targets)
        if config.shared:
            codec = _learn(config, config.tokens, [*train.sources, *train.targets])
            return cls(codec, codec)
        source, target = (_learn(config, k, s) for k, s in zip(config.kinds, sides, strict=True))
        return cls(source, target)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        own = {"source": self.source.to_dict()}
        return own if self.target is self.source else own | {"target": self.target.to_dict()}

    @classmethod
    def from_dict(cls, config: TranslateConfig, values: dict[str, Any]) -> Vocabularies:
        """Return what `to_dict` described."""
        kinds = config.kinds
        source = CODECS[kinds[0]].from_dict(values["source"])
        if config.shared:
            return cls(source, source)
        return cls(source, CODECS[kinds[1]].from_dict(values["target"]))

    def sources(self, texts: Sequence[str]) -> Ragged:
        """Return the tokens of sources, each with the symbol for the end."""
        return _ragged(self.source, texts)

    def targets(self, texts: Sequence[str]) -> Ragged:
        """Return the tokens of targets, each with the symbol for the end."""
        return _ragged(self.target, texts)


@dataclass(frozen=True)
class Parts:
    """Pairs in parts; a part that there is not is None.

    Attributes:
        train: What is learnt from.
        validation: Decides when to stop.
        test: To be scored.
        repeated: How many pairs were left out of the validation and test parts that were drawn,
            because the training part has their source too; by the part's name.
    """

    train: Pairs
    validation: Pairs | None = None
    test: Pairs | None = None
    repeated: dict[str, int] = field(default_factory=dict)

    def named(self) -> dict[str, Pairs]:
        """Return the parts that there are, by name."""
        every = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in every.items() if part is not None}


def divide(
    config: TranslateConfig, source: Any, target: Any, validation: Any, test: Any,
    test_share: float, encoding: str,
) -> Parts:  # fmt: skip
    """Return the parts of the data.

    Dialogues are drawn whole. Those that share a turn are not joined, which would soon join all of
    them; in place of that, parts that are drawn have no pair whose source is learnt from.

    Args:
        config: The options.
        source: As for `longspan.data.pairs.read_pairs`, and `target`.
        target: The other side, or None.
        validation: What `read_pairs` takes as its source, or a tuple (source, target); None takes
            a share of the pairs.
        test: The same.
        test_share: Share of the pairs.
        encoding: Of the files.

    Raises:
        InputError: If a part cannot be read, or nothing is left to learn from or to score.
    """
    if not 0.0 <= test_share < 1.0 or config.validation_share + test_share >= 1.0:
        raise InputError(
            f"`test_share` must be at least 0 and, with validation_share = "
            f"{config.validation_share}, leave something to learn from; got {test_share}."
        )
    given = _part(config, source, target, encoding, "data")
    parts = {name: None if data is None else _part(config, *_sides(data), encoding, name)
             for name, data in (("validation", validation), ("test", test))}  # fmt: skip
    groups = np.unique(given.groups)
    # The order depends on the seed alone, so that the test part is the same for any share.
    order = np.random.default_rng((config.seed, 1)).permutation(groups)
    begin, drawn = 0, []
    for name, share in (("test", test_share), ("validation", config.validation_share)):
        if parts[name] is None and share:
            count = min(max(round(share * len(groups)), 1), len(groups) - begin - 1)
            held = np.flatnonzero(np.isin(given.groups, order[begin : begin + count]))
            parts[name] = given.part(held) if len(held) else None
            begin += max(count, 0)
            drawn.append(name)
    kept = np.flatnonzero(np.isin(given.groups, order[begin:]))
    train = given.part(kept)
    repeated = {}
    for name in drawn:
        parts[name], repeated[name] = _unlearnt(parts[name], train)
    if repeated.get("test") and parts["test"] is None:
        raise InputError(
            f"Nothing is left to score: the training part has the sources of all "
            f"{repeated['test']} pairs of the test part too. Give test pairs of their own, or more "
            "data, or test_share=0."
        )
    return Parts(
        Pairs(train.sources, train.targets, train.groups, given.empty),
        parts["validation"], parts["test"], repeated,
    )  # fmt: skip


def _unlearnt(part: Pairs | None, train: Pairs) -> tuple[Pairs | None, int]:
    """Return the pairs of a part whose source is not learnt from, None for none; and the others."""
    if part is None:
        return None, 0
    known = set(train.sources)
    kept = [k for k, source in enumerate(part.sources) if source not in known]
    return part.part(kept) if kept else None, len(part) - len(kept)


def _sides(data: Any) -> tuple[Any, Any]:
    """Return source and target of a part: a tuple of two is both sides, anything else is one."""
    return data if isinstance(data, tuple) and len(data) == 2 else (data, None)


def _part(config: TranslateConfig, source: Any, target: Any, encoding: str, name: str) -> Pairs:
    found = read_pairs(
        source, target, context_turns=config.context_turns, lowercase=config.lowercase,
        encoding=encoding,
    )  # fmt: skip
    if not len(found):
        raise InputError(
            f"`{name}` has no pair with text on both sides ({found.empty} have an empty side). "
            "Give at least one."
        )
    return found


def _learn(config: TranslateConfig, kind: str, texts: Sequence[str]) -> Codec:
    return CODECS[kind].learn("\n".join(texts), config.least_count(kind), config.vocab_size)


def _ragged(codec: Codec, texts: Sequence[str]) -> Ragged:
    return Ragged.of([[*codec.encode(text).tolist(), codec.newline] for text in texts])
