"""The papers' problems: one file a kind, exact and seeded."""

from longspan.experiments.problems.copying import Copying
from longspan.experiments.problems.counting import Counting
from longspan.experiments.problems.lags import LongLag, NoisyLag, RegularLag
from longspan.experiments.problems.numbers import Adding, Multiplication, TwoSequences
from longspan.experiments.problems.order import TemporalOrder
from longspan.experiments.problems.reber import ContinualReber, EmbeddedReber
from longspan.experiments.problems.timing import GenerateSpikes, MeasureSpikes, Periodic

__all__ = [
    "Adding", "ContinualReber", "Copying", "Counting", "EmbeddedReber", "GenerateSpikes", "LongLag",
    "MeasureSpikes", "Multiplication", "NoisyLag", "Periodic", "RegularLag", "TemporalOrder",
    "TwoSequences",
]  # fmt: skip
