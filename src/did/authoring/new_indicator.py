"""A new indicator written as config: a commented YAML for the indicator, and one for each of its files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from did.areas.plain_units import AREA_TYPE
from did.authoring.indicator_yaml import Ask, Choices, check_command, indicator_text, onset_rule, source_text
from did.authoring.look import Look, look
from did.errors import DidError, one_of, suggest
from did.project.config import Evaluation
from did.project.loading import load_evaluation, load_indicator
from did.project.waves_table import read_table
from did.readers.figures import TIMELY
from did.readers.periods import KINDS, not_read, read_period, reads
from did.readers.spreadsheet import plain
from did.readers.tidy_csv import ENGLAND
from did.store.provenance import write_text

# What the areas of a file are -> the areas of the panel, and the word for them in the observations.
AREAS = {"practice": ("ccg_2020", "ccg"), "ccg": ("ccg_2020", "ccg"), "icb_sub_location": ("ccg_2021", "ccg"),
         "stp": ("stp", "stp"), "lower_tier": ("upper_tier", "lad"), "upper_tier": ("upper_tier", "utla")}
REGION = ("a region lies in several systems, treated and not, so it can be neither; give figures by CCG, upper-tier "
          "authority or system")
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Written:
    """Files that were written, and what was decided without being asked."""

    files: list[Path]
    decided: list[str]


def new(name: str, given: Mapping[str, Any], *, config: str | Path, evaluation: Evaluation, ask: Ask | None = None,
        replace: bool = False) -> Written:
    """Write ``<indicators>/<name>.yaml`` and the sources it needs, so that the evaluation takes it up.

    ``given`` are the options of ``did indicator new``, absent or None where not given: file, reader, sheet, header_row,
    encoding, area_column, area_type, parent_column, period_column, frequency, numerator_column, denominator_column,
    value_column, denominator_file, denominator_value_column, measure (Fingertips: area_type_in_file, sex, age), per,
    unit, direction, leave_out, title, label, family, family_title, publisher, licence, page, first, last. ``ask`` puts
    a question (key, text, default) to a person; without it what is needed and cannot be seen in the file is an error.
    The evaluation's own file is not touched: the indicator names it.

    Raises DidError for a name that is taken (unless ``replace``) or no identifier, and for everything that cannot be
    seen, is contradictory, or is refused by the config's own checks; then nothing is left behind.
    """
    if not NAME.fullmatch(name):
        raise DidError(f"indicator '{name}': expected small letters, digits and underscores, starting with a letter")
    indicator_path = Path(evaluation.indicators_folder) / f"{name}.yaml"
    source_path = Path(evaluation.sources_folder) / f"{name}.yaml"
    second_path = Path(evaluation.sources_folder) / f"{name}_denominator.yaml"
    for path in (indicator_path, source_path):
        if path.exists() and not replace:
            raise DidError(f"{path}: expected no such file yet; found one; choose another name, or --replace")
    choices = Choices(name, given, ask, check_command(name, config))
    file = choices.must("file", "File with the figures (CSV or Excel)", "")
    units = read_table(evaluation) if evaluation.waves.table else None
    seen = look(file, units=None if units is None else set(units["unit"]), **{
        key: given.get(key) for key in ("sheet", "header_row", "reader", "encoding", "area_column", "period_column")})
    fingertips = seen.reader == "fingertips_csv"
    shape = _fingertips(choices, seen, units) if fingertips else _table(choices, seen, evaluation.reference, units)
    geography = _geography(shape["area_type"], evaluation, choices)
    span = shape.get("span", 1)
    rule = onset_rule(shape["frequency"], evaluation.waves.onset, span) if units is None else _common_rule(
        shape["frequency"], units["first_treated"].dropna(), span)
    text = {source_path: source_text(name, file, seen, shape["options"], choices)}
    second = given.get("denominator_file")
    if second:
        text[second_path] = _second_text(name, second, shape, choices, units)
    text[indicator_path] = indicator_text(name, shape, geography, rule, evaluation, choices)
    before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in text}
    try:
        for path, content in text.items():
            write_text(path, content)
        load_indicator(name, evaluation.indicators_folder)
        load_evaluation(config)
    except DidError:
        for path, content in before.items():
            path.unlink(missing_ok=True) if content is None else write_text(path, content)
        raise
    return Written(list(text), choices.decided)


def _area_type(choices: Choices, guess: str | None, units: pd.DataFrame | None) -> str:
    """What the areas are; where the evaluation has a waves table of its own units, they are those."""
    where = f"indicator {choices.name}: --area-type"
    if units is not None:
        if choices.given.get("area_type"):
            raise DidError(f"{where}: expected none, because the units of this evaluation are those of its waves "
                           f"table; found '{choices.given['area_type']}'; leave it out")
        return AREA_TYPE
    area_type = choices.must("area_type", f"what the areas are: {', '.join(AREAS)}", guess,
                             found="the codes are of no kind that is known")
    one_of(where, area_type, [*AREAS, "region"])
    if area_type == "region":
        raise DidError(f"{where} region: expected areas that were treated or not; found regions; {REGION}")
    return area_type


def _observed_as(area_type: str) -> str:
    """The word for areas of a type in the observations."""
    return AREAS[area_type][1] if area_type in AREAS else area_type


def _common_rule(frequency: str, months: pd.Series, span: int = 1) -> str:
    """The onset rule that fits the first treated months of most units."""
    return months.map(lambda month: onset_rule(frequency, month, span)).mode().iloc[0]


def _table(choices: Choices, seen: Look, reference: str, units: pd.DataFrame | None) -> dict[str, Any]:
    """Options of the reader and the shape of the indicator, from a CSV file or a sheet."""
    columns = ", ".join(seen.header)
    known = ", and none holds codes of English areas, such as E06000001 or 00L"
    if units is not None:
        known = f", and none holds units of the waves table, such as {units['unit'].iloc[0]}"
    area = choices.must("area_column", "column of the areas' codes", seen.area_column,
                        found=f"columns are {columns}{known}")
    area_type = _area_type(choices, seen.area_type, units)
    frequency = choices.must("frequency", "M, Q, Y or FY", seen.frequency,
                             found="no column in which each cell is one month, quarter or year, such as 2017-06, "
                             f"2017 Q2, 2017/18 or 2017, among {columns}{_no_period(seen)}")
    one_of(f"indicator {choices.name}: --frequency", frequency, KINDS)
    options: dict[str, Any] = {**seen.options, "frequency": frequency, "area_code_column": area}
    parent = choices.given.get("parent_column")
    if seen.name_column:
        options["area_name_column"] = seen.name_column
    if area_type == "practice":
        parent = choices.must("parent_column", "column of each practice's CCG", parent, found=f"columns are {columns}")
    if parent:
        _in_header(choices, "parent_column", parent, seen)
        options["parent_column"] = parent
    options["area_type"] = _observed_as(area_type)
    if area_type in ("practice", "ccg", "icb_sub_location"):
        options["area_type"] = _dated(seen, parent or area, choices, reference)
    options |= seen.marks | ({"percent_sign": "drop"} if seen.has_percent else {})
    numerator, denominator = choices.given.get("numerator_column"), choices.given.get("denominator_column")
    value = choices.given.get("value_column")
    if seen.period_columns:
        options = {"layout": "periods", "measure": "value", **options}
        if choices.given.get("denominator_file"):
            options["counts"] = ["value"]
        periods = [read_period(label, frequency) for label in seen.period_columns]
        return {"options": options, "area_type": area_type, "frequency": frequency, "periods": sorted(periods),
                "rate": None if choices.given.get("denominator_file") else "value", "numerator": "value",
                "denominator": "denominator", "percent": seen.has_percent}
    column = choices.must("period_column", "column of the periods", seen.period_column, found=f"columns are {columns}")
    _in_header(choices, "period_column", column, seen)
    place = seen.header.index(column)
    periods = sorted({read_period(row[place], frequency) for row in seen.rows if reads(row[place], frequency)})
    if not periods:
        raise DidError(f"indicator {choices.name}: {seen.path}, column '{column}': expected {KINDS[frequency]} in each "
                       f"cell{_no_period(seen, column, frequency) or '; found none'}; correct the cells, or give "
                       "another --period-column or --frequency")
    options = {"layout": "wide", "period_column": column, **options}
    if not value and not numerator and choices.ask is not None:
        answer = choices.ask("value_column", "column of the rate (leave empty if there are counts)", "")
        value = answer or None
    if not value:
        words = f"columns are {columns}; or --value-column for a rate without counts"
        numerator = choices.must("numerator_column", "column of the counts", numerator, found=words)
        if not choices.given.get("denominator_file"):
            denominator = choices.must("denominator_column", "column the counts are divided by", denominator,
                                       found=words)
        measures = {"numerator": numerator} | ({"denominator": denominator} if denominator else {})
    else:
        if parent or area_type in ("practice", "lower_tier"):
            raise DidError(f"indicator {choices.name}: --value-column '{value}': expected counts for areas of type "
                           f"{area_type}, which are summed; found a rate, which cannot be; give --numerator-column and "
                           "--denominator-column")
        measures = {"value": value}
    for key, found in (("numerator_column", numerator), ("denominator_column", denominator), ("value_column", value)):
        if found:
            _in_header(choices, key, found, seen)
    options["measures"] = measures
    if not value:
        options["counts"] = list(measures)
    return {"options": options, "area_type": area_type, "frequency": frequency, "periods": periods,
            "rate": "value" if value else None, "numerator": "numerator", "denominator": "denominator",
            "percent": seen.has_percent}


def _no_period(seen: Look, column: str | None = None, frequency: str | None = None) -> str:
    """The first cell that is not a period, for a message; of the column that sounds like one, if none is given."""
    column = column or next((label for label in seen.header if TIMELY.search(label)), None)
    if column is None:
        return ""
    place = seen.header.index(column)
    first = not_read([row[place] for row in seen.rows], frequency)
    if first is None:
        return ""
    return (f"; the first cell of column '{column}' that is none is in row {seen.lines[first]}: "
            f"'{plain(seen.rows[first][place])[:60]}'")


def _dated(seen: Look, area: str, choices: Choices, reference: str) -> str:
    """``ccg_2020`` if the same areas, all of one date, are there throughout, as where a publisher has put earlier
    figures on later areas; else ``ccg``, and each code is placed by its own period."""
    from did.areas import succession

    codes = [plain(row[seen.header.index(area)]) for row in seen.rows]
    areas = {code for code in codes if code and code != ENGLAND} - set(choices.given.get("leave_out") or ())
    if seen.period_column:
        place = seen.header.index(seen.period_column)
        periods = {plain(row[place]) for row in seen.rows}
        counts = len({(code, plain(row[place])) for code, row in zip(codes, seen.rows, strict=True) if code in areas})
        if counts < len(areas) * len(periods):
            return "ccg"
    try:
        loaded, _ = succession.load("ccg_2020", reference)
        date = loaded.detect(areas, f"{max(seen.periods)[:4]}-04-01")
    except (DidError, ValueError):
        return "ccg"
    if not date.endswith("-04-01"):
        return "ccg"
    choices.decided.append(f"area_type ccg_{date[:4]}: every period has the same areas, which are those of {date}")
    return f"ccg_{date[:4]}"


def _in_header(choices: Choices, key: str, column: str, seen: Look) -> None:
    if column not in seen.header:
        raise DidError(f"indicator {choices.name}: --{key.replace('_', '-')}: expected a column of {seen.path} "
                       f"({', '.join(seen.header)}); found '{column}'{suggest(column, seen.header)}")


def _fingertips(choices: Choices, seen: Look, units: pd.DataFrame | None) -> dict[str, Any]:
    """Options of the Fingertips reader and the shape of the indicator, from the series that are in the file."""
    from did.readers.fingertips_csv import time_period

    frame = pd.DataFrame(seen.rows, columns=seen.header).map(str.strip)
    frame = frame.loc[frame["Category Type"] == ""]
    name = choices.name

    def only(key: str, column: str, frame: pd.DataFrame) -> str:
        there = sorted(set(frame.loc[frame["Area Type"] != "England", column]))
        found = choices.must(key, f"{column} wanted", there[0] if len(there) == 1 else None,
                             found=f"the file has {', '.join(there)}")
        one_of(f"indicator {name}: --{key.replace('_', '-')}", found, there)
        return found

    number = only("indicator_id", "Indicator ID", frame)
    frame = frame.loc[frame["Indicator ID"] == number]
    word = only("area_type_in_file", "Area Type", frame)
    frame = frame.loc[frame["Area Type"] == word]
    there = sorted(set(frame["Sex"]))
    guess = "Persons" if "Persons" in there else there[0] if len(there) == 1 else None
    sex = choices.must("sex", "Sex wanted", guess, found=f"the file has {', '.join(there)}")
    one_of(f"indicator {name}: --sex", sex, there)
    frame = frame.loc[frame["Sex"] == sex]
    age = only("age", "Age", frame)
    frame = frame.loc[frame["Age"] == age]
    try:
        kinds = sorted({time_period(text)[0] for text in frame["Time period"]})
    except ValueError as error:
        raise DidError(f"{seen.path}, column 'Time period': expected periods such as 2017, 2017/18 or 2017/18 Q2; "
                       f"found {error}; fix the cell") from None
    kind = choices.must("period_kind", "kind of period", kinds[0] if len(kinds) == 1 else None,
                        found=f"the file has {', '.join(kinds)}")
    periods = sorted({time_period(text)[1] for text in frame["Time period"] if time_period(text)[0] == kind})
    area_type = _area_type(choices, look_area_type(frame["Area Code"]), units)
    options = {"indicator_id": int(number) if number.isdigit() else number, "measure": "value", "area_type": word,
               "area_type_as": _observed_as(area_type), "sex": sex, "age": age, "period_kind": kind}
    frequency = {"quarter": "Q", "month": "M"}.get(kind, "FY" if "financial" in kind else "Y")
    span = int(kind[0]) if kind.endswith("years") else 1
    per = _counts_agree(frame)
    if per:
        options |= {"count_measure": "numerator", "denominator_measure": "denominator"}
        choices.decided.append(f"counts: Value is Count / Denominator x {per:g}, so the counts are summed and divided")
    else:
        choices.decided.append("rate: Value is not Count / Denominator, so it is taken as it is")
    title = frame["Indicator Name"].iloc[0] if "Indicator Name" in frame else ""
    return {"options": options, "area_type": area_type, "frequency": frequency, "periods": periods,
            "rate": None if per else "value", "numerator": "numerator", "denominator": "denominator", "percent": False,
            "per": per, "title": title, "span": span}


def look_area_type(codes: pd.Series) -> str | None:
    """What most of the codes are, or None."""
    from did.authoring.look import CODES

    shares = {kind: codes.str.fullmatch(pattern).mean() for kind, pattern in CODES.items()}
    best = max(shares, key=shares.get)
    return best if shares[best] >= 0.6 else None


def _counts_agree(frame: pd.DataFrame) -> float | None:
    """The power of ten by which Count / Denominator is multiplied to give Value in every row, or None."""
    numbers = {column: pd.to_numeric(frame[column].str.replace(",", ""), errors="coerce")
               for column in ("Value", "Count", "Denominator")}
    whole = numbers["Value"].notna()
    ratio = numbers["Value"] / (numbers["Count"] / numbers["Denominator"])
    if not whole.any() or ratio[whole & (numbers["Count"] != 0)].isna().any():
        return None
    middle = ratio[whole].median()
    per = next((10.0 ** power for power in range(7) if abs(middle / 10.0 ** power - 1) < 0.02), None)
    return per if per and (abs(ratio[whole & (numbers["Count"] > 0)] / per - 1) < 0.02).all() else None


def _geography(area_type: str, evaluation: Evaluation, choices: Choices) -> str:
    """The panel's areas; DidError if the evaluation has no table of who was treated among them."""
    if area_type == AREA_TYPE:
        return "units"
    geography = AREAS[area_type][0]
    tables = [evaluation.waves.membership, evaluation.waves.systems, *evaluation.waves.records.values()]
    if not all(geography in table for table in tables):
        known = [key for key in tables[0] if all(key in table for table in tables)]
        raise DidError(f"indicator {choices.name}: areas of type {area_type} make a panel of {geography}: expected the "
                       "evaluation's tables 'waves.membership', 'waves.systems' and 'waves.records' to say who of them "
                       f"was treated; found tables for {', '.join(known)}; add them, or give figures by one of these")
    return geography


def _second_text(name: str, file: str, shape: dict[str, Any], choices: Choices, units: pd.DataFrame | None) -> str:
    """The source of the denominators, in a file of their own with the same areas and periods."""
    seen = look(file, sheet=choices.given.get("denominator_sheet"),
                units=None if units is None else set(units["unit"]))
    area = seen.area_column
    if area is None or seen.frequency is None:
        raise DidError(f"indicator {name}: {file}: expected a column of areas' codes and periods; found columns "
                       f"{', '.join(seen.header)}; name them as in the first file")
    if seen.frequency != shape["frequency"]:
        raise DidError(f"indicator {name}: {file}: expected periods of frequency {shape['frequency']}, as in the first "
                       f"file; found {seen.frequency}; give both by the same periods")
    options = {**seen.options, "frequency": seen.frequency, "area_code_column": area,
               "area_type": _observed_as(shape["area_type"]), **seen.marks}
    if seen.period_columns:
        options = {"layout": "periods", "measure": "denominator", **options, "counts": ["denominator"]}
    else:
        rest = [label for label in seen.header if label not in (area, seen.period_column)]
        column = choices.must("denominator_column", "column of the denominator in the second file",
                              rest[0] if len(rest) == 1 else None, found=f"columns are {', '.join(seen.header)}")
        _in_header(choices, "denominator_column", column, seen)
        options = {"layout": "wide", "period_column": seen.period_column, **options,
                   "measures": {"denominator": column}, "counts": ["denominator"]}
    return source_text(f"{name}_denominator", file, seen, options, choices)
