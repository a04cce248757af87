"""From what a user has (files, frames, arrays) to what a network reads: panels and windows."""

from longspan.data.frequency import Frequency
from longspan.data.labelled import read_labelled
from longspan.data.panel import Panel
from longspan.data.prepare import build_panel
from longspan.data.schema import Schema
from longspan.data.series import Labelled, as_series
from longspan.data.tables import read_table
from longspan.data.tagged import TaggedText, read_tagged, tagged_text
from longspan.data.windows import WindowRange, Windows, gather

__all__ = [
    "Frequency", "Labelled", "Panel", "Schema", "TaggedText", "WindowRange", "Windows", "as_series",
    "build_panel", "gather", "read_labelled", "read_table", "read_tagged", "tagged_text",
]  # fmt: skip
