"""The panel of the public face: any data frame or file, with the names of its columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.api.arguments import names, several
from did.api.errors import OptionError, PanelError, raising, spoken
from did.errors import one_of
from did.estimators import base
from did.estimators.neighbours import with_neighbours
from did.readers.any_table import ITS_NAME, STANDARD_INPUT, read_any
from did.readers.csv_table import Table
from did.readers.frame_table import as_pandas, frame_table
from did.readers.large_panel import from_frame, from_parquet
from did.readers.panel_columns import Columns, level_of
from did.readers.panel_file import FREQUENCIES, of_table
from did.readers.panel_periods import dates_as_periods, period_labels, periods_of

Names = str | Sequence[str] | None
COLUMN_NAMES = "names of columns"


@dataclasses.dataclass(frozen=True, repr=False)
class Panel:
    """A panel for difference-in-differences: an outcome of units over periods, and when each was first treated.

    Parameters
    ----------
    frame
        A data frame with one row per unit and period (pandas with any types, polars, pyarrow or another with the
        Arrow interface), or the path of a file that `did estimate` reads. It is never changed. Index levels of
        pandas may be named as columns are.
    outcome
        Column of numbers; missing (NaN, None, NA) is not observed, as is a row that is absent.
    unit
        Column of labels: numbers, texts or categories. 12, 12.0 and "12" of columns of one type are one label.
    period
        Column of years, quarters or months (dates, Timestamps, Periods or texts), of whole numbers, or of dates a
        day or seven days apart. Periods are consecutive; units may lack some.
    cohort
        Column with the unit's first treated period, the same in all its rows. Never treated are NaN, None, NaT, NA,
        inf, "never" and 0; where periods are numbered from 0 or below, 0 could be one of them and is refused.
    treatment
        In place of ``cohort``, a column of 0 and 1 (or booleans): 1 in rows that are treated. A unit must stay
        treated, and the row before its first treated one must be there.
    cluster
        Column, or several, to cluster errors by; a pair in a list, ``[("state", "region")]``, is clusters two ways.
        By default the unit. Each is a grouping of whole units.
    weights
        Column of weights, 0 or more.
    covariates
        Columns of numbers, which estimators take as `did estimate --covariates` has it.
    dose
        Column of the intensity of treatment, the same in all rows of a unit; effects are then per unit of it.
    neighbours
        Pairs of units that border each other, each in one order or in both, for estimators that ask for them.
    frequency
        ``M``, ``Q`` or ``Y`` says what whole numbers as periods count; by default years.

    Attributes
    ----------
    data
        The arrays, a `did.estimators.base.Panel`.
    notes
        What was read in a way to know of, a sentence each.
    labels
        The periods as they are named here -> as the frame has them.

    Raises
    ------
    did.PanelError
        For a frame, file or column that is not right, naming row, column, unit and period as `did estimate` does; rows
        of a frame are counted from 0, as by ``iloc``.
    did.OptionError
        For a wrong argument.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year",
    ...                   cluster="network")
    >>> panel
    <did.Panel visits: 36 units x 10 periods (2012 to 2021), 20 treated, cohorts 2016 and 2019, by network>
    """

    frame: dataclasses.InitVar[Any]
    _: dataclasses.KW_ONLY
    outcome: str
    unit: str
    period: str
    cohort: str | None = None
    treatment: str | None = None
    cluster: Names = None
    weights: str | None = None
    covariates: Names = ()
    dose: str | None = None
    neighbours: Iterable[tuple[Any, Any]] | None = None
    frequency: str = "auto"
    name: str = dataclasses.field(init=False)
    data: base.Panel = dataclasses.field(init=False)
    notes: tuple[str, ...] = dataclasses.field(init=False)
    labels: dict[str, Any] = dataclasses.field(init=False)

    def __post_init__(self, frame: Any) -> None:
        with raising(PanelError):
            is_file = isinstance(frame, (str, Path))
            made = None if is_file else as_pandas(frame)
            self._set("name", "DataFrame" if not is_file else ITS_NAME if str(frame) == STANDARD_INPUT else
                      Path(frame).name)
            with pd.option_context("mode.string_storage", "auto"):   # millions of rows: pyarrow's texts are faster
                data, notes, labels = self._read(frame, made)
            if self.neighbours is not None:
                data = with_neighbours(data, self.neighbours)
                self._set("neighbours", data.neighbours)
            self._set("data", data)
            self._set("notes", tuple(spoken(note) for note in notes))
            self._set("labels", labels)

    def _read(self, file: Any, frame: pd.DataFrame | None) -> tuple[base.Panel, list[str], dict[str, Any]]:
        """The arrays, notes and `labels` of a file, or of a frame."""
        columns = self.columns
        columns.check()
        one_of("--frequency", self.frequency, FREQUENCIES)
        if frame is None:
            found = from_parquet(file, columns, self.frequency)
            if found is not None:
                return found.panel, found.notes, _labels_of_file(found.kind, found.panel.periods)
        elif (found := from_frame(frame, columns, self.frequency, "DataFrame")) is not None:
            few = frame.loc[~frame[columns.period].duplicated().to_numpy()]
            return found.panel, found.notes, _labels(frame_table(few, columns.named()), columns, self.frequency, few)
        table, notes = read_any(file, columns.named()) if frame is None else (frame_table(frame, columns.named()), [])
        data, notes = of_table(table, notes, columns, frequency=self.frequency)
        return data, notes, _labels(table, columns, self.frequency, frame)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def columns(self) -> Columns:
        """The names of the columns, those of two-way clusters each by itself."""
        for word in ("outcome", "unit", "period", "cohort", "treatment", "weights", "dose"):
            given = getattr(self, word)
            if not isinstance(given, Hashable) or (given is None and word in ("outcome", "unit", "period")):
                found = "None" if given is None else type(given).__name__
                raise OptionError(f"{word}: expected the name of a column; found {found}; name one")
        clusters = [column for level in self._levels for column in level]
        return Columns(self.outcome, self.unit, self.period, self.cohort, tuple(dict.fromkeys(clusters)), self.weights,
                       names(self.covariates, "covariates", COLUMN_NAMES), self.dose, self.treatment)

    @property
    def _levels(self) -> list[tuple[str, ...]]:
        """The columns of each level, one or two."""
        levels = [several(each, "cluster", COLUMN_NAMES) for each in several(self.cluster, "cluster", COLUMN_NAMES)]
        for level in levels:
            if len(set(map(str, level))) != len(level) or len(level) not in (1, 2) or not all(
                    isinstance(column, str) for column in level):
                raise OptionError(f"cluster: expected one column, or two different ones for clusters two ways; found "
                                  f"{level}; name each level by itself")
        return levels

    @property
    def levels(self) -> tuple[str, ...]:
        """The cluster levels asked for, the first of which errors are by; two joined by a comma are two ways."""
        columns = self.columns
        found = [",".join(level_of(column, columns) for column in level) for level in self._levels]
        return tuple(dict.fromkeys(found)) or ("unit",)

    def period_of(self, label: object) -> Any:
        """Return a period as the frame has it, from its label in the arrays; None for a missing one."""
        return None if label is None or pd.isna(label) else self.labels.get(str(label), label)

    def __repr__(self) -> str:
        return f"<did.Panel {self._said()}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(self._said())}</p>"

    def _said(self) -> str:
        from did.words import listed

        data = self.data
        cohorts = listed(data.periods[place] for place in np.unique(data.treated_from[~data.never_treated]))
        return (f"{self.outcome}: {data.n_units:,} units x {data.n_periods:,} periods ({data.periods[0]} to "
                f"{data.periods[-1]}), {int((~data.never_treated).sum()):,} treated, cohorts {cohorts}, by "
                f"{', '.join(self.levels)}")


def a_panel(given: object, what: str) -> None:
    """Raise did.OptionError, beginning with ``what``, unless it was ``given`` a panel."""
    if not isinstance(given, Panel):
        raise OptionError(f"{what}: expected a did.Panel; found {type(given).__name__}; make one: did.Panel(df, "
                          "outcome=..., unit=..., period=..., cohort=...)")


def _labels(table: Table, columns: Columns, frequency: str, frame: pd.DataFrame | None) -> dict[str, Any]:
    """The panel's labels of periods -> the values that the frame has, or numbers where a file has whole numbers."""
    kind, ordinal = periods_of(dates_as_periods(table, columns.period, columns.cohort), columns.period, frequency)
    places, rows = np.unique(ordinal, return_index=True)
    words = period_labels(kind, int(places[0]), int(places[-1]))[places - places[0]].tolist()
    if frame is None:
        return _labels_of_file(kind, pd.Index(words))
    column = columns.period
    series = frame[column] if column in frame.columns else frame.index.get_level_values(column).to_series()
    values = series.iloc[rows]
    return {word: value.item() if hasattr(value, "item") else value for word, value in zip(words, values, strict=True)}


def _labels_of_file(kind: str, words: pd.Index) -> dict[str, Any]:
    """The panel's labels of periods -> what a file has: numbers where these are whole ones."""
    return {word: int(word) if kind in ("Y", "number") else word for word in words}
