"""A data frame as the table of texts and numbers that panels are made of: pandas, polars, Arrow and their like.

The frame is never changed. Columns that are numbers stay the numbers they are; of the others, and wherever a column
holds labels or periods, distinct values are written as text once.
"""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest
from did.estimators.labels import label
from did.readers.csv_table import Table

ACCEPTED = "a data frame of pandas, polars, pyarrow or another with the Arrow interface"


class Places(Sequence):
    """What stands for the line of a file in messages about a frame: the row's position, from 0."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    def __len__(self) -> int:
        return self._n_rows

    def __getitem__(self, row: Any) -> str:
        return f"at position {row}"


class _Texts(Mapping):
    """Columns of a frame as text, each written when it is first asked for."""

    def __init__(self, table: _Framed) -> None:
        self._table = table
        self._written: dict[Hashable, np.ndarray] = {}

    def __getitem__(self, column: Hashable) -> np.ndarray:
        if column not in self._written:
            self._written[column] = self._table.words(column)
        return self._written[column]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._table.columns)

    def __len__(self) -> int:
        return len(self._table.columns)


class _Framed:
    """Columns of a frame, and where they are for messages."""

    def __init__(self, columns: dict[Hashable, pd.Series], name: str, lines: Sequence[object]) -> None:
        self.columns, self.name, self.lines = columns, name, lines

    def words(self, column: Hashable) -> np.ndarray:
        try:
            codes, values = pd.factorize(self.columns[column])
        except TypeError:   # values that hold others
            row = next(row for row, value in enumerate(self.columns[column]) if not isinstance(value, Hashable))
            raise DidError(f"{self.name}, row {self.lines[row]}, column '{column}': expected one number, text or date "
                           f"in a cell; found a {type(self.columns[column].iloc[row]).__name__}; take one value out of "
                           "it") from None
        words = [word_of(value) for value in values]
        self._refuse_mixed(column, codes, list(values), words)
        return np.array([*words, ""], dtype=object)[codes]

    def _refuse_mixed(self, column: Hashable, codes: np.ndarray, values: list, words: list[str]) -> None:
        """Raise DidError where a number and a text of the column would be one label: 1 and "1"."""
        first: dict[str, int] = {}
        for code, word in enumerate(words):
            other = first.setdefault(word, code)
            if other != code:
                row = int(np.argmax(codes == code))
                raise DidError(f"{self.name}, row {self.lines[row]}, column '{column}': expected values of one type; "
                               f"found {values[code]!r} and {values[other]!r}, which may be one thing or two; make "
                               "the column one type")


def frame_table(frame: Any, wanted: Mapping[Any, str], name: str = "DataFrame",
                lines: Sequence[object] | None = None) -> Table:
    """Return the ``wanted`` columns (name -> the option that names it) of a data frame as a table.

    ``frame`` is a pandas DataFrame, whose named index levels count as columns, or what `as_pandas` takes. ``name`` and
    ``lines`` (rows,) say where a cell is in messages; by default rows are counted from 0, as by ``iloc``. Missing
    values of any kind (NaN, None, NaT, NA) are empty cells; dates and periods are written as ISO dates, months and
    quarters; numbers keep all their digits.

    Raises DidError if it is no data frame, a column is absent (with the closest name) or comes twice, or there is no
    row.
    """
    frame = as_pandas(frame)
    names = [*frame.columns, *(level for level in frame.index.names if level is not None)]
    columns = {}
    for column, option in wanted.items():
        among = list(frame.columns)
        if among.count(column) > 1:
            raise DidError(f"{name}: {option}: expected one column '{column}'; found {among.count(column)}; rename or "
                           "drop the others")
        if column in among:
            series = frame[column]
        elif column in frame.index.names:
            series = frame.index.get_level_values(column).to_series()
        else:
            case = [each for each in names if str(each).lower() == str(column).lower()]
            near = f"; did you mean '{case[0]}'?" if case else suggest(column, names)
            raise DidError(f"{name}: {option}: expected one of the columns {listed(names, 40)}; found '{column}'{near}"
                           f"{'' if near else '; name a column that is there'}")
        columns[column] = series.reset_index(drop=True)
    if not len(frame):
        raise DidError(f"{name}: expected one row per unit and period; found no row; check how the frame was made")
    framed = _Framed(columns, name, Places(len(frame)) if lines is None else lines)
    floats = {column: found for column, series in columns.items() if (found := _floats(series)) is not None}
    return Table(name, _Texts(framed), framed.lines, floats=floats)


def as_pandas(frame: Any) -> pd.DataFrame:
    """Return a data frame as one of pandas; one of pandas as it is.

    Others come through the Arrow stream interface (``__arrow_c_stream__``: polars, pyarrow, duckdb and more), with
    whole numbers, dates and categories as they are, else through the data frame interchange protocol. Raises DidError
    for anything else.
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    if isinstance(frame, pd.Series):
        raise DidError(f"Series: expected {ACCEPTED}; found one column; make a data frame of it")
    if hasattr(frame, "collect") and not hasattr(frame, "__arrow_c_stream__"):
        raise DidError(f"{type(frame).__name__}: expected {ACCEPTED}; found a lazy frame; call .collect() first")
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__dataframe__"):
        import pyarrow as pa
        from pyarrow import interchange

        try:
            table = pa.table(frame) if hasattr(frame, "__arrow_c_stream__") else interchange.from_dataframe(frame)
            return _plain_texts(table).to_pandas(types_mapper=pd.ArrowDtype)
        except (pa.ArrowException, TypeError, ValueError, NotImplementedError) as error:
            raise DidError(f"{type(frame).__name__}: expected {ACCEPTED}; found one that cannot be read "
                           f"({str(error)[:200]}); convert it to pandas first") from error
    if isinstance(frame, Mapping):
        try:
            return pd.DataFrame(frame)
        except ValueError as error:
            raise DidError(f"dict: expected columns of one length; found others ({error}); make them one "
                           "length") from error
    raise DidError(f"{type(frame).__name__}: expected {ACCEPTED}; found {type(frame).__name__}; make a data frame of "
                   "it")


def _plain_texts(table: Any) -> Any:
    """An Arrow table without views of texts, which polars gives and pandas does not take."""
    import pyarrow as pa

    def plain(kind: Any) -> Any:
        held = kind.value_type if pa.types.is_dictionary(kind) else kind
        return pa.large_string() if pa.types.is_string_view(held) else kind

    return table.cast(pa.schema([pa.field(each.name, plain(each.type)) for each in table.schema]))


def _floats(series: pd.Series) -> np.ndarray | None:
    """A column of numbers as floats, NaN where missing; None for a column that is not numbers."""
    if isinstance(series.dtype, pd.CategoricalDtype) or not (
            pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype)):
        return None
    if pd.api.types.is_complex_dtype(series.dtype):
        return None
    return series.to_numpy(dtype=float, na_value=np.nan)


def word_of(value: Any) -> str:
    """A value as the text of a cell."""
    if isinstance(value, pd.Period):
        return _of_period(value)
    if isinstance(value, (pd.Timestamp, datetime.datetime)):
        value = pd.Timestamp(value).tz_localize(None)
        return value.date().isoformat() if value == value.normalize() else value.isoformat(sep=" ")
    if isinstance(value, np.datetime64):
        return word_of(pd.Timestamp(value))
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (float, np.floating)):
        return label(value) if float(value).is_integer() else str(float(value))
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    return " ".join(str(value).split())


def _of_period(value: pd.Period) -> str:
    """A pandas Period: a year, quarter or month by its name, others by the day they begin on."""
    kind = value.freqstr.partition("-")[0]
    if kind in ("Y", "Q", "M") or kind in ("A",):
        return str(value)
    start = value.start_time
    return start.date().isoformat() if start == start.normalize() else start.isoformat(sep=" ")
