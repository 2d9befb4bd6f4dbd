"""Stage 6: the figures of one outcome, and its section of the report."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.errors import one_of
from did.estimators import entry
from did.estimators.base import PERIODS_PER_YEAR
from did.evidence import load_claims
from did.evidence.ranking import judged
from did.project import result_files
from did.project.config import Evaluation, Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.answer import margin_decimals
from did.report.content.describe import effect_unit, measure, onset, source_line, sources_of, subtitle
from did.report.content.evaluation_facts import family_facts, outcome_facts, stage_tables
from did.report.content.evidence_rows import evidence_rows, leading
from did.report.content.facts import (
    PERIODS,
    TREATMENTS,
    estimator_name,
    levels,
    only,
    own_dates_names,
    samples_of,
)
from did.report.content.robustness_rows import alternatives
from did.report.figures.event_study import Selection, TimeAxis, event_study
from did.report.figures.evidence import evidence_figure
from did.report.figures.reproduction import specifications_strip
from did.report.figures.robustness import robustness_forest
from did.report.figures.series import series_by_wave, wave_means
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from did.report.figures.staggered import PublishedNumber, estimators_over_event_time
from did.report.figures.style import Frame
from did.report.figures.trends import parallel_trends
from did.report.figures.waves import timing_panel
from did.report.pages.section import section_html
from did.report.writers.figure_files import publish
from did.store import tables
from did.store.provenance import write_text
from did.words import plural


def run(name: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Draw every figure that ``result_files.draw_files`` lists for the indicator ``name``, write its section of the
    report, and return one line about them.

    ``without`` are the indicators that this run has no files for: they decide which outcome is its family's headline.
    Raises DidError for an indicator the evaluation does not have, and for a table that is missing or breaks its
    contract.
    """
    shown = result_files.headlines(evaluation, without)
    one_of("indicator", name, [each for each in evaluation.indicators if each not in without])
    indicator = load_indicator(name, evaluation.indicators_folder)
    frames = stage_tables(("estimates", "diagnostics", "area_audit", "specifications", "trends", "headline"), [name],
                          evaluation, paths)
    claims = load_claims(evaluation.published)
    claims = claims.loc[claims["indicator"] == name]
    claims["published_value"] = pd.to_numeric(claims["value"], errors="coerce")
    sources = sources_of([indicator], evaluation)
    source = source_line([indicator], sources)
    figures = result_files.figures(evaluation, name, shown.values())
    made = {table: tables.read(table, getattr(paths, table)(name)) for table in ("verdicts", "evidence",
                                                                                  "evidence_items")}
    _evidence(indicator, evaluation, made, source, paths)
    _trends(indicator, evaluation, frames, source, paths)
    _series(indicator, evaluation, source, paths)
    _event_studies(indicator, evaluation, frames["estimates"], source, paths)
    if result_files.staggered_specification(evaluation):
        _estimators(indicator, evaluation, frames["estimates"], claims, source, paths)
    _robustness(indicator, evaluation, frames, claims, source, paths)
    if f"specification_{name}" in figures:
        _specifications(indicator, evaluation, frames, claims, source, paths)
        _timing(indicator, evaluation, source, paths)
    _specifications_of_claims(indicator, evaluation, frames["specifications"], claims, source, paths)
    publish(figures, paths)
    facts = family_facts(indicator.family, evaluation, without=without, paths=paths)
    write_text(paths.section(name), section_html(
        indicator, outcome_facts(facts, indicator, evaluation), evaluation, figures=figures, sources=sources,
        tables={**frames, **made, "reproduction": tables.read("comparison", paths.comparison(name))}, paths=paths,
        is_headline=facts.total == name))
    return f"{name}: {plural(len(figures), 'figure')}"


def _evidence(indicator: Indicator, evaluation: Evaluation, made: dict[str, pd.DataFrame], source: str,
              paths: Paths) -> None:
    """Draw the evidence on the estimate that the outcome is answered by."""
    own = leading(made["verdicts"], {"sample": evaluation.sample, "treatment": evaluation.treatments[0],
                                     "estimator": indicator.published_estimator})
    rows = evidence_rows(own, made["evidence"], made["evidence_items"], units=evaluation.units)
    frame = _frame_of_effects(indicator, evaluation, paths, "evidence", "the evidence at a glance", source)
    evidence_figure(rows, frame, value_label=effect_unit(indicator, evaluation),
                    decimals=0 if own is None else margin_decimals(own))


def _trends(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], source: str,
            paths: Paths) -> None:
    name, tests, trends = indicator.id, frames["diagnostics"], frames["trends"]
    unit = measure(indicator, evaluation)
    for sample, called in samples_of(evaluation).items():
        rows = trends.loc[trends["sample"] == sample]
        linear = tests.loc[(tests["sample"] == sample) & (tests["diagnostic"] == "linear_pretrend")
                           & tests["treatment"].eq("binary")]
        frame = Frame(paths.drawn / f"trends_{name}_{sample}", f"{indicator.title}, {called}",
                      subtitle(unit, indicator, evaluation), source, evaluation.units)
        parallel_trends(rows, frame.marked(rows), onset=onset(indicator, evaluation), value_label=unit, tests=linear)


def _series(indicator: Indicator, evaluation: Evaluation, source: str, paths: Paths) -> None:
    panel = tables.read("panel", paths.panel(indicator.id))
    panel = panel.loc[panel["specification"] == evaluation.default_specification]
    later = {wave: str(indicator.onset(month)) for wave, month in evaluation.waves.onsets.items()}
    unit = measure(indicator, evaluation)
    frame = Frame(paths.drawn / f"series_{indicator.id}", f"{indicator.title}: means of each wave",
                  subtitle(unit, indicator, evaluation), source, evaluation.units)
    series_by_wave(wave_means(panel, later), frame.marked(panel), value_label=unit)


def _reported(indicator: Indicator, evaluation: Evaluation, estimator: str) -> Selection:
    """An estimator as the report has it: default specification, first sample and treatment."""
    return Selection(indicator.id, evaluation.default_specification, evaluation.sample, evaluation.treatments[0],
                     estimator)


def _time_axis(indicator: Indicator) -> TimeAxis:
    return TimeAxis(f"{PERIODS[indicator.frequency].capitalize()}s since onset", PERIODS_PER_YEAR[indicator.frequency])


def _frame_of_effects(indicator: Indicator, evaluation: Evaluation, paths: Paths, stem: str, words: str,
                      source: str) -> Frame:
    """Around a figure of effects on one outcome, whose title goes on with ``words``."""
    return Frame(paths.drawn / f"{stem}_{indicator.id}", f"{indicator.title}: {words}",
                 subtitle(effect_unit(indicator, evaluation), indicator, evaluation), source, evaluation.units)


def _event_studies(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, source: str,
                   paths: Paths) -> None:
    figures = result_files.event_studies(evaluation, indicator.id)
    for place, (estimator, name) in enumerate(figures.items()):
        by = f", {estimator_name(estimator)}" if place else ""
        event_study(
            estimates.loc[estimates["estimand"] == "event_time"],
            Frame(paths.drawn / name, f"{indicator.title}: by time since onset{by}",
                  subtitle(measure(indicator, evaluation), indicator, evaluation), source, evaluation.units),
            selection=_reported(indicator, evaluation, estimator),
            value_label=effect_unit(indicator, evaluation),
            axis=_time_axis(indicator),
            clusters=levels(evaluation),
        )


def _estimators(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, claims: pd.DataFrame,
                source: str, paths: Paths) -> None:
    rows = estimates.loc[estimates["specification"] == result_files.staggered_specification(evaluation)]
    claim = only(claims.loc[claims["published_value"].notna()], indicator=indicator.id,
                 estimator=indicator.published_estimator, treatment="binary", sample="full")
    is_compared = evaluation.publication.coefficients > 0
    estimators_over_event_time(
        rows, _frame_of_effects(indicator, evaluation, paths, "estimators", "estimators side by side", source),
        estimators={name: called for name in evaluation.staggered_estimators
                    if (called := own_dates_names().get(name))},
        axis=_time_axis(indicator),
        published=PublishedNumber(is_compared=is_compared) if claim is None else PublishedNumber(
            claim["published_value"], estimator_name(claim["estimator"]), is_compared),
        clusters=levels(evaluation))


def _published(claims: pd.DataFrame, indicator: Indicator, evaluation: Evaluation) -> PublishedNumber:
    """What was printed for an indicator by its published estimator, first treatment and sample."""
    claim = only(claims.loc[claims["published_value"].notna()], indicator=indicator.id,
                 estimator=indicator.published_estimator, treatment=evaluation.treatments[0],
                 sample=evaluation.sample, estimand="overall")
    return PublishedNumber(None if claim is None else float(claim["published_value"]),
                           is_compared=evaluation.publication.coefficients > 0)


def _robustness(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], claims: pd.DataFrame,
                source: str, paths: Paths) -> None:
    static = [name for name in evaluation.estimators if entry(name).overall]
    rows = alternatives(
        indicator=indicator.id,
        estimates=frames["estimates"],
        diagnostics=frames["diagnostics"],
        specifications=frames["specifications"],
        specification=evaluation.default_specification,
        samples=list(evaluation.samples),
        treatment=evaluation.treatments[0],
        estimators=sorted(static, key=lambda name: name != indicator.published_estimator),
    )
    robustness_forest(
        rows,
        _frame_of_effects(indicator, evaluation, paths, "robustness", "the estimate and its alternatives", source),
        estimator=indicator.published_estimator, published=_published(claims, indicator, evaluation),
        value_label=effect_unit(indicator, evaluation), clusters=levels(evaluation))


def _specifications(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame],
                    claims: pd.DataFrame, source: str, paths: Paths) -> None:
    estimates, specifications = frames["estimates"], frames["specifications"]
    default = choices_of(evaluation.specifications[evaluation.default_specification], indicator)
    staggered = {
        name: choices_of(specification, indicator)
        for name, specification in evaluation.specifications_of(indicator).items()
        if specification.staggered
    }
    specification_curve(
        curve_rows(specifications, estimates, default=default, staggered=staggered, treatment=evaluation.treatments[0]),
        _frame_of_effects(indicator, evaluation, paths, "specification", "every specification", source),
        choices=list(default), reported=_reported(indicator, evaluation, indicator.published_estimator),
        value_label=effect_unit(indicator, evaluation), published=_published(claims, indicator, evaluation),
        clusters=levels(evaluation), samples=samples_of(evaluation))


def _timing(indicator: Indicator, evaluation: Evaluation, source: str, paths: Paths) -> None:
    """Draw the panel of an outcome by first treated period, each wave from its own date where a specification does
    so."""
    specification = result_files.staggered_specification(evaluation) or evaluation.default_specification
    panel = tables.read("panel", paths.panel(indicator.id))
    if specification not in set(panel["specification"]):
        specification = evaluation.default_specification
    timing_panel(
        panel.loc[panel["specification"] == specification],
        Frame(paths.drawn / f"timing_{indicator.id}", f"{indicator.title}: who is treated when",
              f"{evaluation.units.capitalize()} by first treated {PERIODS[indicator.frequency]} and by system, "
              f"{evaluation.place}. Specification: {specification}.", source, evaluation.units))


def _specifications_of_claims(
    indicator: Indicator, evaluation: Evaluation, varied: pd.DataFrame, claims: pd.DataFrame, source: str, paths: Paths
) -> None:
    """Draw the specifications of every claim on a number."""
    figures = result_files.specifications_figures(evaluation, [indicator.id])
    rows = judged(varied, claims, evaluation.evidence.close)
    for claim in claims.loc[claims["claim"].isin(list(figures))].itertuples():
        specifications_strip(
            rows.loc[rows["claim"] == claim.claim],
            Frame(paths.drawn / figures[claim.claim],
                  f"{indicator.title}: {estimator_name(claim.estimator)} under every specification",
                  f"{TREATMENTS[claim.treatment]} treatment, {samples_of(evaluation)[claim.sample]}. "
                  f"{subtitle(claim.unit, indicator, evaluation)}", source, evaluation.units),
            claim=claim, default=evaluation.default_specification, clusters=levels(evaluation))
