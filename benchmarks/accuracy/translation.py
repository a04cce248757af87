"""Translators on Multi30k, beside published figures and the baselines.

    python -m benchmarks.accuracy.translation de-en en-de --seeds 3 --state runs/translation

Each seed is trained from checkpoints in the state directory, so that an interrupted run goes on
where it was; results that are there already are not computed again. The vocabularies, early
stopping and all choices come from the training and validation parts; the test part of 2016 is
scored once.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy.seeds import main, seconds_of_all, steps_done
from benchmarks.data import need
from longspan import Translator

PARTS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
CASES = ("de-en", "en-de")
#: The text is in lower case and cut into words already, so BLEU takes it as it is.
OPTIONS: dict[str, Any] = {"bleu_tokens": "none", "max_epochs": 10, "dropout": 0.3}
METRICS = {"bleu": "BLEU", "chrf": "chrF", "perplexity": "perplexity"}
PUBLISHED = {
    "de-en": "text-only attentional networks of GRU or LSTM, by several authors: 35 to 40 BLEU",
    "en-de": "the same: 33 to 37 BLEU",
}


def pairs(case: str, part: str) -> tuple[Path, Path]:
    """Return the files of source and target."""
    name = PARTS[part]
    found = [need("translation", "multi30k_de_en", f"{name}.lc.norm.tok.{language}")
             for language in case.split("-")]  # fmt: skip
    return found[0], found[1]


def result(case: str, seed: int, state: Path) -> dict[str, Any]:
    """Return scores and seconds of one seed, from a file if it was run before."""
    done = state / f"{case}-{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    model = Translator(seed=seed, **OPTIONS)
    log = state / f"{case}-{seed}" / "log.jsonl"
    before = steps_done(log)
    model.fit(
        *pairs(case, "train"), validation=pairs(case, "validation"), test=pairs(case, "test"),
        checkpoint_dir=log.parent, checkpoint_every=50, resume=True, log_dir=log.parent,
    )  # fmt: skip
    assert model.evaluation_ is not None
    steps, seconds = len(model.history_.steps), model.run_.facts["seconds of training"]
    found = {
        "scores": model.evaluation_.scores, "signature": model.evaluation_.signature,
        "epochs": len(model.history_.epochs), "best": model.history_.best_epoch,
        "seconds": seconds_of_all(seconds, steps, before), "threads": torch.get_num_threads(),
        "parameters": model.run_.facts["parameters"],
    }  # fmt: skip
    model.save(state / f"{case}-{seed}-model")
    done.write_text(json.dumps(found))
    return found


def table(case: str, results: list[dict[str, Any]]) -> str:
    """Return the results of all seeds as a Markdown table."""
    titles = " | ".join(METRICS.values())
    lines = [
        f"| {case}, test 2016, 1000 pairs | {titles} | passes | minutes |",
        "|---|" + "--:|" * (len(METRICS) + 2),
    ]
    cells = [_spread([r["scores"]["model"][name] for r in results]) for name in METRICS]
    passes = "/".join(str(r["epochs"]) for r in results)
    minutes = statistics.mean(r["seconds"] for r in results) / 60
    lines.append(
        f"| Longspan LSTM, {results[0]['parameters'] / 1e6:.1f} million parameters, "
        f"{_counted(len(results))} | {' | '.join(cells)} | {passes} | {minutes:.0f} |"
    )
    for who, found in results[0]["scores"].items():
        if who != "model":
            lines.append(f"| {who} | {found['bleu']:.1f} | {found['chrf']:.1f} | | | |")
    lines.append(f"\nPublished: {PUBLISHED[case]}. Computed by `{results[0]['signature']}`.")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ({min(values):.1f} to {max(values):.1f})"


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


if __name__ == "__main__":
    main(__doc__, "translation", CASES, result, table)
