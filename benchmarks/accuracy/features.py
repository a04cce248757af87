"""A support vector machine behind an LSTM: on vectors learnt without labels, and with them.

    python -m benchmarks.accuracy.features --seeds 3 --threads 1

Splits are the official ones. Beside the vectors stands the same machine on the values themselves.
Results of a seed are kept in the state directory.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.accuracy.seeds import Result, main
from benchmarks.data import need
from longspan import Classifier, SequenceFeatures
from longspan.data import read_labelled
from longspan.files import write_text

NAMES = ("CBF", "Plane", "SyntheticControl")
#: What stands before the machine, for a seed; None for the values themselves.
BEFORE: dict[str, Callable[[int], Any] | None] = {
    "the values": None,
    "vectors learnt without labels": lambda seed: SequenceFeatures(
        bidirectional=True, pooling="mean", max_epochs=100, seed=seed
    ),
    "vectors of an LSTM-FCN": lambda seed: SequenceFeatures(
        classifier=Classifier(front="lstm_fcn", seed=seed)
    ),
}


def result(name: str, seed: int, state: Path) -> Result:
    """Return accuracy in per cent and seconds by what stands before the machine."""
    path = state / f"{name}-{seed}.json"
    if not path.exists():
        files = [f"{name}_{part}.tsv" for part in ("TRAIN", "TEST")]
        train, test = (read_labelled(need("classification", "ucr2018", name, f)) for f in files)
        found: Result = {}
        for title, make in BEFORE.items():
            began = time.perf_counter()
            steps = [StandardScaler(), SVC()]
            X, Y = train.sequences, test.sequences
            if make is None:
                X, Y = (np.stack(part)[..., 0] for part in (X, Y))
            else:
                steps.insert(0, make(seed))
            model = make_pipeline(*steps).fit(X, train.labels)
            accuracy = 100 * model.score(Y, test.labels)
            found[title] = {"accuracy": accuracy, "seconds": time.perf_counter() - began}
        write_text(path, json.dumps(found))
    return json.loads(path.read_text())


def table(name: str, results: list[Result]) -> str:
    """Return the lines of a data set, Markdown."""
    lines = []
    for title in BEFORE:
        own = [found[title]["accuracy"] for found in results]
        seconds = statistics.fmean(found[title]["seconds"] for found in results)
        spread = f" ({min(own):.1f} to {max(own):.1f})" if len(own) > 1 else ""
        lines.append(f"| {name} | {title} | {statistics.fmean(own):.1f}{spread} | {seconds:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(__doc__, "features", NAMES, result, table)
