"""What a comparison found, in plain sentences."""

from __future__ import annotations

import math

from longspan.comparison.results import Comparison, Entry, against
from longspan.comparison.statistics import ALPHA, POWER, Difference
from longspan.comparison.subjects.subject import Metric


def of(made: Comparison) -> list[str]:
    """Return sentences on a comparison: the verdict, each difference, the baseline, the times."""
    found = [verdict(made)]
    found += [_diverged(entry) for entry in made.entries.values() if entry.diverged]
    found += [_difference(each, made) for each in _compared(made).values()]
    found += _others(made)
    found += [_baseline(made)] if made.baselines else []
    found += _times(made)
    return found


def verdict(made: Comparison) -> str:
    """Return in a sentence which cell is best, and whether that is more than chance."""
    best, metric = made.best, made.metrics[made.metric]
    mean, low, high, count = made.entries[best].interval(made.metric)
    own = f"{best} is best by {metric.title}, {shown(mean, metric)}"
    others, seeds = _compared(made), len(made.entries[best].runs)
    if count < 2:
        return f"{own}, from a single seed: whether that is more than chance cannot be said."
    over = f"{count} seeds" if count == seeds else f"{count} of {seeds} seeds"
    own += f" ({shown(low, metric)} to {shown(high, metric)} over {over})"
    if not others:
        return f"{own}; no other cell can be compared with it."
    real = [name for name, each in others.items() if each.real]
    unclear = [name for name, each in others.items() if not each.real]
    if not unclear:
        return f"{own}, and its lead over {listed(real)} is real."
    if not real:
        return f"{own}, but no lead of it over {listed(unclear)} is shown."
    return f"{own}; its lead over {listed(real)} is real, over {listed(unclear)} none is shown."


def shown(value: float, metric: Metric) -> str:
    """Return a score as it is written everywhere."""
    return "–" if math.isnan(value) else f"{metric.factor * value:.4g}"


def listed(names: list[str]) -> str:
    """Return names as a sentence lists them.

    >>> listed(["lstm", "gru", "rnn"])
    'lstm, gru and rnn'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _compared(made: Comparison) -> dict[str, Difference]:
    """Return the differences from the best, of the cells that are compared."""
    return {n: each for n, each in made.to_best().items() if made.entries[n].compared}


def _diverged(entry: Entry) -> str:
    """Return what it means that training of a cell diverged."""
    lost = ", ".join(map(str, entry.diverged))
    own = f"{entry.name} diverged from {len(entry.diverged)} of {len(entry.runs)} seeds ({lost})"
    if not entry.compared:
        return f"{own}: too few are left, so it is not compared."
    return f"{own}: these are left out for all cells, which flatters it."


def _difference(each: Difference, made: Comparison) -> str:
    """Return what is known of a cell by comparison with the best."""
    metric = made.metrics[made.metric]
    if each.count < 2:
        return (
            f"{each.first} and {each.second} can be compared from {each.count or 'no'} seed: too "
            "few to judge by."
        )
    # The best mean over these very seeds is that of the other cell: this one is worse, or equal.
    worse = each.turned() if metric.higher else each
    own = f"{each.first} is worse than {each.second} by {_apart(worse.mean, metric)}"
    if each.mean == 0.0:
        own = f"{each.first} and {each.second} have the same mean"
    if not math.isnan(each.low):
        own += f" (corrected interval {_apart(worse.low, metric)} to {_apart(worse.high, metric)})"
    if each.real:
        return f"{own}: real."
    own += f": not shown to be real (p = {each.adjusted:.2g}, corrected)."
    if math.isnan(each.detectable):
        return own
    return (
        f"{own} With {each.count} seeds a difference of {_apart(each.detectable, metric)} would "
        f"have been seen {100 * POWER:.0f} times in 100."
    )


def _apart(value: float, metric: Metric) -> str:
    """Return a difference of scores, which has fewer digits that mean anything."""
    return f"{metric.factor * value:.3g}"


def _others(made: Comparison) -> list[str]:
    """Return the real differences between cells of which none is the best."""
    metric = made.metrics[made.metric]
    found = []
    for each in made.differences:
        if each.real and made.best not in (each.first, each.second):
            better = each if (each.mean > 0) == metric.higher else each.turned()
            found.append(
                f"That {better.first} is better than {better.second}, by "
                f"{_apart(abs(better.mean), metric)}, is real too."
            )
    return found


def _baseline(made: Comparison) -> str:
    """Return whether the cells beat the best predictor that needs no learning."""
    metric = made.metrics[made.metric]
    sign = 1.0 if metric.higher else -1.0
    known = {n: s[made.metric] for n, s in made.baselines.items()
             if not math.isnan(s.get(made.metric, math.nan))}  # fmt: skip
    if not known:
        return f"No predictor without learning has a {metric.title}."
    name = max(known, key=lambda n: sign * known[n])
    own = f"What needs no learning ({name}) has {metric.title} {shown(known[name], metric)}"
    means = {n: e.interval(made.metric) for n, e in made.entries.items() if e.compared}
    behind = [n for n, i in means.items() if not sign * i.mean > sign * known[name]]
    if len(behind) == len(means):
        return f"{own}; no cell beats that."
    if behind:
        return f"{own}; {listed(behind)} {'does' if len(behind) == 1 else 'do'} not beat that."
    return f"{own}; every cell beats that on average."


def _times(made: Comparison) -> list[str]:
    """Return how long trainings take, by comparison with the fastest."""
    fastest = _fastest(made)
    own = f"{fastest} trains fastest, in {made.entries[fastest].seconds:.3g} s (median)"
    parts = []
    for name, each in against(fastest, made.speed).items():
        if not each.count:
            continue
        ratio = f"{name} takes {math.exp(each.mean):.2f} times as long"
        if not math.isnan(each.low):
            ratio += f" ({math.exp(each.low):.2f} to {math.exp(each.high):.2f}"
            ratio += ", real)" if each.real else ", not shown to be real)"
        parts.append(ratio)
    return [f"{'; '.join([own, *parts])}."]


def _fastest(made: Comparison) -> str:
    """Return the cell that no other is faster than, by the times that are compared."""
    for name in made.entries:
        others = [each for each in against(name, made.speed).values() if each.count]
        if others and all(each.mean >= 0.0 for each in others):
            return name
    return min(made.entries, key=lambda name: made.entries[name].seconds)


#: What an interval of a difference means.
MEANING = (
    f"Intervals of single cells cover the mean over seeds with probability {100 * (1 - ALPHA):.0f} "
    "%. Differences are taken seed by seed; their intervals are Student's, widened by Holm's "
    f"correction for all pairs of cells, so that cells that are equal are called different in at "
    f"most {100 * ALPHA:.0f} % of comparisons. The seeds vary initial weights, dropout and the "
    "order of batches; the parts of the data are the same, so another test part would add its own "
    "chance. Where training diverged, means and differences are those of the seeds that all cells "
    "finished."
)
