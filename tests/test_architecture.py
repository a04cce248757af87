"""The rules that keep the house in order."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import longspan
from longspan.cells import CELLS
from longspan.tasks import TASKS, estimator_of

SOURCE = Path(longspan.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
#: Which packages each may import: those further down, and nothing above.
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "cells": {"errors"},
    "kernels": {"cells", "errors"},
    "nn": {"kernels", "cells", "errors"},
    "data": {"kernels", "cells", "errors"},
    "training": {"files", "nn", "data", "kernels", "cells", "errors"},
    "tasks": {"training", "nn", "data", "kernels", "cells", "errors"},
    "experiments": {"files", "training", "nn", "data", "kernels", "cells", "errors"},
    "insight": {
        "files",
        "experiments",
        "tasks",
        "training",
        "nn",
        "data",
        "kernels",
        "cells",
        "errors",
    },
    "comparison": {
        "files",
        "insight",
        "tasks",
        "training",
        "nn",
        "data",
        "kernels",
        "cells",
        "errors",
    },
    "cli": {
        "comparison",
        "insight",
        "experiments",
        "tasks",
        "training",
        "nn",
        "data",
        "kernels",
        "cells",
        "errors",
        "files",
    },
    "__main__": {"cli"},
    "__init__": {"tasks"},
}
LARGEST_FILE, LARGEST_FUNCTION = 400, 70


def package(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_one_way(path):
    own = package(path)
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [node.module]
            if node.module == "longspan":
                names = [f"longspan.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "longspan" and len(parts) > 1 and parts[1] != "__version__":
                assert parts[1] in MAY_IMPORT[own] | {own}, f"{own} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LARGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.end_lineno - node.body[0].lineno + 1
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                body -= first.end_lineno - first.lineno + 1
            assert body <= LARGEST_FUNCTION, node.name


@pytest.mark.parametrize(
    "name", ["cells", "comparison", "data", "insight", "kernels", "nn", "tasks", "training"]
)
def test_public_names_are_there_and_documented(name):
    module = importlib.import_module(f"longspan.{name}")
    assert inspect.getdoc(module)
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), public


def test_every_cell_and_task_is_documented():
    for cell in CELLS.values():
        assert "h'" in inspect.getdoc(cell)
    for task in TASKS:
        kind = estimator_of(task)
        assert "Args:" in inspect.getdoc(kind)
        for name, field in kind.Config.model_fields.items():
            assert field.description, name


def test_lazy_names():
    assert set(longspan.__all__) <= set(dir(longspan))
    assert longspan.Forecaster is estimator_of("forecast")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = longspan.nothing
