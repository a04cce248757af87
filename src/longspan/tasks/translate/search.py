"""Beam search over whole batches: the likeliest translations that a decoder can write.

Shapes: B rows, K hypotheses of each, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.kernels import PackedWeights
from longspan.tasks.translate.network import TranslateNetwork


@dataclass(frozen=True)
class Found:
    """A translation.

    Attributes:
        tokens: Without the symbol that ends it.
        log_prob: ln p(tokens and end | source).
        score: `log_prob` divided by the penalty of the length; what translations are ranked by.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float


@dataclass(frozen=True)
class Beam:
    """How translations are looked for.

    Args:
        size: Hypotheses of each row, K; 1 always takes the likeliest token.
        length_penalty: α; a score is log p / ((5 + length) / 6)^α, the end counted (Wu et al.
            2016).
        n_best: Translations of each row that are returned, at most K.

    Raises:
        InputError: If one of them is out of range.
    """

    size: int = 5
    length_penalty: float = 0.6
    n_best: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"`beam_size` must be at least 1, got {self.size!r}.")
        if not 0.0 <= self.length_penalty <= 5.0:
            raise InputError(f"`length_penalty` must be 0 to 5, got {self.length_penalty!r}.")
        if not 1 <= self.n_best <= self.size:
            raise InputError(
                f"`n_best` must be at least 1 and at most the beam_size, {self.size}, got "
                f"{self.n_best!r}."
            )

    def penalty(self, length: Tensor | int) -> Tensor | float:
        """Return what the log-probability of so many tokens, the end counted, is divided by."""
        return ((5.0 + length) / 6.0) ** self.length_penalty


@torch.no_grad()
def search(
    network: TranslateNetwork,
    source: Tensor,
    lengths: Tensor,
    limits: Tensor,
    beam: Beam,
    *,
    symbol: int,
) -> list[list[Found]]:
    """Return the best translations of each row, the best first.

    At every step the likeliest continuations of all hypotheses of a row are kept, as many as the
    beam has room for; one that ends keeps its place (Sutskever et al. 2014). A row is done when
    its places are taken or no hypothesis can overtake those that ended. At `limits` hypotheses
    are ended by force, and the probability of the end counts. A row does not depend on others.

    Args:
        network: In evaluation mode.
        source: Tokens, int64 (S, B).
        lengths: (B,).
        limits: Tokens that each row's translation may have, (B,).
        beam: How to look.
        symbol: What begins and ends a target.
    """
    run = _Search(network, source, lengths, limits, beam, symbol)
    with PackedWeights():
        while len(run.rows):
            run.step()
    ranked = [sorted(each, key=lambda f: -f.score) for each in run.found]
    return [each[: beam.n_best] for each in ranked]


class _Search:
    """A search under way; rows that are done leave it, and so do hypotheses that ended."""

    def __init__(
        self, network: TranslateNetwork, source: Tensor, lengths: Tensor, limits: Tensor,
        beam: Beam, symbol: int,
    ) -> None:  # fmt: skip
        self.network, self.beam, self.symbol = network, beam, symbol
        self.memory, self.state = network.encode(source, lengths)
        count = source.shape[1]
        self.rows, self.limits = torch.arange(count), limits
        self.found: list[list[Found]] = [[] for _ in range(count)]
        # One hypothesis at first, the empty one; (B, K), and what it wrote, (B, K, t).
        self.log_probs = torch.zeros(count, 1)
        self.written = torch.zeros(count, 1, 0, dtype=torch.int64)
        self.tokens = torch.full((count,), symbol)

    def step(self) -> None:
        """Go one token on, and let go what is done."""
        features, state, _ = self.network.step(self.tokens, self.state, self.memory)
        width = self.log_probs.shape[1]
        scores = self.network.head.log_probs(features)
        scores = scores.view(width, len(self.rows), -1).transpose(0, 1)
        over = self.written.shape[2] >= self.limits
        if bool(over.any()):
            ends = torch.arange(scores.shape[2]) == self.symbol
            scores = scores.masked_fill(over[:, None, None] & ~ends, -torch.inf)
        total = (self.log_probs[..., None] + scores).flatten(1)
        log_probs, places = total.topk(min(self.beam.size, total.shape[1]))
        room = torch.tensor([self.beam.size - len(self.found[row]) for row in self.rows.tolist()])
        beyond = torch.arange(log_probs.shape[1]) >= room[:, None]
        log_probs = log_probs.masked_fill(beyond, -torch.inf)
        parents, tokens = places // scores.shape[2], places % scores.shape[2]
        ended = (tokens == self.symbol) & log_probs.isfinite()
        self._keep(ended, parents, log_probs)
        self._go_on(
            state, parents, tokens, log_probs.masked_fill(tokens == self.symbol, -torch.inf)
        )

    def _keep(self, ended: Tensor, parents: Tensor, log_probs: Tensor) -> None:
        length = self.written.shape[2] + 1
        for row, place in ended.nonzero().tolist():
            tokens = self.written[row, parents[row, place]].tolist()
            log_prob = float(log_probs[row, place])
            score = log_prob / float(self.beam.penalty(length))
            self.found[int(self.rows[row])].append(Found(tuple(tokens), log_prob, score))

    def _go_on(self, state: object, parents: Tensor, tokens: Tensor, log_probs: Tensor) -> None:
        """Drop hypotheses that ended and rows that are done, and put the others in place."""
        log_probs, order = log_probs.sort(dim=1, descending=True, stable=True)
        stays = torch.nonzero(~self._done(log_probs[:, 0])).flatten()
        alive = int(log_probs[stays].isfinite().sum(1).max()) if len(stays) else 0
        order, log_probs = order[stays, :alive], log_probs[stays, :alive]
        parents, tokens = parents[stays].gather(1, order), tokens[stays].gather(1, order)
        # Hypothesis k of row b is at k·B + b in the decoder's state.
        numbers = (parents * len(self.rows) + stays[:, None]).t().flatten()
        self.state = state.rows(numbers)  # type: ignore[attr-defined]
        self.memory = None if self.memory is None else self.memory.rows(stays)
        before = self.written[stays[:, None], parents]
        self.written = torch.cat([before, tokens[..., None]], -1)
        self.tokens, self.log_probs = tokens.t().flatten(), log_probs
        self.rows, self.limits = self.rows[stays], self.limits[stays]

    def _done(self, best: Tensor) -> Tensor:
        """Return whether the best hypothesis of a row, (B,), cannot overtake what it has found."""
        reached = []
        for row in self.rows.tolist():
            scores = sorted((f.score for f in self.found[row]), reverse=True)
            enough = len(scores) >= self.beam.n_best
            reached.append(scores[self.beam.n_best - 1] if enough else -torch.inf)
        # A log-probability only falls, and no penalty is larger than that of the longest.
        possible = best / self.beam.penalty(self.limits + 1)
        return ~best.isfinite() | (possible <= torch.tensor(reached))
