"""Small workbooks in the publishers' own layouts (real .xls files), sound unless a test breaks a cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from did.simulate.dtoc import LAYOUTS, SHEET, Area, layout_of, responsible_sheet
from did.simulate.population import Layout, persons_sheet
from did.simulate.sheets import save

__all__ = ["AREAS", "DORSET", "DORSET_UA", "LAYOUTS", "SHEET", "Area", "layout_of", "write_dtoc", "write_mye2"]

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


def write_dtoc(path: Path, period: str, areas: Sequence[Area] = AREAS, *, layout: str | None = None,
               cells: Mapping[str, Any] | None = None, sheet: str = SHEET, england: bool = True,
               drop: Sequence[str] = ()) -> Path:
    """Write one month's workbook; header in row 14, England in row 15, areas from row 17.

    ``cells`` overwrites cells of the sheet by name ("F17"; None empties one) after totals are made;
    ``drop`` leaves out the areas of these NHS codes without changing the England row.
    """
    layout = layout or layout_of(period)
    grid = responsible_sheet(period, layout, areas, england=england, drop=drop)
    for name, value in (cells or {}).items():
        grid[_place(name)] = value
    decoy = {**grid, (14, len(LAYOUTS[layout][1]) + 2): 1}
    save(path, {"England": decoy, "LA - by Type of Care": decoy, sheet: grid, "LA - by reason": decoy})
    return path


def write_mye2(path: Path, year: int, areas: Sequence[tuple[str, str, Sequence[int]]], *,
               sheet: str = "MYE2 - Persons", header: int = 4, cells: Mapping[str, Any] | None = None) -> Path:
    """Write a MYE2 book: (code, name, persons of ages 0 to 90+) below row ``header``, counted from 0."""
    overwritten = {_place(name): value for name, value in (cells or {}).items()}
    grid = persons_sheet(year, areas, Layout(sheet, header, geography=True, last_age="90+"), overwritten)
    save(path, {"Contents ": {(0, 0): "Contents"}, sheet: grid, "MYE2 - Males": {(0, 0): "Males"}})
    return path


def _place(name: str) -> tuple[int, int]:
    letters, row = re.fullmatch(r"([A-Z]+)(\d+)", name).groups()
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(row) - 1, column - 1
