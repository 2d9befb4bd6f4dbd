"""Any tidy CSV file: a header, one observation a row (long) or one area and period a row (wide).

Columns are named by the source's options, so a new source of this shape needs no code.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from did.errors import DidError, one_of, suggest
from did.sources import RawFile
from did.sources.spreadsheet import FREQUENCIES, fault, iso_period, number, plain, raise_first, read_csv

OPTIONS = {
    "layout": "wide (a column per measure) or long (a row per measure)",
    "period_column": "column of the period",
    "frequency": "M, Q or Y",
    "area_code_column": "column of the area's code",
    "area_name_column": "column of the area's name (default: none, and the code is the name)",
    "area_type": "what every area is: utla, lad, ccg_2019, region, country ...",
    "area_type_column": "column of the area's type, instead of area_type, where it differs by row",
    "area_types": "with area_type_column: area type -> its word in the file (default: as written)",
    "measures": "wide: measure -> its column; long: measure -> its word in the file (default: as written)",
    "measure_column": "long: column of the measure",
    "value_column": "long: column of the value",
    "numerator_column": "long: column of the numerator (default: none)",
    "denominator_column": "long: column of the denominator (default: none)",
    "note": "what to note on every observation, such as that it is a rate without a count (default: nothing)",
    "encoding": "text encoding of the files (default utf-8, with or without a mark)",
}
COMMON = ["layout", "period_column", "frequency", "area_code_column"]
MAPPINGS = ["measures", "area_types"]
NEEDED = {"wide": ["measures"], "long": ["measure_column", "value_column"]}
ONLY_LONG = ["measure_column", "value_column", "numerator_column", "denominator_column"]


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return the observations of tidy CSV files, in the order of the files, rows and measures.

    Values are numbers in whatever unit the file has, written with or without thousands commas. An empty
    value is kept as missing, with status ``missing``. Periods become ISO text of the frequency; see
    :func:`did.sources.spreadsheet.iso_period` for how they may be written. The key is measure, area and
    period over all files. A value that is a rate has no numerator or denominator unless columns give them.

    DidError, naming file, row (line of the file) and column: an option missing or meant for the other
    layout; a column missing, with the columns found; a row of another length; an empty code; a period or
    number that is not one; a measure not among ``measures``, or an area type not among ``area_types``; the
    same key twice; no rows.
    """
    _check_options(source_id, options)
    first: dict[tuple[str, str, str], str] = {}
    frames = [_read_file(raw, options, first) for raw in files]
    return pd.concat(frames, ignore_index=True).assign(source=source_id, frequency=options["frequency"])


def _check_options(source_id: str, options: dict[str, Any]) -> None:
    """Raise DidError for an option that is needed and missing, of a wrong kind, or of the other layout."""
    where = f"source {source_id}, reader tidy_csv: option"
    for key in COMMON:
        if key not in options:
            raise DidError(f"{where} '{key}' is missing: expected {OPTIONS[key]}; add it to the source")
    one_of(f"{where} 'layout'", options["layout"], NEEDED)
    one_of(f"{where} 'frequency'", options["frequency"], FREQUENCIES)
    for key in NEEDED[options["layout"]]:
        if key not in options:
            raise DidError(f"{where} '{key}' is missing: expected {OPTIONS[key]}; add it to the source")
    given = [key for key in ("area_type", "area_type_column") if key in options]
    if len(given) != 1:
        raise DidError(f"{where} 'area_type' is missing: expected {OPTIONS['area_type']}, or area_type_column; "
                       f"found {' and '.join(given) or 'neither'}; give one of them")
    if "area_types" in options and "area_type_column" not in options:
        raise DidError(f"{where} 'area_types': expected area_type_column beside it; found none; add the column")
    for key in options:
        if options["layout"] == "wide" and key in ONLY_LONG:
            raise DidError(f"{where} '{key}' is for layout long: expected none; found layout wide; remove it")
        if key in MAPPINGS and (not isinstance(options[key], dict) or not options[key]):
            raise DidError(f"{where} '{key}': expected {OPTIONS[key]}; found '{options[key]}'")
        if key not in MAPPINGS and not (isinstance(options[key], str) and options[key]):
            raise DidError(f"{where} '{key}': expected text, {OPTIONS[key]}; found '{options[key]}'")


def _read_file(raw: RawFile, options: dict[str, Any], first: dict[tuple[str, str, str], str]) -> pd.DataFrame:
    """Return the observations of one file; ``first`` remembers where each key was seen, over all files."""
    (header, *rows), (_, *lines) = read_csv(raw.path, raw.name, options.get("encoding", "utf-8-sig"))
    columns = _columns(raw, [plain(cell) for cell in header], options)
    problems: list[str] = []
    if not rows:
        problems.append(fault(raw.name, "rows below the header", "none", "fetch it again"))
    records = []
    for row, line in zip(rows, lines, strict=True):
        where = f"{raw.name}, row {line}"
        if len(row) != len(header):
            problems.append(fault(where, f"{len(header)} columns", f"{len(row)}",
                                  "mend the row or fetch the file again"))
            continue
        for record in _records(where, row, columns, options, problems):
            key = (record["measure"], record["area_code"], record["period"])
            if key in first:
                problems.append(fault(where, "each measure, area and period once",
                                      f"{', '.join(key)} again, first in {first[key]}", "remove one of them"))
            first.setdefault(key, where)
            records.append(record)
    raise_first(problems)
    return pd.DataFrame(records).assign(file=raw.name, note=options.get("note", ""), is_synthetic=raw.is_synthetic)


def _columns(raw: RawFile, header: list[str], options: dict[str, Any]) -> dict[str, int]:
    """Return the place of every column the options name, by name; DidError if one is not there once."""
    wanted = [value for key, value in options.items() if key.endswith("_column")]
    if options["layout"] == "wide":
        wanted += [str(column) for column in options["measures"].values()]
    for column in wanted:
        if header.count(column) != 1:
            many = f"it {header.count(column)} times among" if column in header else "only"
            close = "" if column in header else suggest(column, header)
            raise DidError(fault(f"{raw.name}, header", f"one column '{column}'",
                                 f"{many} columns {', '.join(header)}{close}",
                                 "mend the file or the source's options"))
    return {column: header.index(column) for column in wanted}


def _records(where: str, row: list[str], columns: dict[str, int], options: dict[str, Any],
             problems: list[str]) -> list[dict[str, Any]]:
    """Return the observations in one row of the file, none if its period, code or measure is a problem."""

    def cell(option: str) -> str:
        return row[columns[options[option]]].strip() if option in options else ""

    def amount(column: str | None) -> float:
        text = row[columns[column]].strip() if column else ""
        try:
            return number(text) if text else float("nan")
        except ValueError as found:
            problems.append(fault(f"{where}, column '{column}'", "a number", found, "mend or empty the cell"))
            return float("nan")

    try:
        period = iso_period(cell("period_column"), options["frequency"])
    except ValueError:
        problems.append(fault(f"{where}, column '{options['period_column']}'",
                              FREQUENCIES[options["frequency"]], f"'{cell('period_column')}'",
                              "mend the cell or the source's option 'frequency'"))
        return []
    code = cell("area_code_column")
    if not code:
        problems.append(fault(f"{where}, column '{options['area_code_column']}'", "an area's code",
                              "an empty cell", "mend the cell"))
        return []
    area_type = _area_type(where, cell("area_type_column"), options, problems)
    if not area_type:
        return []
    area = {"period": period, "area_code": code, "area_name": cell("area_name_column") or code,
            "area_type": area_type}
    records = []
    for measure, column in _measures(where, cell("measure_column"), options, problems).items():
        value = amount(column)
        records.append(area | {"measure": measure, "value": value,
                               "numerator": amount(options.get("numerator_column")),
                               "denominator": amount(options.get("denominator_column")),
                               "status": "ok" if value == value else "missing"})
    return records


def _area_type(where: str, word: str, options: dict[str, Any], problems: list[str]) -> str:
    """Return what the row's area is, "" after adding to ``problems``; ``word`` is the cell of its column."""
    if "area_type" in options:
        return options["area_type"]
    names = {str(value): str(area_type) for area_type, value in options.get("area_types", {}).items()} or {word: word}
    if not word or word not in names:
        problems.append(fault(f"{where}, column '{options['area_type_column']}'",
                              f"one of {', '.join(names)}" if word else "an area type",
                              f"'{word}'{suggest(word, names)}" if word else "an empty cell",
                              "mend the cell or the source's option 'area_types'"))
        return ""
    return names[word]


def _measures(where: str, word: str, options: dict[str, Any], problems: list[str]) -> dict[str, str]:
    """Return the measures of a row and the column each is in; ``word`` is what a long file calls its own."""
    if options["layout"] == "wide":
        return {str(measure): str(column) for measure, column in options["measures"].items()}
    given = options.get("measures", {})
    names = {str(value): str(measure) for measure, value in given.items()} or {word: word}
    if not word or word not in names:
        problems.append(fault(f"{where}, column '{options['measure_column']}'",
                              f"one of {', '.join(names)}" if word else "a measure",
                              f"'{word}'{suggest(word, names)}" if word else "an empty cell",
                              "mend the cell or the source's option 'measures'"))
        return {}
    return {names[word]: options["value_column"]}
