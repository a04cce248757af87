"""Finds the compiled kernels, which are missing where there was no compiler at install time.

The environment variable ``LONGSPAN_ISA`` forces the build for an instruction set: ``amx``,
``avx512bf16``, ``avx512``, ``avx2`` or ``baseline``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from longspan.errors import InputError

#: What to do about it.
REMEDY = (
    "Install a C++ compiler (g++ or clang), then: pip install --force-reinstall --no-deps longspan"
)

native: Any
try:
    native = importlib.import_module("longspan.kernels._native")
except ImportError:
    native = None

_forced = os.environ.get("LONGSPAN_ISA")
if native is not None and _forced and not native.choose(_forced):
    raise InputError(
        f"LONGSPAN_ISA is {_forced!r}, but this processor can run {', '.join(native.builds())}. "
        "Set it to one of these, or unset it."
    )
