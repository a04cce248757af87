"""What each cell computes, in plain PyTorch: the specification that everything is tested against.

`CELLS` lists the cells; `scan` runs any of them over a sequence.
"""

from longspan.cells.cell import Cell, Noise, Normaliser, Step
from longspan.cells.gru import GRU
from longspan.cells.layer_norm import LayerNorm
from longspan.cells.lstm import LSTM
from longspan.cells.rnn import RNN
from longspan.cells.scan import Layout, ScanResult, input_gates, scan, scan_gates

CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}

__all__ = [
    "CELLS", "GRU", "LSTM", "RNN", "Cell", "LayerNorm", "Layout", "Noise", "Normaliser",
    "ScanResult", "Step", "input_gates", "scan", "scan_gates",
]  # fmt: skip
