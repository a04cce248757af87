"""``longspan fit features``, and what ``predict`` does with such a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import fit
from longspan.cli.classify import answer
from longspan.cli.data import ClassFile, ClassifyData, ClassifyInputs, Encoding, Flat, names
from longspan.cli.run import RunFlags, print_table, train
from longspan.cli.saved import SAVED, Saved
from longspan.tasks.classify.config import AutoencoderConfig

if TYPE_CHECKING:
    from longspan.tasks.classify.reconstruction import Reconstruction


@fit.command(name="features")
def fit_features(
    data: ClassFile,
    /,
    *,
    options: Flat[AutoencoderConfig] = AutoencoderConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[ClassifyData] = ClassifyData(),
) -> None:
    """Learn without labels to turn sequences or texts into vectors, and save what does it.

    ``longspan predict MODEL DATA`` writes the vectors then, for any other method. Classes, if there
    are some, colour the report's picture.
    """
    train("features", data, options, run, reading.given(), print_feature_scores)


def print_feature_scores(evaluation: Reconstruction) -> None:
    """Print how well sequences are written again from their vectors."""
    title = f"{evaluation.sequences:,} sequences written again (lower is better)"
    rows = {"with the vector": evaluation.scores["model"], "without": evaluation.scores["mean"]}
    print_table(title, "written", {"error": "error of a step"}, rows)


def _predict(model: Any, data: Path | None, output: Path | None, **columns: Any) -> None:
    answer(model, model.answer, data, output, "Features", columns)


SAVED["SequenceFeatures"] = Saved(
    "features", None, _predict,
    {"evaluate": (), "predict": names(ClassifyInputs, Encoding), "inspect": ()},
)  # fmt: skip
