"""Language models on public texts, beside published figures and counted baselines.

    python -m benchmarks.accuracy.language ptb --seeds 3 --state runs/language

Each seed is trained from checkpoints in the state directory, so that an interrupted run goes on
where it was; results that are there already are not computed again. The vocabulary, early stopping
and all choices come from the training and validation parts; the test part is scored once.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy.seeds import main, seconds_of_all, steps_done
from benchmarks.data import need
from longspan import LanguageModel


@dataclass(frozen=True)
class Case:
    """A text, how to learn it, and what others found.

    Attributes:
        title: Of the text.
        metric: What is compared.
        options: Of `LanguageModel`.
        published: Figures by name.
    """

    title: str
    metric: str
    options: dict[str, Any]
    published: dict[str, str]


CASES = {
    "shakespeare": Case(
        "tinyshakespeare, characters, 90/5/5 % by position", "cross_entropy",
        {"hidden_size": 256, "dropout": 0.3, "max_epochs": 12},
        {"minLSTM (Feng et al. 2024)": "1.555", "minGRU (same)": "1.548"},
    ),
    "ptb": Case(
        "Penn Treebank, words, 13 passes, 2 × 200 units", "perplexity",
        {"tokens": "words", "min_count": 1, "hidden_size": 200, "batch_size": 20,
         "bptt_length": 35, "dropout": 0.2, "max_epochs": 13, "softmax": "sampled"},
        {"LSTM 2 × 200, 13 passes (Zaremba et al. 2014)": "115"},
    ),
}  # fmt: skip


def texts(name: str) -> tuple[Any, Any, Any]:
    """Return training, validation and test part."""
    if name == "ptb":
        parts = [need("lm", "ptb", f"ptb.{part}.txt.gz") for part in ("train", "valid", "test")]
        return parts[0], parts[1], parts[2]
    text = need("lm", "tinyshakespeare", "input.txt").read_text("utf-8")
    a, b = int(0.9 * len(text)), int(0.95 * len(text))
    return text[:a], text[a:b], text[b:]


def result(name: str, seed: int, state: Path) -> dict[str, Any]:
    """Return scores and seconds of one seed, from a file if it was run before."""
    done = state / f"{name}-{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    train, validation, test = texts(name)
    model = LanguageModel(seed=seed, **CASES[name].options)
    log = state / f"{name}-{seed}" / "log.jsonl"
    before = steps_done(log)
    began = time.perf_counter()
    model.fit(
        train, validation=validation, test=test, checkpoint_dir=state / f"{name}-{seed}",
        checkpoint_every=200, resume=True, log_dir=state / f"{name}-{seed}",
    )  # fmt: skip
    seconds = time.perf_counter() - began
    assert model.evaluation_ is not None
    steps = len(model.history_.steps)
    found = {
        "scores": model.evaluation_.scores, "epochs": len(model.history_.epochs),
        "seconds": seconds_of_all(seconds, steps, before), "threads": torch.get_num_threads(),
        "validation": model.evaluate(validation).scores["model"],
        "parameters": sum(p.numel() for p in model.engine_.network.parameters()),
    }  # fmt: skip
    done.write_text(json.dumps(found))
    return found


def table(name: str, results: list[dict[str, Any]]) -> str:
    """Return the results of all seeds as a Markdown table."""
    case = CASES[name]
    title = {"perplexity": "perplexity", "cross_entropy": "nats a character"}[case.metric]
    lines = [
        f"| {case.title} | validation, {title} | test, {title} | passes | minutes |",
        "|---|--:|--:|--:|--:|",
    ]
    spread = [_spread([r["validation"][case.metric] for r in results]),
              _spread([r["scores"]["model"][case.metric] for r in results])]  # fmt: skip
    passes = "/".join(str(r["epochs"]) for r in results)
    minutes = statistics.mean(r["seconds"] for r in results) / 60
    lines.append(
        f"| Longspan LSTM, {results[0]['parameters'] / 1e6:.1f} million parameters, "
        f"{len(results)} seeds | {spread[0]} | {spread[1]} | {passes} | {minutes:.0f} |"
    )
    for who, value in case.published.items():
        lines.append(f"| {who} | | {value} | | |")
    for who, found in results[0]["scores"].items():
        if who != "model":
            lines.append(f"| {who} | | {found[case.metric]:.4g} | | |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4g} ({min(values):.4g} to {max(values):.4g})"


if __name__ == "__main__":
    main(__doc__, "language", CASES, result, table)
