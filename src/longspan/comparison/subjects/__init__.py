"""What a comparison must know of each task: one file a task; `SUBJECTS` lists them."""

from __future__ import annotations

from typing import Any

from longspan.comparison.subjects.classify import Classes
from longspan.comparison.subjects.forecast import Forecasts
from longspan.comparison.subjects.language import Texts
from longspan.comparison.subjects.subject import Metric, Subject
from longspan.comparison.subjects.tag import Tags
from longspan.comparison.subjects.translate import Translations
from longspan.errors import InputError, unknown_name
from longspan.tasks import TASKS, estimator_of
from longspan.tasks.estimator import Estimator

#: By the task's name.
SUBJECTS: dict[str, type[Subject]] = {
    "forecast": Forecasts,
    "language": Texts,
    "tag": Tags,
    "classify": Classes,
    "translate": Translations,
}


def subject_of(task: Any) -> tuple[type[Subject], dict[str, Any]]:
    """Return what knows a task, and the options that came with it.

    Args:
        task: Its name, its estimator's class, or an estimator, whose options are those that differ
            from the defaults.

    Raises:
        InputError: If there is no such task, or cells cannot be compared on it.
    """
    given: dict[str, Any] = {}
    if isinstance(task, Estimator):
        fields = type(task).Config.model_fields
        values = task.get_params(deep=False)
        given = {n: v for n, v in values.items() if v != fields[n].default}
        task = type(task)
    for name, kind in SUBJECTS.items():
        if task == name or (isinstance(task, type) and task is estimator_of(name)):
            return kind, given
    if task in TASKS or isinstance(task, type):
        what = task if isinstance(task, str) else task.__name__
        raise InputError(
            f"{what} has no test scores to compare cells by. Tasks that have: "
            f"{', '.join(SUBJECTS)}."
        )
    raise InputError(unknown_name("task", task, SUBJECTS))


__all__ = ["SUBJECTS", "Metric", "Subject", "subject_of"]
