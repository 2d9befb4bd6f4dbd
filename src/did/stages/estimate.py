"""Any registered estimator fitted to anyone's panel file: a table for the screen, and the estimates as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from did.errors import DidError, one_of
from did.estimators import entries, entry, names
from did.estimators.base import Panel, Result
from did.estimators.registry import COHORT_PERIOD, defaults_of
from did.inference.methods import EXTRA, Question
from did.readers.panel_file import Columns, level_of, load
from did.report.content.notes import said
from did.stages.estimate_inference import Inference, judge
from did.stages.estimate_screen import Shown, screen
from did.store import tables
from did.store.json_lines import json_lines
from did.store.provenance import write_text

GROUP_TIME_KIND = "group_time"
# What an aggregation is called by the estimators that make it: of group-time effects, and of imputed ones.
AGGREGATIONS = {"simple": "overall", "event_time": "event_time", "cohort": "cohort", "calendar": "calendar",
                GROUP_TIME_KIND: None}
# The averages that can be balanced.
BALANCED = ("event_time",)
WINDOW = ("min_event_time", "max_event_time", "balance_event_time")
def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        output: str | Path | None = None, options: Mapping[str, object] | None = None,
        inference: Inference | None = None, as_json: bool = False) -> str:
    """Fit ``estimators`` to the panel file at ``path`` and return the text for the screen, or with ``as_json`` a line
    of JSON for each row of the table, each measured coverage and each note.

    ``estimators`` are names of the registry, in the order to fit; none = those whose entries say so. ``options`` are
    named as on the command line, with underscores: each is passed to the estimators that take it, covariates too.
    Group-time effects are followed by the averages ``aggregation`` names (default all) over the event times
    ``min_event_time`` to ``max_event_time``, and by the pre-test of parallel trends. ``balance_event_time`` is for the
    average by event time, which is then the only one unless others are named, which is an error. ``inference`` says
    which methods and cluster levels to show (`did.stages.estimate_inference`); its bands hold for all effects of an
    estimand at once (`did.inference.multiplier`). With ``output`` every row, of every cluster level by clustered errors
    and of the screen by its methods, is written there as CSV with all digits: the estimates table (`did.store.tables`)
    and the columns ``inference``, ``interval_shape`` and ``measured_coverage``.

    Raises DidError for everything `did.readers.panel_file.load`, the estimators and the methods raise, an estimator,
    aggregation or method that is not there, an option that none of the estimators takes, draws or a seed that nothing
    uses, and an output that is the input.
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
    if output is not None and Path(output).resolve() == Path(path).resolve():
        raise DidError(f"--output: expected another file than the panel; found {output}; name a new file")
    with pd.option_context("mode.string_storage", "auto"):   # millions of rows: pyarrow's texts are the faster ones
        panel, notes = load(path, columns, frequency=frequency)
    levels = _shown_levels(panel, columns, asked)
    fits, unfitted = [], []
    for name in chosen:
        taken = {option: value for option, value in given.items() if _takes(name, option)}
        keywords = _keywords(name, taken)
        try:
            question = _question(name, panel, keywords, taken, asked)
            judged = judge(question, asked, levels)
            notes += [*_tests(question, taken), *judged.notes]
            fits.append(Shown(name, _settings(name, keywords, taken), judged,
                              panel.units.isin(question.results[0].influence.index)))
        except DidError as error:
            if estimators or name == defaults[0]:
                raise DidError(f"{path}: {error}") from error
            unfitted.append(f"{name} is not fitted: {error}")
        if "covariates" in taken and "method" in keywords:
            notes.append(f"covariates {', '.join(columns.covariates)} enter {name} by --method {keywords['method']}")
        notes += [f"--{_flag(option)} is for {', '.join(_takers(chosen, option))}; {name} does not use it"
                  for option in given if option not in taken]
    notes = list(dict.fromkeys(notes))
    table = pd.concat([fit.judged.table for fit in fits], ignore_index=True).assign(
        few_treated=False, minimum_treated=1, headline=False)
    if asked.bands and table["band_low"].isna().all():
        notes.append("--bands: no band, as no estimand has two effects or more with an error")
    if output is not None:
        write_text(output, _estimates_csv(table, columns.outcome))
        notes.append(f"{len(table)} estimates are in {output}")
    if as_json:
        lines = [json.dumps({"event": "note", "message": note}, ensure_ascii=False)
                 for note in [*(f"{fit.name}: {line}" for fit in fits for line in fit.judged.lines), *notes, *unfitted]]
        measured = [line for fit in fits if fit.judged.calibration is not None
                    for line in json_lines(fit.judged.calibration, "calibration")]
        return "\n".join([*json_lines(table.assign(indicator=columns.outcome), "estimate"), *measured, *lines])
    return screen(path, columns, panel, fits, [*notes, *unfitted], asked.confidence)


def _question(name: str, panel: Panel, keywords: Mapping[str, object], taken: Mapping[str, object],
              asked: Inference) -> Question:
    """What is asked of an estimator: its result, of group-time effects the averages too."""
    from did.estimators.aggregation import aggregate

    window = {option: taken[option] for option in WINDOW if option in taken}

    def averaged(result: Result, panel: Panel) -> list[Result]:
        return [result if kind == GROUP_TIME_KIND else aggregate(result, panel, kind, **window)
                for kind in _averages(taken)]

    return Question(panel, name, options=keywords, confidence=asked.confidence, draws=asked.draws,
                    finish=averaged if entry(name).kind == COHORT_PERIOD else None, **asked.seed_or_own)


def _tests(question: Question, taken: Mapping[str, object]) -> list[str]:
    """Notes on group-time effects: their pre-test in words, and what --balance leaves."""
    if entry(question.estimator).kind != COHORT_PERIOD:
        return []
    from did.diagnostics.group_time_pretest import pretest
    from did.estimators import estimate

    result = estimate(question.estimator, question.panel, **question.options)
    before = "before treatment"
    if result.anticipation:
        before = f"more than {result.anticipation} period{'s' * (result.anticipation > 1)} before treatment"
    notes = [_tested(question.estimator, row, before) for row in pretest(result, question.panel).itertuples()]
    if "balance_event_time" in taken and "aggregation" not in taken:
        notes.append("--balance is for the average by event time, which is the only one given")
    return notes


def _averages(given: Mapping[str, object]) -> Sequence[str]:
    """What is made of group-time effects: what was asked for, else all that the other options reach."""
    return given.get("aggregation", [GROUP_TIME_KIND, *BALANCED] if "balance_event_time" in given
                     else [GROUP_TIME_KIND, *(kind for kind in AGGREGATIONS if kind != GROUP_TIME_KIND)])


def _shown_levels(panel: Panel, columns: Columns, asked: Inference) -> list[str]:
    """The cluster levels of the screen, as the panel calls them: those asked for, else the units."""
    named = asked.levels or columns.clusters or (columns.unit,)
    return [",".join(level_of(column, columns) for column in split([level])) for level in named]


def _tested(name: str, row, before: str) -> str:
    what = f"{name}: pre-test that every effect {before} is zero, {row.cluster} clusters"
    if row.status == "skipped":
        return f"{what}: skipped, {row.reason}"
    p_value = f"p {row.p_value:.3f}" if row.p_value >= 0.001 else "p below 0.001"
    return f"{what}: chi-square {row.statistic:.2f}, df {row.df:.0f}, {p_value} ({said(row._asdict())})"


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
    """The rows as a CSV of the estimates table, with the method of each: one specification, `-`, and one sample,
    `full`."""
    full = table.assign(indicator=outcome, specification="-", sample="full", is_synthetic=False)
    for _, rows in full.groupby("inference", sort=False):
        tables.check("estimates", rows.drop(columns=EXTRA), "did estimate")
    checked = full[[*tables.SCHEMAS["estimates"].columns, *EXTRA]]
    return checked.to_csv(index=False, lineterminator="\n")


def parse_columns(*, outcome: str, unit: str, period: str, cohort: str, cluster: Sequence[str] = (),
                  weights: str | None = None, covariates: Sequence[str] = (), dose: str | None = None) -> Columns:
    """Return the columns of a command line; lists may come as several options or with commas between names.

    Clusters are the columns of all levels; which are shown, and which two ways, is `parse_levels`.
    """
    return Columns(outcome, unit, period, cohort, tuple(split(cluster)), weights, tuple(split(covariates)), dose)


def parse_levels(words: Sequence[str]) -> tuple[str, ...]:
    """Return the cluster levels of a command line: each option one, two names with a comma between them two ways.

    Raises DidError for more than two names in one option.

    >>> parse_levels(["network", "region, year"])
    ('network', 'region,year')
    """
    levels = [split([word]) for word in words]
    for columns in levels:
        if len(columns) > 2:
            raise DidError(f"--cluster: expected one column, or two with a comma between them for clusters two ways; "
                           f"found {', '.join(columns)}; give each level an option of its own")
    return tuple(dict.fromkeys(",".join(columns) for columns in levels if columns))


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


def parse_window(text: str) -> int | str:
    """Return the base window of a command line: a number of periods, or the word as it is."""
    return int(text) if text.strip().lstrip("+-").isdecimal() else text
