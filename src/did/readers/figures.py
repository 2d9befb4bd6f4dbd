"""Figures in the cells of a table: numbers, and the marks that stand for a figure that is not given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from did.errors import listed
from did.readers.spreadsheet import fault, number, plain

_MARK_LENGTH = 20
TIMELY = re.compile(r"quarter|qtr|month|week|day|date|half|term|season|period|year", re.IGNORECASE)


@dataclass
class Figures:
    """Reads the cells of a source's tables and collects what is wrong in ``problems``.

    ``suppressed`` and ``missing`` are the marks of figures that are not given; with ``drops_percent`` a cell written
    94.5% is 94.5. How each measure's cells are written is remembered over all tables: see `refuse_mixed_percentages`.
    """

    suppressed: Sequence[str] = ()
    missing: Sequence[str] = ()
    drops_percent: bool = False
    problems: list[str] = field(default_factory=list)
    _written: dict[tuple[str, bool], str] = field(default_factory=dict)

    def read(self, cell: Any, where: str, column: str, measure: str, *, is_count: bool) -> tuple[float, str]:
        """Return the value of a cell and its status: ok, missing (NaN) or suppressed (NaN).

        ``where`` is the file and row for messages. A cell that is none of these, or a count below 0, is a problem and
        comes back as missing.
        """
        text = plain(cell)
        if not text or text in self.missing:
            return float("nan"), "missing"
        if text in self.suppressed:
            return float("nan"), "suppressed"
        try:
            value = self._number(cell, text)
        except ValueError as error:
            remedy = (f"fix the cell, or list '{text}' under the source's option 'suppressed' (the figure is "
                      "withheld) or 'missing' (there is none)")
            if text.endswith("%"):
                remedy = "set the source's option 'percent_sign: drop' if 94.5% is to be 94.5"
            elif len(text) > _MARK_LENGTH:
                remedy = "fix or empty the cell"
            self.problems.append(fault(f"{where}, column '{column}'", "a number", error, remedy))
            return float("nan"), "missing"
        if is_count and value < 0:
            self.problems.append(fault(f"{where}, column '{column}'", "a count of at least 0", text, f"correct it, or "
                                       f"list '{text}' under the source's option 'suppressed' or 'missing' if it is a "
                                       "mark"))
            return float("nan"), "missing"
        if value and self.drops_percent:
            self._written.setdefault((measure, text.endswith("%")), f"'{text}' ({where}, column '{column}')")
        return value, "ok"

    def _number(self, cell: Any, text: str) -> float:
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            return float(cell)
        return number(text.removesuffix("%") if self.drops_percent else text)

    def refuse_mixed_percentages(self) -> None:
        """Add a problem for each measure of which some cells are written 65.0% and some 0.65: 0.65 may be 65% or 0.65%.

        Zeros are the same either way.
        """
        for measure in dict.fromkeys(measure for measure, _ in self._written):
            with_sign, without = (self._written.get((measure, sign)) for sign in (True, False))
            if with_sign and without:
                self.problems.append(fault(
                    f"measure '{measure}'", "percentages written in one way", f"{with_sign} and {without}, which "
                    "cannot be told to be of one scale", "write all with the sign % or all without"))


def told_apart(table: pd.DataFrame, keys: list[str], candidates: Iterable[str]) -> list[str]:
    """Return the fewest of the columns ``candidates`` by which rows with the same ``keys`` differ, those with few
    different cells first; [] if no columns tell all of them apart.

    >>> table = pd.DataFrame({"area": [*"AABB"], "sex": [*"FMFM"], "n": [*"5678"]})
    >>> told_apart(table, ["area"], ["n", "sex"])
    ['sex']
    """
    found: list[str] = []
    left = int(table.duplicated(keys).sum())
    columns = [(table[column].nunique(), place, column) for place, column in enumerate(candidates)]
    for _, _, column in sorted(columns, key=lambda each: each[0]):
        now = int(table.duplicated([*keys, *found, column]).sum())
        if now < left:
            found.append(column)
            left = now
        if not left:
            return [column for column in found
                    if table.duplicated([*keys, *(other for other in found if other != column)]).any()] or found
    return []


def differ_in(columns: list[str], table: pd.DataFrame, period_column: str | None) -> tuple[str, str]:
    """Say in words by which columns rows of one area and period differ, and what to do about it."""
    def cells(column: str) -> str:
        return f"'{column}' ({listed(sorted(set(table[column])), 6)})"

    words = f"such rows differ in column {' and '.join(cells(column) for column in columns)}"
    timely = [column for column in columns if TIMELY.search(column)]
    names = " and ".join(f"'{column}'" for column in columns)
    if timely and period_column:
        return words, f"make one period of '{period_column}' and {names}, such as 2017 Q2, or sum the counts first"
    return words, f"sum the counts over {names} first, or save the rows of one of them in a file of their own"
