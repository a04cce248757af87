"""``longspan fit features``, and what ``predict`` does with such a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import fit
from longspan.cli.data import ClassFile, ClassifyData, ClassifyInputs, Encoding, Flat, names
from longspan.cli.run import RunFlags, print_table, train
from longspan.cli.saved import SAVED, Saved, check_table, put_table
from longspan.errors import InputError
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

    ``longspan predict MODEL DATA`` writes the vectors then, for any other method. Labels, if there
    are some, colour the report's picture.
    """
    train("features", data, options, run, reading.given(), print_feature_scores)


def print_feature_scores(evaluation: Reconstruction) -> None:
    """Print how well sequences are written again from their vectors."""
    title = f"{evaluation.sequences:,} sequences written again (lower is better)"
    rows = {
        "from the vector": evaluation.scores["model"], "by the mean": evaluation.scores["mean"],
    }  # fmt: skip
    print_table(title, "written", {"error": "error of a step"}, rows)


def _evaluate(model: Any, data: Path, **flags: Any) -> None:
    del model, data, flags
    raise InputError(
        "Features are scored in training, by a second network that is not kept. Write them with "
        "`longspan predict`, and score what you use them for."
    )


def _predict(model: Any, data: Path | None, output: Path | None, **columns: Any) -> None:
    if data is None:
        raise InputError("There must be sequences to read: name a file after the model.")
    check_table(output)
    model.columns_ = model.columns_ | columns
    put_table(model.answer(data), output, "Features")


SAVED["SequenceFeatures"] = Saved(
    "features", _evaluate, _predict,
    {"evaluate": (), "predict": names(ClassifyInputs, Encoding), "inspect": ()},
)  # fmt: skip
