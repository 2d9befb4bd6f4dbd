"""Small GP Patient Survey practice files for the tests, with the publisher's own columns.

With the publisher's variable lists alongside the checkout a file has every column of its year; otherwise it has
the columns of the reference table and some others. Columns the tests do not fill hold 0.
"""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path

from did.readers import RawFile
from did.readers.gpps_layouts import Layout, read_layouts

ROOT = Path(__file__).resolve().parents[1]
LISTS = ROOT.parent / "shared" / "gpps" / "variable_lists_2012_2022.csv"
LAYOUTS: dict[str, Layout] = read_layouts(ROOT / "data" / "reference")
YEARS = list(LAYOUTS)
# Weighted answers of one practice, the base of each question their sum.
ANSWERS = {
    "needs_definitely": 40.25, "needs_some_extent": 22.5, "needs_no": 10.25, "needs_dont_need": 15.0,
    "needs_cant_say": 5.0,
    "preferred_always": 30.5, "preferred_a_lot": 20.0, "preferred_some": 25.5, "preferred_never": 8.0,
    "preferred_not_tried": 12.0,
    "overall_very_good": 55.0, "overall_fairly_good": 33.75, "overall_neither": 6.25,
    "overall_fairly_poor": 3.0, "overall_very_poor": 2.0,
}


@cache
def listed() -> dict[str, list[str]]:
    """Return the publisher's columns by year, or nothing if the lists are not alongside the checkout."""
    if not LISTS.exists():
        return {}
    columns: dict[str, list[str]] = {}
    with open(LISTS, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            columns.setdefault(row["year"], []).append(row["variable"])
    return columns


@cache
def columns(year: str) -> tuple[str, ...]:
    """Return the header of a year's file: the publisher's list where there is one, else a shorter one."""
    if year in listed():
        return tuple(listed()[year])
    layout = LAYOUTS[year]
    wanted = [*layout.identifiers.values(), *layout.counts.values(), *layout.percentages.values()]
    return (*wanted, *sorted(layout.marks), "distributed", "received", "Q1base", "Q1_1", "Q1_1pct")


def practice(code: str, ccg: str = "00C", name: str = "THE SURGERY", ccg_name: str = "", scale: float = 1,
             **cells: object) -> dict[str, object]:
    """Return a practice as measure -> cell: the answers times ``scale``, bases and fractions to match.

    ``cells`` replace single cells, by measure (``needs_no``) or measure and ``pct`` (``needs_nopct``).
    """
    answers = {measure: value * scale for measure, value in ANSWERS.items()}
    row: dict[str, object] = {"practice_code": code, "practice_name": name, "ccg_code": ccg,
                              "ccg_name": ccg_name or f"NHS {ccg} CCG"}
    for question in ("needs", "preferred", "overall"):
        own = {measure: value for measure, value in answers.items() if measure.startswith(question)}
        base = sum(own.values())
        row |= own | {f"{question}_base": base}
        row |= {f"{measure}pct": value / base if base else 0 for measure, value in own.items()}
    return row | cells


def suppressed(code: str, ccg: str = "00C", question: str = "needs", **cells: object) -> dict[str, object]:
    """Return a practice of which one whole question is suppressed (-97 in every cell)."""
    row = practice(code, ccg)
    return row | {key: -97 for key in row if key.startswith(question)} | cells


def text(year: str, practices: list[dict[str, object]], header: tuple[str, ...] | None = None) -> str:
    """Return a year's file as text; ``header`` replaces the names of the columns, in their order."""
    layout = LAYOUTS[year]
    filled = layout.identifiers | layout.counts
    measures = {column.casefold(): measure for measure, column in filled.items()}
    measures |= {column.casefold(): f"{measure}pct" for measure, column in layout.percentages.items()}
    keys = [measures.get(column.casefold()) for column in columns(year)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(header or columns(year))
    writer.writerows([row.get(key, 0) if key else 0 for key in keys] for row in practices)
    return stream.getvalue()


def write(folder: Path, year: str, content: str | bytes | list[dict[str, object]]) -> RawFile:
    """Write a year's file into ``folder`` and return it; a list of practices is written as a file of them."""
    if isinstance(content, list):
        content = text(year, content)
    path = folder / f"gpps_practice_weighted_{year}.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return RawFile(path, path.name, year)
