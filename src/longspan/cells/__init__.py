"""What each cell computes, in plain PyTorch: the specification that everything is tested against.

`CELLS` lists the cells; `scan` runs any of them over a sequence.
"""

from longspan.cells.cell import Cell, Noise, Normaliser, Step
from longspan.cells.gru import GRU
from longspan.cells.lstm import LSTM
from longspan.cells.rnn import RNN
from longspan.cells.scan import Layout, ScanResult, scan

CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}

__all__ = [
    "CELLS", "GRU", "LSTM", "RNN", "Cell", "Layout", "Noise", "Normaliser", "ScanResult", "Step",
    "scan",
]  # fmt: skip
