"""What `did estimate` shows: the file, a block of aligned lines for each estimator, and notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.api.judged import Judged
from did.estimators.base import Panel
from did.inference.methods import METHODS
from did.readers.panel_columns import Columns
from did.report.content.notes import remarks

GROUP_TIME = "att_gt"
LEFT = ("effect", "clusters", "inference", "note")


@dataclasses.dataclass(frozen=True)
class Shown:
    """An estimator that was fitted: its settings in words, its rows, and the mask of the panel's units it used."""

    name: str
    settings: str
    judged: Judged
    used: np.ndarray


def screen(path: str | Path, columns: Columns, panel: Panel, fits: Sequence[Shown], notes: Sequence[str],
           confidence: float) -> str:
    """Return the text for the screen; intervals cover ``confidence``. Group-time effects are shown only if nothing
    else was asked of their estimator. Raises nothing."""
    by_any = np.any([fit.used for fit in fits], axis=0)
    lines = _heading(path, columns, panel, by_any, confidence, [fit.settings for fit in fits])
    return "\n".join([*lines, *blocks(fits, notes, confidence, [_fewer(panel, fit.used, by_any) for fit in fits])])


def blocks(fits: Sequence[Shown], notes: Sequence[str], confidence: float, fewer: Sequence[list[str]]) -> list[str]:
    """Return the lines below the heading: a block for each fit, with the lines ``fewer`` has for it, then notes."""
    lines: list[str] = []
    footnotes: list[str] = []
    hidden = 0
    for fit, said in zip(fits, fewer, strict=True):
        rows = fit.judged.shown
        group_time = rows["estimand"] == GROUP_TIME
        if not group_time.all():
            first = rows.groupby(["cluster", "inference"], sort=False).ngroup() == 0
            hidden += int((group_time & first).sum())
            rows = rows.loc[~group_time]
        lines += ["", f"{fit.name}{fit.settings}", *said,
                  *(f"  {line}" for line in _about(fit.judged, rows)), *_block(rows, footnotes, confidence)]
    if hidden:
        many = "effects are" if hidden > 1 else "effect is"
        notes = [*notes, f"{hidden} group-time {many} not shown; --aggregation group_time shows, --output writes them"]
    for fit in fits:
        if fit.judged.calibration is not None:
            lines += _calibration(fit, confidence)
    if footnotes:
        lines += ["", *(f"[{number}] {text}" for number, text in enumerate(footnotes, 1))]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return lines


def _about(judged: Judged, rows: pd.DataFrame) -> list[str]:
    """Sentences on the inference shown, where it is not the plain clustered one."""
    methods = list(dict.fromkeys(rows["inference"]))
    if judged.lines or len(methods) != 1 or methods[0] == "clustered":
        return judged.lines
    return [METHODS[methods[0]].label]


def _calibration(fit: Shown, confidence: float) -> list[str]:
    """A table of measured coverage: of each scheme of placebo assignments, and what could not be measured."""
    table = pd.DataFrame(fit.judged.calibration)
    done = table.loc[table["status"] == "done"]
    level = f"{100 * confidence:g}%"
    lines = ["", f"{fit.name}: how many {level} intervals hold a true zero, in placebo assignments of whole clusters"]
    if len(done):
        decimals = _decimals(done.rename(columns={"mean_width": "std_error"}).assign(estimate=np.nan))
        cells = [["clusters", "assignments", "method", "coverage", "error of it", "mean width", "draws"]]
        for row in done.itertuples():
            cells.append([row.cluster, row.scheme.replace("_", " "), row.method, f"{100 * row.coverage:.1f}%",
                          f"{100 * row.simulation_error:.1f}", _number(row.mean_width, decimals), str(row.n_draws)])
        lines += aligned(cells, left=("clusters", "assignments", "method"))
    skipped = table.loc[table["status"] == "skipped"].drop_duplicates(["cluster", "scheme"])
    return lines + [f"  {row.scheme.replace('_', ' ')}, by {row.cluster}: not measured, {row.reason}"
                    for row in skipped.itertuples()]


def _heading(path: str | Path, columns: Columns, panel: Panel, used: np.ndarray, confidence: float,
             settings: Sequence[str]) -> list[str]:
    """What the file holds, and how many units of each kind ``used`` (a mask of its units) has: those of the fits."""
    starts = np.unique(panel.treated_from[used & ~panel.never_treated])
    cohorts = [str(panel.periods[position]) for position in starts]
    dose = f"per unit of {columns.dose}; " if columns.dose else ""
    exposed = sum("weight_use exposure" in words for words in settings)
    weights = f"; weighted by {columns.weight}" if columns.weight and exposed < len(settings) else ""
    weights += f"; {columns.weight} is the exposure of counts" if exposed else ""
    many = "cohorts" if len(cohorts) > 1 else "cohort"
    return [
        f"{Path(path).name}: {columns.outcome}, {panel.n_units} units x {panel.n_periods} periods "
        f"({panel.periods[0]} to {panel.periods[-1]})",
        f"{'' if used.all() else 'used: '}{int((used & ~panel.never_treated).sum())} units treated, {many} "
        f"{_short(cohorts)}; {int((used & panel.never_treated).sum())} never treated",
        f"{dose}{100 * confidence:g}% intervals{weights}",
    ]


def _fewer(panel: Panel, used: np.ndarray, by_any: np.ndarray) -> list[str]:
    """The line that says which units an estimator used, where others of the heading used more."""
    if used.sum() == by_any.sum():
        return []
    return [f"  used: {int((used & ~panel.never_treated).sum())} units treated; "
            f"{int((used & panel.never_treated).sum())} never treated"]


def _short(labels: Sequence[str], most: int = 12) -> str:
    return ", ".join(labels) if len(labels) <= most else f"{labels[0]} to {labels[-1]} ({len(labels)})"


def _block(rows: pd.DataFrame, footnotes: list[str], confidence: float) -> list[str]:
    """The aligned lines of one estimator: what all its rows note first, then a table of the rows; footnotes as in
    `cells_of`."""
    common, cells = cells_of(rows, footnotes, confidence)
    return ([f"  {'; '.join(common)}"] if common else []) + aligned(cells, LEFT)


def cells_of(rows: pd.DataFrame, footnotes: list[str], confidence: float) -> tuple[list[str], list[list[str]]]:
    """Return what all rows of one estimator note, and the cells of a table of the rows, its heading first.

    Notes of single rows are numbered, each text once, and appended to ``footnotes``. Raises nothing.
    """
    decimals = _decimals(rows)
    band, several = rows["band_low"].notna().any(), rows["inference"].nunique() > 1
    level = f"{100 * confidence:g}%"
    notes = [remarks(note) for note in rows["note"]]
    common = [part for part in notes[0] if all(part in parts for parts in notes)]
    heading = ["effect", "estimate", "std. error", f"{level} interval", *([f"{level} band"] if band else []), "p",
               "units", "treated", "clusters", *(["inference"] if several else []), "note"]
    cells = [heading]
    for row, parts in zip(rows.itertuples(), notes, strict=True):
        shape = [] if row.interval_shape in ("", "interval") else [f"the confidence set is not an interval: "
                                                                   f"{row.interval_shape}"]
        cells.append([
            _effect(row), _number(row.estimate, decimals), _number(row.std_error, decimals),
            _span(row.ci_low, row.ci_high, decimals),
            *([_span(row.band_low, row.band_high, decimals)] if band else []), _p_value(row.p_value),
            str(row.n_units), str(row.n_treated), f"{row.n_clusters} by {row.cluster}",
            *([row.inference] if several else []),
            " ".join(_mark(part, footnotes) for part in [*parts, *shape] if part not in common),
        ])
    return common, cells


def aligned(cells: list[list[str]], left: Sequence[str]) -> list[str]:
    """Lines of a table with its heading first: columns named in ``left`` are aligned left, all others right."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = []
    for line in cells:
        placed = [cell.ljust(width) if name in left else cell.rjust(width)
                  for name, cell, width in zip(cells[0], line, widths, strict=True)]
        lines.append(f"  {'  '.join(placed)}".rstrip())
    return lines


def _effect(row: Any) -> str:
    """What an effect is of, such as `event_time -3` or `cohort 2016`."""
    places = [str(row.cohort)] if pd.notna(row.cohort) else []
    places += [str(row.period)] if pd.notna(row.period) else []
    places += [str(row.event_time)] if pd.notna(row.event_time) else []
    return " ".join([str(row.estimand), *places])


def _mark(note: str, footnotes: list[str]) -> str:
    if note == "reference":
        return note
    if note not in footnotes:
        footnotes.append(note)
    return f"[{footnotes.index(note) + 1}]"


def _decimals(rows: pd.DataFrame) -> int | None:
    """Decimals that give the middle standard error (without one, the middle estimate) three digits; None = too many."""
    for column in ("std_error", "estimate"):
        sizes = rows[column].abs()
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        if len(sizes):
            decimals = 2 - int(np.floor(np.log10(sizes.median())))
            return max(decimals, 0) if decimals <= 8 else None
    return 3


def _span(low: float, high: float, decimals: int | None) -> str:
    if np.isnan(low) or np.isnan(high):
        return "-"
    ends = [_number(end, decimals) if np.isfinite(end) else "-inf" if end < 0 else "inf" for end in (low, high)]
    return " to ".join(ends)


def _p_value(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _number(value: float, decimals: int | None) -> str:
    if not np.isfinite(value):
        return "-"
    text = f"{value:.2e}" if decimals is None else f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
