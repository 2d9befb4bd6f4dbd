"""GP Patient Survey: the publisher's practice files of weighted counts, one CSV a year, summed to CCGs.

Only the columns listed for the year in ``gpps_questions.csv`` are read; that table is made from the
publisher's lists of report variables. Percentages are never taken from the file, because the base of its
``..pct`` columns changes in 2018: weighted counts are summed, and indicators divide them. The ``..pct``
columns are only looked at, to find a file that is not what it should be.

Source: https://gp-patient.co.uk/surveysandreports
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, suggest
from did.readers import RawFile
from did.readers.gpps_layouts import Layout, read_layouts
from did.readers.limits import csv_rows, refuse_large
from did.readers.spreadsheet import LAYOUT, fault, fold, number, raise_first

OPTIONS = {
    "reference": "folder of gpps_questions.csv (default data/reference)",
    "base_tolerance": "share by which answers may differ from their question's base (default 0.05)",
}
IDENTIFIERS = ["practice_code", "practice_name", "ccg_code", "ccg_name"]
WEIGHTED = "fetch the weighted practice file of that year again"
COLUMNS = ["measure", "area_code", "period", "area_name", "area_type", "value", "status", "file", "note",
           "is_synthetic"]
_CCG = r"[0-9A-Z]{3}|[A-Z][0-9][A-Z][0-9][A-Z]"   # the second kind from April 2021 on
_QUOTED = re.compile(rb'"[^"]*"')

NEEDS = ["needs_definitely", "needs_some_extent", "needs_no"]
TRIED = ["preferred_always", "preferred_a_lot", "preferred_some", "preferred_never"]
OVERALL = ["overall_very_good", "overall_fairly_good", "overall_neither", "overall_fairly_poor",
           "overall_very_poor"]
_BASES = {
    "needs": {"answered": NEEDS, "all_answers": [*NEEDS, "needs_dont_need", "needs_cant_say"]},
    "preferred": {"answered": TRIED, "all_answers": [*TRIED, "preferred_not_tried"]},
    "overall": {"answered": OVERALL, "all_answers": OVERALL},
}
# What each published outcome is: measures of the numerator, and measures of each base it may be taken over.
OUTCOMES: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "gpps_needs_met": (["needs_definitely"], _BASES["needs"]),
    "gpps_needs_partially_met": (["needs_some_extent"], _BASES["needs"]),
    "gpps_needs_not_met": (["needs_no"], _BASES["needs"]),
    "gpps_preferred_always": (["preferred_always"], _BASES["preferred"]),
    "gpps_preferred_sometimes": (["preferred_some"], _BASES["preferred"]),
    "gpps_overall_good": (["overall_very_good", "overall_fairly_good"], _BASES["overall"]),
}


@dataclass(frozen=True)
class Edition:
    """One year's file: a row per practice with the identifiers, ``placed_by`` and its weighted counts.

    In ``practices`` a negative count is a suppression code and NaN an empty cell; ``placed_by`` is the year
    of the file that gave the CCG, '' if it is this one or none.
    """

    raw: RawFile
    layout: Layout
    practices: pd.DataFrame


def read(source_id: str, files: list[RawFile], options: dict[str, Any]) -> pd.DataFrame:
    """Return weighted counts of answers by CCG and year, summed over the CCG's practices.

    Units are weighted respondents, which need not be whole. Measures are the answers to the three questions
    and each question's published base (``needs_base`` ...), named in ``gpps_questions.csv``. Areas are CCGs
    (``ccg``, NHS code as in the file). A practice without a CCG in its year's file (2012 and 2022 have no
    such column) gets it from the nearest year that has the practice, of two equally near the later one;
    where none has it, the practice itself is returned (``unplaced_practice``, practice code).

    A negative number is a suppression code. A practice with one in a question is left out of that whole
    question, so that every answer is summed over the same practices; ``note`` counts such practices, those
    with an empty cell, and those placed by another year. A CCG of which no practice is left is missing, with
    status ``suppressed`` (``missing`` if none of its practices is suppressed).

    DidError, naming file, row (line of the file) and column: a file that is not a CSV file, is empty or is
    of another year; a column missing or there twice; a row of another length; no practice code; a practice
    twice; a code that is not a CCG's; text in a number cell; a percentage over 1; an answer above its base,
    or answers that do not add up to it; two files of one year; a year without CCG codes and no file to place
    its practices by.
    """
    tolerance = options.get("base_tolerance", 0.05)
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or tolerance < 0:
        raise DidError(f"source {source_id}, reader gpps_practice_csv: option 'base_tolerance': expected a "
                       f"share such as 0.05; found '{tolerance}'")
    layouts = read_layouts(Path(options.get("reference", "data/reference")))
    editions: dict[str, Edition] = {}
    for raw in sorted(files, key=lambda raw: raw.period or ""):
        edition = read_edition(raw, layouts, tolerance)
        year = edition.layout.year
        if year in editions:
            raise DidError(fault(raw.name, "one file for each year",
                                 f"{year} also in {editions[year].raw.name}", "remove one of them"))
        editions[year] = edition
    placed = place(list(editions.values()))
    table = pd.concat([frame for edition in placed for frame in _observations(edition)], ignore_index=True)
    return table.assign(source=source_id, frequency="Y", numerator=np.nan, denominator=np.nan)


def england_percentages(observations: pd.DataFrame) -> pd.DataFrame:
    """Return the percentages of all areas together, by year, outcome and base: a check on the specification.

    ``observations`` is the table of :func:`read`: weighted counts by CCG and unplaced practice. The result
    has columns period, outcome, base, numerator, denominator (weighted respondents), percentage (0 to 100).
    Missing (suppressed) counts are left out of both. The publisher's own England figures are weighted
    again, so they need not agree to the last decimal. DidError if a measure is not among the observations.
    """
    totals = observations.pivot_table(index="period", columns="measure", values="value", aggfunc="sum")
    records = []
    for outcome, (measures, bases) in OUTCOMES.items():
        for base, everyone in bases.items():
            lost = [measure for measure in everyone if measure not in totals]
            if lost:
                raise DidError(f"GP survey observations: expected measure '{lost[0]}'; found "
                               f"{', '.join(totals.columns)}; read the practice files again")
            counts = pd.DataFrame({"numerator": totals[measures].sum(axis=1),
                                   "denominator": totals[everyone].sum(axis=1)})
            records.append(counts.reset_index().assign(outcome=outcome, base=base))
    table = pd.concat(records, ignore_index=True)
    table["percentage"] = 100 * table["numerator"] / table["denominator"].where(table["denominator"] > 0)
    order = ["period", "outcome", "base", "numerator", "denominator", "percentage"]
    return table[order].sort_values(["period", "outcome", "base"], ignore_index=True)


def read_edition(raw: RawFile, layouts: dict[str, Layout], tolerance: float) -> Edition:
    """Return one year's file, checked; DidError as in :func:`read`, the first problem and how many."""
    if raw.period not in layouts:
        raise DidError(fault(raw.name, f"a survey of {min(layouts)} to {max(layouts)}",
                             f"period {raw.period}", "fix its period in the source registry"))
    layout = layouts[raw.period]
    content, encoding = _content(raw)
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace", newline="")
        header = [fold(cell) for cell in next(csv_rows(raw.name, text))[1]]
    except csv.Error as error:
        raise DidError(fault(f"{raw.name}, header", "a line of cells", f"text that cannot be read as such ({error})",
                             WEIGHTED)) from error
    _check_year(raw, header, layouts)
    places = _places(raw, header, layout)
    lines = _check_lengths(raw, content, len(header))
    # Some editions are not UTF-8; only names hold anything but ASCII, so a lost letter does no harm.
    cells = pd.read_csv(io.BytesIO(content), header=None, skiprows=1, names=range(len(header)), dtype=str,
                        usecols=sorted(places.values()), index_col=False, keep_default_na=False,
                        skip_blank_lines=False, encoding=encoding, encoding_errors="replace")
    cells = cells.iloc[[line - 2 for line in lines]].set_axis(lines, axis="index")
    problems: list[str] = []
    names = pd.DataFrame({name: cells[places[name]].str.strip() if name in places else ""
                          for name in IDENTIFIERS}, index=cells.index)
    names[["practice_code", "ccg_code"]] = names[["practice_code", "ccg_code"]].apply(lambda c: c.str.upper())
    _check_codes(raw, names, layout, problems)
    counts = _numbers(raw, cells, {m: places[m] for m in layout.counts}, layout.counts, problems)
    percentages = {m: column for m, column in layout.percentages.items() if f"{m}pct" in places}
    shares = _numbers(raw, cells, {m: places[f"{m}pct"] for m in percentages}, percentages, problems)
    for line, measure, share in _where(shares, shares > 1 + 1e-6):
        problems.append(fault(f"{raw.name}, row {line}, column '{percentages[measure]}'",
                              "a fraction of at most 1", f"{share:g}",
                              f"{WEIGHTED}: this one may be in percent or have its columns shifted"))
    if not problems:
        _check_bases(raw, counts, layout, tolerance, problems)
    raise_first(problems)
    return Edition(raw, layout, names.assign(placed_by="").join(counts).reset_index(drop=True))


def _content(raw: RawFile) -> tuple[bytes, str]:
    """Return the bytes of a file and its encoding; DidError if it is empty or plainly no CSV file."""
    refuse_large(raw.path, raw.name)
    try:
        content = raw.path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DidError(fault(raw.name, "a CSV file", f"one that cannot be read ({error})",
                             WEIGHTED)) from error
    start = content[:512].lstrip().lower()
    found = ("an empty file" if not start else "a web page (HTML)" if start.startswith(b"<") else
             "a workbook or zip file" if start.startswith((b"pk\x03\x04", b"\xd0\xcf\x11\xe0")) else
             "a binary file" if b"\0" in start else "")
    if found:
        raise DidError(fault(raw.name, "a CSV file of practices", found, WEIGHTED))
    try:
        content.decode()
    except UnicodeDecodeError:
        return content, "cp1252"
    return content, "utf-8"


def _check_year(raw: RawFile, header: list[str], layouts: dict[str, Layout]) -> None:
    """Raise DidError if the columns are another year's.

    Only columns that the file's own year does not have are evidence: a file with columns left out is not.
    """
    every = frozenset().union(*(layout.marks for layout in layouts.values()))
    present = every & set(header)
    foreign = sorted(present - layouts[raw.period].marks)
    distance = {year: len(present ^ layout.marks) for year, layout in layouts.items()}
    best = min(distance, key=lambda year: (distance[year], year != raw.period))
    if foreign and distance[best] < distance[raw.period]:
        remedy = f"put the {raw.period} file in its place, or fix its period in the source registry"
        raise DidError(fault(f"{raw.name}, header", f"the columns of {raw.period}",
                             f"those of {best} ('{foreign[0]}' among them)", remedy))


def _places(raw: RawFile, header: list[str], layout: Layout) -> dict[str, int]:
    """Return the place of each column wanted, by measure (``..pct`` for a percentage) or identifier.

    DidError if one that is needed is not there, or one is there twice. Percentages may be left out.
    """
    needed = layout.identifiers | layout.counts
    wanted = needed | {f"{measure}pct": column for measure, column in layout.percentages.items()}
    places = {}
    for name, column in wanted.items():
        many = header.count(fold(column))
        if many == 1:
            places[name] = header.index(fold(column))
        elif many or name in needed:
            what = (f"it {many} times" if many else
                    f"no such column among {len(header)}{suggest(fold(column), header)}")
            use = " (every practice's CCG comes from it)" if name == "ccg_code" else ""
            raise DidError(fault(f"{raw.name}, header",
                                 f"column '{column}' of {layout.year} once, for {name}{use}", what, LAYOUT))
    return places


def _check_lengths(raw: RawFile, content: bytes, width: int) -> list[int]:
    """Return the lines that hold practices, counted from 1; DidError for one of another length, or none.

    The parser fills a short row and cuts a long one without a word; a broken download ends in a short one.
    """
    lines = []
    for line, row in enumerate(content.splitlines()[1:], 2):
        if not row.strip(b", \t"):
            continue
        if row.count(b'"') % 2:
            raise DidError(fault(f"{raw.name}, row {line}", "quotes in pairs", "one that does not close",
                                 WEIGHTED))
        cells = _QUOTED.sub(b"", row).count(b",") + 1
        if cells != width:
            raise DidError(fault(f"{raw.name}, row {line}", f"{width} columns, as in the header", f"{cells}",
                                 WEIGHTED))
        lines.append(line)
    if not lines:
        raise DidError(fault(raw.name, "rows of practices below the header", "none", WEIGHTED))
    return lines


def _check_codes(raw: RawFile, names: pd.DataFrame, layout: Layout, problems: list[str]) -> None:
    """Add a problem for each practice without a code or there twice, and each code that is not a CCG's."""
    codes = names["practice_code"]
    for line in codes.index[codes == ""]:
        problems.append(fault(f"{raw.name}, row {line}, column '{layout.identifiers['practice_code']}'",
                              "a practice code", "an empty cell", "fix the row or remove it"))
    for line in codes.index[codes.duplicated() & (codes != "")]:
        first = codes.index[codes == codes[line]][0]
        problems.append(fault(f"{raw.name}, row {line}", "each practice once",
                              f"practice {codes[line]} again, first in row {first}", WEIGHTED))
    ccgs = names["ccg_code"]
    for line in ccgs.index[(ccgs != "") & ~ccgs.str.fullmatch(_CCG)]:
        problems.append(fault(f"{raw.name}, row {line}, column '{layout.identifiers['ccg_code']}'",
                              "the NHS code of a CCG, such as 02N", f"'{ccgs[line]}'", WEIGHTED))


def _numbers(raw: RawFile, cells: pd.DataFrame, places: dict[str, int], columns: dict[str, str],
             problems: list[str]) -> pd.DataFrame:
    """Return columns of text as numbers, an empty cell as NaN; add a problem for each that is neither."""
    text = cells[list(places.values())].set_axis(list(places), axis="columns").apply(lambda c: c.str.strip())
    values = text.apply(pd.to_numeric, errors="coerce").astype(float)
    for line, measure, word in _where(text, ~np.isfinite(values) & (text != "")):
        try:
            values.loc[line, measure] = number(word)
        except ValueError as found:
            problems.append(fault(f"{raw.name}, row {line}, column '{columns[measure]}'", "a number", found,
                                  "fix the cell or fetch the file again"))
    return values


def _where(frame: pd.DataFrame, holds: pd.DataFrame) -> Iterator[tuple[int, str, Any]]:
    """Yield line, measure and cell of ``frame`` wherever ``holds`` is true, line by line."""
    for row, column in np.argwhere(holds.to_numpy(dtype=bool)):
        yield frame.index[row], frame.columns[column], frame.iat[row, column]


def _check_bases(raw: RawFile, counts: pd.DataFrame, layout: Layout, tolerance: float,
                 problems: list[str]) -> None:
    """Add a problem for an answer above its base, and for answers that do not add up to it in the whole file.

    Counts are weighted and may be rounded, so one respondent more is allowed and sums are compared over all
    practices with nothing suppressed or empty.
    """
    for question, (*answers, base) in layout.questions.items():
        whole = counts.loc[(counts[[*answers, base]] >= 0).all(axis=1), [*answers, base]]
        most = whole[base] * (1 + tolerance) + 1
        for line, measure, value in _where(whole[answers], whole[answers].gt(most, axis=0)):
            problems.append(fault(f"{raw.name}, row {line}, column '{layout.counts[measure]}'",
                                  f"at most the base of {whole[base][line]:g} in '{layout.counts[base]}'",
                                  f"{value:g}", WEIGHTED))
        total, expected = whole[answers].to_numpy().sum(), whole[base].sum()
        if abs(total - expected) > tolerance * expected + len(whole):
            first, last, all_of = (layout.counts[measure] for measure in (answers[0], answers[-1], base))
            problems.append(fault(f"{raw.name}, columns '{first}' to '{last}' ({question})",
                                  f"a sum over practices near that of '{all_of}', {expected:.0f}",
                                  f"{total:.0f}", f"{WEIGHTED}, or set the source's option 'base_tolerance'"))


def place(editions: list[Edition]) -> list[Edition]:
    """Return the editions, practices without a CCG placed by the nearest year's file that has them.

    Of two years equally near the later one is taken; a practice that no file has keeps an empty code.
    DidError if a year's file has no CCG column and no other file has one.
    """
    with_codes = {edition.layout.year: edition.practices.loc[edition.practices["ccg_code"] != ""]
                  .set_index("practice_code")[["ccg_code", "ccg_name"]] for edition in editions}
    placed = []
    for edition in editions:
        year, practices = edition.layout.year, edition.practices.copy()
        others = [other for other, codes in with_codes.items() if other != year and len(codes)]
        if not edition.layout.has_ccg and not others:
            raise DidError(fault(edition.raw.name,
                                 f"another year's file with CCG codes, to place the practices of {year}",
                                 "none", "add one to the source, the nearest year first"))
        for other in sorted(others, key=lambda other: (abs(int(other) - int(year)), -int(other))):
            found = (practices["ccg_code"] == "") & practices["practice_code"].isin(with_codes[other].index)
            if found.any():
                codes = with_codes[other].loc[practices.loc[found, "practice_code"]]
                practices.loc[found, ["ccg_code", "ccg_name"]] = codes.to_numpy()
                practices.loc[found, "placed_by"] = other
        placed.append(Edition(edition.raw, edition.layout, practices))
    return placed


def _observations(edition: Edition) -> Iterator[pd.DataFrame]:
    """Yield the observations of one edition: of CCGs by question, then of unplaced practices."""
    practices = edition.practices
    inside = practices["ccg_code"] != ""
    raw = edition.raw
    common = {"period": edition.layout.year, "file": raw.name, "is_synthetic": raw.is_synthetic}
    ccgs, outside = practices.loc[inside], practices.loc[~inside]
    # A CCG's own year names it; the name another year gives comes second.
    own_first = ccgs.sort_values("placed_by", kind="stable").drop_duplicates("ccg_code")
    names = own_first.set_index("ccg_code")["ccg_name"]
    for measures in edition.layout.questions.values():
        if len(ccgs):
            yield _summed(ccgs, measures, names).assign(area_type="ccg", **common)[COLUMNS]
    if len(outside):
        note = "practice in no CCG of its own or another year's file"
        for measures in edition.layout.questions.values():
            single = _summed(outside.assign(ccg_code=outside["practice_code"]), measures,
                             outside.set_index("practice_code")["practice_name"])
            single["note"] = note + single["note"].where(single["note"] == "", "; " + single["note"])
            yield single.assign(area_type="unplaced_practice", **common)[COLUMNS]


def _summed(practices: pd.DataFrame, measures: list[str], names: pd.Series) -> pd.DataFrame:
    """Return one question's counts summed by ``ccg_code``, long, with status and note."""
    counts, area = practices[measures], practices["ccg_code"]
    suppressed = (counts < 0).any(axis=1)
    empty = counts.isna().any(axis=1) & ~suppressed
    used = ~(suppressed | empty)
    sums = counts.loc[used].groupby(area.loc[used]).sum().reindex(sorted(area.unique()))
    n = pd.DataFrame({"all": 1, "suppressed": suppressed, "empty": empty}).groupby(area).sum()
    status = pd.Series("ok", index=sums.index).where(sums[measures[0]].notna(), "missing")
    status = status.where(sums[measures[0]].notna() | (n["suppressed"] == 0), "suppressed")
    placed = practices.loc[practices["placed_by"] != ""].groupby(["ccg_code", "placed_by"]).size()
    from_another = n.index.isin(placed.index.get_level_values(0))
    noted = n.index[n["suppressed"].gt(0) | n["empty"].gt(0) | from_another]
    note = pd.Series({code: _note(n.loc[code], placed.get(code)) for code in noted}, dtype=object)
    # The code stands in for an area the file gives no name.
    named = names.reindex(sums.index).where(lambda name: name != "", sums.index.to_series())
    note = note.reindex(sums.index, fill_value="")
    about = pd.DataFrame({"area_name": named, "status": status, "note": note}).rename_axis("area_code")
    long = sums.rename_axis(index="area_code", columns="measure").stack(future_stack=True).rename("value")
    return long.reset_index().merge(about.reset_index(), on="area_code", validate="many_to_one")


def _note(n: pd.Series, placed: pd.Series | None) -> str:
    """Return what to know of an area's sum: practices suppressed, empty, or placed by another year."""
    parts = [f"{n[key]} of {n['all']} practices {word}"
             for key, word in (("suppressed", "suppressed"), ("empty", "with an empty cell")) if n[key]]
    if placed is not None:
        parts += [f"{count} of {n['all']} practices placed by the {year} file"
                  for year, count in placed.items()]
    return "; ".join(parts)
