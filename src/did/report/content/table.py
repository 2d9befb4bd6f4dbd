"""One table: data with columns, units, notes and decimals. Writers make a page, a sheet or a paper's table of it.

A column may hold several fields of the data: an interval has two ends and perhaps its p-value, a number of units those
of them that are treated. Where there is room for text alone they share a cell; in a sheet each has its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd
from pandas.api.types import is_numeric_dtype

from did.report.content.notes import remarks
from did.words import count, decimals_for, interval, number, p_value

# Kind -> what each of its fields is in a sheet.
PARTS = {"text": ("text",), "count": ("count",), "number": ("number",), "signed": ("number",), "p": ("p",),
         "share": ("p",), "interval": ("number", "number", "p"), "of": ("count", "count")}
# What every output of made-up data says.
SYNTHETIC = ("SYNTHETIC DATA. These results come from made-up data in the publishers' formats. They say nothing about "
             "any real place or policy.")
# What stands in a sheet for what could not be computed, and in text for nothing.
NOT_AVAILABLE = "[x]"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    fields : names in the data, one, or those of an interval (low, high and perhaps p) or of ``of`` (all, treated).
    heading : in words; unit : of its numbers; explained : key of a note that explains it.
    kind : text, count, number (with the row's decimals), signed (with a plus), p, share (shown as %), interval or of.
    sheet : headings of the fields in a sheet, where they differ from the heading.
    in_text : whether it stands where there is room for few columns; empty : what stands for nothing in a sheet.
    """

    fields: str | tuple[str, ...]
    heading: str
    kind: str = "text"
    unit: str = ""
    explained: str = ""
    sheet: tuple[str, ...] = ()
    in_text: bool = True
    empty: str = "[z]"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.fields,) if isinstance(self.fields, str) else self.fields

    @property
    def is_numeric(self) -> bool:
        """Is it aligned right?"""
        return self.kind != "text"

    def texts(self, rows: pd.DataFrame, decimals: Sequence[int]) -> list[str]:
        """Return the column's text in each row of the data."""
        nothing = (None,) * len(self.names)
        return ["" if values == nothing else self._text(values, places)
                for values, places in zip(zip(*self._fields(rows), strict=True), decimals, strict=True)]

    def is_empty(self, rows: pd.DataFrame) -> bool:
        """Does nothing stand in any row?"""
        return all(value is None for values in self._fields(rows) for value in values)

    def _fields(self, rows: pd.DataFrame) -> Iterator[list]:
        """The values of each field, with None for what is missing or could not be computed."""
        for name in self.names:
            values = rows[name].to_numpy(dtype=object)
            yield [None if gone or value == NOT_AVAILABLE else value
                   for value, gone in zip(values, pd.isna(values), strict=True)]

    def _text(self, values: Sequence, decimals: int) -> str:
        if self.kind == "interval":
            low, high, p = (*values, None)[:3]
            span = "" if low is None and high is None else interval(_float(low), _float(high), decimals)
            return span if p is None else f"{span} ({_bare(p)})".strip()
        if self.kind == "of":
            return f"{count(_float(values[0]))} ({count(_float(values[1]))})"
        value, = values
        if self.kind == "text":
            return str(value)
        if self.kind == "share":
            return f"{100 * value:.1f}%"
        if self.kind in ("count", "p"):
            return count(value) if self.kind == "count" else _bare(value)
        return number(value, decimals, signed=self.kind == "signed")


@dataclass(frozen=True)
class Table:
    """A table of data.

    name : in addresses and files; caption : above it; about : a sentence on its rows; rows : the data, which may have
    more columns than are shown; decimals : of each row's numbers; notes : sentences below it; file : where its rows are
    in full, from the results folder; links : what the first column's cells link to, one a row, "" for nothing.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: pd.DataFrame
    decimals: Sequence[int] = ()
    notes: Sequence[str] = ()
    about: str = ""
    file: str = ""
    links: Sequence[str] = field(default=())
    is_synthetic: bool = False

    def __bool__(self) -> bool:
        return len(self.rows) > 0

    @property
    def shown(self) -> list[Column]:
        """The columns that stand where there is room for few."""
        return [column for column in self.columns if column.in_text]

    def texts(self) -> Iterator[list[str]]:
        """The rows as texts of the columns `shown`."""
        yield from map(list, zip(*self.cells, strict=True))

    @cached_property
    def cells(self) -> list[list[str]]:
        """The texts of each of the columns `shown`."""
        return [column.texts(self.rows, self.decimals or [2] * len(self.rows)) for column in self.shown]

    def slim(self, *, keep: Iterable[str] = ()) -> Table:
        """Return the table without columns that are empty, and without those of text that say the same in every row,
        which a note then says. ``keep`` are headings of columns that stay."""
        columns, said = [], []
        for column in self.shown if self else []:
            if column.heading in keep:
                columns.append(column)
                continue
            cells = set(column.texts(self.rows, [0] * len(self.rows))) if column.kind == "text" else set()
            if len(cells) == 1 or not cells and column.is_empty(self.rows):
                said += [f"{column.heading}: {text}" for text in cells if text]
            else:
                columns.append(column)
        note = [f"{'; '.join(said)}."] if said else []
        return replace(self, columns=columns or self.columns, notes=[*note, *self.notes])

    def only(self, places: Sequence[int]) -> Table:
        """Return the table with these of its rows alone."""
        return replace(self, rows=self.rows.iloc[places], decimals=[self.decimals[place] for place in places])

    def footnoted(self, heading: str) -> Table:
        """Return the table with a mark in place of each text of a column, and the texts as notes."""
        column = next((each for each in self.columns if each.heading == heading), None)
        if column is None:
            return self
        name = column.names[0]
        texts = self.rows[name].fillna("").astype(str).tolist()
        marks = {text: f"[{place}]" for place, text in enumerate(filter(None, dict.fromkeys(texts)), start=1)}
        return replace(self, rows=self.rows.assign(**{name: [marks.get(text, "") for text in texts]}),
                       notes=[*self.notes, *(f"{mark} {text}" for text, mark in marks.items())])


def usual(texts: Sequence[str]) -> float:
    """Length that nine of ten texts do not exceed, 0 of none."""
    lengths = sorted(map(len, texts))
    return float(lengths[int(0.9 * (len(lengths) - 1))]) if lengths else 0.0


def _float(value: object) -> float:
    return float("nan") if value is None else float(value)   # type: ignore[arg-type]


def _bare(p: float) -> str:
    """A p-value under a heading that says so."""
    return p_value(p).removeprefix("p = ").removeprefix("p ")


def interval_of(suffix: str, words: str) -> Column:
    """Return the column of the 95% interval whose fields end in ``suffix``, with its p-value; ``words``: by what."""
    words = f" {words}" if words else ""
    return Column((f"ci_low{suffix}", f"ci_high{suffix}", f"p_value{suffix}"), f"95% interval{words} (p)", "interval",
                  "unit of the row", empty="[x]",
                  sheet=(f"95% interval{words}, lower end", f"95% interval{words}, upper end", f"p-value{words}"))


def text_table(name: str, caption: str, lines: Sequence[Mapping[str, object]] | pd.DataFrame, **more: object) -> Table:
    """Return a table of words: ``lines`` are its rows, heading -> text, or a number in a column of counts."""
    rows = pd.DataFrame(lines)
    columns = [Column(heading, heading, "count" if is_numeric_dtype(rows[heading]) else "text") for heading in rows]
    return Table(name, caption, columns, rows, **more)   # type: ignore[arg-type]


def row_decimals(rows: pd.DataFrame, value: str = "estimate", error: str = "std_error") -> list[int]:
    """Return the decimals of each row: by its error, else a quarter of its interval, else two or what the value needs;
    up to three more where an end of the interval would else read as zero and hide its side."""
    return [_decimals(*each) for each in zip(*(rows[name].astype(float) if name in rows else [float("nan")] * len(rows)
                                               for name in (value, error, "ci_low", "ci_high")), strict=True)]


def _decimals(value: float, error: float, low: float, high: float) -> int:
    if math.isnan(error) and not math.isnan(low) and not math.isnan(high):
        error = (high - low) / 4
    decimals = max(2, decimals_for(abs(value))) if math.isnan(error) else decimals_for(error)
    sides = [abs(end) for end in (low, high) if not math.isnan(end) and end != 0]
    return next((more for more in range(decimals, decimals + 3) if all(round(end, more) for end in sides)),
                decimals + 3)


def side_by_side(rows: pd.DataFrame, keys: Sequence[str], *, clusters: Collection[str],
                 by_cluster: Sequence[str]) -> pd.DataFrame:
    """Return one row per ``keys`` of a table that has one per level of clustering.

    The columns ``by_cluster`` get the name of the level behind them (``std_error_unit``), a level that a row has not is
    missing, ``note`` joins the notes of all, each once, and every other column is taken once. Order of first
    appearance. Raises pandas' MergeError if a key and level comes twice.
    """
    rows = rows.loc[rows["cluster"].isin(list(clusters))]
    # One number for each of the keys: to match them all again for every level takes longer.
    rows = rows.set_index(rows.groupby(list(keys), sort=False, dropna=False).ngroup())
    wide = rows.drop(columns=[*by_cluster, "cluster", "note"]).loc[~rows.index.duplicated()]
    measured = rows[[*by_cluster, "note"]]
    for cluster in clusters:
        own = measured[rows["cluster"] == cluster]
        wide = wide.join(own.add_suffix(f"_{cluster}"), validate="one_to_one")
    notes = [f"note_{cluster}" for cluster in clusters]
    joined = ["; ".join(dict.fromkeys(part for note in row for part in remarks(note)))
              for row in zip(*(wide[name].astype(object).fillna("") for name in notes), strict=True)]
    return wide.drop(columns=notes).assign(note=joined)
