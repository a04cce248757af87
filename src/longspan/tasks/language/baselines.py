"""Baselines of a language model that need no learning loop: counts of words and of their runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.errors import InputError

Ints = np.ndarray


@dataclass(frozen=True)
class _Order:
    """What is known of the runs of n tokens.

    Attributes:
        codes: Rising codes (context's number · V + last token) of the runs seen, (R,).
        probability: Discounted share of each run in its context, (R,).
        backoff: Weight of the shorter context, by context; 1 where a context was never continued.
    """

    codes: Ints
    probability: np.ndarray
    backoff: np.ndarray


class KneserNey:
    """Interpolated Kneser-Ney with three discounts (Chen & Goodman 1999).

    p(w | c) = max(a(c w) - D(a(c w)), 0) / Σ a(c ·) + γ(c) · p(w | shorter c), ending in the
    uniform distribution over the vocabulary. a is the count for the longest runs, and for shorter
    ones the number of different tokens seen before them; D is estimated from the number of runs
    seen once, twice, three and four times; γ makes the probabilities add up to 1.

    >>> import numpy as np
    >>> model = KneserNey(np.array([0, 1, 2, 0, 1, 2, 0, 1]), vocab_size=3, order=2)
    >>> float(model.probabilities(np.array([0, 1]), 1)[0].round(2))
    0.89

    Args:
        tokens: The training part, (N,) whole numbers below `vocab_size`.
        vocab_size: V.
        order: Longest run, n; 1 counts single tokens, with a share for those not seen.

    Raises:
        InputError: If there are no tokens, or the order is not at least 1.
    """

    def __init__(self, tokens: Ints, vocab_size: int, order: int) -> None:
        if order < 1 or not len(tokens):
            raise InputError(
                f"Counting runs needs at least one token and order 1, got {len(tokens)} tokens and "
                f"order {order}."
            )
        self.vocab_size, self.order = vocab_size, order
        self._orders: list[_Order] = []
        tokens = np.asarray(tokens, np.int64)
        # runs[k][i] is the number of the run of k + 1 tokens that ends at i + k.
        codes, runs = _numbered(tokens)
        numbers, levels = [runs], [(codes, runs)]
        for n in range(2, min(order, len(tokens)) + 1):
            codes, runs = _numbered(numbers[-1][:-1] * vocab_size + tokens[n - 1 :])
            numbers.append(runs)
            levels.append((codes, runs))
        self.order = len(levels)
        for n, (codes, runs) in enumerate(levels, 1):
            if n == self.order:
                adjusted = np.bincount(runs, minlength=len(codes))
            else:
                adjusted = _continuations(numbers[n - 1], numbers[n], len(codes))
            contexts = len(levels[n - 2][0]) if n > 1 else 1
            self._orders.append(_discounted(codes, adjusted, vocab_size, contexts))

    def probabilities(self, tokens: Ints, start: int = 0) -> np.ndarray:
        """Return the probability of each token from `start` on, given those before it.

        Args:
            tokens: (N,) whole numbers; the first ones have a shorter context.
            start: How many of them are only context.

        Returns:
            Probabilities, (N - start,), float64.
        """
        tokens = np.asarray(tokens, np.int64)
        found = np.full(len(tokens), 1.0 / self.vocab_size)
        context = np.zeros(len(tokens), np.int64)  # number of the context in the order below
        known = np.ones(len(tokens), bool)  # whether that context was ever seen
        for level in self._orders:
            code = context * self.vocab_size + tokens
            place = np.minimum(np.searchsorted(level.codes, code), len(level.codes) - 1)
            seen = known & (level.codes[place] == code)
            weight = np.where(known, level.backoff[np.where(known, context, 0)], 1.0)
            found = weight * found + np.where(seen, level.probability[place], 0.0)
            # The run that ends before a token is the context of the next order.
            known = np.concatenate([[False], seen[:-1]]) if len(seen) else seen
            context = np.concatenate([[0], place[:-1]]) if len(place) else place
        return found[start:]

    def distribution(self, context: Ints) -> np.ndarray:
        """Return the probabilities of all V tokens after a context, (V,)."""
        last = np.asarray(context, np.int64)[max(len(context) - self.order + 1, 0) :]
        rows = [self.probabilities(np.append(last, w))[-1] for w in range(self.vocab_size)]
        return np.array(rows)


def _numbered(codes: Ints) -> tuple[Ints, Ints]:
    return np.unique(codes, return_inverse=True)


def _continuations(shorter: Ints, longer: Ints, count: int) -> Ints:
    """Return by how many different tokens each shorter run was preceded, (count,)."""
    _, first = np.unique(longer, return_index=True)
    # The longer run number i starts one token before the shorter run number i + 1 and ends with it.
    return np.bincount(shorter[1:][first], minlength=count)


def _discounted(codes: Ints, counts: Ints, vocab_size: int, contexts: int) -> _Order:
    context = codes // vocab_size if contexts > 1 else np.zeros(len(codes), np.int64)
    discounts = _discounts(counts)
    class_ = np.minimum(counts, 3)
    total = np.bincount(context, counts, minlength=contexts)
    removed = np.minimum(discounts[class_], counts)
    backoff = np.bincount(context, removed, minlength=contexts)
    with np.errstate(invalid="ignore", divide="ignore"):
        backoff = np.where(total > 0, backoff / total, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(counts > 0, (counts - removed) / total[context], 0.0)
    return _Order(codes, share, backoff)


def _discounts(counts: Ints) -> np.ndarray:
    """Return D for a count of 0, 1, 2, and 3 or more (Chen & Goodman 1999, eq. 26)."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not (n > 0).all():  # too few runs to estimate from; absolute discounting
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n[0] / (n[0] + 2.0 * n[1])
    raw = [k - (k + 1.0) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
    return np.array([0.0, *np.clip(raw, 0.05, [0.95, 1.95, 2.95])])
