"""Our layers beside torch.nn's: a training step (forward and backward), interleaved, medians.

python -m benchmarks.speed.layers
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

import longspan.nn
from benchmarks.machine import machine

SHAPES = [(100, 32, 8, 64), (100, 32, 32, 128), (35, 20, 200, 200)]
REPEATS = 7
CASES = {
    "LSTM": (nn.LSTM, longspan.nn.LSTM, {}, False),
    "GRU": (nn.GRU, longspan.nn.GRU, {}, False),
    "RNN": (nn.RNN, longspan.nn.RNN, {}, False),
    "LSTM, ragged": (nn.LSTM, longspan.nn.LSTM, {}, True),
    "LSTM, layer norm (against plain)": (nn.LSTM, longspan.nn.LSTM, {"layer_norm": True}, False),
}


def step(layer, x, lengths) -> float:
    """Return the seconds of one forward and backward."""
    began = time.perf_counter()
    if lengths is None:
        output = layer(x)[0]
    elif isinstance(layer, longspan.nn.LSTM):
        output = layer(x, lengths=lengths)[0]
    else:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output = layer(packed)[0].data
    output.sum().backward()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print a table."""
    torch.set_num_threads(2)
    print(f"A training step, ms (T×B×I×H). {machine()}\n")
    print("| layer | shape | torch.nn | ours | torch.nn / ours |\n|---|---|--:|--:|--:|")
    for name, (theirs, ours, options, ragged) in CASES.items():
        for T, B, inputs, H in SHAPES:
            torch.manual_seed(0)
            pair = theirs(inputs, H), ours(inputs, H, **options)
            x = torch.randn(T, B, inputs, requires_grad=True)
            lengths = torch.randint(T // 2, T + 1, (B,)) if ragged else None
            seconds = [[step(layer, x, lengths) for layer in pair] for _ in range(REPEATS + 2)][2:]
            a, b = (1e3 * statistics.median(column) for column in zip(*seconds, strict=True))
            print(f"| {name} | {T}×{B}×{inputs}×{H} | {a:.2f} | {b:.2f} | {a / b:.2f} |")


if __name__ == "__main__":
    main()
