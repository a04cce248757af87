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
from longspan.training.flow import FlowMeter
from longspan.training.history import History
from longspan.training.logs import JsonLinesLogger, Logger, RichProgress, TensorBoardLogger
from longspan.training.loop import FLOW_EVERY, train
from longspan.training.plan import Loss, LossFunction, Plan

__all__ = [
    "FLOW_EVERY", "Batches", "BucketedBatches", "Clipping", "FlowMeter", "History",
    "JsonLinesLogger", "Logger", "Loss", "LossFunction", "Plan", "RichProgress", "Share",
    "ShuffledBatches", "StreamBatches", "TensorBoardLogger", "is_main_process", "train",
]  # fmt: skip
