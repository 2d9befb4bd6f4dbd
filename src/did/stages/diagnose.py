"""Stage 5: what a reviewer asks of one indicator's estimates, and the trends behind the report's graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from did.areas import waves
from did.diagnostics import alternatives, heterogeneity
from did.diagnostics.base_periods import base_period_rows
from did.diagnostics.bracketing import bracketing_rows
from did.diagnostics.detectable import minimum_detectable_rows
from did.diagnostics.detrended import detrended_rows, long_base_rows
from did.diagnostics.equivalence import equivalence_rows
from did.diagnostics.estimate_rows import estimate_rows
from did.diagnostics.few_clusters import event_wild_rows, few_cluster_rows
from did.diagnostics.group_time_pretest import pretest
from did.diagnostics.group_trends import group_trends
from did.diagnostics.imputation_leads import imputation_leads
from did.diagnostics.other_assumptions import donor_weights, other_assumption_rows, synthetic_result
from did.diagnostics.placebo_in_time import placebo_in_time
from did.diagnostics.pretest_power import pretest_power_rows
from did.diagnostics.pretrends import leads_of, pretrend_rows, recommendation
from did.diagnostics.reassigned_leads import reassigned_leads
from did.diagnostics.sampling import sampling_rows
from did.diagnostics.sensitivity import sensitivity_rows
from did.diagnostics.spillovers import spillover_rows
from did.errors import DidError
from did.estimators import entry, estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import PERIODS_PER_YEAR, Panel, Result
from did.estimators.decomposition import decompose, shares
from did.estimators.registry import COHORT_PERIOD, EVENT_TIME, LAGS, ONE_EFFECT
from did.estimators.shipped import unobserved_before
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.randomisation import ESTIMATORS as REASSIGNED
from did.inference.randomisation import randomisation_rows
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.result_files import staggered_specification
from did.project.slices import without_words
from did.readers.reference import read_reference
from did.stages.fit import claimed_cells, panel_of, panels_of
from did.store import tables

# Draws for coefficients over event time, of which there are many.
EVENT_DRAWS = 999
# Onsets a year that the slower estimators are tried at; those of neighbouring months share nearly all their data.
ONSETS_A_YEAR = 2


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Run the diagnostics of one indicator, write the diagnostics, trends and weights tables and return one line about
    them.

    Trends and their tests for every sample and treatment; few-cluster inference and power for every treatment; the rest
    for the first treatment; all under the reported specification, in the first sample. What the evidence asks of an
    estimate (`did.evidence.ladder`) is there for every other cell that a claim prints something on, too. What concerns
    estimators for waves from their own dates is under the first specification that has them. A diagnostic that does not
    apply is a row with status ``skipped`` and its reason. Raises DidError for a panel the tests cannot use at all.
    """
    staggered = staggered_specification(evaluation)
    panels = tables.read("panel", paths.panel(indicator),
                         specification=[evaluation.default_specification, *([staggered] if staggered else [])])
    synthetic = bool(panels["is_synthetic"].any())
    settings = without_words(load_indicator(indicator, evaluation.indicators_folder))
    frame = panels.loc[panels["specification"] == evaluation.default_specification]
    units = frame.drop_duplicates("unit")
    claimed = claimed_cells(indicator, evaluation)
    found: list[dict] = []
    trends = []
    for sample in evaluation.samples:
        keys = {"indicator": indicator, "specification": evaluation.default_specification, "sample": sample,
                "is_synthetic": synthetic}
        of_treatment = panels_of(frame, sample, dict.fromkeys([*evaluation.treatments, "binary"]), evaluation)
        for treatment in evaluation.treatments:
            panel = of_treatment[treatment]
            tests = pretrend_rows.records(panel, bin_width=PERIODS_PER_YEAR[panel.frequency])
            rows = list(tests)
            if sample == evaluation.sample:
                rows += _about_design(panel, evaluation)
                if treatment == evaluation.treatments[0]:
                    weighted = synthetic_result(panel)
                    weights = donor_weights(panel, weighted).assign(**keys)
                    rows += [*recommendation.records(tests, panel, settings.published_estimator),
                             *(bracketing_rows.records(panel, seed=evaluation.seed) if _has_lags(evaluation) else []),
                             *_about_assumptions(panel, frame, evaluation, weighted),
                             *_about_sampling(panel, frame, settings, evaluation),
                             *_about_trends(panel, evaluation.seed), *_about_rows(panel, units, settings, evaluation)]
            names = [name for *cell, name in claimed if cell == [sample, treatment]]
            if [sample, treatment] != [evaluation.sample, evaluation.treatments[0]]:
                rows += _for_evidence(panel, units, [name for name in names if entry(name).kind == ONE_EFFECT],
                                      settings, evaluation)
            found += [row | keys for row in rows]
        trends.append(group_trends(of_treatment["binary"]).assign(**keys))
    if staggered:
        panel = panel_of(
            panels.loc[panels["specification"] == staggered],
            evaluation.sample,
            evaluation.treatments[0],
            evaluation,
        )
        about = _about_staggered(panel, evaluation.staggered_estimators, evaluation.seed)
        keys = {"indicator": indicator, "specification": staggered, "sample": evaluation.sample,
                "is_synthetic": synthetic}
        found += [row | keys for row in about]
    diagnostics = pd.DataFrame(found)
    tables.write("diagnostics", diagnostics, paths.diagnostics(indicator))
    tables.write("trends", pd.concat(trends, ignore_index=True), paths.trends(indicator))
    tables.write("weights", weights, paths.weights(indicator))
    n_skipped = int((diagnostics["status"] == "skipped").sum())
    return f"{indicator}: {len(diagnostics)} diagnostics, {n_skipped} of them skipped with a reason"


def _for_evidence(panel: Panel, units: pd.DataFrame, names: Sequence[str], indicator: Indicator,
                  evaluation: Evaluation) -> list[dict]:
    """What the evidence asks of an estimate, by these estimators of one effect: is there a trend, or one system?"""
    if not names:
        return []
    options, level = _static(evaluation)[1], evaluation.clusters[-1]
    common = dict(original=panel, estimators=names, options=options)
    called = _called(level, indicator, evaluation)
    treated = alternatives.without_each_cluster(panel, level, called, treated=True)
    return [*estimate_rows.records("leave_one_out", treated, **common),
            *placebo_in_time.records(panel, names, options),
            *estimate_rows.records("other_controls", alternatives.other_controls(panel, units), **common),
            *detrended_rows.records(panel)]


def _called(level: str, indicator: Indicator, evaluation: Evaluation) -> dict[str, str]:
    """Label of a cluster -> what it is called."""
    if level != "system":
        return {}
    table = waves.systems(evaluation, indicator.geography)
    return dict(zip(table["system"], table["system_name"], strict=True))


def _static(evaluation: Evaluation) -> tuple[list[str], dict[str, dict]]:
    """The evaluation's estimators of one effect, and their options under the reported specification."""
    lags = evaluation.specifications[evaluation.default_specification].lags
    names = [name for name in evaluation.estimators if entry(name).kind == ONE_EFFECT]
    return names, {name: {"lags": lags} for name in names if LAGS in entry(name).needs}


def _has_lags(evaluation: Evaluation) -> bool:
    """Whether the evaluation runs an estimator on lags: only then are there two estimates to bracket an effect."""
    return any(LAGS in entry(name).needs for name in evaluation.estimators)


def _about_design(panel: Panel, evaluation: Evaluation) -> list[dict]:
    """Few clusters, reassignment, and what effect the design could have found."""
    names, options = _static(evaluation)
    level, lags = evaluation.clusters[-1], evaluation.specifications[evaluation.default_specification].lags
    reassigned = tuple(name for name in names if name in REASSIGNED)
    fitted = {name: estimate(name, panel, **options.get(name, {})) for name in names}
    rows = few_cluster_rows.records(panel, level, estimators=names, options=options, draws=evaluation.draws,
                                    seed=evaluation.seed, fitted=fitted)
    statistics = {"randomisation": "studentised", "randomisation_estimate": "estimate"}
    found = randomisation_rows.records(panel, estimators=reassigned, statistics=statistics, level=level,
                                       draws=evaluation.draws, seed=evaluation.seed, lags=lags)
    for diagnostic in statistics:
        rows += [row for row in found if row["diagnostic"] == diagnostic]
        rows += [skipped(diagnostic_row(diagnostic, panel, level) | {"estimator": name},
                         f"only for {', '.join(REASSIGNED)}") for name in names if name not in REASSIGNED]
    for width in _widths(panel):
        rows += reassigned_leads.records(panel, level, bin_width=width, seed=evaluation.seed)
    return rows + [row for result in fitted.values() for row in minimum_detectable_rows.records(result, panel)]


def _about_assumptions(panel: Panel, frame: pd.DataFrame, evaluation: Evaluation,
                       weighted: Result | None) -> list[dict]:
    """The estimate under other assumptions; as counts where the outcome was published with them."""
    counts = None
    if frame["numerator"].notna().all() and frame["weight"].notna().all():
        counts = panel_of(frame.assign(outcome=frame["numerator"]), evaluation.sample, "binary", evaluation,
                          weight="weight")
    lags = evaluation.specifications[evaluation.default_specification].lags
    return other_assumption_rows.records(panel, counts, lags=lags, seed=evaluation.seed, synthetic=weighted)


def _about_sampling(panel: Panel, frame: pd.DataFrame, indicator: Indicator, evaluation: Evaluation) -> list[dict]:
    """How much of each error is who happened to be asked, where the outcome is a share of independent answers."""
    names, options = _static(evaluation)
    answers = None
    if indicator.design_effect is not None and frame["weight"].notna().all():
        answers = panel_of(frame, evaluation.sample, panel.treatment, evaluation, weight="weight").weight
    return sampling_rows.records(panel, answers, names, options, per=indicator.per,
                                 design_effect=indicator.design_effect, seed=evaluation.seed)


def _about_trends(panel: Panel, seed: int) -> list[dict]:
    """Power of the pre-test, equivalence, bounds under unparallel trends, wild bootstrap of the event study."""
    width = PERIODS_PER_YEAR[panel.frequency]
    level = list(panel.clusters)[-1]
    wild = dict(bin_width=width, draws=EVENT_DRAWS, seed=seed)
    try:
        study = estimate("event_study", panel, bin_width=width)
    except DidError as error:
        row = diagnostic_row("sensitivity", panel, level)
        return [*event_wild_rows.records(panel, level, **wild), skipped(row, str(error))]
    rows = event_wild_rows.records(panel, level, **wild, fitted=study)
    for each in panel.clusters:
        rows += [*pretest_power_rows.records(study, panel, each), *equivalence_rows.records(study, panel, each),
                 *_sensitivity(study, panel, each)]
    return rows


def _sensitivity(study, panel: Panel, level: str) -> list[dict]:
    """`sensitivity_rows` as rows of the diagnostics table: intervals, and the breakdown value of each method."""
    rows = []
    done = set()
    for each in sensitivity_rows(study, panel, level).to_dict("records"):
        base = diagnostic_row(f"sensitivity_{each['method']}", panel, level) | {
            "estimator": "event_study", "target": each["target"], "n_clusters": each["n_clusters"],
            "n_treated_clusters": each["n_treated_clusters"], "df_denominator": each["df"]}
        if each["status"] == "skipped":
            rows.append(skipped(base, each["reason"]))
            continue
        rows.append(base | {"bound_m": each["m"], "value": each["estimate"],
                            "statistic": each["m"], "ci_low": each["ci_low"], "ci_high": each["ci_high"],
                            "reason": each["reason"]})
        if each["method"] != "original" and (each["method"], each["target"]) not in done:
            done.add((each["method"], each["target"]))
            within = pd.notna(each["breakdown"]) and each["breakdown"] != float("inf")
            rows.append(base | {
                "is_breakdown": True, "value": each["breakdown"] if within else None,
                "reason": "largest m at which the interval leaves out zero" if within else
                "the interval leaves out zero at every m tried"})
    return rows


def _about_rows(panel: Panel, units: pd.DataFrame, indicator: Indicator, evaluation: Evaluation) -> list[dict]:
    """What happens when something is left out, and effects of parts of the treated."""
    names, options = _static(evaluation)
    common = dict(original=panel, estimators=names, options=options)
    level = evaluation.clusters[-1]
    called = _called(level, indicator, evaluation)
    rows = estimate_rows.records("leave_one_out", alternatives.without_each_cluster(panel, level, called), **common)
    for name in names:
        own = [row for row in rows if (row["estimator"], row["cluster"]) == (name, level)]
        value = float(estimate(name, panel, **options.get(name, {})).estimate[0])
        rows += alternatives.jackknife.records(own, value, panel, level)
    robust = evaluation.robustness
    left_out = alternatives.left_out(panel, robust.leave_out, robust.ends)
    rows += [*estimate_rows.records("drop_year", alternatives.without_each_year(panel), **common),
             *estimate_rows.records("placebo_onset", alternatives.placebo_onsets(panel), **common),
             *placebo_in_time.records(panel, names, options), *detrended_rows.records(panel),
             *estimate_rows.records("other_controls", alternatives.other_controls(panel, units), **common),
             *estimate_rows.records("left_out", left_out, **common),
             *estimate_rows.records("by_system", heterogeneity.by_cluster(panel, level, called), **common),
             *estimate_rows.records("by_wave", heterogeneity.by_wave(panel, units), **common)]
    dose = units.set_index("unit")["intensity"].reindex(panel.units).to_numpy()
    rows += estimate_rows.records("by_intensity", heterogeneity.by_dose(panel, dose), **common)
    for name, tables_of in robust.terciles.items():
        values = None
        if indicator.geography in tables_of:
            held = read_reference(Path(evaluation.reference) / tables_of[indicator.geography], ["unit", "value"],
                                  ["unit"])
            values = pd.to_numeric(held.set_index("unit")["value"])
        rows += estimate_rows.records(f"by_{name}", heterogeneity.by_covariate(panel, values, name), **common)
    if indicator.geography in robust.neighbours:
        pairs = read_reference(Path(evaluation.reference) / robust.neighbours[indicator.geography],
                               ["unit", "neighbour"], ["unit", "neighbour"])
        rows += spillover_rows.records(panel, pairs, names, options)
    return rows


def _widths(panel: Panel) -> list[int]:
    """Periods to a bin of leads: one, and those of a year."""
    return sorted({1, PERIODS_PER_YEAR[panel.frequency]})


def _about_staggered(panel: Panel, names: Sequence[str], seed: int) -> list[dict]:
    """Pre-tests of the estimators for several onsets, and what the two-way estimate is made of."""
    level = list(panel.clusters)[-1]
    year = PERIODS_PER_YEAR[panel.frequency]
    rows = [*(row for width in _widths(panel)
              for row in reassigned_leads.records(panel, level, bin_width=width, seed=seed)),
            *imputation_leads.records(panel, bin_width=year), *decomposition_rows.records(panel),
            *placebo_in_time.records(panel, [name for name in names if entry(name).overall], {},
                                     max(year // ONSETS_A_YEAR, 1)), *long_base_rows.records(panel)]
    for name in names:
        try:
            rows += _about_estimator(name, panel)
        except DidError as error:
            rows.append(skipped(diagnostic_row("estimator", panel, level) | {"estimator": name}, str(error)))
    return rows


def _about_estimator(name: str, panel: Panel) -> list[dict]:
    """Pre-tests of one of them. Raises DidError where it cannot be fitted, and has no row in the estimates either."""
    known, rows = entry(name), []
    if known.option("base_window"):
        rows += base_period_rows.records(panel, anticipation=unobserved_before(panel))
    if known.kind == COHORT_PERIOD:
        bases = [{"base_period": base} if known.option("base_period") else {} for base in ("universal", "varying")]
        universal, varying = (estimate(name, panel, **options) for options in bases)
        rows += [*leads_of.records(aggregate(universal, panel, "event_time"), panel), *pretest.records(varying, panel)]
    else:
        result = estimate(name, panel)
        if known.kind == EVENT_TIME and known.base == "last":
            rows += leads_of.records(result, panel)
    return rows


@tabled
def decomposition_rows(panel: Panel) -> list[dict]:
    """What kinds of comparison the two-way estimate is made of, as rows of the diagnostics table: value is the weight
    of a kind (0 to 1), statistic its mean estimate in units of the outcome. Skipped where the panel is not balanced."""
    try:
        kinds = shares(decompose(panel))
    except DidError as error:
        row = diagnostic_row("decomposition", panel, "unit")
        return [skipped(row, str(error))]
    return [diagnostic_row("decomposition", panel, "unit", value=kind.weight)
            | {"part": kind.type, "statistic": kind.estimate,
               "reason": f"weight and mean of {kind.n_pairs} comparisons"}
            for kind in kinds.itertuples()]
