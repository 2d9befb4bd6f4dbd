"""Any table with a header: one observation a row (long), one area and period a row (wide), or a column per period.

Columns are named by the source's options, so a new source of this shape needs no code. Here it comes from a CSV
file; `did.readers.excel_table` reads the same from a sheet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of, suggest
from did.readers import RawFile
from did.readers.figures import Figures, differ_in, told_apart
from did.readers.limits import refuse_large
from did.readers.numerals import dot_remedy, thousands_dot
from did.readers.periods import FREQUENCY, KINDS, as_written, read_period
from did.readers.spreadsheet import fault, plain, raise_first, read_csv

ENGLAND = "E92000001"
NAN = float("nan")
FIELDS = ["area_code", "area_name", "area_type", "period", "measure", "value", "status", "numerator", "denominator",
          "row", "own_code"]
OPTIONS = {
    "layout": "wide (a column per measure), long (a row per measure) or periods (a column per period, one measure)",
    "period_column": "wide and long: column of the period",
    "frequency": "M, Q, Y, or FY for financial years written 2017/18",
    "area_code_column": "column of the area's code",
    "parent_column": "column of the area that each row's area is part of, such as a practice's CCG: counts are summed "
                     "to it (default: none)",
    "area_name_column": "column of the area's name (default: none, and the code is the name)",
    "area_type": "what every area is: utla, lad, ccg_2019, stp ...; the code of England, E92000001, is country",
    "area_type_column": "column of the area's type, instead of area_type, where it differs by row",
    "area_types": "with area_type_column: area type -> its word in the file (default: as written)",
    "measures": "wide: measure -> its column; long: measure -> its word in the file (default: as written)",
    "measure_column": "long: column of the measure",
    "value_column": "long: column of the value",
    "numerator_column": "long: column of the numerator (default: none)",
    "denominator_column": "long: column of the denominator (default: none)",
    "measure": "periods: name of the measure in the observations",
    "suppressed": "list of marks that stand for a suppressed value, such as '*' or '[c]' (default: none)",
    "missing": "list of marks that stand for a missing value, such as '-' (default: an empty cell only)",
    "counts": "list of the measures that are counts: a value below 0 is refused (default: none)",
    "percent_sign": "drop: a value written 94.5% is 94.5 (default: it is refused, because 0.945 could be meant)",
    "note": "what to note on every observation, such as that it is a rate without a count (default: nothing)",
    "header_row": "row (line of a text file) of the header, counted from 1: rows above it and, below it, rows with one "
                  "filled cell are titles and notes (default: the first row, and a CSV file has no such rows)",
    "encoding": "text encoding of the files (default utf-8, with or without a mark)",
}
COMMON = ["layout", "frequency", "area_code_column"]
MAPPINGS = ["measures", "area_types"]
LISTS = ["suppressed", "missing", "counts"]
NEEDED = {"wide": ["period_column", "measures"], "long": ["period_column", "measure_column", "value_column"],
          "periods": ["measure"]}
# Options that belong to some layouts only.
ONLY = {"period_column": ["wide", "long"], "measures": ["wide", "long"], "measure": ["periods"],
        "measure_column": ["long"], "value_column": ["long"], "numerator_column": ["long"],
        "denominator_column": ["long"]}


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return the observations of tidy CSV files, in the order of the files, rows and measures.

    Values are numbers in whatever unit the file has, written with or without thousands commas. An empty value, and
    one of the marks ``missing``, is kept as missing with status ``missing``; one of the marks ``suppressed`` with
    status ``suppressed``. Periods become ISO text of the frequency; see :func:`did.readers.periods.read_period` for
    how they may be written. A financial year is the year in which it begins, with its own spelling in ``note``. The
    key is measure, area and period over all files. A value that is a rate has no numerator or denominator unless
    columns give them. With ``parent_column`` the values, which must be counts, are summed to the parents; a sum of
    which a part is missing is missing, and ``note`` says how many areas are in it. In layout ``periods`` columns whose
    header is no period are not read; ``attrs["left_out"]`` names them.

    DidError, naming file, row (line of the file) and column: a file over 200 MB; an option missing or meant for the
    other layout; a column missing, with the columns found; a row of another length; an empty code; a period or
    number that is not one; a count (``counts``, and the columns of numerator and denominator) below 0; percentages of
    a measure written with and without their sign; a measure not among ``measures``, or an area type not among
    ``area_types``; the same key twice, with the column by which such rows differ; no rows.
    """
    check(source_id, options)
    tables, left_out = [], []
    for raw in files:
        refuse_large(raw.path, raw.name)
        rows, lines = read_csv(raw.path, raw.name, options.get("encoding", "utf-8-sig"))
        if "header_row" in options:
            rows, lines = below_titles(raw, rows, lines, options["header_row"], left_out)
        tables.append((raw, rows, lines))
    table = observations(source_id, tables, options)
    table.attrs["left_out"] = left_out + table.attrs["left_out"]
    return table


def below_titles(raw: RawFile, rows: list[list[str]], lines: list[int], header_row: int,
                 left_out: list[str]) -> tuple[list[list[str]], list[int]]:
    """The rows of a text file from the header on, of its length, without those that have one filled cell."""
    kept = [(row, line) for row, line in zip(rows, lines, strict=True) if line >= header_row]
    if not kept:
        raise DidError(fault(raw.name, f"the header in row {header_row}", f"{lines[-1]} rows",
                             "correct the source's option 'header_row'"))
    width = max(place for place, cell in enumerate(kept[0][0], start=1) if cell.strip())
    good = [(row[:width] if not any(cell.strip() for cell in row[width:]) else row, line) for row, line in kept
            if sum(bool(cell.strip()) for cell in row) > 1]
    if notes := len(rows) - len(good):
        left_out.append(f"{raw.name}: {notes} rows above the header or with one filled cell (titles, notes): not read")
    return [row for row, _ in good], [line for _, line in good]


def observations(source_id: str, tables: list[tuple[RawFile, list[list[Any]], list[int]]],
                 options: dict[str, Any]) -> pd.DataFrame:
    """Return the observations of tables given as rows of cells, the header first, and the line of each row.

    Options are checked already (:func:`check`); otherwise as :func:`read`.
    """
    left_out: list[str] = []
    figures = Figures(options.get("suppressed", ()), options.get("missing", ()), "percent_sign" in options)
    frames = [_read_table(raw, rows, lines, options, left_out, figures) for raw, rows, lines in tables]
    figures.refuse_mixed_percentages()
    raise_first(figures.problems)
    table = pd.concat(frames, ignore_index=True)
    if (again := _again(table)) is not None:
        raw, rows, _ = tables[int(np.searchsorted(np.cumsum([len(frame) for frame in frames]), again, side="right"))]
        raise DidError(_told_again(table, again, raw, rows, options))
    if "parent_column" in options:
        table = _summed(table)
    table = table.assign(source=source_id, frequency=FREQUENCY[options["frequency"]])
    table.attrs["left_out"] = left_out
    return table


def measures(options: dict[str, Any]) -> list[str] | None:
    """The measures that the options name; None where they are as the file has them."""
    if options["layout"] == "periods":
        return [options["measure"]]
    return list(options["measures"]) if "measures" in options else None


def check(source_id: str, options: dict[str, Any], reader: str = "tidy_csv") -> None:
    """Raise DidError for an option that is needed and missing, of a wrong kind, or of another layout."""
    where = f"source {source_id}, reader {reader}: option"
    for key in COMMON:
        if key not in options:
            raise DidError(f"{where} '{key}' is missing: expected {OPTIONS[key]}; add it to the source")
    one_of(f"{where} 'layout'", options["layout"], NEEDED)
    one_of(f"{where} 'frequency'", options["frequency"], KINDS)
    if "percent_sign" in options:
        one_of(f"{where} 'percent_sign'", options["percent_sign"], ["drop"])
    row = options.get("header_row", 1)
    if not isinstance(row, int) or isinstance(row, bool) or row < 1:
        raise DidError(f"{where} 'header_row': expected a whole number from 1; found '{row}'; correct it")
    for key in NEEDED[options["layout"]]:
        if key not in options:
            raise DidError(f"{where} '{key}' is missing: expected {OPTIONS[key]}; add it to the source")
    given = [key for key in ("area_type", "area_type_column") if key in options]
    if len(given) != 1:
        raise DidError(f"{where} 'area_type' is missing: expected {OPTIONS['area_type']}, or area_type_column; "
                       f"found {' and '.join(given) or 'neither'}; give one of them")
    if "area_types" in options and "area_type_column" not in options:
        raise DidError(f"{where} 'area_types': expected area_type_column alongside it; found none; add the column")
    if "parent_column" in options and "numerator_column" in options:
        raise DidError(f"{where} 'parent_column': expected counts, which can be summed; found numerator_column, so the "
                       "values are rates; read numerator and denominator as measures")
    for key, value in options.items():
        if options["layout"] not in ONLY.get(key, NEEDED):
            raise DidError(f"{where} '{key}' is for layout {' and '.join(ONLY[key])}: expected none; found layout "
                           f"{options['layout']}; remove it")
        if key in MAPPINGS and (not isinstance(value, dict) or not value):
            raise DidError(f"{where} '{key}': expected {OPTIONS[key]}; found '{value}'")
        if key in LISTS and not (isinstance(value, list) and value and all(isinstance(mark, str) for mark in value)):
            raise DidError(f"{where} '{key}': expected a {OPTIONS[key]}; found '{value}'; write it as ['*', '-']")
        if key not in [*MAPPINGS, *LISTS, "header_row"] and not (isinstance(value, str) and value):
            raise DidError(f"{where} '{key}': expected text, {OPTIONS.get(key, 'a sheet')}; found '{value}'")


def _read_table(raw: RawFile, table: list[list[Any]], lines: list[int], options: dict[str, Any], left_out: list[str],
                figures: Figures) -> pd.DataFrame:
    """Return the observations of one table."""
    header, rows = [plain(cell) for cell in table[0]], table[1:]
    columns = _columns(raw, header, options)
    periods = _period_columns(raw, table[0], columns, options, left_out)
    problems = figures.problems
    measure = columns.get(options.get("measure_column", ""))
    problems += _thousands_dots(raw, header, rows, lines[1:], _value_places(columns, periods, options), measure)
    if not rows:
        problems.append(fault(raw.name, "rows below the header", "none", "fetch it again"))
    reader, records = _Rows(columns, periods, options, figures), []
    for row, line in zip(rows, lines[1:], strict=True):
        where = f"{raw.name}, row {line}"
        if len(row) != len(header):
            problems.append(fault(where, f"{len(header)} columns", f"{len(row)}",
                                  "fix the row or fetch the file again"))
            continue
        records += reader.observations(where, line, row)
    frame = pd.DataFrame(records, columns=FIELDS).assign(file=raw.name, sheet=options.get("sheet", ""),
                                                         is_synthetic=raw.is_synthetic)
    if "parent_column" not in options:
        del frame["own_code"]
    if (again := _again(frame)) is not None:
        problems.insert(0, _told_again(frame, again, raw, table, options))
    raise_first(problems)
    note = options.get("note", "")
    if options["frequency"] != "FY":
        return frame.assign(period_published="", note=note)
    written = frame["period"].map({period: as_written(period, "FY") for period in frame["period"].unique()})
    return frame.assign(period_published=written,
                        note="period as published: " + written + (f"; {note}" if note else ""))


def _key(table: pd.DataFrame) -> list[str]:
    return ["measure", "own_code" if "own_code" in table else "area_code", "period"]


def _again(table: pd.DataFrame) -> int | None:
    """The place of the first observation whose key was there before; None if there is none."""
    again = table.duplicated(_key(table)).to_numpy()
    return int(again.argmax()) if again.any() else None


def _told_again(table: pd.DataFrame, again: int, raw: RawFile, rows: list[list[Any]], options: dict[str, Any]) -> str:
    """What is wrong with the observation at the place ``again`` of ``table``, which is in ``rows`` of a file."""
    key = table.loc[again, _key(table)]
    first = table.loc[(table[key.index] == key).all(axis=1).idxmax()]
    header = [plain(cell) for cell in rows[0]]
    words, remedy = _why_again(header, rows[1:], _columns(raw, header, options), options)
    return fault(f"{raw.name}, row {table.at[again, 'row']}", "each measure, area and period once",
                 f"{', '.join(key)} again, first in {first['file']}, row {first['row']}{words}", remedy)


def _why_again(header: list[str], rows: list[list[Any]], columns: dict[str, int],
               options: dict[str, Any]) -> tuple[str, str]:
    """By what columns rows of one area and period differ, to follow what was found, and what to do."""
    table = pd.DataFrame([[plain(cell) for cell in row] for row in rows if len(row) == len(header)])
    labels = dict(enumerate(header))
    keys = [columns[options[key]] for key in ("area_code_column", "period_column", "measure_column") if key in options]
    found = told_apart(table, keys, [place for place in labels if place not in columns.values()])
    if found:
        words, remedy = differ_in([labels[place] for place in found], table[found].rename(columns=labels),
                                  options.get("period_column"))
        return f"; {words}", remedy
    if table.duplicated().any():
        return "", "the same row is there twice: save the table with each row once"
    return " with other figures", "find out which of the rows holds, or let the files not overlap"


def _thousands_dots(raw: RawFile, header: list[str], rows: list[list[Any]], lines: list[int], places: dict[int, Any],
                    measure: int | None) -> list[str]:
    """What is wrong with values whose dots may separate thousands. ``places`` of values -> what they are one column of;
    ``measure`` is the place of the measure, whose values are told apart."""
    of_measure: dict[str | None, list[int]] = {}
    for number, row in enumerate(rows):
        if len(row) == len(header):
            of_measure.setdefault(None if measure is None else plain(row[measure]), []).append(number)
    problems = []
    for group in dict.fromkeys(places.values()):
        own = [place for place, its in places.items() if its == group]
        for numbers in of_measure.values():
            first = thousands_dot(_as_word(rows[number][place]) for number in numbers for place in own)
            if first is not None:
                number, place = numbers[first // len(own)], own[first % len(own)]
                word = _as_word(rows[number][place])
                problems.append(fault(f"{raw.name}, row {lines[number]}, column '{header[place]}'",
                                      "a number with a decimal point", f"'{word}'", dot_remedy(word)))
    return problems


def _as_word(cell: Any) -> str:
    """A text as it is; of a workbook's number, which has no dots that could be misread, only a whole one."""
    return plain(cell) if isinstance(cell, str) or (isinstance(cell, (int, float)) and float(cell).is_integer()) else ""


def _value_places(columns: dict[str, int], periods: dict[int, str], options: dict[str, Any]) -> dict[int, Any]:
    """The place of each column of values -> its name; periods are one column under many headers."""
    names = [options[key] for key in ("value_column", "numerator_column", "denominator_column") if key in options]
    names += [str(column) for column in options["measures"].values()] if options["layout"] == "wide" else []
    return dict.fromkeys(periods, "periods") | {columns[name]: name for name in names}


def _summed(table: pd.DataFrame) -> pd.DataFrame:
    """Sum the values of areas to their parents; a sum with a part that is missing is missing."""
    keys = ["measure", "area_code", "period"]
    gap = table["value"].isna()
    table = table.assign(suppressed=table["status"].eq("suppressed"), gap=gap)
    summed = table.groupby(keys, as_index=False, sort=False).agg(
        area_name=("area_name", "last"), area_type=("area_type", "last"), value=("value", "sum"), n=("value", "size"),
        gap=("gap", "any"), suppressed=("suppressed", "any"), file=("file", "last"),
        sheet=("sheet", "last"),
        period_published=("period_published", "last"),
        note=("note", "last"),
        is_synthetic=("is_synthetic", "any"))
    summed["value"] = summed["value"].mask(summed["gap"])
    summed["status"] = summed["gap"].map({False: "ok", True: "missing"}).mask(summed["suppressed"], "suppressed")
    words = "sum of " + summed.pop("n").astype(str) + " areas"
    summed["note"] = (summed["note"] + "; ").where(summed["note"] != "", "") + words
    return summed.drop(columns=["gap", "suppressed"]).assign(numerator=float("nan"), denominator=float("nan"))


def _columns(raw: RawFile, header: list[str], options: dict[str, Any]) -> dict[str, int]:
    """Return the place of every column the options name, by name; DidError if one is not there once."""
    wanted = [value for key, value in options.items() if key.endswith("_column")]
    if options["layout"] == "wide":
        wanted += [str(column) for column in options["measures"].values()]
    for column in wanted:
        if header.count(column) != 1:
            many = f"it {header.count(column)} times among" if column in header else "only"
            close = "" if column in header else suggest(column, header)
            other = [mark for mark in ";|\t" if len(header) == 1 and mark in header[0]]
            found = f"one column '{header[0][:60]}', cells separated by '{other[0]}' and not by commas" if other else (
                f"{many} columns {listed(header, 40)}{close}")
            raise DidError(fault(f"{raw.name}, header", f"one column '{column}'", found,
                                 "save it with commas" if other else "fix the file or the source's options"))
    return {column: header.index(column) for column in wanted}


def _period_columns(raw: RawFile, header: list[Any], columns: dict[str, int], options: dict[str, Any],
                    left_out: list[str]) -> dict[int, str]:
    """Layout ``periods``: place -> period of each column whose header is one, the others named in ``left_out``."""
    if options["layout"] != "periods":
        return {}
    found: dict[int, str] = {}
    for place, cell in enumerate(header):
        if place in columns.values():
            continue
        try:
            period = read_period(cell, options["frequency"])
        except ValueError:
            left_out.append(f"{raw.name}: column '{plain(cell)}' is not a period: not read")
            continue
        if period in found.values():
            raise DidError(fault(f"{raw.name}, header", "each period in one column", f"{period} in two",
                                 "remove one of them"))
        found[place] = period
    if not found:
        raise DidError(fault(f"{raw.name}, header", f"columns headed by {KINDS[options['frequency']]}",
                             f"columns {listed((plain(cell) for cell in header), 40)}",
                             "correct the source's options 'frequency' and 'layout'"))
    return found


class _Rows:
    """Reads the rows of one table: what its options say is looked up once, as there may be a million of them."""

    def __init__(self, columns: dict[str, int], periods: dict[int, str], options: dict[str, Any],
                 figures: Figures) -> None:
        self.options, self.figures, self.problems = options, figures, figures.problems
        self.place = {key: columns[name] for key, name in options.items() if key.endswith("_column")}
        self.counts = set(options.get("counts", ()))
        # Of each observation in a row: its measure and period, if every row has the same, its place and its column.
        self.wanted: list[tuple[str, str, int, str]] = []
        if options["layout"] == "periods":
            self.wanted = [(options["measure"], period, place, period) for place, period in periods.items()]
        elif options["layout"] == "wide":
            self.wanted = [(str(measure), "", columns[str(column)], str(column))
                           for measure, column in options["measures"].items()]
        self.types = _by_word(options.get("area_types"))
        self.measures = _by_word(options.get("measures")) if options["layout"] == "long" else None

    def observations(self, where: str, line: int, row: list[Any]) -> list[tuple]:
        """Return the FIELDS of each observation in a row, none if its period, code or measure is a problem."""
        place, options = self.place, self.options
        code = self._code(where, row, "area_code_column")
        parent = self._code(where, row, "parent_column") if "parent_column" in place else ""
        if not code or ("parent_column" in place and not parent):
            return []
        period = ""
        if "period_column" in place:
            cell = row[place["period_column"]]
            try:
                period = read_period(cell, options["frequency"])
            except ValueError:
                self.problems.append(fault(f"{where}, column '{options['period_column']}'", KINDS[options["frequency"]],
                                           f"'{plain(cell)}'", "fix the cell or the source's option 'frequency'"))
                return []
        area_type = ("country" if code == ENGLAND else options["area_type"]) if "area_type" in options else (
            self._named(where, row, "area_type_column", self.types, "an area type", "area_types"))
        if not area_type:
            return []
        wanted = self.wanted
        if "measure_column" in place:
            measure = self._named(where, row, "measure_column", self.measures, "a measure", "measures")
            if not measure:
                return []
            wanted = [(measure, period, place["value_column"], options["value_column"])]
        name = parent or (plain(row[place["area_name_column"]]) if "area_name_column" in place else "") or code
        read, found = self.figures.read, []
        for measure, its, at, column in wanted:
            value, status = read(row[at], where, column, measure, is_count=measure in self.counts)
            parts = [read(row[place[key]], where, options[key], options[key], is_count=True)[0] if key in place
                     else NAN for key in ("numerator_column", "denominator_column")]
            found.append((parent or code, name, area_type, its or period, measure, value, status, *parts, line, code))
        return found

    def _code(self, where: str, row: list[Any], option: str) -> str:
        """The code in the column of an option; "" after adding to the problems."""
        code = plain(row[self.place[option]])
        if not code:
            self.problems.append(fault(f"{where}, column '{self.options[option]}'", "an area's code", "an empty cell",
                                       "fix the cell"))
        return code

    def _named(self, where: str, row: list[Any], option: str, names: dict[str, str] | None, what: str,
               mapping: str) -> str:
        """What the word in the column of an option stands for, "" after adding to the problems; any word for itself
        without ``names``."""
        word = plain(row[self.place[option]])
        if word and (names is None or word in names):
            return word if names is None else names[word]
        known = [word] if names is None else names
        self.problems.append(fault(f"{where}, column '{self.options[option]}'",
                                   f"one of {listed(known, 40)}" if word else what,
                                   f"'{word}'{suggest(word, known)}" if word else "an empty cell",
                                   f"fix the cell or the source's option '{mapping}'"))
        return ""


def _by_word(names: dict[str, Any] | None) -> dict[str, str] | None:
    """The word in the file -> what the source's option calls it; None without the option."""
    return {str(word): str(name) for name, word in names.items()} if names else None
