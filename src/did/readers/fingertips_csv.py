"""The public download of Fingertips (public health profiles): one indicator in a CSV of fixed columns.

A file holds many things at once: area types, sexes, ages, breakdowns by category, single years alongside
several-year averages. The options say which one series is wanted; the rest is counted in ``attrs["left_out"]``.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pandas as pd

from did.errors import DidError, listed, one_of, suggest
from did.readers import RawFile
from did.readers.figures import Figures, differ_in, told_apart
from did.readers.periods import read_period
from did.readers.spreadsheet import fault, plain, raise_first, read_csv

OPTIONS = {
    "indicator_id": "number of the indicator, as in column Indicator ID",
    "measure": "name of the measure in the observations",
    "count_measure": "also give column Count as this measure (default: not)",
    "denominator_measure": "also give column Denominator as this measure (default: not)",
    "area_type": "area type wanted, as in column Area Type, such as CCGs (2019/20)",
    "area_type_as": "area type in the observations, such as ccg_2019 (default: as in the file)",
    "sex": "sex wanted, as in column Sex (default Persons)",
    "age": "age wanted, as in column Age (default: the only one there)",
    "period_kind": "year, financial_year, N_years, N_financial_years, quarter or month (default: the only one there)",
    "several_years": "first or last: which of its years a financial year or an average is filed under "
                     "(default first, as the publisher sorts them)",
    "suppressed": "list of marks that stand for a suppressed figure, such as '*' (default: none)",
    "missing": "list of marks that stand for a missing figure, such as '-' (default: an empty cell only)",
}
NEEDED = ["indicator_id", "measure", "area_type"]
COLUMNS = ["Indicator ID", "Area Code", "Area Name", "Area Type", "Sex", "Age", "Category Type", "Category",
           "Time period", "Value", "Count", "Denominator", "Value note"]
FREQUENCIES = {"quarter": "Q", "month": "M"}
_PERIOD = "2017, 2016/17, 2015 - 17, 2017/18 Q2 or Jun 2017"


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return the observations of one indicator, area type, sex and age, and of England, in the order of the files.

    With ``count_measure`` and ``denominator_measure`` Count and Denominator of the areas, not of England, are also
    measures of their own, so that they can be summed and divided.

    ``value`` is the column Value in the indicator's own unit, ``numerator`` its Count and ``denominator`` its
    Denominator, missing where the cell is empty. An empty Value is kept: ``suppressed`` if the value note says
    so, else ``missing``. England has area type ``country``. The note gives the period as published if it is
    not one calendar year, month or quarter, and the publisher's value note. Rows of other area types, sexes, ages
    and kinds of period, of categories (deprivation deciles and the like), and an area again under another
    parent, are left out and counted by reason in ``attrs["left_out"]``.

    DidError, naming file, row and column: an option missing or wrong; a column missing; no rows for the
    indicator, area type, sex, age or kind of period (naming those there are), or several where the options
    leave it open; a period or number that is not one; an area and period twice with different figures.
    """
    check(source_id, options)
    tables, left_out = [], []
    for raw in files:
        table, counts = _read_file(raw, options)
        tables.append(table)
        left_out += [f"{raw.name}: {reason}: {rows} rows" for reason, rows in sorted(counts.items())]
    table = pd.concat(tables, ignore_index=True)
    twice = table.loc[table.duplicated(["area_code", "period"])]
    if len(twice):
        row = twice.iloc[0]
        raise DidError(fault(row.file, "each area and period once over all files", f"{row.area_code}, {row.period} "
                             "again", "let the files not overlap"))
    table = pd.concat([table.assign(measure=options["measure"]), *_counts(table, options)], ignore_index=True)
    table = table.assign(source=source_id)
    table.attrs["left_out"] = left_out
    return table


def _counts(table: pd.DataFrame, options: dict[str, Any]) -> list[pd.DataFrame]:
    """Count and Denominator as observations of their own; what is empty keeps the status of its value."""
    areas = table.loc[table["area_type"] != "country"]
    frames = []
    for key, column in (("count_measure", "numerator"), ("denominator_measure", "denominator")):
        if key in options:
            status = areas["status"].where(areas["status"] != "ok", "missing").mask(areas[column].notna(), "ok")
            frames.append(areas.assign(measure=options[key], value=areas[column], status=status,
                                       numerator=float("nan"), denominator=float("nan")))
    return frames


def measures(options: dict[str, Any]) -> list[str]:
    """The measures that the options name."""
    return [options[key] for key in ("measure", "count_measure", "denominator_measure") if key in options]


def check(source_id: str, options: dict[str, Any]) -> None:
    """Raise DidError for an option that is needed and missing, or of a wrong kind."""
    where = f"source {source_id}, reader fingertips_csv: option"
    for key in NEEDED:
        if key not in options:
            raise DidError(f"{where} '{key}' is missing: expected {OPTIONS[key]}; add it to the source")
    for key, value in options.items():
        if key in ("suppressed", "missing"):
            if not (isinstance(value, list) and value and all(isinstance(mark, str) for mark in value)):
                raise DidError(f"{where} '{key}': expected a {OPTIONS[key]}; found '{value}'; write it as ['*', '-']")
            continue
        whole = key == "indicator_id" and isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (isinstance(value, str) and value):
            raise DidError(f"{where} '{key}': expected text, {OPTIONS[key]}; found '{value}'")
    one_of(f"{where} 'several_years'", options.get("several_years", "first"), ["first", "last"])
    kind = options.get("period_kind", "year")
    if not re.fullmatch(r"year|financial_year|[2-9]_(financial_)?years|quarter|month", kind):
        raise DidError(f"{where} 'period_kind': expected {OPTIONS['period_kind']}; found '{kind}'")


def _read_file(raw: RawFile, options: dict[str, Any]) -> tuple[pd.DataFrame, Counter]:
    """Return the observations of one file, and how many rows were left out, by reason."""
    (header, *rows), (_, *lines) = read_csv(raw.path, raw.name)
    header = [plain(cell) for cell in header]
    for column in COLUMNS:
        if header.count(column) != 1:
            found = ", ".join(header[:6]) + (" ..." if len(header) > 6 else "")
            raise DidError(fault(f"{raw.name}, header", f"one column '{column}'", found[:200],
                                 "download the indicator's data as CSV again"))
    wrong = [(line, len(row)) for row, line in zip(rows, lines, strict=True) if len(row) != len(header)]
    if wrong:
        raise DidError(fault(f"{raw.name}, row {wrong[0][0]}", f"{len(header)} columns", wrong[0][1],
                             "fix the row or fetch the file again"))
    frame = pd.DataFrame(rows, columns=header, dtype="str").apply(lambda cells: cells.str.strip())
    frame["line"] = lines
    left_out: Counter = Counter()
    frame = _wanted(raw, frame, options, left_out)
    frame = _one_kind_of_period(raw, frame, options, left_out)
    table = _observations(raw, frame, options)
    repeated = len(frame) - len(table)
    left_out.update({"an area again under another parent": repeated} if repeated else {})
    return table, left_out


def _wanted(raw: RawFile, frame: pd.DataFrame, options: dict[str, Any], left_out: Counter) -> pd.DataFrame:
    """Keep the rows of the indicator, area type (and England), sex and age asked for."""
    frame = _only(raw, frame, "Indicator ID", str(options["indicator_id"]), left_out)
    category = frame["Category Type"] != ""
    left_out.update("category " + frame.loc[category, "Category Type"])
    frame = frame.loc[~category]
    frame = _only(raw, frame, "Area Type", options["area_type"], left_out, besides="England")
    frame = _only(raw, frame, "Sex", options.get("sex", "Persons"), left_out)
    ages = sorted(set(_areas(frame)["Age"]))
    if "age" not in options and len(ages) > 1:
        raise DidError(fault(raw.name, "one age", listed(ages, 40), "give the source's option 'age'"))
    return _only(raw, frame, "Age", options.get("age", ages[0]), left_out)


def _only(raw: RawFile, frame: pd.DataFrame, column: str, word: str, left_out: Counter,
          besides: str = "") -> pd.DataFrame:
    """Keep the rows with ``word`` (or ``besides``) in ``column``; DidError, naming the words there are, if none."""
    there = sorted(set((frame if besides else _areas(frame))[column]))
    if word not in there:
        raise DidError(fault(raw.name, f"rows of {column} '{word}'", f"those of {listed(there, 40) or 'none'}"
                             f"{suggest(word, there)}", "correct the source's options or download the right file"))
    keep = frame[column].isin([word, besides] if besides else [word])
    left_out.update(f"{column} " + frame.loc[~keep, column])
    return frame.loc[keep]


def _areas(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows to choose from: those of areas, since England may have what no area has."""
    areas = frame.loc[frame["Area Type"] != "England"]
    return frame if areas.empty else areas


def _one_kind_of_period(raw: RawFile, frame: pd.DataFrame, options: dict[str, Any],
                        left_out: Counter) -> pd.DataFrame:
    """Add kind and ISO period, and keep one kind: a single year must not stand alongside an average of three."""
    last = options.get("several_years") == "last"
    periods: dict[str, tuple[str, str]] = {}
    for text, line in zip(frame["Time period"], frame["line"], strict=True):
        if text not in periods:
            try:
                periods[text] = time_period(text, last=last)
            except ValueError:
                raise DidError(fault(f"{raw.name}, row {line}, column 'Time period'", f"a period such as {_PERIOD}",
                                     f"'{text}'", "fix the cell or fetch the file again")) from None
    frame = frame.assign(kind=frame["Time period"].map(lambda text: periods[text][0]),
                         period=frame["Time period"].map(lambda text: periods[text][1]))
    kinds = sorted(set(_areas(frame)["kind"]))
    wanted = options.get("period_kind", kinds[0])
    if wanted not in kinds or ("period_kind" not in options and len(kinds) > 1):
        raise DidError(fault(raw.name, f"periods of kind '{wanted}'" if wanted not in kinds else
                             "one kind of period", listed(kinds), "give the source's option 'period_kind'"))
    left_out.update("period of kind " + frame.loc[frame["kind"] != wanted, "kind"])
    return frame.loc[frame["kind"] == wanted]


def time_period(text: str, *, last: bool = False) -> tuple[str, str]:
    """Return the kind of a published period and its ISO text: ``2015 - 17`` is ("3_years", "2015").

    Kinds: year, financial_year, N_years, N_financial_years, quarter (of the calendar year, or of the financial
    year: ``2017/18 Q4`` is 2018Q1) and month. Periods of several calendar years are filed under their first,
    or with ``last`` under their last. ValueError for anything else.
    """
    text = plain(text)
    if re.fullmatch(r"\d{4}", text):
        return "year", text
    if found := re.fullmatch(r"(\d{4})/(\d{2}) ?Q([1-4])", text):
        start, quarter = _next_year(found[1], found[2]), int(found[3])
        return "quarter", f"{start + quarter // 4}Q{quarter % 4 + 1}"
    if re.fullmatch(r"\d{4}[ -]?Q[1-4]", text):
        return "quarter", read_period(text, "Q")
    if found := re.fullmatch(r"(\d{4})/(\d{2})", text):
        start = _next_year(found[1], found[2])
        return "financial_year", str(start + last)
    if found := re.fullmatch(r"(\d{4})/(\d{2}) ?[-\u2013] ?(?:\d{2})?(\d{2})/(\d{2})", text):
        start, end = _next_year(found[1], found[2]), int(found[1][:2] + found[3])
        return _several(start, end, "financial_years", end + 1 if last else start, found[4] == f"{(end + 1) % 100:02d}")
    if found := re.fullmatch(r"(\d{4}) ?[-\u2013] ?(?:\d{2})?(\d{2})", text):
        start, end = int(found[1]), int(found[1][:2] + found[2])
        return _several(start, end, "years", end if last else start, True)
    return "month", read_period(text, "M")


def _next_year(year: str, following: str) -> int:
    if int(following) != (int(year) + 1) % 100:
        raise ValueError(f"'{year}/{following}' is not a financial year")
    return int(year)


def _several(start: int, end: int, kind: str, year: int, good: bool) -> tuple[str, str]:
    if not good or end <= start:
        raise ValueError(f"{start} to {end} is not a period of several years")
    return f"{end - start + 1}_{kind}", str(year)


def _observations(raw: RawFile, frame: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame:
    figures = Figures(options.get("suppressed", ()), options.get("missing", ()))
    for line in frame.loc[frame["Area Code"] == "", "line"]:
        figures.problems.append(fault(f"{raw.name}, row {line}, column 'Area Code'", "an area's code", "an empty cell",
                                      "fix the cell"))
    numbers, marked = {}, pd.Series(False, index=frame.index)
    for column in ("Value", "Count", "Denominator"):
        read = [figures.read(cell, f"{raw.name}, row {line}", column, column, is_count=column != "Value")
                for cell, line in zip(frame[column], frame["line"], strict=True)]
        numbers[column] = pd.Series([value for value, _ in read], index=frame.index, dtype=float)
        marked |= pd.Series([status == "suppressed" for _, status in read], index=frame.index)
    raise_first(figures.problems)
    kind = frame["kind"].iloc[0]
    as_is = kind in ("year", "quarter", "month")
    published = pd.Series("", index=frame.index) if as_is else frame["Time period"]
    named = ("period as published: " + published).where(published != "", "")
    notes = pd.DataFrame({"period": named, "value": frame["Value note"]}, index=frame.index)
    england = frame["Area Type"] == "England"
    suppressed = marked | frame["Value note"].str.contains("suppress", case=False)
    empty = numbers["Value"].isna()
    table = pd.DataFrame({
        "area_code": frame["Area Code"], "period": frame["period"], "frequency": FREQUENCIES.get(kind, "Y"),
        "area_name": frame["Area Name"].where(frame["Area Name"] != "", frame["Area Code"]),
        "area_type": pd.Series(options.get("area_type_as", options["area_type"]), index=frame.index)
                     .mask(england, "country"),
        "value": numbers["Value"], "numerator": numbers["Count"], "denominator": numbers["Denominator"],
        "status": pd.Series("ok", index=frame.index).mask(empty, "missing").mask(empty & suppressed, "suppressed"),
        "file": raw.name, "row": frame["line"], "period_published": published,
        "note": notes.apply(lambda row: "; ".join(filter(None, row)), axis=1),
        "is_synthetic": raw.is_synthetic,
    })
    return _once(raw, table, frame)


def _once(raw: RawFile, table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep an area and period once if it comes again with the same figures (under another parent).

    ``frame`` are the rows of the file that ``table`` was made from.
    """
    table = table.loc[~table.duplicated([column for column in table if column != "row"])]
    twice = table.loc[table.duplicated(["area_code", "period"])]
    if len(twice):
        row = twice.iloc[0]
        rows = frame.loc[table.index]
        besides = [column for column in rows if column not in {*COLUMNS, "line", "kind", "period"}
                   and not column.startswith("Parent")]
        columns = told_apart(rows, ["Area Code", "period"], besides)
        words, remedy = differ_in(columns, rows, None) if columns else (
            "", "find out which of the rows holds, or fetch the file again")
        raise DidError(fault(f"{raw.name}, row {rows['line'][twice.index[0]]}", "each area and period once",
                             f"{row.area_code}, {row.period} again with other figures" + (words and f"; {words}"),
                             remedy))
    return table
