"""The training loop, and what it is made of: batches, clipping, schedules, checkpoints, logs."""

from longspan.training.batches import (
    Batches,
    BucketedBatches,
    Share,
    ShuffledBatches,
    StreamBatches,
)
from longspan.training.clipping import Clipping
from longspan.training.distributed import is_main_process
from longspan.training.history import History
from longspan.training.logs import (
    JsonLinesLogger,
    Logger,
    RichProgress,
    TensorBoardLogger,
    listening,
)
from longspan.training.loop import Loss, LossFunction, Plan, train

__all__ = [
    "Batches", "BucketedBatches", "Clipping", "History", "JsonLinesLogger", "Logger", "Loss",
    "LossFunction", "Plan", "RichProgress", "Share", "ShuffledBatches", "StreamBatches",
    "TensorBoardLogger", "is_main_process", "listening", "train",
]  # fmt: skip
