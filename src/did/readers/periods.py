"""Periods as people write them in tables, as ISO text: months, quarters, calendar years and financial years."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from did.readers.spreadsheet import plain
from did.words import MONTHS

# Kind of period -> how a message describes it, and the frequency of its observations.
KINDS = {"M": "a month such as 2017-06",
         "Q": "a quarter such as 2017 Q2",
         "Y": "a year such as 2017",
         "FY": "a financial year such as 2017/18"}
FREQUENCY = {"M": "M", "Q": "Q", "Y": "Y", "FY": "Y"}
_QUARTERS = {months: place for place, months in enumerate(("jan-mar", "apr-jun", "jul-sep", "oct-dec"), 1)}
_NAMES = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS).replace("Sep(?:tember)?", "Sep(?:t|tember)?")
_YEAR = r"(?:19|20)?\d{2}"
_FINANCIAL = re.compile(rf"(?:FY ?)?({_YEAR}) ?(?:[/\u2013-]|to) ?({_YEAR})|(?:FY ?)?((?:19|20)\d{{2}})(\d{{2}})",
                        re.IGNORECASE | re.ASCII)
_QUARTER = r"(?:Q|Qtr|Quarter) ?([1-4])"
_SEPARATED = r"[ ,_-]*"
_MONTH_FORMS = tuple(re.compile(form, re.IGNORECASE | re.ASCII) for form in (
    # A publication's own word may stand before the month, as in MSitAE-APRIL-2019.
    rf"(?:(?!(?:{_NAMES})[_-])[a-z&]+[_-])?(?:0?1(?:st)?[ -]?)?(?P<name>{_NAMES})[ ,'_/\u2019-]*(?P<year>{_YEAR})",
    rf"(?P<year>\d{{4}})[ _/-]?(?P<name>{_NAMES})",
    r"(?P<year>\d{4})(?:[_/]|-|M| M)?(?P<month>0[1-9]|1[0-2])",
    r"(?P<month>0?[1-9]|1[0-2])[/-](?P<year>(?:19|20)\d{2})"))


def read_period(cell: Any, kind: str) -> str:
    """Return the period in a cell as ISO text: ``2017-06`` (M), ``2017Q2`` (Q), ``2017`` (Y and FY).

    ``kind`` is a key of KINDS. Months may be written 2017-06, 2017-06-01, Jun-17, June 2017, JUN2017, 01JUN2017,
    01/06/2017, 201706, MSitAE-JUNE-2017; quarters 2017 Q2, 2017-Q2, Q2 2017, Apr-Jun 2017, 01/04/2017, 2017/18 Q1,
    Q1 2017-18; financial years 2017/18, 2017-18, 2017/2018, 17/18, 201718, FY2017/18. A financial year is the year in
    which it begins: ``2017/18`` is ``2017``. Days are read as day/month/year and must be the first of a month; of a
    quarter, the first of its first month. A financial quarter ``2017/18 Q4`` is ``2018Q1``. Two-digit years are of this
    century; of financial years, from 50 on, of the last. ValueError for anything else, and for a year in a column of
    financial years that is written as one number, which does not say which year is meant.
    """
    if isinstance(cell, (datetime.datetime, datetime.date)):
        cell = cell.isoformat()[:10]
    return _read(plain(cell), kind)


@lru_cache(maxsize=10_000)   # a table of a million rows has some hundred periods
def _read(text: str, kind: str) -> str:
    wrong = ValueError(f"'{text[:60]}' is not {KINDS[kind]}")
    if len(text) > 40 or not all(letter.isascii() or letter in "\u2013\u2019" for letter in text):
        raise wrong
    if kind == "Y":
        if not re.fullmatch(r"\d{4}", text, re.ASCII):
            raise wrong
        return text
    if kind == "FY":
        year = _financial(text)
        if year is None:
            raise wrong
        return str(year)
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}.*|\d{4}-\d{2}-\d{2}.*", text):
        date = _first_day(text, wrong)
        if kind == "M":
            return date[:7]
        if int(date[5:7]) % 3 != 1:
            raise wrong
        return f"{date[:4]}Q{int(date[5:7]) // 3 + 1}"
    found = _quarter(text) if kind == "Q" else _month(text)
    if found is None:
        raise wrong
    return found


def _financial(text: str) -> int | None:
    """The year in which a financial year begins; None if the text is none."""
    found = _FINANCIAL.fullmatch(text)
    if not found:
        return None
    first, second = (found[1], found[2]) if found[1] else (found[3], found[4])
    year = int(first) if len(first) == 4 else int(first) + (1900 if int(first) >= 50 else 2000)
    return year if int(second[-2:]) == (year + 1) % 100 and (len(second) == 2 or int(second) == year + 1) else None


def _quarter(text: str) -> str | None:
    for pattern in (rf"{_QUARTER}{_SEPARATED}(?P<year>.+)", rf"(?P<year>.+?){_SEPARATED}{_QUARTER}"):
        if found := re.fullmatch(pattern, text, re.IGNORECASE | re.ASCII):
            quarter, year = int(found[1] if found[1] != found["year"] else found[2]), found["year"]
            if re.fullmatch(r"\d{4}", year):
                return f"{year}Q{quarter}"
            start = _financial(year)
            return None if start is None else f"{start + quarter // 4}Q{quarter % 4 + 1}"
    span = rf"({_NAMES})[ ]?({_YEAR})? ?(?:-|\u2013|to) ?({_NAMES})[ -]?({_YEAR})"
    if found := re.fullmatch(span, text, re.IGNORECASE):
        place = _QUARTERS.get(f"{found[1][:3]}-{found[3][:3]}".casefold())
        if place and found[2] in (None, found[4]):
            return f"{_whole_year(found[4])}Q{place}"
    return None


def _month(text: str) -> str | None:
    for form in _MONTH_FORMS:
        if found := form.fullmatch(text):
            groups = found.groupdict()
            month = int(groups["month"]) if groups.get("month") else [each[:3] for each in MONTHS].index(
                groups["name"][:3].capitalize()) + 1
            return f"{_whole_year(groups['year'])}-{month:02d}"
    return None


def _whole_year(text: str) -> str:
    return text if len(text) == 4 else f"20{text}"


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


def not_read(cells: Iterable[Any], kind: str | None) -> int | None:
    """Place of the first cell, of those that are not empty, that is not a period of the kind (of any kind, for
    None)."""
    for place, cell in enumerate(cells):
        if plain(cell) and not any(reads(cell, each) for each in ([kind] if kind else KINDS)):
            return place
    return None


def reads(cell: Any, kind: str) -> bool:
    try:
        read_period(cell, kind)
    except ValueError:
        return False
    return True


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


