"""The workbench of a run: every overall estimate of its tables, by what was chosen for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd

from did.estimators import entry, names
from did.estimators.registry import LAGS
from did.inference.calibration import Settings
from did.inference.headline import methods_by_rule
from did.inference.names import METHODS
from did.panels.specifications import design
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.specification import Specification
from did.report.content.answer import MADE_UP
from did.report.content.describe import effect_unit
from did.report.content.evaluation_facts import levels, samples_of, treatments_of
from did.report.content.facts import METHODS as CALLED
from did.report.content.facts import having
from did.report.content.notes import change, records
from did.report.workbench.model import (
    INFERENCE,
    LEADING,
    VALUES,
    Dimension,
    Published,
    Workbench,
    tidied,
)
from did.report.workbench.page import hashed, script, section, style, template
from did.report.writers.html import TEMPLATES
from did.words import number, short_decimals

# Choices of a specification -> what each is called, in the order shown.
CHOICES = {
    "window": "Window", "denominator": "Denominator", "lags": "Lags", "drop_periods": "Periods left out",
    "boundaries": "Reorganised {units}", "controls": "Compared with", "weights": "Weights", "scale": "Scale",
    "cohorts": "Treated from", "membership": "Record of who was treated", "metropolitan": "Metropolitan counties",
    "partial": "{Units} partly in a system", "overlap": "Dose of {units} in two systems",
    "predecessors": "Names of predecessors",
}
# Values of these that say little by themselves.
WORDS = {
    ("window", "default"): "as reported", ("drop_periods", ""): "none", ("scale", "level"): "as it is",
    ("scale", "log"): "its logarithm", ("controls", "not_treated"): "all that are not treated",
    ("controls", "never_treated"): "those never treated", ("weights", "equal"): "all alike",
    ("weights", "denominator"): "by the denominator", ("cohorts", "published"): "one date for all",
    ("cohorts", "by_wave"): "the date of each wave", ("cohorts", "by_system"): "the date of each system",
    ("cohorts", "by_table"): "the dates of the table", ("cohorts", "own_dates"): "each one's own date",
}
# Methods of inference in words.
METHOD_NAMES = CALLED | {"clustered_unit": "clustered errors", "jackknife": "the jackknife over clusters"}
# Diagnostics that are the reported estimate by another method of inference -> that method.
OTHER_METHODS = {"bias_reduced_cr2": "CR2", "bias_reduced_cr3": "CR3", "wild_bootstrap": "wild_bootstrap",
                 "randomisation": "randomisation", "randomisation_estimate": "randomisation_estimate",
                 "jackknife": "jackknife"}
# Diagnostics that are the reported estimate with something left out, or other controls.
LEFT_OUT = ("leave_one_out", "drop_year", "other_controls", "left_out")
NOTHING = "nothing"
TOGETHER = ["outcome", "treatment"]
CELL = ["outcome", "specification", "sample", "treatment", "estimator"]
GROUPS = {"What is estimated": ("outcome", "treatment", "sample", "left_out"),
          "How it is estimated": ("estimator", *CHOICES), "Its interval": (INFERENCE,)}
INTRO = ("Every choice that was run, with its estimate, its interval and its place among all. Nothing is computed on "
         "this page.")


def workbench(evaluation: Evaluation, indicators: Mapping[str, Indicator], frames: Mapping[str, pd.DataFrame],
              leading: pd.Series | None) -> Workbench:
    """Return the workbench of a run.

    ``indicators`` by name, in the order shown; ``frames`` are the tables specifications, estimates, diagnostics,
    calibration, headline and verdicts of all of them; ``leading`` is the row of the verdicts that the page opens on
    (None: the first outcome). Of every row the numbers are those of its table: nothing is computed here.
    """
    choices = _rows(indicators, evaluation, frames)
    choices = choices.loc[~_same_without_lags(choices, evaluation)]
    dimensions, choices = tidied(_dimensions(evaluation, indicators, choices), _measured(choices, evaluation, frames))
    units = {(name, treatment): _unit(each, treatment, evaluation) for name, each in indicators.items()
             for treatment in choices["treatment"].unique()}
    return Workbench(dimensions, choices, _reported(choices, evaluation, indicators, leading), TOGETHER, units,
                     _published(frames["verdicts"]),
                     is_synthetic=any(bool(frame["is_synthetic"].any()) for frame in frames.values()))


# Rows ---------------------------------------------------------------------------------------------------------


def _rows(indicators: Mapping[str, Indicator], evaluation: Evaluation, frames: Mapping[str, pd.DataFrame]
          ) -> pd.DataFrame:
    """The rows of each table, outcome by outcome: columns `CELL`, those of `CHOICES`, left_out, called, inference, and
    numbers."""
    own = {table: frame.rename(columns={"indicator": "outcome"}) for table, frame in frames.items()}
    values = {(name, key): _values(specification, each) for name, each in indicators.items()
              for key, specification in _known(each, evaluation).items()}
    chosen = pd.DataFrame(list(values.values()), pd.MultiIndex.from_tuples(values))
    level = evaluation.clusters[-1]
    overall = having(own["estimates"], estimand="overall")
    tests = having(own["diagnostics"], status="done", diagnostic=[*LEFT_OUT, *OTHER_METHODS]).assign(
        estimate=lambda frame: frame["value"])
    without = having(tests, diagnostic=list(LEFT_OUT))
    methods = having(tests, diagnostic=list(OTHER_METHODS), cluster=level)
    changes = records(without)
    found = [
        own["headline"].assign(inference=LEADING, left_out=NOTHING),
        *(_clustered(frame, level).assign(left_out=NOTHING) for frame in (own["specifications"], overall)),
        methods.assign(inference=methods["diagnostic"].map(OTHER_METHODS), left_out=NOTHING).assign(
            method=lambda frame: frame["inference"]),
        _clustered(without, level).assign(called=[change(row) for row in changes], left_out=[
            _code(row) for row in changes]),
    ]
    columns = [*CELL, "left_out", "called", INFERENCE, "cluster", *VALUES]
    rows = pd.concat([frame.reindex(columns=columns) for frame in found if len(frame)], ignore_index=True)
    rows = rows.join(chosen, on=["outcome", "specification"])
    return rows.sort_values("outcome", key=lambda names: names.map(list(indicators).index), kind="stable",
                            ignore_index=True)


def _known(indicator: Indicator, evaluation: Evaluation) -> dict[str, Specification]:
    """The specifications of an outcome by name."""
    return ({variant.name: variant.specification for variant in design(evaluation, indicator)}
            | evaluation.specifications_of(indicator))


def _clustered(rows: pd.DataFrame, level: str) -> pd.DataFrame:
    """Rows whose errors are clustered, with their method: ``clustered`` is at the level of assignment."""
    return rows.assign(inference="clustered by " + rows["cluster"],
                       method=np.where(rows["cluster"].eq(level), "clustered", "clustered_" + rows["cluster"]))


def _code(row: Mapping) -> str:
    """What an estimate leaves out, as a value of the dimension."""
    return " ".join(part for part in (row["variant"], row["left_out"]) if part)


def _values(specification: Specification, indicator: Indicator) -> dict[str, str]:
    """The choices of a specification as codes."""
    found = {key: getattr(specification, key) for key in CHOICES} | {
        "denominator": indicator.denominator_name(specification) or ""}
    return {key: ", ".join(value) if isinstance(value, list) else str(value) for key, value in found.items()}


def _same_without_lags(choices: pd.DataFrame, evaluation: Evaluation) -> pd.Series:
    """Rows of an estimator without lags under another choice of them, which are the same estimate again."""
    default = evaluation.specifications[evaluation.default_specification].lags
    without = [name for name in names() if LAGS not in entry(name).needs]
    return choices["estimator"].isin(without) & choices["lags"].ne(default)


def _measured(choices: pd.DataFrame, evaluation: Evaluation, frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows with what was measured of the method of each, where it was measured for that very estimate; the method
    in words."""
    settings = Settings(order=METHODS, tolerance=evaluation.inference.tolerance)
    known = {(*cell, each.method): (each.coverage, each.n_draws, each.holds)
             for cell, rows in frames["calibration"].groupby(["indicator", *CELL[1:]], sort=False)
             for each in methods_by_rule(rows, settings) if each.n_draws}
    measured = [(row[-3], row[-2], row[-1]) if row[-4] == LEADING else
                known.get(row[:6], (np.nan, None, None)) if row[6] == NOTHING else (np.nan, None, None)
                for row in map(tuple, choices[[*CELL, "method", "left_out", INFERENCE, "coverage", "n_draws",
                                               "holds"]].to_numpy(object))]
    coverage, n_draws, holds = zip(*measured, strict=True)
    by = levels(evaluation)
    words = [f"{METHOD_NAMES[method]}, {by[cluster]}" if method else "no method" for method, cluster in zip(
        choices["method"], choices["cluster"], strict=True)]
    return choices.assign(method=words, coverage=coverage, n_draws=n_draws, holds=holds)


def _reported(choices: pd.DataFrame, evaluation: Evaluation, indicators: Mapping[str, Indicator],
              leading: pd.Series | None) -> list[int]:
    """The rows that the page returns to, the one that it opens on first: of each outcome and treatment the published
    estimator in the first sample under the reported specification, or the first there is."""
    published = choices["outcome"].map({name: each.published_estimator for name, each in indicators.items()})
    usual = choices["left_out"].eq(NOTHING) & choices["specification"].eq(evaluation.default_specification)
    first = usual & False
    if leading is not None:
        first = usual & choices["outcome"].eq(leading["indicator"])
        for name in ("sample", "treatment", "estimator"):
            first &= choices[name].eq(leading[name])
    usual &= choices["sample"].eq(evaluation.sample) & choices["estimator"].eq(published)
    rank = pd.Series(np.select([first, usual], [0, 1], 2), choices.index).sort_values(kind="stable")
    best = choices.loc[rank.index].drop_duplicates(TOGETHER)
    return [int(at) for at in best.index]


# Words --------------------------------------------------------------------------------------------------------


def _dimensions(evaluation: Evaluation, indicators: Mapping[str, Indicator], choices: pd.DataFrame) -> list[Dimension]:
    units = {"units": evaluation.units, "Units": evaluation.units.capitalize()}
    within = {"intensity_within_treated": "Intensity, among the treated alone"}
    labels = choices.loc[choices["left_out"].ne(NOTHING)].drop_duplicates("left_out").set_index("left_out")["called"]
    by_level = {f"clustered by {level}": f"errors clustered {words}"
                for level, words in reversed(levels(evaluation).items())}
    order = list(dict.fromkeys([*evaluation.estimators, *evaluation.staggered_estimators]))
    return [
        Dimension("outcome", "Outcome", {name: each.title for name, each in indicators.items()}),
        Dimension("treatment", "Treatment", treatments_of(evaluation) | within),
        Dimension("sample", "Sample", samples_of(evaluation)),
        Dimension("estimator", "Estimator", {name: entry(name).label for name in order}),
        *(Dimension(key, label.format_map(units), _named(key, choices)) for key, label in CHOICES.items()),
        Dimension("left_out", "Left out", {NOTHING: "nothing"} | dict(labels)),
        Dimension(INFERENCE, "Interval by", {
            LEADING: "the first method whose measured coverage holds", **by_level,
            **{name: METHOD_NAMES[name] for name in OTHER_METHODS.values()}}),
    ]


def _named(key: str, choices: pd.DataFrame) -> dict[str, str]:
    return {code: WORDS.get((key, code)) or re.sub(r"(?<=\d)_(?=\d)", "-", code).replace("_", " ") or "none"
            for code in choices[key].unique()}


def _unit(indicator: Indicator, treatment: str, evaluation: Evaluation) -> str:
    unit = effect_unit(indicator, evaluation)
    return unit if treatment == "binary" else f"{unit}, for each {evaluation.dose}"


def _published(verdicts: pd.DataFrame) -> list[Published]:
    rows = verdicts.loc[verdicts["published_value"].notna()].to_dict("records")
    return [Published({"outcome": row["indicator"], "treatment": row["treatment"]}, float(row["published_value"]),
                      number(row["published_value"], short_decimals(row["published_value"]), signed=True))
            for row in rows]


def page(bench: Workbench, *, title: str) -> str:
    """Return the whole page of a run's workbench, which opens without a network."""
    look = (TEMPLATES / "report.css").read_text(encoding="utf-8") + style()
    code = script()
    made_up = (f'<p class="synthetic"><strong>SYNTHETIC DATA.</strong> {escape(MADE_UP)}</p>'
               if bench.is_synthetic else "")
    body = section(bench, heading="Workbench", intro=INTRO, groups=GROUPS, level=1)
    return template("page.html").substitute(
        title=escape(f"{'SYNTHETIC: ' if bench.is_synthetic else ''}Workbench: {title}"), style=look, script=code,
        style_hash=hashed(look), script_hash=hashed(code), made_up=made_up, heading=escape(title), body=body,
        kind=' class="made-up"' if bench.is_synthetic else "")
