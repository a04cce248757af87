"""Tables from files, frames and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: What a CSV may write for a missing value.
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]


def read_table(source: Any) -> pl.DataFrame:
    """Return a table as a polars frame.

    Args:
        source: Path of a CSV or Parquet file; a polars, pandas or other frame that narwhals knows;
            or a numpy array, (T,) for one series or (T, N) for N, whose columns become
            ``series_0``, ``series_1``, ….

    Raises:
        InputError: If there is no such file, or it holds no table.
    """
    import polars as pl

    if isinstance(source, str | Path):
        table = _read_file(Path(source))
    elif isinstance(source, pl.DataFrame):
        table = source
    elif isinstance(source, pl.LazyFrame):
        table = source.collect()
    elif isinstance(source, np.ndarray):
        table = _from_array(source)
    else:
        table = _from_frame(source)
    if table.height == 0 or table.width == 0:
        raise InputError(
            f"The table is empty: {table.height} rows, {table.width} columns. A header and at "
            "least one row are needed."
        )
    return table


def _read_file(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise InputError(f"There is no file {path}. Give the path of a CSV or Parquet file.")
    if path.suffix.lower() not in (".parquet", ".pq"):
        table = read_csv(path, path, null_values=MISSING)
        _check_separator(table, path)
        return table
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, UnicodeError, OSError) as error:
        raise _unreadable(path, error) from None


def _check_separator(table: pl.DataFrame, path: Path) -> None:
    """Refuse a table of one column whose name shows that other characters are between columns."""
    found = next((sign for sign in ";\t|" if sign in table.columns[0]), None)
    if table.width == 1 and found:
        raise InputError(
            f"The file {path} has {found!r} between its columns: its header is read as one column, "
            f"{table.columns[0]!r}. Write commas between them, and a point in decimal numbers."
        )


def read_csv(source: Path | bytes, path: Path, **options: Any) -> pl.DataFrame:
    """Return a CSV as a frame.

    Args:
        source: The file, or what is in it.
        path: Its name, for messages.
        options: Of `polars.read_csv`.

    Raises:
        InputError: If it cannot be read.
    """
    import polars as pl

    try:
        # All rows decide a column's type, so that a late text does not break the reading.
        return pl.read_csv(source, infer_schema_length=None, **options)
    except pl.exceptions.NoDataError:
        raise InputError(f"The file {path} is empty. A header and rows are needed.") from None
    except (pl.exceptions.PolarsError, UnicodeError, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The file {path} cannot be read as a table: {str(error).splitlines()[0]}. A CSV with "
        "commas, one header line and UTF-8 text is expected, or a Parquet file."
    )


def _from_array(array: np.ndarray) -> pl.DataFrame:
    import polars as pl

    if array.ndim not in (1, 2):
        raise InputError(
            f"An array of series must have shape (T,) or (T, N), got {array.shape}: time along "
            "the first axis, one series a column."
        )
    columns = array[:, None] if array.ndim == 1 else array
    if not np.issubdtype(columns.dtype, np.number):
        raise InputError(f"An array of series must be numeric, got dtype {columns.dtype}.")
    return pl.DataFrame({f"series_{k}": columns[:, k] for k in range(columns.shape[1])})


def _with_index(frame: Any) -> Any:
    """Return a pandas frame whose index, where it says something, is a column: time, say."""
    if not hasattr(frame, "columns"):  # a pandas Series
        frame = frame.to_frame(frame.name or "series_0")
    if type(frame.index).__name__ == "RangeIndex":
        return frame
    names = [name or "time" for name in frame.index.names]
    return frame.rename_axis(names if len(names) > 1 else names[0]).reset_index()


def _from_frame(source: Any) -> pl.DataFrame:
    import narwhals as nw

    if type(source).__module__.partition(".")[0] == "pandas":
        source = _with_index(source)
    try:
        frame = nw.from_native(source)
    except nw.exceptions.DuplicateError:
        names = list(source.columns)
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise InputError(f"Each column needs a name of its own; several are called {twice}.") from (
            None
        )
    except TypeError:
        raise InputError(
            "Data must be the path of a CSV or Parquet file, a polars or pandas frame, or a numpy "
            f"array, got {type(source).__name__}."
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return frame.to_polars()
