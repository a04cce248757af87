"""Finds the compiled kernels, which are missing where there was no compiler at install time."""

from __future__ import annotations

import importlib
from typing import Any

native: Any
try:
    native = importlib.import_module("longspan.kernels._native")
except ImportError:
    native = None
