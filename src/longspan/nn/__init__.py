"""Recurrent layers as PyTorch modules: drop-ins for torch.nn, with options beyond it."""

from longspan.nn import init
from longspan.nn.layers import GRU, LSTM, RNN
from longspan.nn.weights import WeightDrop, weight_drop, weight_norm

__all__ = ["GRU", "LSTM", "RNN", "WeightDrop", "init", "weight_drop", "weight_norm"]
