"""The results as a JSON file and as tables made from it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benchmarks.speed.kernels.groups import GROUPS


def as_data(
    name: str, rows: list[dict[str, Any]], limits: list[float], processes: int
) -> dict[str, Any]:
    """Return a group's rows with their mean and worst ratio, and whether the target is met.

    `limits` are the multiply-add limits measured before and after, in operations a second: they
    tell whether the machine was its own.
    """
    group = GROUPS[name]
    ratios = [row["ratio"] for row in rows]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    worst = min(ratios) if ratios else None
    target = {"mean": group.target.mean, "worst": group.target.worst}
    met = mean is not None and mean >= target["mean"]
    met = met and (target["worst"] is None or (worst or 0.0) >= target["worst"])
    return {
        "title": group.title, "rows": rows, "mean": mean, "worst": worst,
        "target": target, "met": met, "limits": limits, "processes": processes,
    }  # fmt: skip


def write(path: Path, data: dict[str, Any]) -> None:
    """Write JSON under a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".tmp")
    new.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    new.replace(path)


def markdown(data: dict[str, Any]) -> str:
    """Return the tables."""
    lines = [
        "# The kernels beside their peers", "",
        f"{data['machine']}.", "",
        "All contestants run in one process and take turns; medians of 7 to 200 rounds. A ratio is "
        "the best peer's time (or memory) over ours: above 1, we are better. The share is of the "
        "multiply-add limit of two threads in float32, measured before and after each group. Each "
        "contestant was checked for equal results before it was timed. Training is forward and "
        "backward without the input's gradient. Except where a title says otherwise, and for "
        "memory, glibc was told to keep freed memory (`MALLOC_TRIM_THRESHOLD_`, "
        "`MALLOC_MMAP_THRESHOLD_`), which saves PyTorch up to half its time in page faults. Made "
        "by `python -m benchmarks.speed.kernels`.", "",
    ]  # fmt: skip
    for name, group in data["groups"].items():
        lines += [f"## {group['title']}", "", *_table(name, group), ""]
        lines += [_verdict(name, group), _conditions(group), ""]
    return "\n".join(lines)


def _table(name: str, group: dict[str, Any]) -> list[str]:
    rows, limit = group["rows"], max(group["limits"])
    if not rows:
        return ["Not measured: this processor, or this version, has no such kernels."]
    names = list(dict.fromkeys(n for row in rows for n in row["seconds"]))
    memory, shares = name.startswith("memory"), any(row["flops"] for row in rows)
    unit, scale = (
        ("MB", 1e-6) if memory else ("µs", 1e6) if name.startswith("streaming") else ("ms", 1e3)
    )
    head = ["", *(f"{n}, {unit}" for n in names), "ratio", *(["share"] if shares else [])]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [_number(row["seconds"].get(n), scale) for n in names]
        cells.append("" if len(names) == 1 else f"{row['ratio']:.2f}")
        if shares:
            cells.append(f"{row['flops'] / row['seconds']['longspan'] / limit:.0%}")
        lines.append("| " + " | ".join([row["label"], *cells]) + " |")
    return lines + sorted({f"\n{note}." for row in rows for note in row["notes"]})


def _number(value: float | None, scale: float) -> str:
    return (
        ""
        if value is None
        else f"{value * scale:.3g}"
        if value * scale < 1000
        else f"{value * scale:.0f}"
    )


def _verdict(name: str, group: dict[str, Any]) -> str:
    if name == "scaling" or group["mean"] is None:
        return ""
    target = group["target"]
    worst = "" if target["worst"] is None else f" and at worst {target['worst']:.2f}"
    word = "met" if group["met"] else "missed"
    return (
        f"Geometric mean {group['mean']:.2f}, worst {group['worst']:.2f}. Target: at least "
        f"{target['mean']:.2f} in the mean{worst}: **{word}**."
    )


def _conditions(group: dict[str, Any]) -> str:
    low, high = min(group["limits"]) / 1e9, max(group["limits"]) / 1e9
    many = "one process" if group["processes"] == 1 else f"{group['processes']} processes"
    return f"Limit measured around it: {low:.0f} to {high:.0f} GFLOP/s; {many}."
