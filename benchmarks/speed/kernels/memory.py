"""Peak memory of one forward, or one training step, in a process of its own.

python -m benchmarks.speed.kernels.memory WHOSE MODE T B I H   (Linux only)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.speed.kernels.shapes import Shape


def increase(whose: str, training: bool, shape: Shape) -> float:
    """Return by how many bytes the peak of a fresh process rises."""
    mode = "training" if training else "inference"
    command = [sys.executable, "-m", "benchmarks.speed.kernels.memory", whose, mode]
    run = subprocess.run([*command, *map(str, shape)], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main() -> None:
    """Print the increase."""
    import torch

    import longspan.nn

    whose, mode, *numbers = sys.argv[1:]
    T, B, I, H = map(int, numbers)
    torch.set_num_threads(2)
    layer = {"torch": torch.nn.LSTM, "longspan": longspan.nn.LSTM}[whose](I, H)
    x = torch.randn(T, B, I)
    gradient = torch.randn(T, B, H) if mode == "training" else None

    def run(x: torch.Tensor, gradient: torch.Tensor | None) -> None:
        if gradient is None:
            with torch.no_grad():
                layer(x)
        else:
            layer(x)[0].backward(gradient)

    run(x[:2, :2].clone(), None if gradient is None else gradient[:2, :2].clone())
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = _kilobytes("VmRSS")
    run(x, gradient)
    print(1024 * (_kilobytes("VmHWM") - before))


def _kilobytes(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


if __name__ == "__main__":
    main()
