"""Text one token at a time: which token to take, and the network that goes on step by step.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.kernels import Stepper, native
from longspan.tasks.language.network import LanguageNetwork

#: The lowest temperature but 0: scores that are divided by less may not be finite.
COLDEST = 1e-6


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Args:
        temperature: Scores are divided by it: below 1 likely tokens become likelier still, above 1
            less so; 0 always takes the likeliest, and is the only one below 1e-6.
        top_k: Draw from the k likeliest tokens alone (Fan et al. 2018).
        top_p: Draw from the fewest likeliest tokens whose probabilities add up to p (Holtzman et
            al. 2020); after `top_k`.

    Raises:
        InputError: If one of them is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.temperature != 0.0 and not COLDEST <= self.temperature < np.inf:
            raise InputError(
                f"`temperature` must be 0, which takes the likeliest, or at least {COLDEST}, got "
                f"{self.temperature!r}."
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"`top_k` must be at least 1, got {self.top_k!r}.")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise InputError(f"`top_p` must be above 0 and at most 1, got {self.top_p!r}.")

    def probabilities(self, log_probs: np.ndarray) -> np.ndarray:
        """Return what tokens are drawn by, (B, V) float64, from log-probabilities (B, V)."""
        scores = np.asarray(log_probs, np.float64)
        if self.temperature == 0.0:
            return (np.arange(scores.shape[1]) == scores.argmax(1)[:, None]).astype(np.float64)
        if self.top_k is None and self.top_p is None:
            return _softmax(scores / self.temperature)
        order = np.argsort(-scores, axis=1, kind="stable")  # of equals the first comes first
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(scores.shape[1])[None], axis=1)
        if self.top_k is not None:
            scores = np.where(rank < self.top_k, scores, -np.inf)
        found = _softmax(scores / self.temperature)
        if self.top_p is not None:
            falling = np.take_along_axis(found, order, axis=1)
            before = np.cumsum(falling, axis=1) - falling  # of those likelier
            keep = np.take_along_axis(before < self.top_p, rank, axis=1)
            found = np.where(keep, found, 0.0)
            found /= found.sum(1, keepdims=True)
        return found

    def draw(self, log_probs: np.ndarray, generators: Sequence[np.random.Generator]) -> np.ndarray:
        """Return a token for each row, int64 (B,), each drawn by its row's own generator."""
        sums = np.cumsum(self.probabilities(log_probs), axis=1)
        places = [
            np.searchsorted(row, generator.random() * row[-1], side="right")
            for row, generator in zip(sums, generators, strict=True)
        ]
        return np.array(places, np.int64)


def generate(
    network: LanguageNetwork,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    seed: int = 0,
    forbidden: Sequence[int] = (),
) -> Iterator[np.ndarray]:
    """Yield the next token of every row, int64 (B,), without end.

    A row's tokens depend on its prompt, its number and the seed, not on the other rows.

    Args:
        network: In evaluation mode.
        prompts: Tokens of each row, at least one; they may differ in length.
        sampling: How to draw.
        seed: Of the draws.
        forbidden: Tokens that are never drawn.
    """
    generators = [np.random.default_rng((seed, row)) for row in range(len(prompts))]
    run = Continuation(network, prompts)
    while True:
        log_probs = run.log_probs
        log_probs[:, list(forbidden)] = -np.inf
        tokens = sampling.draw(log_probs, generators)
        yield tokens
        run.step(tokens)


class Continuation:
    """Texts that go on together, step by step.

    Where the compiled kernels are, steps run through `longspan.kernels.Stepper`, which takes
    microseconds where a layer's call takes a hundred.

    Args:
        network: In evaluation mode.
        prompts: Tokens of each row, at least one.
        fast: Use the stepper where it is there.
    """

    log_probs: np.ndarray
    """Log-probabilities of the next token of each row, (B, V)."""

    def __init__(
        self, network: LanguageNetwork, prompts: Sequence[Sequence[int]], *, fast: bool = True
    ) -> None:
        self.network = network
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        padded = torch.zeros(int(lengths.max()), len(prompts), dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            padded[: len(prompt), row] = torch.as_tensor(prompt)
        with torch.no_grad():
            features, _, self.state = network.features(padded, lengths=lengths)
            last = features[lengths - 1, torch.arange(len(prompts))]
            self.log_probs = self._head(last)
        self.stepper = _stepper(network, len(prompts)) if fast and native.available() else None
        if self.stepper is not None:
            embedding = network.encoder.embedding
            assert isinstance(embedding, torch.nn.Embedding)
            self.table = embedding.weight.detach().numpy()
            self.fast_state = _flat(self.state)

    def step(self, tokens: np.ndarray) -> None:
        """Append a token to each row, int64 (B,)."""
        with torch.no_grad():
            if self.stepper is not None:
                output = self.stepper.step(self.table[tokens], self.fast_state)
                features = torch.from_numpy(output)
            else:
                given = torch.from_numpy(tokens)[None]
                outputs, _, self.state = self.network.features(given, self.state)
                features = outputs[0]
            self.log_probs = self._head(features)

    def _head(self, features: Tensor) -> np.ndarray:
        return self.network.head.log_probs(features).numpy()  # type: ignore[operator]


def _stepper(network: LanguageNetwork, rows: int) -> Stepper:
    """Return all layers as one stepper; their sizes may differ."""
    weights: dict[str, Any] = {}
    for k, layer in enumerate(network.layers):
        names = {name.split(".")[1] if "." in name else name for name in layer.state_dict()}
        for name in sorted(names):  # a dropped weight is whole at evaluation
            weights[name.replace("_l0", f"_l{k}")] = getattr(layer, name).detach().numpy()
    return Stepper(weights, kind=network.cell, batch=rows)


def _flat(state: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Return the layers' states in the stepper's order, copied: it changes them in place."""
    parts = [s for hx in state for s in (hx if isinstance(hx, tuple) else (hx,))]
    return tuple(np.array(part[0].numpy(), np.float32, order="C") for part in parts)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
