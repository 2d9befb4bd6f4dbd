"""GP Patient Survey: the publisher's practice files of weighted counts, one CSV a year, summed to CCGs.

Only the columns listed for the year in ``gpps_questions.csv`` are read; that table is made from the
publisher's lists of report variables. Percentages are never taken from the file, because the base of its
``..pct`` columns changes in 2018: weighted counts are summed, and indicators divide them. The ``..pct``
columns are only looked at, to find a file that is not what it should be.

Source: https://gp-patient.co.uk/surveysandreports
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError
from did.readers import RawFile
from did.readers.gpps_edition import Edition, read_edition
from did.readers.gpps_layouts import Layout, read_layouts
from did.readers.spreadsheet import fault

OPTIONS = {
    "reference": "folder of gpps_questions.csv (default data/reference)",
    "base_tolerance": "share by which answers may differ from their question's base (default 0.05)",
}
COLUMNS = ["measure", "area_code", "period", "area_name", "area_type", "value", "status", "file", "note",
           "is_synthetic"]

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
    layouts, tolerance = _settings(f"source {source_id}", options)
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


def periods_of(raw: RawFile, options: dict[str, Any]) -> list[str]:
    """Return the year of one file, read and checked by itself; its columns say which, if ``raw.period`` is None.

    DidError as in :func:`read`, and for columns that are no year's, or of several alike.
    """
    return [read_edition(raw, *_settings(raw.name, options)).layout.year]


def _settings(where: str, options: dict[str, Any]) -> tuple[dict[str, Layout], float]:
    """Return the years' layouts and the tolerance that the reader's options stand for."""
    tolerance = options.get("base_tolerance", 0.05)
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or tolerance < 0:
        raise DidError(f"{where}, reader gpps_practice_csv: option 'base_tolerance': expected a "
                       f"share such as 0.05; found '{tolerance}'")
    return read_layouts(Path(options.get("reference", "data/reference"))), tolerance


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
    counts = practices[measures].to_numpy()
    area, areas = pd.factorize(practices["ccg_code"], sort=True)
    suppressed = (counts < 0).any(axis=1)
    empty = np.isnan(counts).any(axis=1) & ~suppressed
    used = ~(suppressed | empty)
    n, n_suppressed, n_empty, n_used = (np.bincount(area[which], minlength=len(areas))
                                        for which in (slice(None), suppressed, empty, used))
    sums = np.stack([np.bincount(area[used], column, len(areas)) for column in counts[used].T], axis=1)
    sums = np.where(n_used[:, None] > 0, sums, np.nan)
    status = np.where(n_used > 0, "ok", np.where(n_suppressed > 0, "suppressed", "missing"))
    placed: dict[int, Counter[str]] = {}
    for place, year in zip(area.tolist(), practices["placed_by"].tolist(), strict=True):
        if year != "":
            placed.setdefault(place, Counter())[year] += 1
    note = [_note(*of_area, placed.get(place, {})) for place, of_area in enumerate(
        zip(n.tolist(), n_suppressed.tolist(), n_empty.tolist(), strict=True))]
    # The code stands in for an area the file gives no name.
    named = names.reindex(areas).to_numpy(dtype=object)
    about = pd.DataFrame({"area_code": areas, "area_name": np.where(named == "", areas, named), "status": status,
                          "note": note})
    long = about.loc[about.index.repeat(len(measures))].reset_index(drop=True)
    return long.assign(measure=np.tile(np.array(measures, dtype=object), len(areas)), value=sums.ravel())


def _note(n: int, n_suppressed: int, n_empty: int, placed: Mapping[str, int]) -> str:
    """Return what to know of an area's sum: practices suppressed, empty, or placed by another year."""
    parts = [f"{number} of {n} practices {word}"
             for number, word in ((n_suppressed, "suppressed"), (n_empty, "with an empty cell")) if number]
    return "; ".join([*parts, *(f"{number} of {n} practices placed by the {year} file"
                                for year, number in sorted(placed.items()))])
