"""One year's practice file of the GP Patient Survey: read by its year's columns, and checked before it is believed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, listed, suggest
from did.readers import RawFile
from did.readers.gpps_layouts import Layout
from did.readers.limits import csv_rows, refuse_large
from did.readers.spreadsheet import LAYOUT, fault, fold, number, raise_first

IDENTIFIERS = ["practice_code", "practice_name", "ccg_code", "ccg_name"]
WEIGHTED = "fetch the weighted practice file of that year again"
RECEIVED = "received"   # the number of forms that came back, which is not weighted
# From how many practices on whole numbers throughout are no coincidence.
_ENOUGH = 20
_CCG = r"[0-9A-Z]{3}|[A-Z][0-9][A-Z][0-9][A-Z]"   # the second kind from April 2021 on
_QUOTED = re.compile(rb'"[^"]*"')


@dataclass(frozen=True)
class Edition:
    """One year's file: a row per practice with the identifiers, ``placed_by`` and its weighted counts.

    In ``practices`` a negative count is a suppression code and NaN an empty cell; ``placed_by`` is the year
    of the file that gave the CCG, '' if it is this one or none.
    """

    raw: RawFile
    layout: Layout
    practices: pd.DataFrame


def read_edition(raw: RawFile, layouts: dict[str, Layout], tolerance: float) -> Edition:
    """Return one year's file, checked; DidError as in :func:`read`, the first problem and how many."""
    if raw.period not in (None, *layouts):
        raise DidError(fault(raw.name, f"a survey of {min(layouts)} to {max(layouts)}",
                             f"period {raw.period}", "fix its period in the source registry"))
    content, encoding = _content(raw)
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace", newline="")
        header = [fold(cell) for cell in next(csv_rows(raw.name, text))[1]]
    except csv.Error as error:
        raise DidError(fault(f"{raw.name}, header", "a line of cells", f"text that cannot be read as such ({error})",
                             WEIGHTED)) from error
    if raw.period is None:
        raw = replace(raw, period=_year(raw, header, layouts))
    _check_year(raw, header, layouts)
    layout = layouts[raw.period]
    places = _places(raw, header, layout)
    lines = _check_lengths(raw, content, len(header))
    received = [place for place, column in enumerate(header) if column == RECEIVED]
    # Some editions are not UTF-8; only names hold anything but ASCII, so a lost letter does no harm.
    cells = pd.read_csv(io.BytesIO(content), header=None, skiprows=1, names=range(len(header)), dtype=str,
                        usecols=sorted({*places.values(), *received}), index_col=False, keep_default_na=False,
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
        _check_weighted(raw, counts, layout, cells[received], problems)
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


def _year(raw: RawFile, header: list[str], layouts: dict[str, Layout]) -> str:
    """Return the year whose columns a header has; DidError if they are no year's, or of two years alike."""
    practice = {fold(layout.identifiers["practice_code"]) for layout in layouts.values()}
    if practice.isdisjoint(header):
        raise DidError(fault(f"{raw.name}, header", f"the columns of a practice file, '{min(practice)}' first",
                             f"{len(header)} others: {listed(header, 4)}",
                             "download the weighted practice data as CSV"))
    every = frozenset().union(*(layout.marks for layout in layouts.values()))
    present = every & set(header)
    distance = {year: len(present ^ layout.marks) for year, layout in layouts.items()}
    best, second = sorted(distance, key=distance.__getitem__)[:2]
    if distance[best] == distance[second] or 2 * distance[best] > len(layouts[best].marks):
        raise DidError(fault(f"{raw.name}, header", f"the columns of a survey of {min(layouts)} to {max(layouts)}",
                             f"{len(header)} columns that tell no year from another: {listed(header, 4)}", WEIGHTED))
    return best


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
    text = cells[list(places.values())].set_axis(list(places), axis="columns")
    values = text.apply(pd.to_numeric, errors="coerce").astype(float)
    for line, measure, word in _where(text, ~np.isfinite(values) & (text != "")):
        if not word.strip():
            continue
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


def _check_weighted(raw: RawFile, counts: pd.DataFrame, layout: Layout, received: pd.DataFrame,
                    problems: list[str]) -> None:
    """Add a problem for a file of answers as they were counted: whole, and no more of them than forms received.

    The publisher offers such files too, with the same columns. In a weighted one some practice has a fraction, and
    about half of them more weighted answers than forms.
    """
    bases = [measures[-1] for measures in layout.questions.values()]
    shown = counts.loc[(counts >= 0).all(axis=1)]
    if len(shown) < _ENOUGH or received.empty or (shown % 1 != 0).any(axis=None):
        return
    forms = pd.to_numeric(received.iloc[:, 0], errors="coerce").loc[shown.index]
    if shown[bases].le(forms, axis=0).all(axis=None):
        problems.append(fault(raw.name, "weighted answers", f"whole numbers in all {len(shown)} practices and never "
                              "more answers than forms received, as in the unweighted file", WEIGHTED))
