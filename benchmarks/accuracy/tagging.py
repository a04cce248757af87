"""Taggers on public data, beside published figures and the most frequent label of each word.

    python -m benchmarks.accuracy.tagging atis conll2000 --seeds 3 --state runs/tagging

Each seed is trained from checkpoints in the state directory, so that an interrupted run goes on
where it was; results that are there already are not computed again. Words, labels, early stopping
and all choices come from the training and validation parts; the test part is scored once. Nothing
from elsewhere is used, but where the name says so: word vectors learnt from IMDb's reviews.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy.seeds import main, seconds_of_all, steps_done
from benchmarks.accuracy.vectors import own_vectors
from benchmarks.data import need
from longspan import Tagger
from longspan.tasks.tag.baselines import MOST_FREQUENT
from longspan.tasks.tag.scores import METRICS


@dataclass(frozen=True)
class Case:
    """Labelled sequences, how to learn them, and what others found.

    Attributes:
        title: Of the data.
        parts: Training, validation and test part; where there is no validation part, a tenth of
            the training part is drawn.
        metrics: What is compared, the most important first.
        options: Of `Tagger`.
        published: Figures in the order of the metrics, by name.
        vectors: Whether word vectors are learnt before from text without labels.
    """

    title: str
    parts: tuple[tuple[str, ...], tuple[str, ...] | None, tuple[str, ...]]
    metrics: tuple[str, ...]
    options: dict[str, Any]
    published: dict[str, tuple[str, ...]]
    vectors: bool = False


_ATIS, _CHUNKS = ("slot_intent", "atis"), ("tagging", "conll2000")
_EWT, _WNUT = ("tagging", "ud_ewt"), ("tagging", "wnut17")
CASES = {
    "atis": Case(
        "ATIS, slots and intents",
        ((*_ATIS, "train"), (*_ATIS, "valid"), (*_ATIS, "test")),
        ("f1", "intent_accuracy", "frame_accuracy"),
        {"hidden_size": 128, "max_epochs": 30},
        {"slot-gated BiLSTM (Goo et al. 2018)": ("95.2", "94.1", ""),
         "SF-ID, BiLSTM (E et al. 2019)": ("95.8", "97.8", "")},
    ),
    "conll2000": Case(
        "CoNLL-2000, chunks",
        ((*_CHUNKS, "train.txt"), None, (*_CHUNKS, "test.txt")),
        ("f1", "accuracy"),
        {"hidden_size": 200, "max_epochs": 15},
        {"BiLSTM-CRF with Senna vectors (Huang et al. 2015)": ("94.46", "")},
    ),
    "ewt": Case(
        "Universal Dependencies, English EWT, parts of speech",
        ((*_EWT, "train_rebuilt.conllu.gz"), (*_EWT, "en_ewt-ud-dev.conllu"),
         (*_EWT, "en_ewt-ud-test.conllu")),
        ("accuracy", "unknown_accuracy"),
        {"hidden_size": 200, "max_epochs": 12, "scheme": "none"},
        {"BiLSTM, mean over the languages of an earlier UD (Plank et al. 2016)": ("96.40", "")},
    ),
    "wnut17": Case(
        "WNUT 2017, emerging entities",
        ((*_WNUT, "wnut17train.conll"), (*_WNUT, "emerging.dev.conll"),
         (*_WNUT, "emerging.test.annotated")),
        ("f1", "precision", "recall"),
        {"hidden_size": 100, "max_epochs": 15, "lowercase": False},
        {"UH-RiTUAL, BiLSTM-CNN-CRF with word vectors (Aguilar et al. 2017)": ("41.86", "", "")},
    ),
}  # fmt: skip
CASES |= {
    f"{name}-vectors": replace(
        CASES[name], title=f"{CASES[name].title}, with vectors", vectors=True
    )
    for name in ("conll2000", "wnut17")
}


def result(name: str, seed: int, state: Path) -> dict[str, Any]:
    """Return scores and seconds of one seed, from a file if it was run before."""
    done = state / f"{name}-{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    case = CASES[name]
    train, validation, test = (None if part is None else need(*part) for part in case.parts)
    log = state / f"{name}-{seed}" / "log.jsonl"
    before = steps_done(log)
    vectors = {"vectors": own_vectors(state)} if case.vectors else {}
    model = Tagger(seed=seed, **case.options, **vectors)
    began = time.perf_counter()
    model.fit(
        train, validation=validation, test=test, checkpoint_dir=state / f"{name}-{seed}",
        resume=True, log_dir=state / f"{name}-{seed}",
    )  # fmt: skip
    seconds = time.perf_counter() - began
    assert model.evaluation_ is not None
    steps = len(model.history_.steps)
    found = {
        "scores": model.evaluation_.scores, "epochs": len(model.history_.epochs),
        "seconds": seconds_of_all(seconds, steps, before), "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.engine_.network.parameters()),
    }  # fmt: skip
    done.write_text(json.dumps(found))
    return found


def table(name: str, results: list[dict[str, Any]]) -> str:
    """Return the results of all seeds as a Markdown table, in per cent."""
    case = CASES[name]
    titles = " | ".join(METRICS[metric][0] for metric in case.metrics)
    lines = [
        f"| {case.title} | {titles} | passes | minutes |",
        "|---|" + "--:|" * (len(case.metrics) + 2),
    ]
    spread = [_spread([r["scores"]["model"][m] for r in results]) for m in case.metrics]
    passes = "/".join(str(r["epochs"]) for r in results)
    minutes = statistics.mean(r["seconds"] for r in results) / 60
    lines.append(
        f"| Longspan, {results[0]['parameters'] / 1e6:.1f} million parameters, {len(results)} "
        f"seeds | {' | '.join(spread)} | {passes} | {minutes:.1f} |"
    )
    for who, values in case.published.items():
        lines.append(f"| {who} | {' | '.join(values)} | | |")
    counted = [f"{100 * results[0]['scores'][MOST_FREQUENT][m]:.2f}" for m in case.metrics]
    lines.append(f"| {MOST_FREQUENT} | {' | '.join(counted)} | | |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    values = [100 * value for value in values]
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main(__doc__, "tagging", CASES, result, table)
