"""The experiments by which LSTM and its successors were proved, exact and seeded."""

from longspan.experiments.experiment import EXPERIMENTS, Experiment, Published, Settings
from longspan.experiments.problem import Criterion, Problem, Recent, Sequences
from longspan.experiments.record import Record, read_record, read_records, write_record

__all__ = [
    "EXPERIMENTS", "Criterion", "Experiment", "Problem", "Published", "Recent", "Record",
    "Sequences", "Settings", "read_record", "read_records", "write_record",
]  # fmt: skip
