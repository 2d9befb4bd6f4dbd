"""Any registered estimator fitted to anyone's panel file: a table for the screen, and the estimates as CSV."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from did.api.asked import (
    AGGREGATIONS,
    BALANCED,
    GROUP_TIME_KIND,
    WINDOW,
    averages_of,
    flag,
    keywords_of,
    question_of,
    settings_of,
    takers,
    takes,
    tests_of,
)
from did.api.findings import Findings, bounds
from did.api.judged import Inference, judge
from did.api.screen import Shown, screen
from did.errors import DidError, one_of
from did.estimators import entries, entry
from did.estimators.base import Panel
from did.estimators.neighbours import with_neighbours
from did.estimators.registry import COHORT_PERIOD, defaults_of
from did.inference.methods import EXTRA, Question
from did.readers.any_table import ITS_NAME, STANDARD_INPUT
from did.readers.panel_columns import Columns, level_of
from did.readers.panel_file import load
from did.readers.reference import read_reference
from did.store import tables
from did.store.json_lines import json_lines
from did.store.provenance import refuse_other, write_text


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What is given beside the estimates, and where.

    table      file for every estimate, None = none
    figure     file for a picture of each estimator's effects, None = none
    bounds     whether intervals if trends were not parallel are wanted
    decompose  whether what the two-way estimate is made of is wanted
    as_json    lines of JSON in place of a screen
    """

    table: str | Path | None = None
    figure: str | Path | None = None
    bounds: bool = False
    decompose: bool = False
    as_json: bool = False

    def check(self, path: str | Path) -> None:
        """Raise DidError where a file to be written is the panel itself, or a folder."""
        for flag_, place in (("--output", self.table), ("--plot", self.figure)):
            if place is None:
                continue
            refuse_other(place, flag_)
            if Path(place).resolve() == Path(path).resolve():
                raise DidError(f"{flag_}: expected another file than the panel; found {place}; name a new file")


def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        outputs: Outputs | None = None, options: Mapping[str, object] | None = None,
        inference: Inference | None = None) -> str:
    """Fit ``estimators`` to the panel file at ``path`` and return the text for the screen, or lines of JSON for each
    row of the table, each measured coverage, each row of a check and each note.

    ``estimators`` are names of the registry, in the order to fit; none = those whose entries say so. ``options`` are
    named as on the command line, with underscores: each is passed to the estimators that take it, covariates too.
    Group-time effects are followed by the averages ``aggregation`` names (default all) over the event times
    ``min_event_time`` to ``max_event_time``, and by the pre-test of parallel trends. ``balance_event_time`` is for the
    average by event time, which is then the only one unless others are named, which is an error. ``inference`` says
    which methods and cluster levels to show (`did.api.judged`); its bands hold for all effects of an estimand at once
    (`did.inference.multiplier`). The table of ``outputs`` has every row, of every cluster level by clustered errors and
    of the screen by its methods, as CSV with all digits: the estimates table (`did.store.tables`) and the columns
    ``inference``, ``interval_shape`` and ``measured_coverage``. Bounds are those of the estimators with effects by
    event time, at the first level; a check that does not apply is a note with its reason.

    Raises DidError for everything `did.readers.panel_file.load`, the estimators and the methods raise, an estimator,
    aggregation or method that is not there, an option that none of the estimators takes, draws or a seed that nothing
    uses, bounds without an estimator that has effects by event time, and an output that is the input.
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
    asked = (inference or Inference()).check(chosen)
    _refuse_unused(chosen, given)
    outputs = outputs or Outputs()
    outputs.check(path)
    if outputs.bounds and not any(entry(name).over_time for name in chosen):
        raise DidError(f"--bounds: expected an estimator with effects by event time; found {', '.join(chosen)}; add "
                       "--estimator event_study or callaway_santanna")
    exposure = [given["exposure"]] if "exposure" in given else []
    with pd.option_context("mode.string_storage", "auto"):   # millions of rows: pyarrow's texts are the faster ones
        panel, notes = load(path, dataclasses.replace(
            columns, covariates=tuple(dict.fromkeys([*columns.covariates, *exposure]))), frequency=frequency)
    if "neighbours" in given:
        pairs = read_reference(given["neighbours"], ["unit", "neighbour"], [], "--neighbours")
        panel = with_neighbours(panel, zip(pairs["unit"], pairs["neighbour"], strict=True), given["neighbours"])
    levels = _shown_levels(panel, columns, asked)
    fits, unfitted, findings = [], [], []
    for name in chosen:
        taken = {option: value for option, value in given.items() if takes(name, option)}
        keywords = keywords_of(name, taken)
        try:
            question = question_of(name, panel, keywords, taken, asked)
            judged = judge(question, asked, levels)
            notes += [*tests_of(question, taken), *judged.notes]
            if outputs.bounds and entry(name).over_time:
                findings += _found(f"{name}: no bounds", lambda question=question: _bounds(question, levels[0]), notes)
            fits.append(Shown(name, settings_of(name, keywords, taken), judged,
                              question.results[0].used(panel)))
        except DidError as error:
            if estimators or name == defaults[0]:
                raise DidError(f"{path}: {error}") from error
            unfitted.append(f"{name} is not fitted: {error}")
        if "covariates" in taken and "method" in keywords:
            notes.append(f"covariates {', '.join(columns.covariates)} enter {name} by --method {keywords['method']}")
        notes += [f"--{flag(option)} is for {', '.join(takers(chosen, option))}; {name} does not use it"
                  for option in given if option not in taken]
    notes = list(dict.fromkeys(notes))
    table = pd.concat([fit.judged.table for fit in fits], ignore_index=True).assign(
        few_treated=False, minimum_treated=1, headline=False)
    if asked.bands and table["band_low"].isna().all():
        notes.append("--bands: no band, as no estimand has two effects or more with an error")
    if outputs.decompose:
        findings += _found("no decomposition", lambda: _decomposition(panel), notes)
    if outputs.table is not None:
        write_text(outputs.table, estimates_csv(table, columns.outcome))
        notes.append(f"{len(table)} estimates are in {outputs.table}")
    if outputs.figure is not None:
        _draw(outputs.figure, fits, columns.outcome, asked.confidence)
        notes.append(f"the figure is in {outputs.figure}")
    if outputs.as_json:
        lines = [json.dumps({"event": "note", "message": note}, ensure_ascii=False)
                 for note in [*(f"{fit.name}: {line}" for fit in fits for line in fit.judged.lines), *notes, *unfitted]]
        measured = [line for fit in fits if fit.judged.calibration is not None
                    for line in json_lines(fit.judged.calibration, "calibration")]
        checks = [line for found in findings for line in json_lines(found.frame, found.drawn)]
        return "\n".join([*json_lines(table.assign(indicator=columns.outcome), "estimate"), *measured, *checks, *lines])
    named = ITS_NAME if str(path) == STANDARD_INPUT else path
    shown = screen(named, columns, panel, fits, [*notes, *unfitted], asked.confidence)
    return "\n\n".join([shown, *(found.summary() for found in findings)])


def _found(what: str, find: Callable[[], Findings], notes: list[str]) -> list[Findings]:
    """What a check finds; where it does not apply, a note that says ``what`` and why."""
    try:
        return [find()]
    except DidError as error:
        notes.append(f"{what}: {error}")
        return []


def _bounds(question: Question, level: str) -> Findings:
    if level not in question.panel.clusters:
        raise DidError(f"--bounds: expected one cluster level; found --cluster {level}, two ways; name one by itself")
    found = bounds(question.at(level))
    if found.frame["status"].eq("skipped").all():
        raise DidError(found.notes[0])
    return found


def _decomposition(panel: Panel) -> Findings:
    from did.estimators.decomposition import decompose

    return Findings("What the two-way estimate is made of", decompose(panel), (), "decomposition")


def _draw(path: str | Path, fits: Sequence[Shown], outcome: str, confidence: float) -> None:
    """Write the picture of each fit's effects: of group-time effects their average by event time, if it was made."""
    from did.api.plots import Title, write

    parts = []
    for fit in fits:
        rows = fit.judged.shown
        rows = rows.loc[rows.groupby(["cluster", "inference"], sort=False).ngroup() == 0]
        for estimand in ("event_time", "cohort", "calendar"):
            if len(own := rows.loc[rows["estimand"] == estimand]) and len(rows["estimand"].unique()) > 1:
                rows = own
                break
        parts.append((rows, Title(fit.name, outcome, confidence)))
    write(path, parts)


def _shown_levels(panel: Panel, columns: Columns, asked: Inference) -> list[str]:
    """The cluster levels of the screen, as the panel calls them: those asked for, else the units."""
    named = asked.levels or columns.clusters or (columns.unit,)
    return [",".join(level_of(column, columns) for column in level.split(",")) for level in named]


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
        averages = [kind for kind in averages_of(given) if kind != GROUP_TIME_KIND]
        if option in given and (not averages or not set(averages) <= set(reached)):
            what = "event_time alone among the averages" if reached is BALANCED else "an average"
            raise DidError(f"--{flag(option)}: expected {what}, which it is for; found --aggregation "
                           f"{', '.join(given['aggregation'])}; leave one of the two out")
    for option in given:
        if takers(chosen, option):
            continue
        who = takers(list(entries()), option)
        advice = f"add --estimator {who[0]} or leave" if who else "leave"
        raise DidError(f"--{flag(option)}: expected an estimator that uses it ({', '.join(who) or 'none is there'}); "
                       f"found {', '.join(chosen)}; {advice} out --{flag(option)}")


def estimates_csv(table: pd.DataFrame, outcome: str) -> str:
    """Return the rows as a CSV of the estimates table, with the method of each: one specification, `-`, and one sample,
    `full`. Raises DidError where they break its contract."""
    full = table.assign(indicator=outcome, specification="-", sample="full", is_synthetic=False)
    for _, rows in full.groupby("inference", sort=False):
        tables.check("estimates", rows.drop(columns=EXTRA), "did estimate")
    checked = full[[*tables.SCHEMAS["estimates"].columns, *EXTRA]]
    return checked.to_csv(index=False, lineterminator="\n")


def parse_columns(given: Mapping[str, Any]) -> Columns:
    """Return the columns of a command line, from option to what was given; lists may come as several options or with
    commas between names.

    Clusters are the columns of all levels; which are shown, and which two ways, is `parse_levels`.
    """
    clusters, covariates = (tuple(split(given[name], f"--{name}")) for name in ("cluster", "covariates"))
    return Columns(*(given[name] for name in ("outcome", "unit", "period", "cohort")), clusters, given["weights"],
                   covariates, given["dose"], given["treatment"])


def parse_levels(words: Sequence[str]) -> tuple[str, ...]:
    """Return the cluster levels of a command line: each option one, two names with a comma between them two ways.

    Raises DidError for more than two names in one option, one name twice, and none.

    >>> parse_levels(["network", "region, year"])
    ('network', 'region,year')
    """
    levels = [split([word], "--cluster") for word in words]
    for columns, word in zip(levels, words, strict=True):
        if len(columns) > 2 or len(columns) < len([name for name in word.split(",") if name.strip()]):
            raise DidError(f"--cluster: expected one column, or two different ones with a comma between them for "
                           f"clusters two ways; found '{word}'; give each level an option of its own")
    return tuple(dict.fromkeys(",".join(columns) for columns in levels))


def split(words: Sequence[str], option: str) -> list[str]:
    """Return the names of one or several comma-separated words, each once, in order.

    Raises DidError, beginning with the ``option``, for a word without a name.

    >>> split(["did, ldv", "did"], "--estimator")
    ['did', 'ldv']
    """
    names: dict[str, None] = {}
    for word in words:
        found = [name.strip() for name in word.split(",") if name.strip()]
        if not found:
            raise DidError(f"{option}: expected names with commas between them; found '{word}'; write one, or leave "
                           f"{option} out")
        names |= dict.fromkeys(found)
    return list(names)


def parse(option: str, given: Any) -> Any:
    """Return an option of the command line as the estimators take it: texts with commas between names or whole numbers
    as lists (of one number, as a number), all else as it is.

    Raises DidError if one is not a whole number where these are expected.
    """
    if isinstance(given, tuple):
        return split(given, f"--{flag(option)}")
    kinds = [found.type for each in entries().values() if (found := each.option(option))]
    if list[int] not in kinds:
        return given
    try:
        numbers = [int(word) for word in given.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if not numbers:
        raise DidError(f"--{flag(option)}: expected whole numbers such as -1 or -1,-5; found '{given}'; write those")
    return numbers[0] if len(numbers) == 1 else numbers
