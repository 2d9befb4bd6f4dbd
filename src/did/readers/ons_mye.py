"""The Office for National Statistics' population by age: MYE2 books, the MYEB3 series and the Census of 2011.

MYE2 has one book a year with persons by single year of age; its sheet names, header rows and columns differ
from year to year, two years are CSV files with thousands commas, and that of mid-2012 has no title. MYEB3 is
one CSV file of all ages for many years, on the codes of its edition. The books of mid-2012 to mid-2016 may be
editions from before the revision of 2018, which MYEB3 has in it: their districts differ though England is the
same, so the two are different measures here. The Census (table QS103EW) counts people on 27 March 2011 and not
at mid-year, so it is a third.

Sources: https://www.ons.gov.uk/peoplepopulationandcommunity/populationandmigration/populationestimates and
https://www.nomisweb.co.uk/census/2011/qs103ew
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, listed
from did.readers import RawFile
from did.readers.spreadsheet import (
    LAYOUT,
    Sheet,
    cell_name,
    fault,
    fold,
    header_row,
    number,
    plain,
    raise_first,
    read_csv,
    read_sheet,
    whole_number,
)

OPTIONS: dict[str, str] = {}

ENGLAND = "E92000001"
ADULT_AGE = 18
AGES = range(91)
CENSUS_AGES = range(101)
CENSUS_YEAR = "2011"
CENSUS_NOTE = "counted on Census day, 27 March 2011"
AREA_TYPES = {"E06": "lad", "E07": "lad", "E08": "lad", "E09": "lad", "E10": "county", "E12": "region",
              "E92": "country"}
REBASED_NOTE = "revised series, all ages, on the area codes of its edition"

_SHEET = re.compile(r"mye2 ?- ?(all|persons)|uk persons|persons uk")
_CODE = re.compile(r"E\d{8}")


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return observations of resident population, in persons.

    From a MYE2 book: ``population_all`` and ``population_adult`` (18 and over, the sum of ages 18 to 90+) of
    each English district, unitary authority and borough (``lad``), county, region and England; the
    metropolitan counties and the other nations are left out. From a MYEB3 file: ``population_all_rebased`` of
    each English district for every year it has. ``period`` is the year of the 30 June. From the Census:
    ``census_all`` and ``census_adult`` of each English district under the period 2011; the file has no totals
    to be checked against.

    DidError, naming file, sheet and cell: no such sheet, age or column; a year other than the file's; text,
    a negative or a part of a person in a number cell; a code used twice (a region that is printed again with
    the same figures is taken once); ages that do not add up to all ages; districts or regions that do not add
    up to England at any age; two files of one year.
    """
    frames = [_read_file(raw) for raw in files]
    seen: dict[tuple[str, str], str] = {}
    for raw, frame in zip(files, frames, strict=True):
        for key in frame[["measure", "period"]].drop_duplicates().itertuples(index=False, name=None):
            if key in seen:
                raise DidError(fault(raw.name, f"the only file with {key[0]} of {key[1]}",
                                     f"it in {seen[key]} too", "remove one of them"))
            seen[key] = raw.name
    nan = float("nan")
    table = pd.concat(frames, ignore_index=True)
    table = table.assign(source=source_id, frequency="Y", numerator=nan, denominator=nan, status="ok")
    return table.sort_values("period", kind="stable", ignore_index=True)


def _read_file(raw: RawFile) -> pd.DataFrame:
    """Return the observations of one file, told apart by its first row: MYEB3 begins with a column ``ladcode..``,
    and the Census has ``mnemonic`` for the code."""
    if raw.path.suffix.casefold() == ".csv":
        grid, _ = read_csv(raw.path, raw.name)
        sheet = Sheet(raw.name, grid, is_text=True)
        first = [fold(cell) for cell in grid[0]]
        if re.match(r"ladcode\d\d", first[0]):
            frame = _rebased(sheet)
        else:
            frame = _census(sheet, raw) if "mnemonic" in first else _by_age(sheet, raw)
    else:
        sheet = read_sheet(raw.path, raw.name, lambda name: bool(_SHEET.fullmatch(name)), "MYE2 - Persons")
        frame = _by_age(sheet, raw)
    return frame.assign(file=raw.name, sheet=sheet.name, is_synthetic=raw.is_synthetic)


def _by_age(sheet: Sheet, raw: RawFile) -> pd.DataFrame:
    """Return all ages and adults of every English area of a MYE2 book, after reconciling it."""
    wanted = ["code", "name", "all ages", *map(str, AGES)]
    header = header_row(sheet, wanted)
    columns = _columns(sheet, header, [fold(cell).removesuffix("+") for cell in sheet.grid[header]], wanted)
    problems: list[str] = []
    year = _year(sheet, header, raw, problems)
    places, codes, names = _english_rows(sheet, header, columns, problems)
    if ENGLAND not in codes:
        problems.append(fault(sheet.where, f"a row of England, code {ENGLAND}", f"none in {len(codes)} rows"))
    counts = _counts(sheet, places, columns[2:], problems)
    if not problems:
        _check_ages(sheet, places, names, columns, counts, problems)
        _check_england(sheet, places, codes, columns, counts, problems)
    raise_first(problems)
    return _observed(places, codes, names, year, "", {
        "population_all": counts[:, 0], "population_adult": counts[:, 1 + ADULT_AGE:].sum(axis=1)})


def _census(sheet: Sheet, raw: RawFile) -> pd.DataFrame:
    """Return all ages and adults of every English district on Census day, 2011."""
    if raw.period not in (None, CENSUS_YEAR):
        raise DidError(fault(sheet.where, f"a file of {raw.period}, its period in the registry",
                             "the Census of 2011 (a column 'mnemonic')", "fix its period in the registry"))
    labels = [fold(cell).removeprefix("age ").removesuffix(" and over") for cell in sheet.grid[0]]
    labels = ["0" if label == "under 1" else label for label in labels]
    columns = _columns(sheet, 0, labels, ["mnemonic", "name", *map(str, CENSUS_AGES)])
    problems: list[str] = []
    places, codes, names = _english_rows(sheet, 0, columns, problems)
    counts = _counts(sheet, places, columns[2:], problems)
    if not places:
        problems.append(fault(sheet.where, "English districts", f"none among {len(sheet.grid)} rows"))
    raise_first(problems)
    return _observed(places, codes, names, CENSUS_YEAR, CENSUS_NOTE, {
        "census_all": counts.sum(axis=1), "census_adult": counts[:, ADULT_AGE:].sum(axis=1)})


def _observed(places: list[int], codes: list[str], names: list[str], year: str, note: str,
              measures: dict[str, np.ndarray]) -> pd.DataFrame:
    areas = {"row": [place + 1 for place in places], "area_code": codes, "area_name": names,
             "area_type": [AREA_TYPES[code[:3]] for code in codes]}
    return pd.concat([pd.DataFrame(areas | {"measure": measure, "period": year, "value": values, "note": note})
                      for measure, values in measures.items()])


def _columns(sheet: Sheet, header: int, labels: list[str], wanted: list[str]) -> list[int]:
    """Return the columns of the ``wanted`` labels; DidError if one is missing or repeated."""
    for label in wanted:
        if labels.count(label) != 1:
            found = listed((word for word in labels if word and not word.isdigit()), 40)
            ages = sum(word.isdigit() for word in labels)
            raise DidError(fault(f"{sheet.where}, row {header + 1}", f"one column '{label}'",
                                 f"{labels.count(label)} among {found} and {ages} ages", LAYOUT))
    return [labels.index(label) for label in wanted]


def _year(sheet: Sheet, header: int, raw: RawFile, problems: list[str]) -> str:
    """Return the year after ``mid-`` in the title above the table; a problem if the file's is another.

    A table that begins in the first row has no title: its year is the file's period in the registry.
    """
    if header == 0 and raw.period is not None:
        return raw.period
    for row, cells in enumerate(sheet.grid[:header]):
        for column, cell in enumerate(cells):
            if found := re.search(r"\bmid-(\d{4})\b", str(cell)):
                if raw.period not in (None, found[1]):
                    problems.append(fault(sheet.cell(row, column), f"the year of this file, {raw.period}",
                                          f"'{plain(cell)}'",
                                          "fetch it again, or fix its address or period in the registry"))
                return found[1]
    raise DidError(fault(sheet.where, "a title with the year, such as 'mid-2013', above the table",
                         f"none in {header} rows"))


def _english_rows(sheet: Sheet, header: int, columns: list[int],
                  problems: list[str]) -> tuple[list[int], list[str], list[str]]:
    """Return the places, codes and names of the areas in AREA_TYPES; a code twice, or none, is a problem.

    ``columns``: code, name, then figures. London, a region, may be printed again among the counties.
    """
    code_column, name_column, first_column = columns[:3]
    first: dict[str, int] = {}
    places, codes, names = [], [], []
    for place in range(header + 1, len(sheet.grid)):
        cells = sheet.grid[place]
        code, at = plain(_at(cells, code_column)), sheet.cell(place, code_column)
        if not code and plain(_at(cells, first_column)):
            problems.append(fault(at, f"the code of '{plain(_at(cells, name_column))}'", "an empty cell"))
        if not _CODE.fullmatch(code) or code[:3] not in AREA_TYPES:
            continue
        if code in first:
            before = sheet.grid[first[code]]
            if AREA_TYPES[code[:3]] == "region" and all(_at(cells, each) == _at(before, each) for each in columns[2:]):
                continue
            problems.append(fault(at, "each area once",
                                  f"'{code}' again, first in {cell_name(first[code], code_column)}"))
        first.setdefault(code, place)
        places.append(place)
        codes.append(code)
        # Names may end in the marker of a footnote, as in "Forest Heath [1]".
        names.append(re.sub(r" ?\[\d+\]$", "", plain(_at(cells, name_column))))
    return places, codes, names


def _at(cells: list[Any], column: int) -> Any:
    """A cell of a row, '' after its end: the rows of a CSV file need not be of one length."""
    return cells[column] if column < len(cells) else ""


def _counts(sheet: Sheet, places: list[int], columns: list[int], problems: list[str]) -> np.ndarray:
    """Return the persons in ``places`` x ``columns``; a cell that is not a whole number is a problem."""
    counts = np.zeros((len(places), len(columns)), dtype=np.int64)
    for row, place in enumerate(places):
        cells, found = sheet.grid[place], []
        for column in columns:
            try:
                cell = _at(cells, column)
                found.append(whole_number(number(cell) if sheet.is_text else cell))
            except ValueError as error:
                found.append(0)
                problems.append(fault(sheet.cell(place, column), "a whole number of persons", error))
        counts[row] = found
    return counts


def _check_ages(sheet: Sheet, places: list[int], names: list[str], columns: list[int],
                counts: np.ndarray, problems: list[str]) -> None:
    """All ages that are not the sum of ages 0 to 90+ are problems."""
    sums = counts[:, 1:].sum(axis=1)
    for row in np.flatnonzero(sums != counts[:, 0]):
        problems.append(fault(sheet.cell(places[row], columns[2]),
                              f"all ages {sums[row]} of {names[row]}, the sum of ages 0 to 90",
                              counts[row, 0]))


def _check_england(sheet: Sheet, places: list[int], codes: list[str], columns: list[int],
                   counts: np.ndarray, problems: list[str]) -> None:
    """Districts, or regions, that do not add up to the England row in any column are problems."""
    types = np.array([AREA_TYPES[code[:3]] for code in codes])
    england = codes.index(ENGLAND)
    for area_type, areas in (("lad", "districts"), ("region", "regions")):
        sums = counts[types == area_type].sum(axis=0)
        for index in np.flatnonzero(sums != counts[england]):
            problems.append(fault(sheet.cell(places[england], columns[2 + index]),
                                  f"England {sums[index]}, the sum of {(types == area_type).sum()} {areas}",
                                  counts[england, index]))


def _rebased(sheet: Sheet) -> pd.DataFrame:
    """Return the all-age population of each English district in every year of a MYEB3 file."""
    labels = [fold(cell) for cell in sheet.grid[0]]
    found = {kind: [column for column, label in enumerate(labels) if label.startswith(kind)]
             for kind in ("laname", "country", "population_")}
    for kind, columns in found.items():
        if not columns:
            raise DidError(fault(f"{sheet.where}, row 1", f"a column '{kind}...'",
                                 f"columns {', '.join(labels[:6])} ...", LAYOUT))
    (name, *_), (country, *_), columns = found.values()
    years = [labels[column].removeprefix("population_") for column in columns]
    for year, column in zip(years, columns, strict=True):
        if not re.fullmatch(r"[12][0-9]{3}", year) or years.count(year) > 1:
            raise DidError(fault(sheet.cell(0, column), "each year once, such as population_2001",
                                 f"'{labels[column][:60]}'", LAYOUT))
    problems: list[str] = []
    first: dict[str, str] = {}
    places = [place for place, cells in enumerate(sheet.grid) if place and plain(_at(cells, country)) == "E"]
    for place in places:
        code = plain(sheet.grid[place][0])
        at = sheet.cell(place, 0)
        if AREA_TYPES.get(code[:3]) != "lad" or not _CODE.fullmatch(code):
            problems.append(fault(at, "the code of an English district", f"'{code}'"))
        if code in first:
            problems.append(fault(at, "each area once", f"'{code}' again, first in {first[code]}"))
        first.setdefault(code, cell_name(place, 0))
    if not places:
        problems.append(fault(sheet.where, "districts with country E", f"none among {len(sheet.grid)} rows"))
    counts = _counts(sheet, places, columns, problems)
    raise_first(problems)
    areas = {"row": [place + 1 for place in places],
             "area_code": [plain(sheet.grid[place][0]) for place in places],
             "area_name": [plain(_at(sheet.grid[place], name)) for place in places]}
    same = {"area_type": "lad", "measure": "population_all_rebased", "note": REBASED_NOTE}
    return pd.concat([pd.DataFrame(areas | same | {"period": year, "value": counts[:, index]})
                      for index, year in enumerate(years)])
