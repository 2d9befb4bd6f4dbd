"""The periods of anyone's panel: which kind a column holds, each row's place in time, and how places are written.

A kind is ``M``, ``Q``, ``Y``, ``FY`` (financial years), ``number`` (whole numbers), ``D`` (days) or ``W0`` to ``W6``
(days seven apart, by their place in the week).
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.labels import is_never
from did.readers.csv_table import Table, refuse_empty
from did.readers.periods import FREQUENCY, as_written, read_period

YEARS = range(1500, 2501)
EXAMPLES = "2003, 2017-06, 2017Q2, 2017/18 or 1, 2, 3"
WHOLE = re.compile(r"[+-]?\d{1,9}(\.0*)?", re.ASCII)
DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/]\d{1,2}([ T].*)?|\d{1,2}/\d{1,2}/\d{4}.*", re.ASCII)
# Months as Stata writes them (2017m6), and without a zero: said as read_period reads them.
MONTH = re.compile(r"(\d{4})(?:-|[- ]?m)(\d{1,2})", re.ASCII | re.IGNORECASE)
ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?", re.ASCII)

KIND_NAMES = {"M": "months", "Q": "quarters", "Y": "years", "FY": "financial years", "number": "whole numbers",
              "D": "days", **{f"W{day}": "days seven apart" for day in range(7)}}
FINANCIAL = "financial years are named by the year they begin in"


def internal_frequency(kind: str, frequency: str) -> str:
    """Return the frequency of a panel whose periods are of a ``kind``; whole numbers count years unless asked."""
    return FREQUENCY.get(kind, "Y" if frequency == "auto" else frequency)


def period_labels(kind: str, first: int, last: int) -> pd.Index:
    """Return the labels of the periods at places ``first`` to ``last``: ISO text, or the whole numbers of the file."""
    return pd.Index([_iso(place, kind) for place in range(first, last + 1)], dtype="str")


def _iso(place: int, kind: str) -> str:
    if kind[0] in "DW":
        return datetime.date.fromordinal(place if kind == "D" else 7 * place + int(kind[1])).isoformat()
    return str(pd.Period(ordinal=place, freq=kind)) if kind in ("M", "Q") else str(place)


def written(place: int, kind: str) -> str:
    """Return a period for a message, as it would be written in the file."""
    return as_written(_iso(place, kind), kind)


def _ordinal_of_year(year: int, frequency: str) -> int:
    return pd.Period(str(year), freq="Y").asfreq(frequency, how="start").ordinal


def place_of(word: str, kind: str) -> int | None:
    """Return the place in time of the period in a cell, None if it is not a period of the ``kind``.

    Months and quarters are counted from 1970; years, financial years (``FY``) and whole numbers (``number``) are their
    own place; days are counted from the first of the year 1, and days seven apart in sevens.
    """
    if kind[0] in "DW":
        return _place_of_day(word, kind)
    if kind in ("number", "Y"):
        return int(float(word)) if WHOLE.fullmatch(word) else None
    if DAY.fullmatch(word):
        return None
    month = MONTH.fullmatch(word)
    try:
        iso = read_period(f"{month[1]}-{int(month[2]):02d}" if month and kind == "M" else word, kind)
    except ValueError:
        return None
    return int(iso) if kind == "FY" else pd.Period(iso, freq=kind).ordinal


def _place_of_day(word: str, kind: str) -> int | None:
    day = day_of(word)
    if day is None or (kind != "D" and day % 7 != int(kind[1])):
        return None
    return day if kind == "D" else day // 7


def day_of(word: str) -> int | None:
    """Return the days since the first of the year 1 of a date such as 2017-06-01, None for another word."""
    found = ISO_DAY.fullmatch(word)
    try:
        return datetime.date.fromisoformat(found[1]).toordinal() if found else None
    except ValueError:
        return None


def dates_as_periods(table: Table, period: str, cohort: str | None) -> Table:
    """Return the table with dates that stand for whole years, quarters or months written as these.

    Dates stand for years if all are the same day of the year, for quarters or months if all are the same day of their
    month (or its last) and at most one is in each. So are dates of the cohorts, where they are such a day. Other dates
    stay, as do days, and days seven apart. ``cohort`` is None where there is no such column.
    """
    columns = [period] + ([cohort] if cohort else [])
    dates = {column: _dates(table.text[column]) for column in columns}
    found = dates[period]
    if found is not None and (rule := _rule([each for each in found[1] if each])):
        kind, is_such = rule
    elif found is None and cohort and dates[cohort] is not None:
        # Years, quarters or months with dates as cohorts: the first days of these.
        kind = _kind_of_word(next(iter(table.text[period]), ""))
        columns = [cohort] if kind else []

        def is_such(each: datetime.date) -> bool:
            return each.day == 1 and (kind == "M" or each.month % (12 if kind == "Y" else 3) == 1)
    else:
        return table
    text = dict(table.text)
    for column in columns:
        if dates[column] is not None:
            codes, days = dates[column]
            _, words = pd.factorize(table.text[column])
            said = [_said(each, kind) if each and is_such(each) else word for each, word in zip(days, words,
                                                                                                strict=True)]
            text[column] = np.array(said, dtype=object)[codes]
    return dataclasses.replace(table, text=text)


def _dates(words: np.ndarray) -> tuple[np.ndarray, list[datetime.date | None]] | None:
    """Return the rows' positions in distinct words, and the date of each (None = never treated); None if a word is
    neither."""
    codes, distinct = pd.factorize(words)
    days = [day_of(word) for word in distinct]
    if all(day is None for day in days) or any(day is None and not is_never(word)
                                               for day, word in zip(days, distinct, strict=True)):
        return None
    return codes, [None if day is None else datetime.date.fromordinal(day) for day in days]


def _rule(days: list[datetime.date]) -> tuple[str, Callable[[datetime.date], bool]] | None:
    """Return what days of periods stand for, and whether another is such a day; None where they are days."""
    same_day = {each.day for each in days}
    if len(same_day) == 1:
        day = days[0].day

        def is_such(each: datetime.date) -> bool:
            return each.day == day
    elif all(_is_last(each) for each in days):
        is_such = _is_last
    else:
        return None
    months = {each.month for each in days}
    for kind, step in (("Y", 12), ("Q", 3), ("M", 1)):
        if len({month % step for month in months}) == 1 and len({_said(each, kind) for each in days}) == len(days):
            of_year = days[0].month % step
            return kind, lambda each: is_such(each) and each.month % step == of_year  # noqa: B023
    return None


def _is_last(day: datetime.date) -> bool:
    return (day + datetime.timedelta(days=1)).day == 1


def _said(day: datetime.date, kind: str) -> str:
    """The year, quarter or month of a date."""
    if kind == "Y":
        return str(day.year)
    return f"{day.year}Q{(day.month + 2) // 3}" if kind == "Q" else f"{day.year}-{day.month:02d}"


def _kind_of_word(word: str) -> str | None:
    if WHOLE.fullmatch(word):
        return "Y" if int(float(word)) in YEARS else None
    return next((kind for kind in ("Q", "M") if place_of(word, kind) is not None), None)


def periods_of(table: Table, column: str, frequency: str) -> tuple[str, np.ndarray]:
    """Return the kind of the periods and each row's place in time. Raises DidError for a cell that is no period, and
    for periods of several kinds."""
    refuse_empty(table, column, f"a period such as {EXAMPLES}")
    codes, words = pd.factorize(table.text[column])

    def where(code: int) -> str:
        return table.cell(int(np.argmax(codes == code)), column)

    # Financial years first: 2010-11, 2011-12 are such, unless one of them can only be a month.
    kinds = sorted(("number", "FY", "Q", "M"), key=lambda kind: FREQUENCY.get(kind) != frequency)
    days = [day_of(word) for word in words]
    if None not in days:
        weekdays = {day % 7 for day in days}
        kinds = [f"W{weekdays.pop()}" if len(weekdays) == 1 and len(days) > 1 else "D"]
    kind = next((kind for kind in kinds if all(place_of(word, kind) is not None for word in words)), None)
    if kind is None:
        for code, word in enumerate(words):
            if all(place_of(word, kind) is None for kind in kinds):
                raise DidError(f"{where(code)}: expected a period such as {EXAMPLES}; found '{word}'{_advice(word)}")
        first = next(kind for kind in kinds if place_of(words[0], kind) is not None)
        code = next(code for code, word in enumerate(words) if place_of(word, first) is None)
        raise DidError(f"{where(code)}: expected every period written as the first, '{words[0]}'; found "
                       f"'{words[code]}'; write all of them one way")
    places = np.array([place_of(word, kind) for word in words], dtype=np.int64)
    if kind == "number":
        for code, place in enumerate(places.tolist()):
            expected = f"expected a period such as {EXAMPLES}; found"
            if len(str(place)) == 6 and 1 <= place % 100 <= 12 and place // 100 in YEARS:
                raise DidError(f"{where(code)}: {expected} '{words[code]}', which as a number is 89 after the December "
                               f"before a January; write {place // 100}-{place % 100:02d}")
            if len(str(place)) == 8 and place // 10000 in YEARS:
                raise DidError(f"{where(code)}: {expected} the day '{words[code]}'; write the month, "
                               f"{place // 10000}-{place // 100 % 100:02d}, if the data are monthly")
        if places.min() in YEARS and places.max() in YEARS:
            kind = "Y"
    if frequency != "auto" and kind in FREQUENCY and FREQUENCY[kind] != frequency:
        raise DidError(f"{table.cell(0, column)}: expected {KIND_NAMES[frequency]} (--frequency {frequency}); found "
                       f"'{words[0]}', one of {KIND_NAMES[kind]}; use --frequency {FREQUENCY[kind]} or auto")
    return kind, places[codes]


def _advice(word: str) -> str:
    day = DAY.fullmatch(word)
    if day and day[1]:
        return f", a day; write {day.group(1)}-{int(day.group(2)):02d}-01, or the month alone, if the data are monthly"
    slash = re.fullmatch(r"(\d{4})/(\d{1,2})", word)
    if slash and 1 <= int(slash[2]) <= 12:
        return f"; write {slash.group(1)}-{int(slash.group(2)):02d}"
    return "; write it that way, or number the periods 1, 2, 3"


def refuse_gap(table: Table, column: str, kind: str, ordinal: np.ndarray) -> None:
    found = np.unique(ordinal)
    steps = np.diff(found)
    gap = np.flatnonzero(steps != 1)
    if not len(gap):
        return
    before, after = int(found[gap[0]]), int(found[gap[0] + 1])
    row = int(np.argmax(ordinal == after))
    advice = f"add rows for {written(before + 1, kind)} (an empty outcome if none was observed)"
    if kind == "D":
        advice = "write months as their first days, or number the periods 1, 2, 3 in their order"
    elif (steps == steps[0]).all() and len(steps) > 1:
        advice = f"they lie {steps[0]} apart: number them 1, 2, 3"
    raise DidError(f"{table.cell(row, column)}: expected consecutive periods; found {written(after, kind)} next after "
                   f"{written(before, kind)}; {advice}")


def internal_labels(kind: str, frequency: str, first: int, last: int) -> list[str]:
    """ISO labels of the frequency for the periods ``first`` to ``last``; what is no year, quarter or month counts from
    the year 1000."""
    start = first if kind in ("M", "Q") else _ordinal_of_year(first if kind in ("Y", "FY") else 1000, frequency)
    return [str(pd.Period(ordinal=start + step, freq=frequency)) for step in range(last - first + 1)]
