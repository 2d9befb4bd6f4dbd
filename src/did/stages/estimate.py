"""Any registered estimator fitted to anyone's panel file: a table for the screen, and the estimates as CSV."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from did import tables
from did.errors import DidError, one_of
from did.estimators import ESTIMATORS, estimate
from did.estimators.base import Panel, Result
from did.inference.clustered import summarise
from did.panel_csv import Columns, load
from did.provenance import write_text

DEFAULTS = ("did", "event_study")
AGGREGATION = "did.estimators.aggregation"
AGGREGATIONS = ("simple", "event_time", "cohort", "calendar")
GROUP_TIME = "att_gt"
RIGHT = (1, 2, 3, 4)  # the columns of numbers on the screen


def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        output: str | Path | None = None, options: Mapping[str, object] | None = None) -> str:
    """Fit ``estimators`` to the panel file at ``path`` and return the text for the screen.

    ``estimators`` are names of the registry, in the order to fit; none = `did` and `event_study`. ``options`` are
    keyword arguments of the estimators: each is passed to those that take it. Group-time effects are followed by
    their aggregations, simple, by event time, by cohort and by calendar period. With ``output``, the estimates table
    (`did.tables`) of every row and cluster level is written there as CSV with all digits.

    Raises DidError for everything `did.panel_csv.load` and the estimators raise, an estimator that is not there, an
    option that none of the estimators takes, covariates that none of them uses, and an output that is the input.
    """
    given = dict(options or {})
    chosen = list(dict.fromkeys(estimators)) or list(DEFAULTS)
    for name in chosen:
        one_of("--estimator", name, ESTIMATORS)
    notes = []
    if columns.covariates:
        given.setdefault("method", "dr")
        notes.append(f"covariates {', '.join(columns.covariates)} enter by --method {given['method']}")
    _refuse_unused(chosen, given, columns)
    if output is not None and Path(output).resolve() == Path(path).resolve():
        raise DidError(f"--output: expected another file than the panel; found {output}; name a new file")
    panel, read = load(path, columns, frequency=frequency)
    notes = [*read, *notes]
    frames, unfitted, settings = [], [], {}
    for name in chosen:
        taken = {option: value for option, value in given.items() if option in _options(name)}
        settings[name] = _settings(name, taken)
        try:
            frames += [summarise(result, panel) for result in _results(name, panel, taken)]
        except DidError as error:
            if estimators or name == DEFAULTS[0]:
                raise DidError(f"{path}: {error}") from error
            unfitted.append(f"{name} is not fitted: {error}")
        notes += [f"--{word} is for {', '.join(_takers(chosen, option))}; {name} does not use it"
                  for option, word in _words(given, columns) if option not in taken]
    table = pd.concat(frames, ignore_index=True)
    if output is not None:
        write_text(output, _estimates_csv(table, columns.outcome))
        notes.append(f"{len(table)} estimates are in {output}")
    return _screen(path, columns, panel, table, settings, [*notes, *unfitted])


def _results(name: str, panel: Panel, options: Mapping[str, object]) -> list[Result]:
    """The result of an estimator, and the aggregations of group-time effects after it."""
    result = estimate(name, panel, **options)
    if not (result.parameters["estimand"] == GROUP_TIME).any() or importlib.util.find_spec(AGGREGATION) is None:
        return [result]
    aggregate = importlib.import_module(AGGREGATION).aggregate
    return [result, *(aggregate(result, panel, kind=kind) for kind in AGGREGATIONS)]


def _options(name: str) -> dict[str, object]:
    """The keyword arguments an estimator takes, with their defaults."""
    module, function = ESTIMATORS[name].split(":")
    call = getattr(importlib.import_module(module), function)
    return {word: given.default for word, given in inspect.signature(call).parameters.items() if word != "panel"}


def _settings(name: str, taken: Mapping[str, object]) -> str:
    """What an estimator is fitted with, its defaults among it, such as `lags all`."""
    used = {option: taken.get(option, default) for option, default in _options(name).items()}
    words = [f"{option} {value}" for option, value in used.items()
             if isinstance(value, str | int) and value is not False]
    return f" ({', '.join(words)})" if words else ""


def _takers(names: Sequence[str], option: str) -> list[str]:
    return [name for name in names if option in _options(name)]


def _words(given: Mapping[str, object], columns: Columns) -> list[tuple[str, str]]:
    """Each option with its words on the command line; the method stands for the covariates it is for."""
    words = [(option, option.replace("_", "-")) for option in given]
    return [(option, "covariates" if option == "method" and columns.covariates else word) for option, word in words]


def _refuse_unused(chosen: Sequence[str], given: Mapping[str, object], columns: Columns) -> None:
    if columns.covariates and given["method"] == "unconditional":
        raise DidError("--method: expected reg, ipw or dr with --covariates; found unconditional, which uses none; "
                       "leave one of the two out")
    for option, word in _words(given, columns):
        if _takers(chosen, option):
            continue
        who = _takers(list(ESTIMATORS), option)
        advice = f"add --estimator {who[0]} or leave" if who else "leave"
        raise DidError(f"--{word}: expected an estimator that uses it ({', '.join(who) or 'none is there'}); found "
                       f"{', '.join(chosen)}; {advice} out --{word}")


def _estimates_csv(table: pd.DataFrame, outcome: str) -> str:
    """The rows as a CSV of the estimates table: one reading, `-`, and one sample, `full`."""
    full = table.assign(indicator=outcome, reading="-", sample="full", is_synthetic=False)
    checked = tables.check("estimates", full, "did estimate")
    return checked.to_csv(index=False, lineterminator="\n")


# The screen ---------------------------------------------------------------------------------------------------


def _screen(path: str | Path, columns: Columns, panel: Panel, table: pd.DataFrame, settings: Mapping[str, str],
            notes: Sequence[str]) -> str:
    levels = [level for level in panel.clusters if level != "unit"] or ["unit"]
    shown = table.loc[table["cluster"].isin(levels) & (table["estimand"] != GROUP_TIME)]
    hidden = int((table["estimand"] == GROUP_TIME).sum() / len(panel.clusters))
    lines = _heading(path, columns, panel)
    footnotes: list[str] = []
    for name, rows in shown.groupby("estimator", sort=False):
        lines += ["", f"{name}{settings.get(name, '')}", *_block(rows, footnotes)]
    if hidden:
        notes = [*notes, f"{hidden} group-time effects are not shown; --output writes them"]
    if footnotes:
        lines += ["", *(f"[{number}] {text}" for number, text in enumerate(footnotes, 1))]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join(lines)


def _heading(path: str | Path, columns: Columns, panel: Panel) -> list[str]:
    cohorts = [str(panel.periods[position]) for position in np.unique(panel.treated_from[~panel.never_treated])]
    dose = f"per unit of {columns.dose}; " if columns.dose else ""
    weights = f"; weighted by {columns.weight}" if columns.weight else ""
    many = "cohorts" if len(cohorts) > 1 else "cohort"
    return [
        f"{Path(path).name}: {columns.outcome}, {panel.n_units} units x {panel.n_periods} periods "
        f"({panel.periods[0]} to {panel.periods[-1]})",
        f"{int((~panel.never_treated).sum())} units treated, {many} {_short(cohorts)}; "
        f"{int(panel.never_treated.sum())} never treated",
        f"{dose}95% intervals{weights}",
    ]


def _short(labels: Sequence[str], most: int = 12) -> str:
    return ", ".join(labels) if len(labels) <= most else f"{labels[0]} to {labels[-1]} ({len(labels)})"


def _block(rows: pd.DataFrame, footnotes: list[str]) -> list[str]:
    """The aligned lines of one estimator: what all its rows note first, then a table of the rows.

    Notes of single rows are numbered, each text once, and appended to ``footnotes``.
    """
    decimals = _decimals(rows)
    notes = [[part for part in str(note).split("; ") if part] for note in rows["note"]]
    common = [part for part in notes[0] if all(part in parts for parts in notes)]
    cells = [["effect", "estimate", "95% interval", "units", "treated", "clusters", "note"]]
    for row, parts in zip(rows.itertuples(), notes, strict=True):
        low, high = (_number(value, decimals) for value in (row.ci_low, row.ci_high))
        cells.append([
            _effect(row), _number(row.estimate, decimals), f"{low} to {high}" if np.isfinite(row.ci_low) else "-",
            str(row.n_units), str(row.n_treated), f"{row.n_clusters} by {row.cluster}",
            " ".join(_mark(part, footnotes) for part in parts if part not in common),
        ])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [f"  {'; '.join(common)}"] if common else []
    for line in cells:
        placed = [cell.rjust(width) if column in RIGHT else cell.ljust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True))]
        lines.append(f"  {'  '.join(placed)}".rstrip())
    return lines


def _effect(row) -> str:
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


def _number(value: float, decimals: int | None) -> str:
    if not np.isfinite(value):
        return "-"
    text = f"{value:.2e}" if decimals is None else f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def parse_columns(*, outcome: str, unit: str, period: str, cohort: str, cluster: Sequence[str] = (),
                  weights: str | None = None, covariates: Sequence[str] = (), dose: str | None = None) -> Columns:
    """Return the columns of a command line; lists may come as several options or with commas between names."""
    return Columns(outcome, unit, period, cohort, tuple(split(cluster)), weights, tuple(split(covariates)), dose)


def split(words: Sequence[str]) -> list[str]:
    """Return the names of one or several comma-separated words, each once, in order."""
    names = [name.strip() for word in words for name in word.split(",")]
    return list(dict.fromkeys(name for name in names if name))
