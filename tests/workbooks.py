"""Small workbooks in the publishers' own layouts (real .xls files), sound unless a test breaks a cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xlwt

SHEET = "LA - by responsible org"
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]
BLOCK = ["NHS", "Social Care", "Both", "Total"]
# One name for each layout NHS England used: its first month and the columns before the name.
LAYOUTS = {
    "sha": ("2011-04", ["SHA", "Code"]),
    "region": ("2013-04", ["Region", "", "Code"]),
    "ons": ("2015-07", ["Region", "ONS Geography", "Code"]),
    "beds": ("2017-04", ["Region", "ONS Geography", "Code"]),
    "average": ("2019-05", ["Region", "ONS Geography", "Code"]),
}


@dataclass(frozen=True)
class Area:
    """One row: codes, name, region and delayed days; None days are written as three dashes and a zero."""

    nhs_code: Any
    ons_code: str
    name: str
    region: str
    days: tuple[int, int, int] | None


AREAS = [
    Area("716", "E09000002", "Barking & Dagenham", "London", (269, 97, 146)),
    Area("00KB", "E06000055", "Bedford", "East of England", (96, 13, 0)),
    Area("714", "E09000001", "City Of London", "London", None),
    Area("803", "E06000046", "Isle Of Wight UA", "South East", (0, 0, 0)),
    Area("311", "E08000008", "Tameside", "North West", (410, 55, 7)),
    Area("9901", "-", "Resident in Scotland", "-", None),
    Area("9900", "-", "Resident In Wales", "-", (282, 179, 0)),
    Area("9902", "-", "Resident outside GB", "-", (65, 0, 30)),
]
DORSET = Area("809", "E10000009", "Dorset", "South West", (100, 20, 3))
DORSET_UA = Area("809", "E06000059", "Dorset UA", "South West", (90, 10, 2))


def layout_of(period: str) -> str:
    """Return the layout NHS England used in a month."""
    return [name for name, (first, _) in LAYOUTS.items() if first <= period][-1]


def write_dtoc(path: Path, period: str, areas: Sequence[Area] = AREAS, *, layout: str | None = None,
               cells: Mapping[str, Any] | None = None, sheet: str = SHEET, england: bool = True,
               drop: Sequence[str] = ()) -> Path:
    """Write one month's workbook; header in row 14, England in row 15, areas from row 17.

    ``cells`` overwrites cells of the sheet by name ("F17"; None empties one) after totals are made;
    ``drop`` leaves out the areas of these NHS codes without changing the England row.
    """
    layout = layout or layout_of(period)
    before = LAYOUTS[layout][1]
    grid: dict[tuple[int, int], Any] = {}
    _put(grid, 1, 1, ["Title:", "Delayed Transfer of Care, NHS Organisations, England"])
    _put(grid, 4, 1, ["Period:", _month(period)])
    _put(grid, 6, 1, ["Basis:", "Local Authority"])
    _put(grid, 9, 1, ["Status:", "Published"])
    two = layout in ("beds", "average")
    start = len(before) + 2
    _put(grid, 13, 1, [*before, "Name", *BLOCK, *(["", *BLOCK] if two else [])])
    if two:
        grid[12, start] = "Delayed Days"
        grid[12, start + 5] = "DTOC Beds" if layout == "beds" else "Average Number of People Delayed per Day"
    sums = [sum(area.days[part] for area in areas if area.days) for part in range(3)]
    rows = [(14, "-", "-", "-", "England", [*sums, sum(sums)])] if england else []
    kept = [area for area in areas if area.nhs_code not in drop]
    for place, area in enumerate(kept, 16):
        days = [*area.days, sum(area.days)] if area.days else ["-", "-", "-", 0]
        rows.append((place, area.region, area.ons_code, area.nhs_code, area.name, days))
    for place, region, ons_code, code, name, days in rows:
        middle = {"sha": [], "region": [""]}.get(layout, [ons_code])
        # Beds differ from days, so that a reader that takes the wrong block is found out.
        beds = ["", *(day if day == "-" else day / 30 for day in days)] if two else []
        _put(grid, place, 1, [region, *middle, code, name, *days, *beds])
    if layout == "average":
        _put(grid, 18 + len(kept), 1, ["Notes:"])
        _put(grid, 19 + len(kept), 1, ["1. 'Average Number of People Delayed per Day' was 'DTOC Beds'."])
    for name, value in (cells or {}).items():
        grid[_place(name)] = value
    decoy = {**grid, (14, start): 1}
    _save(path, {"England": decoy, "LA - by Type of Care": decoy, sheet: grid, "LA - by reason": decoy})
    return path


def write_mye2(path: Path, year: int, areas: Sequence[tuple[str, str, Sequence[int]]], *,
               sheet: str = "MYE2 - Persons", header: int = 4, cells: Mapping[str, Any] | None = None) -> Path:
    """Write a MYE2 book: (code, name, persons of ages 0 to 90+) below row ``header``, counted from 0."""
    ages: list[Any] = [float(age) for age in range(90)] + ["90+"]
    grid: dict[tuple[int, int], Any] = {(header - 2, 0): f"MYE2: Population estimates, mid-{year}"}
    _put(grid, header, 0, ["Code", "Name", "Geography1", "All ages", *ages])
    for place, (code, name, persons) in enumerate(areas, header + 1):
        _put(grid, place, 0, [code, name, "Area", sum(persons), *persons])
    for name, value in (cells or {}).items():
        grid[_place(name)] = value
    _save(path, {"Contents ": {(0, 0): "Contents"}, sheet: grid, "MYE2 - Males": {(0, 0): "Males"}})
    return path


def _month(period: str) -> str:
    return f"{MONTHS[int(period[5:]) - 1]} {period[:4]}"


def _put(grid: dict[tuple[int, int], Any], row: int, column: int, values: Sequence[Any]) -> None:
    grid.update({(row, column + step): value for step, value in enumerate(values) if value != ""})


def _place(name: str) -> tuple[int, int]:
    letters, row = re.fullmatch(r"([A-Z]+)(\d+)", name).groups()
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(row) - 1, column - 1


def _save(path: Path, sheets: Mapping[str, Mapping[tuple[int, int], Any]]) -> None:
    book = xlwt.Workbook()
    for title, grid in sheets.items():
        sheet = book.add_sheet(title)
        for (row, column), value in grid.items():
            if value is not None:
                sheet.write(row, column, value)
    book.save(str(path))
