"""Contenders with the hidden sizes that the first one's parameters, or time, ask for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from longspan.comparison import matching, watching
from longspan.comparison.contenders import Contender
from longspan.comparison.records import Records
from longspan.comparison.subjects import Subject
from longspan.errors import InputError

#: Optimiser steps whose time is taken to match times, and how often.
STEPS, REPEATED = 24, 3


class Sizing:
    """Chooses hidden sizes.

    Attributes:
        notes: What a reader should know of them.

    Args:
        subject: The task and its data.
        records: Where measured sizes are kept, so that a comparison goes on with the same.
        common: What all records depend on.
        say: Called with a line for each size.
    """

    def __init__(
        self, subject: Subject, records: Records, common: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.subject, self.records, self.common, self.say = subject, records, common, say
        self.notes: list[str] = []

    def matched(self, those: list[Contender], match: str) -> list[Contender]:
        """Return the contenders, the first as it is.

        Args:
            those: At least two.
            match: ``"parameters"``, ``"time"`` or ``"none"``.

        Raises:
            InputError: If options fix a size that would have to be chosen.
        """
        if match == "none":
            return those
        first, *others = those
        for each in those:
            self.subject.check_sizes(each.config)
            if each.options["hidden_size"] != first.options["hidden_size"]:
                raise InputError(
                    f"{each.name!r} and {first.name!r} have hidden sizes of their own, which are "
                    "to be matched. Give --hidden-size for all, or match nothing (match='none', "
                    "--match none)."
                )
        if match == "time":
            return [first, *(self._same_time(first, each) for each in others)]
        wanted = watching.parameters(self.subject, first.options)
        return [first, *(self._same_count(first, wanted, each) for each in others)]

    def _same_count(self, first: Contender, wanted: int, each: Contender) -> Contender:
        size, count = matching.match_parameters(
            lambda h: watching.parameters(self.subject, each.having(hidden_size=h).options),
            wanted, first.options["hidden_size"], self.subject.size_step,
        )  # fmt: skip
        share = 100.0 * (count / wanted - 1.0)
        self.say(f"{each.name}: hidden size {size}, {count:,} parameters ({share:+.1f} %)")
        if abs(share) > 100.0 * matching.CLOSE:
            self.notes.append(
                f"{each.name} has {count:,} parameters at hidden size {size}, {share:+.1f} % from "
                f"the {wanted:,} of {first.name}: no size comes nearer."
            )
        return each.having(hidden_size=size)

    def _same_time(self, first: Contender, each: Contender) -> Contender:
        settings = {
            **self.common, "first": first.plain, "cell": each.plain, "steps": STEPS,
            "threads": torch.get_num_threads(),
        }  # fmt: skip
        record = self.records.get(each.name, "time", settings)
        if record is None:
            size, ratio = matching.match_time(
                lambda h: self._relative_time(first, each.having(hidden_size=h)),
                first.options["hidden_size"], self.subject.size_step,
            )  # fmt: skip
            record = {"hidden_size": size, "ratio": ratio}
            self.records.put(each.name, "time", settings, record)
        size, ratio = record["hidden_size"], record["ratio"]
        self.say(f"{each.name}: hidden size {size}, a step takes {ratio:.2f} of {first.name}'s")
        if abs(math.log(ratio)) > matching.CLOSE_TIME:
            self.notes.append(
                f"A step of {each.name} takes {ratio:.2f} times as long as one of {first.name} at "
                f"hidden size {size}; no size that was tried came nearer."
            )
        return each.having(hidden_size=size)

    def _relative_time(self, first: Contender, each: Contender) -> float:
        both: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for _ in range(REPEATED):
            for own, found in zip((each, first), both, strict=True):
                found.append(watching.step_times(self.subject, own.options, STEPS))
        return matching.relative_time(*(np.stack(found) for found in both))
