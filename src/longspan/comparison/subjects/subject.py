"""What all tasks have in common for a comparison: parts that are drawn once, and training on them.

An estimator draws its validation and test part from its seed. In a comparison every training must
have the same parts, so they are drawn here, from the first seed, and handed to each `fit`.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel

from longspan.errors import InputError
from longspan.tasks import estimator_of
from longspan.tasks.estimator import Estimator


class Metric(NamedTuple):
    """A test score: its title, what it means, whether more of it is better, and its unit's size.

    Scores are multiplied by `factor` where they are shown, 100 for per cent.
    """

    title: str
    meaning: str
    higher: bool = False
    factor: float = 1.0


class Subject(ABC):
    """One task on one set of data, as a comparison sees it.

    Args:
        config: Options that all contenders have in common, checked.
        data: What the estimator's `fit` takes; a tuple is several of its arguments.
        reading: More arguments of `fit`.

    Raises:
        InputError: If the data cannot be read, or there is no part to choose or to score by.
    """

    task: ClassVar[str]
    #: What one answer is, whose time is the latency.
    answer: ClassVar[str]
    #: Names of the test scores that there may be.
    scores: ClassVar[tuple[str, ...]]
    #: Whether the task reads in both directions in any case.
    always_both: ClassVar[bool] = False
    #: Options that all must have in common, because the data depend on them.
    shared: ClassVar[tuple[str, ...]] = ()
    #: Hidden sizes must be multiples of it.
    size_step: ClassVar[int] = 1

    def __init__(self, config: BaseModel, data: Any, **reading: Any) -> None:
        self.config = config
        self.prepare(data, **reading)

    @classmethod
    def kind(cls) -> type[Estimator]:
        """Return the estimator's class."""
        return estimator_of(cls.task)

    @abstractmethod
    def prepare(self, data: Any, **reading: Any) -> None:
        """Read the data and divide them; sets what the other methods need."""

    @property
    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """What every training gets: hashed, so that results of other data are never mixed in."""

    @property
    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """How much each part has, by a name with its unit."""

    @abstractmethod
    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return the test scores that these data have, the most telling one first."""

    @abstractmethod
    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit an estimator; return scores of the test part by predictor, none if not `tested`."""

    def judged(self, model: Any, tested: bool) -> float:
        """Return how a fitted estimator did on the validation part, the lower the better.

        That is the loss (or error) of the epoch that was kept; NaN without a validation part.
        """
        del tested
        epochs = model.history_.epochs
        losses = [e.get("validation_error", e.get("validation_loss", math.nan)) for e in epochs]
        return min(losses, default=math.nan)

    @abstractmethod
    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return calls that each give one answer to something of the test part."""

    @property
    @abstractmethod
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """What `longspan.insight.inspect` takes to look into a model: data and more arguments."""

    def no_memory(self, model: Any) -> str | None:
        """Return why influence by lag is no memory of a fitted estimator, or None if it is."""
        del model
        return None

    @property
    def answers_in_a_call(self) -> int:
        """How many answers such a call gives."""
        return 1

    def estimator(self, options: Mapping[str, Any]) -> Any:
        """Return an estimator that is not fitted."""
        return self.kind()(**options)

    def learning_rate(self, config: Any) -> float:
        """Return the learning rate that these options mean."""
        return config.learning_rate

    def hidden_size(self, config: Any) -> int:
        """Return the hidden units of a layer that these options mean."""
        return config.hidden_size

    def check_sizes(self, config: Any) -> None:
        """Refuse options under which `hidden_size` has no meaning."""
        del config

    def digest(self) -> str:
        """Return a checksum of all parts."""
        found = hashlib.sha256()
        _feed(found, self.parts)
        return found.hexdigest()


def network_of(model: Any) -> Any:
    """Return the network of an estimator, once it is built."""
    return model.engine_.network if hasattr(model, "engine_") else model.network_


def need(part: Any, name: str, how: str) -> Any:
    """Return a part that a comparison cannot do without.

    Raises:
        InputError: If there is none.
    """
    if part is None or not len(part):
        raise InputError(f"A comparison needs a {name} part, and there is none. Give {how}.")
    return part


def contents(config: BaseModel) -> dict[str, str]:
    """Return a checksum of each file that an option names: its path says nothing of what it holds.

    Raises:
        InputError: If one cannot be read.
    """
    found = {}
    for name, path in config:
        if isinstance(path, Path):
            try:
                with path.open("rb") as file:
                    found[name] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return found


def _feed(found: Any, value: Any) -> None:
    """Add a value to a checksum, with its type and size, so that no two values are alike."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        found.update(f"{value.dtype.str}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        _feed(found, [part for pair in value.items() for part in pair])
    elif isinstance(value, list | tuple | np.ndarray):
        found.update(f"[{len(value)}".encode())
        for each in value:
            _feed(found, each)
    else:
        own = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        found.update(f"{type(value).__name__}{len(own)}:".encode() + own)
