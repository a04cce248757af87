"""Recurrent layers as PyTorch modules, drop-ins for torch.nn, and what stands around them."""

from longspan.nn import init
from longspan.nn.attention import Attention, Memory
from longspan.nn.characters import CharacterEncoder
from longspan.nn.convolution import SequenceConvolutions, SequenceNorm, SequencePool, SqueezeExcite
from longspan.nn.crf import CRF
from longspan.nn.cross_entropy import (
    linear_cross_entropy,
    sampled_cross_entropy,
    smoothing_penalty,
)
from longspan.nn.dropout import EmbeddingDropout, LockedDropout
from longspan.nn.embedding import PretrainedEmbedding
from longspan.nn.layers import GRU, LSTM, RNN
from longspan.nn.pooling import Pooling
from longspan.nn.softmax import AdaptiveSoftmax, Softmax
from longspan.nn.weights import WeightDrop, weight_drop, weight_norm

__all__ = [
    "CRF", "GRU", "LSTM", "RNN", "AdaptiveSoftmax", "Attention", "CharacterEncoder",
    "EmbeddingDropout", "LockedDropout", "Memory", "Pooling", "PretrainedEmbedding",
    "SequenceConvolutions", "SequenceNorm", "SequencePool", "Softmax", "SqueezeExcite",
    "WeightDrop", "init", "linear_cross_entropy", "sampled_cross_entropy", "smoothing_penalty",
    "weight_drop", "weight_norm",
]  # fmt: skip
