"""Classifiers on public series, texts and images, beside published figures.

    python -m benchmarks.accuracy.classification CBF trec6 --seeds 3 --threads 1

Splits are the official ones. Some defaults were chosen after test scores had been seen: see
docs/benchmarks/classification.md. Results of a seed are kept in the state directory and not
computed again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.vectors import own_vectors
from benchmarks.data import need
from benchmarks.machine import machine
from longspan import Classifier
from longspan.data import read_labelled

#: Sequences and labels.
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Case:
    """A data set, how to learn it, and what others found.

    Attributes:
        parts: Returns training and test part.
        options: Of `Classifier`.
        published: Accuracies in per cent, in words.
        vectors: Whether word vectors are learnt before from text without labels.
    """

    parts: Callable[[], tuple[Pair, Pair]]
    options: dict[str, Any]
    published: str
    vectors: bool = False


def archive(*folder: str, suffix: str = "ts") -> Callable[[], tuple[Pair, Pair]]:
    def parts() -> tuple[Pair, Pair]:
        names = [f"{folder[-1]}_{part}.{suffix}" for part in ("TRAIN", "TEST")]
        found = [read_labelled(need(*folder[:-1], name)) for name in names]
        return tuple((each.sequences, each.labels) for each in found)  # type: ignore[return-value]  # two parts

    return parts


def ucr(name: str) -> Callable[[], tuple[Pair, Pair]]:
    return archive("classification", "ucr2018", name, name, suffix="tsv")


def trec() -> tuple[Pair, Pair]:
    found = []
    for part in ("train", "test"):
        path = need("text_classification", "trec6", f"TREC.{part}.all")
        pairs = [line.split(" ", 1) for line in path.read_text("latin-1").splitlines()]
        found.append(([text for _, text in pairs], [label for label, _ in pairs]))
    return found[0], found[1]


def clinc() -> tuple[Pair, Pair]:
    data = json.loads(need("slot_intent", "clinc150", "data_full.json").read_text("utf-8"))
    train, test = (data[part] for part in ("train", "test"))
    return ([text for text, _ in train], [label for _, label in train]), (
        [text for text, _ in test], [label for _, label in test],
    )  # fmt: skip


def imdb() -> tuple[Pair, Pair]:
    found = []
    for part in ("train", "test"):
        texts, labels = [], []
        for label in ("neg", "pos"):
            for number in range(3):
                file = need("sentiment", "imdb", f"{part}_{label}_{number}.jsonl.gz")
                each = read_labelled(file, text="text", label="label")
                texts += [text.replace("<br />", "\n") for text in each.sequences]
                labels += list(each.labels)
        found.append((texts, labels))
    return found[0], found[1]


def mnist() -> tuple[Pair, Pair]:
    found = []
    for part in ("train", "t10k"):
        images, labels = (
            np.frombuffer(gzip.decompress(need("image", "mnist", name).read_bytes()), np.uint8)
            for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
        )
        found.append((images[16:].reshape(-1, 28, 28), labels[8:]))
    return found[0], found[1]


FCN = {"front": "lstm_fcn"}
CASES = {
    "JapaneseVowels": Case(
        archive("classification", "JapaneseVowels", "JapaneseVowels"), FCN,
        "MLSTM-FCN 100",
    ),
    "ItalyPowerDemand": Case(
        archive("classification", "ItalyPowerDemand", "ItalyPowerDemand"), FCN,
        "LSTM-FCN 94.7 to 96.2",
    ),
    "ECG200": Case(archive("ecg", "ecg200", "ECG200"), FCN, "LSTM-FCN 87.0 to 90.0"),
    "PickupGestureWiimoteZ": Case(
        archive("classification", "PickupGestureWiimoteZ", "PickupGestureWiimoteZ"), FCN,
        "LSTM-FCN 78 to 80",
    ),
    "ACSF1": Case(archive("classification", "ACSF1", "ACSF1"), FCN, "LSTM-FCN 86 to 89"),
    "CBF": Case(ucr("CBF"), FCN, "LSTM-FCN 99.6, ALSTM-FCN 99.4"),
    "FaceFour": Case(ucr("FaceFour"), FCN, "LSTM-FCN 94.3"),
    "Plane": Case(ucr("Plane"), FCN, "LSTM-FCN 100"),
    "SyntheticControl": Case(ucr("SyntheticControl"), FCN, "LSTM-FCN 98.7, ALSTM-FCN 98.3"),
    "MedicalImages": Case(ucr("MedicalImages"), FCN, "LSTM-FCN 78.9, ALSTM-FCN 77.1"),
    "SwedishLeaf": Case(ucr("SwedishLeaf"), FCN, "LSTM-FCN 97.6, ALSTM-FCN 97.1"),
    "Adiac": Case(ucr("Adiac"), FCN, "LSTM-FCN 86.2, ALSTM-FCN 79.5"),
    "trec6": Case(
        trec, {"bidirectional": True, "front": "cnn", "embedding_size": 300},
        "BiLSTM 93.0, C-LSTM 94.6, BLSTM-2DCNN 96.1",
    ),
    "trec6-vectors": Case(
        trec, {"bidirectional": True}, "BiLSTM 93.0, C-LSTM 94.6, BLSTM-2DCNN 96.1", vectors=True
    ),
    "clinc150": Case(
        clinc, {"bidirectional": True, "max_epochs": 25}, "CNN 91.2, MLP 93.5, BERT 96.9"
    ),
    "clinc150-vectors": Case(
        clinc, {"bidirectional": True, "max_epochs": 25}, "CNN 91.2, MLP 93.5, BERT 96.9",
        vectors=True,
    ),
    "mnist": Case(mnist, {}, "LSTM over rows 98.5 to 99"),
    "imdb": Case(
        imdb, {"max_length": 400, "max_epochs": 4}, "LSTM 86.5, SA-LSTM 92.8, oh-LSTM 94.1"
    ),
}  # fmt: skip


def result(name: str, seed: int, state: Path, extra: dict[str, Any]) -> dict[str, Any]:
    """Return scores and seconds of one seed, from a file if it was run before."""
    done = state / f"{name}-{seed}.json"
    if done.exists():
        return json.loads(done.read_text())
    train, test = CASES[name].parts()
    options = CASES[name].options | extra
    if CASES[name].vectors:
        options["vectors"] = own_vectors(state)
    model = Classifier(seed=seed, **options)
    began = time.perf_counter()
    model.fit(*train)
    seconds = time.perf_counter() - began
    found = {
        "scores": model.evaluate(*test).scores, "seconds": seconds,
        "steps": len(model.history_.steps), "train": len(train[1]), "test": len(test[1]),
        "parameters": sum(p.numel() for p in model.network_.parameters()),
    }  # fmt: skip
    done.write_text(json.dumps(found))
    return found


def row(name: str, results: list[dict[str, Any]]) -> str:
    """Return the results of all seeds as a line of a Markdown table."""
    values = [100 * r["scores"]["model"]["accuracy"] for r in results]
    usual = 100 * results[0]["scores"]["most frequent class"]["accuracy"]
    mean = f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
    seconds = statistics.mean(r["seconds"] for r in results)
    first = results[0]
    return (
        f"| {name} | {first['train']:,} / {first['test']:,} | {mean} | {CASES[name].published} | "
        f"{usual:.1f} | {first['steps']:,} | {seconds:.0f} |"
    )


def main() -> None:
    """Run the cases that are named and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path("runs/classification"))
    parser.add_argument("--options", type=json.loads, default={}, help="others of Classifier")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.state.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; {given.threads} thread(s), {given.seeds} seeds\n")
    print("| data | train / test | accuracy %, mean (range) | published | most frequent class | "
          "steps | seconds a seed |\n|---|--:|--:|---|--:|--:|--:|")  # fmt: skip
    for name in given.cases or CASES:
        found = [result(name, seed, given.state, given.options) for seed in range(given.seeds)]
        print(row(name, found), flush=True)


if __name__ == "__main__":
    main()
