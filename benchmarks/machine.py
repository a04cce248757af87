"""What a figure was measured on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = (
    "longspan",
    "torch",
    "numpy",
    "polars",
    "neuralforecast",
    "onnxruntime",
    "openvino",
    "jax",
    "flax",
)


def machine() -> str:
    """Return processor, threads and versions in one line."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{processor}, {torch.get_num_threads()} threads, {platform.system()}, Python "
        f"{platform.python_version()}, {', '.join(found)}"
    )
