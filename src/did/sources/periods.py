"""Periods as people write them in tables, as ISO text: months, quarters, calendar years and financial years."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any

from did.sources.spreadsheet import iso_period, plain

# Kind of period -> how a message describes it, and the frequency of its observations.
KINDS = {"M": "a month such as 2017-06",
         "Q": "a quarter such as 2017 Q2",
         "Y": "a year such as 2017",
         "FY": "a financial year such as 2017/18"}
FREQUENCY = {"M": "M", "Q": "Q", "Y": "Y", "FY": "Y"}
_QUARTERS = {months: place for place, months in enumerate(("jan-mar", "apr-jun", "jul-sep", "oct-dec"), 1)}


def read_period(cell: Any, kind: str) -> str:
    """Return the period in a cell as ISO text: ``2017-06`` (M), ``2017Q2`` (Q), ``2017`` (Y and FY).

    ``kind`` is a key of KINDS. Months may be written 2017-06, 2017-06-01, Jun-17, June 2017, 01/06/2017, 201706;
    quarters 2017 Q2, 2017-Q2, Q2 2017, Apr-Jun 2017, 01/04/2017, 2017/18 Q1. A financial year is the year in which it
    begins: ``2017/18`` is ``2017``. Days are read as day/month/year and must be the first of a month; of a quarter,
    the first of its first month. A financial quarter ``2017/18 Q4`` is ``2018Q1``. Two-digit years are of this
    century. ValueError for anything else, and for a year in a column of financial years that is written as one
    number, which does not say which year is meant.
    """
    if isinstance(cell, (datetime.datetime, datetime.date)):
        cell = cell.isoformat()[:10]
    text = plain(cell)
    wrong = ValueError(f"'{text[:60]}' is not {KINDS[kind]}")
    if len(text) > 40 or not all(letter.isascii() or letter in "\u2013\u2019" for letter in text):
        raise wrong
    if kind == "FY":
        found = re.fullmatch(r"(?:FY ?)?(\d{4}) ?[/-] ?(?:20)?(\d{2})", text, re.IGNORECASE | re.ASCII)
        if not found or int(found[2]) != (int(found[1]) + 1) % 100:
            raise wrong
        return found[1]
    if kind == "Q":
        return _quarter(text, wrong)
    if kind == "M":
        if found := re.fullmatch(r"(\d{4})(0[1-9]|1[0-2])", text):
            return f"{found[1]}-{found[2]}"
        if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}.*|\d{4}-\d{2}-\d{2}.*", text):
            return _first_day(text, wrong)[:7]
        text = text.replace("/", "-").replace("Sept", "Sep") if re.match("[A-Za-z]", text) else text
    try:
        return iso_period(text, kind)
    except ValueError:
        raise wrong from None


def _quarter(text: str, wrong: ValueError) -> str:
    if found := re.fullmatch(r"(\d{4})/(\d{2}) ?-? ?Q([1-4])", text, re.IGNORECASE):
        if int(found[2]) != (int(found[1]) + 1) % 100:
            raise wrong
        year, quarter = int(found[1]), int(found[3])
        return f"{year + quarter // 4}Q{quarter % 4 + 1}"
    if found := re.fullmatch(r"Q([1-4])[ -](\d{4})", text, re.IGNORECASE):
        return f"{found[2]}Q{found[1]}"
    if found := re.fullmatch(r"([A-Za-z]{3})[a-z]* ?(?:-|\u2013|to) ?([A-Za-z]{3})[a-z]* (\d{4})", text):
        place = _QUARTERS.get(f"{found[1]}-{found[2]}".casefold())
        if place is None:
            raise wrong
        return f"{found[3]}Q{place}"
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}.*|\d{4}-\d{2}-\d{2}.*", text):
        month = int(_first_day(text, wrong)[5:7])
        if month % 3 != 1:
            raise wrong
        return f"{_first_day(text, wrong)[:4]}Q{month // 3 + 1}"
    try:
        return iso_period(text, "Q").upper()
    except ValueError:
        raise wrong from None


def _first_day(text: str, wrong: ValueError) -> str:
    """ISO date of ``01/04/2017`` or ``2017-04-01``, midnight after it or not; ``wrong`` if not the first of a month."""
    text = re.sub(r"[ T]00:00(:00)?$", "", text)
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text):
        text = f"{found[3]}-{int(found[2]):02d}-{int(found[1]):02d}"
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        raise wrong from None
    if date.day != 1:
        raise wrong
    return text


def kind_of(cells: Iterable[Any]) -> str | None:
    """Return the one kind of period that every cell can be read as, or None.

    Two or more days that are all the first of a quarter are quarters; other days are months.
    """
    cells = list(dict.fromkeys(plain(cell) for cell in cells))
    dated = len(cells) == 1 and re.match(r"\d{1,2}/\d{1,2}/\d{4}|\d{4}-\d{2}-\d{2}", cells[0])
    for kind in ("M",) if dated else ("FY", "Y", "Q", "M"):
        try:
            found = [read_period(cell, kind) for cell in cells]
        except ValueError:
            continue
        if found and len(set(found)) == len(cells):
            return kind
    return None


def as_written(period: str, kind: str) -> str:
    """Return the period as a reader would write it: the financial year ``2017`` is ``2017/18``; others stay."""
    return f"{period}/{(int(period) + 1) % 100:02d}" if kind == "FY" else period


