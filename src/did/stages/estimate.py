"""Any registered estimator fitted to anyone's panel file: a table for the screen, and the estimates as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators import entries, entry, estimate, names
from did.estimators.base import Panel, Result
from did.estimators.registry import COHORT_PERIOD, defaults_of
from did.inference.clustered import summarise
from did.readers.panel_file import Columns, load
from did.report.content.notes import remarks, said
from did.store import tables
from did.store.json_lines import json_lines
from did.store.provenance import write_text

GROUP_TIME = "att_gt"
GROUP_TIME_KIND = "group_time"
# What an aggregation is called by the estimators that make it: of group-time effects, and of imputed ones.
AGGREGATIONS = {"simple": "overall", "event_time": "event_time", "cohort": "cohort", "calendar": "calendar",
                GROUP_TIME_KIND: None}
# The averages that can be balanced.
BALANCED = ("event_time",)
WINDOW = ("min_event_time", "max_event_time", "balance_event_time")
# Treated clusters, and clusters, below which clustered errors tend to be too small (docs/few_clusters.md).
FEW_TREATED, FEW = 20, 40
RIGHT = ("estimate", "95% interval", "95% band", "units", "treated")


def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        output: str | Path | None = None, options: Mapping[str, object] | None = None, bands: bool = False,
        draws: int | None = None, seed: int | None = None, as_json: bool = False) -> str:
    """Fit ``estimators`` to the panel file at ``path`` and return the text for the screen, or with ``as_json`` a line
    of JSON for each row of the estimates table and each note.

    ``estimators`` are names of the registry, in the order to fit; none = those whose entries say so. ``options`` are
    named as on the command line, with underscores: each is passed to the estimators that take it, covariates too.
    Group-time effects are followed by the averages ``aggregation`` names (default all) over the event times
    ``min_event_time`` to ``max_event_time``, and by the pre-test of parallel trends. ``balance_event_time`` is for the
    average by event time, which is then the only one unless others are named, which is an error. ``bands`` adds bands
    that hold for all effects of an estimand at once, from ``draws`` draws (default 999) of the multiplier bootstrap
    with ``seed`` (`did.inference.multiplier`). With ``output``, the estimates table (`did.store.tables`) of every row
    and cluster level is written there as CSV with all digits.

    Raises DidError for everything `did.readers.panel_file.load` and the estimators raise, an estimator or aggregation
    that is not there, an option that none of the estimators takes, draws or a seed without bands, and an output that is
    the input.
    """
    given = dict(options or {})
    defaults = defaults_of("estimate")
    chosen = list(dict.fromkeys(estimators)) or list(defaults)
    for name in chosen:
        one_of("--estimator", name, entries())
    for word in given.get("aggregation", ()):
        one_of("--aggregation", word, AGGREGATIONS)
    if columns.covariates:
        given["covariates"] = list(columns.covariates)
    bootstrap = _bootstrap(bands, draws, seed)
    _refuse_unused(chosen, given)
    if output is not None and Path(output).resolve() == Path(path).resolve():
        raise DidError(f"--output: expected another file than the panel; found {output}; name a new file")
    with pd.option_context("mode.string_storage", "auto"):   # millions of rows: pyarrow's texts are the faster ones
        panel, notes = load(path, columns, frequency=frequency)
    frames, unfitted, settings, used = [], [], {}, {}
    for name in chosen:
        taken = {option: value for option, value in given.items() if _takes(name, option)}
        keywords = _keywords(name, taken)
        settings[name] = _settings(name, keywords, taken)
        try:
            results, tests = _results(name, panel, keywords, taken)
            frames += [_rows(result, panel, bootstrap) for result in results]
            notes += tests
            used[name] = panel.units.isin(results[0].influence.index)
        except DidError as error:
            if estimators or name == defaults[0]:
                raise DidError(f"{path}: {error}") from error
            unfitted.append(f"{name} is not fitted: {error}")
        if "covariates" in taken and "method" in keywords:
            notes.append(f"covariates {', '.join(columns.covariates)} enter {name} by --method {keywords['method']}")
        notes += [f"--{_flag(option)} is for {', '.join(_takers(chosen, option))}; {name} does not use it"
                  for option in given if option not in taken]
    table = pd.concat(frames, ignore_index=True)
    notes += _few_clusters(table, _shown_levels(panel))
    if bands and table["band_low"].isna().all():
        notes.append("--bands: no band, as no estimand has two effects or more with an error")
    if output is not None:
        write_text(output, _estimates_csv(table, columns.outcome))
        notes.append(f"{len(table)} estimates are in {output}")
    if as_json:
        lines = [json.dumps({"event": "note", "message": note}, ensure_ascii=False) for note in [*notes, *unfitted]]
        return "\n".join([*json_lines(table.assign(indicator=columns.outcome), "estimate"), *lines])
    return _screen(path, columns, panel, table, settings, used, [*notes, *unfitted])


def _results(
    name: str, panel: Panel, keywords: Mapping[str, object], taken: Mapping[str, object]
) -> tuple[list[Result], list[str]]:
    """The results of an estimator, with the averages of group-time effects, and notes: its pre-test in words."""
    result = estimate(name, panel, **keywords)
    if entry(name).kind != COHORT_PERIOD:
        return [result], []
    from did.diagnostics.group_time_pretest import pretest
    from did.estimators.aggregation import aggregate

    window = {option: taken[option] for option in WINDOW if option in taken}
    results = [result if kind == GROUP_TIME_KIND else aggregate(result, panel, kind, **window)
               for kind in _averages(taken)]
    before = "before treatment"
    if result.anticipation:
        before = f"more than {result.anticipation} period{'s' * (result.anticipation > 1)} before treatment"
    notes = [_tested(name, row, before) for row in pretest(result, panel).itertuples()]
    if "balance_event_time" in window and "aggregation" not in taken:
        notes.append("--balance is for the average by event time, which is the only one given")
    return results, notes


def _averages(given: Mapping[str, object]) -> Sequence[str]:
    """What is made of group-time effects: what was asked for, else all that the other options reach."""
    return given.get("aggregation", [GROUP_TIME_KIND, *BALANCED] if "balance_event_time" in given
                     else [GROUP_TIME_KIND, *(kind for kind in AGGREGATIONS if kind != GROUP_TIME_KIND)])


def _shown_levels(panel: Panel) -> list[str]:
    """The cluster levels of the screen: those asked for, else the units."""
    return [level for level in panel.clusters if level != "unit"] or ["unit"]


def _few_clusters(table: pd.DataFrame, levels: Sequence[str]) -> list[str]:
    """A line on those ``levels`` that have few clusters in the estimator with the fewest; no line if none has."""
    counts = table.groupby(["cluster", "estimator"])[["n_treated_clusters", "n_clusters"]].max()
    fewest = counts.groupby("cluster").min().loc[list(levels)]
    few = fewest.loc[(fewest["n_treated_clusters"] < FEW_TREATED) | (fewest["n_clusters"] < FEW)]
    if few.empty:
        return []
    found = "; ".join(f"{row.n_treated_clusters} treated of {row.n_clusters} by {row.Index}"
                      for row in few.itertuples())
    return [f"few clusters ({found}): standard errors, intervals and p-values may be too small; docs/few_clusters.md "
            "says which tests to rely on"]


def _tested(name: str, row, before: str) -> str:
    what = f"{name}: pre-test that every effect {before} is zero, {row.cluster} clusters"
    if row.status == "skipped":
        return f"{what}: skipped, {row.reason}"
    p_value = f"p {row.p_value:.3f}" if row.p_value >= 0.001 else "p below 0.001"
    return f"{what}: chi-square {row.statistic:.2f}, df {row.df:.0f}, {p_value} ({said(row._asdict())})"


def _rows(result: Result, panel: Panel, bootstrap: Mapping[str, int] | None) -> pd.DataFrame:
    rows = summarise(result, panel)
    if bootstrap is None:
        return rows
    from did.inference.multiplier import add_bands

    return add_bands(rows, result, panel, **bootstrap)


def _bootstrap(bands: bool, draws: int | None, seed: int | None) -> dict[str, int] | None:
    """The settings of the bootstrap that were given, None without bands."""
    settings = {word: value for word, value in (("draws", draws), ("seed", seed)) if value is not None}
    if settings and not bands:
        word = next(iter(settings))
        raise DidError(f"--{word}: expected --bands with it, which it is for; found none; add --bands or leave out "
                       f"--{word}")
    return settings if bands else None


def _takes(name: str, option: str) -> bool:
    """Whether an estimator, or the averages after it, has a use for an option."""
    return entry(name).option(option) is not None


def _takers(names: Sequence[str], option: str) -> list[str]:
    return [name for name in names if _takes(name, option)]


def _flag(option: str) -> str:
    """The words of an option on the command line."""
    known = (each.option(option) for each in entries().values())
    return next((found.on_command_line for found in known if found), option.replace("_", "-"))


def _keywords(name: str, taken: Mapping[str, object]) -> dict[str, object]:
    """The options an estimator takes, as its own keyword arguments."""
    known = entry(name)
    options = {option: known.option(option) for option in taken}
    keywords = {found.of_fit: taken[option] for option, found in options.items() if found and found.of_fit}
    if "estimands" in keywords:
        keywords["estimands"] = [AGGREGATIONS[word] for word in keywords["estimands"]]
        if None in keywords["estimands"]:
            only = " or ".join(names(kind=COHORT_PERIOD))
            raise DidError(f"--aggregation: expected group_time with {only} only; found {name}; leave out one of "
                           "the two")
    # Covariates that the panel carries enter by a method.
    if "covariates" in taken and "covariates" not in keywords and known.option("method"):
        keywords.setdefault("method", "dr")
    return keywords


def _settings(name: str, keywords: Mapping[str, object], taken: Mapping[str, object]) -> str:
    """What an estimator is fitted with, its defaults among it, such as `lags all`, and over which event times its
    effects are averaged."""
    used = {option: keywords.get(option, default) for option, default in entry(name).parameters.items()}
    lists = {option: " and ".join(map(str, value)) for option, value in used.items() if isinstance(value, list)}
    words = [f"{option} {lists.get(option, value)}" for option, value in used.items()
             if isinstance(value, str | int | list) and value is not False]
    if entry(name).kind == COHORT_PERIOD:
        words += [f"{_flag(option).replace('-', '_')} {taken[option]}" for option in WINDOW if option in taken]
    return f" ({', '.join(words)})" if words else ""


def _refuse_unused(chosen: Sequence[str], given: Mapping[str, object]) -> None:
    method = given.get("method")
    if method == "unconditional" and "covariates" in given:
        raise DidError("--method: expected reg, ipw or dr with --covariates; found unconditional, which uses none; "
                       "leave one of the two out")
    if method not in (None, "unconditional") and "covariates" not in given:
        raise DidError(f"--method {method}: expected --covariates, since it says how they enter; found none; name "
                       "covariates or leave out --method")
    averaging = any(entry(name).kind == COHORT_PERIOD for name in chosen)
    for option in WINDOW if averaging else ():
        reached = BALANCED if option == "balance_event_time" else AGGREGATIONS
        averages = [kind for kind in _averages(given) if kind != GROUP_TIME_KIND]
        if option in given and (not averages or not set(averages) <= set(reached)):
            what = "event_time alone among the averages" if reached is BALANCED else "an average"
            raise DidError(f"--{_flag(option)}: expected {what}, which it is for; found --aggregation "
                           f"{', '.join(given['aggregation'])}; leave one of the two out")
    for option in given:
        if _takers(chosen, option):
            continue
        who = _takers(list(entries()), option)
        advice = f"add --estimator {who[0]} or leave" if who else "leave"
        raise DidError(f"--{_flag(option)}: expected an estimator that uses it ({', '.join(who) or 'none is there'}); "
                       f"found {', '.join(chosen)}; {advice} out --{_flag(option)}")


def _estimates_csv(table: pd.DataFrame, outcome: str) -> str:
    """The rows as a CSV of the estimates table: one specification, `-`, and one sample, `full`."""
    full = table.assign(indicator=outcome, specification="-", sample="full", is_synthetic=False)
    checked = tables.check("estimates", full, "did estimate")
    return checked.to_csv(index=False, lineterminator="\n")


# The screen ---------------------------------------------------------------------------------------------------


def _screen(path: str | Path, columns: Columns, panel: Panel, table: pd.DataFrame, settings: Mapping[str, str],
            used: Mapping[str, np.ndarray], notes: Sequence[str]) -> str:
    group_time = table["estimand"] == GROUP_TIME
    # Too many for a screen, unless nothing else was asked for.
    alone = group_time[table["estimator"].isin(names(kind=COHORT_PERIOD))].all()
    shown = table.loc[table["cluster"].isin(_shown_levels(panel)) & (alone | ~group_time)]
    hidden = 0 if alone else int(group_time.sum() / len(panel.clusters))
    by_any = np.any(list(used.values()), axis=0)
    lines = _heading(path, columns, panel, by_any)
    footnotes: list[str] = []
    for name, rows in shown.groupby("estimator", sort=False):
        lines += ["", f"{name}{settings.get(name, '')}", *_fewer(panel, used[name], by_any), *_block(rows, footnotes)]
    if hidden:
        many = "effects are" if hidden > 1 else "effect is"
        notes = [*notes, f"{hidden} group-time {many} not shown; --aggregation group_time shows, --output writes them"]
    if footnotes:
        lines += ["", *(f"[{number}] {text}" for number, text in enumerate(footnotes, 1))]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join(lines)


def _heading(path: str | Path, columns: Columns, panel: Panel, used: np.ndarray) -> list[str]:
    """What the file holds, and how many units of each kind ``used`` (a mask of its units) has: those of the fits."""
    starts = np.unique(panel.treated_from[used & ~panel.never_treated])
    cohorts = [str(panel.periods[position]) for position in starts]
    dose = f"per unit of {columns.dose}; " if columns.dose else ""
    weights = f"; weighted by {columns.weight}" if columns.weight else ""
    many = "cohorts" if len(cohorts) > 1 else "cohort"
    return [
        f"{Path(path).name}: {columns.outcome}, {panel.n_units} units x {panel.n_periods} periods "
        f"({panel.periods[0]} to {panel.periods[-1]})",
        f"{'' if used.all() else 'used: '}{int((used & ~panel.never_treated).sum())} units treated, {many} "
        f"{_short(cohorts)}; {int((used & panel.never_treated).sum())} never treated",
        f"{dose}95% intervals{weights}",
    ]


def _fewer(panel: Panel, used: np.ndarray, by_any: np.ndarray) -> list[str]:
    """The line that says which units an estimator used, where others of the heading used more."""
    if used.sum() == by_any.sum():
        return []
    return [f"  used: {int((used & ~panel.never_treated).sum())} units treated; "
            f"{int((used & panel.never_treated).sum())} never treated"]


def _short(labels: Sequence[str], most: int = 12) -> str:
    return ", ".join(labels) if len(labels) <= most else f"{labels[0]} to {labels[-1]} ({len(labels)})"


def _block(rows: pd.DataFrame, footnotes: list[str]) -> list[str]:
    """The aligned lines of one estimator: what all its rows note first, then a table of the rows.

    Notes of single rows are numbered, each text once, and appended to ``footnotes``.
    """
    decimals = _decimals(rows)
    band = rows["band_low"].notna().any()
    notes = [remarks(note) for note in rows["note"]]
    common = [part for part in notes[0] if all(part in parts for parts in notes)]
    heading = ["effect", "estimate", "95% interval", *(["95% band"] if band else []), "units", "treated", "clusters",
               "note"]
    cells = [heading]
    for row, parts in zip(rows.itertuples(), notes, strict=True):
        cells.append([
            _effect(row), _number(row.estimate, decimals), _span(row.ci_low, row.ci_high, decimals),
            *([_span(row.band_low, row.band_high, decimals)] if band else []),
            str(row.n_units), str(row.n_treated), f"{row.n_clusters} by {row.cluster}",
            " ".join(_mark(part, footnotes) for part in parts if part not in common),
        ])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [f"  {'; '.join(common)}"] if common else []
    for line in cells:
        placed = [cell.rjust(width) if name in RIGHT else cell.ljust(width)
                  for name, cell, width in zip(heading, line, widths, strict=True)]
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


def _span(low: float, high: float, decimals: int | None) -> str:
    return f"{_number(low, decimals)} to {_number(high, decimals)}" if np.isfinite(low) else "-"


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


def parse(option: str, given: Any) -> Any:
    """Return an option of the command line as the estimators take it: texts with commas between names or whole numbers
    as lists (of one number, as a number), all else as it is.

    Raises DidError if one is not a whole number where these are expected.
    """
    if isinstance(given, tuple):
        return split(given)
    kinds = [found.type for each in entries().values() if (found := each.option(option))]
    if list[int] not in kinds:
        return given
    try:
        numbers = [int(word) for word in split([given])]
    except ValueError:
        numbers = []
    if not numbers:
        raise DidError(f"--{_flag(option)}: expected whole numbers such as -1 or -1,-5; found '{given}'; write those")
    return numbers[0] if len(numbers) == 1 else numbers
