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
from did.report.content.describe import effect_unit, measure, onset, source_line, sources_of, subtitle
from did.report.content.evaluation_facts import family_facts, outcome_facts, stage_tables
from did.report.content.facts import (
    PERIODS,
    SAMPLES,
    TREATMENTS,
    estimator_name,
    levels,
    only,
    own_dates_names,
    samples_of,
)
from did.report.content.robustness_rows import alternatives
from did.report.figures.event_study import event_study
from did.report.figures.reproduction import specifications_strip
from did.report.figures.robustness import robustness_forest
from did.report.figures.series import series_by_wave, wave_means
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from did.report.figures.staggered import estimators_over_event_time
from did.report.figures.trends import parallel_trends
from did.report.figures.waves import timing_panel
from did.report.pages.section import section_html
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
    facts = family_facts(indicator.family, evaluation, without=without, paths=paths)
    write_text(paths.section(name), section_html(
        indicator, outcome_facts(facts, indicator, evaluation), evaluation, figures=figures, sources=sources,
        tables={**frames, "reproduction": tables.read("verdicts", paths.verdicts(name))}, results=paths.results))
    return f"{name}: {plural(len(figures), 'figure')}"


def _trends(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], source: str,
            paths: Paths) -> None:
    name, tests, trends = indicator.id, frames["diagnostics"], frames["trends"]
    unit = measure(indicator, evaluation)
    for sample in evaluation.samples:
        rows = trends.loc[trends["sample"] == sample]
        linear = tests.loc[(tests["sample"] == sample) & (tests["diagnostic"] == "linear_pretrend")
                           & tests["treatment"].eq("binary")]
        parallel_trends(
            rows, onset=onset(indicator, evaluation), stem=paths.results / "figures" / f"trends_{name}_{sample}",
            title=f"{indicator.title}, {SAMPLES[sample]}", subtitle=subtitle(unit, indicator, evaluation),
            source=source, value_label=unit, tests=linear, units=evaluation.units,
            is_synthetic=bool(rows["is_synthetic"].any()))


def _series(indicator: Indicator, evaluation: Evaluation, source: str, paths: Paths) -> None:
    panel = tables.read("panel", paths.panel(indicator.id))
    panel = panel.loc[panel["specification"] == evaluation.default_specification]
    later = {wave: str(indicator.onset(month)) for wave, month in evaluation.waves.onsets.items()}
    unit = measure(indicator, evaluation)
    series_by_wave(
        wave_means(panel, later), stem=paths.results / "figures" / f"series_{indicator.id}",
        title=f"{indicator.title}: means of each wave", subtitle=subtitle(unit, indicator, evaluation), source=source,
        value_label=unit, units=evaluation.units, is_synthetic=bool(panel["is_synthetic"].any()))


def _event_studies(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, source: str,
                   paths: Paths) -> None:
    figures = result_files.event_studies(evaluation, indicator.id)
    for place, (estimator, name) in enumerate(figures.items()):
        by = f", {estimator_name(estimator)}" if place else ""
        event_study(
            estimates.loc[estimates["estimand"] == "event_time"],
            estimator=estimator,
            indicator=indicator.id,
            specification=evaluation.default_specification,
            sample=evaluation.samples[0],
            treatment=evaluation.treatments[0],
            stem=paths.results / "figures" / name,
            title=f"{indicator.title}: by time since onset{by}",
            subtitle=subtitle(measure(indicator, evaluation), indicator, evaluation),
            source=source,
            value_label=effect_unit(indicator, evaluation),
            time_label=f"{PERIODS[indicator.frequency].capitalize()}s since onset",
            tick_every=PERIODS_PER_YEAR[indicator.frequency],
            units=evaluation.units,
            clusters=levels(evaluation),
        )


def _estimators(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, claims: pd.DataFrame,
                source: str, paths: Paths) -> None:
    rows = estimates.loc[estimates["specification"] == result_files.staggered_specification(evaluation)]
    claim = only(claims.loc[claims["published_value"].notna()], indicator=indicator.id,
                 estimator=indicator.published_estimator, treatment="binary", sample="full")
    estimators_over_event_time(
        rows, estimators={name: called for name in evaluation.staggered_estimators
                          if (called := own_dates_names().get(name))},
        stem=paths.results / "figures" / f"estimators_{indicator.id}",
        title=f"{indicator.title}: estimators side by side",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation), source=source,
        time_label=f"{PERIODS[indicator.frequency].capitalize()}s since onset",
        published=None if claim is None else (claim["published_value"], estimator_name(claim["estimator"])),
        is_compared=evaluation.publication.coefficients > 0,
        tick_every=PERIODS_PER_YEAR[indicator.frequency], units=evaluation.units,
        clusters=levels(evaluation))


def _published(claims: pd.DataFrame, indicator: Indicator, evaluation: Evaluation) -> float | None:
    """What was printed for an indicator by its published estimator, first treatment and sample; None if nothing."""
    claim = only(claims.loc[claims["published_value"].notna()], indicator=indicator.id,
                 estimator=indicator.published_estimator, treatment=evaluation.treatments[0],
                 sample=evaluation.samples[0], estimand="overall")
    return None if claim is None else float(claim["published_value"])


def _robustness(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], claims: pd.DataFrame,
                source: str, paths: Paths) -> None:
    static = [name for name in evaluation.estimators if entry(name).overall]
    rows = alternatives(
        indicator=indicator.id,
        estimates=frames["estimates"],
        diagnostics=frames["diagnostics"],
        specifications=frames["specifications"],
        specification=evaluation.default_specification,
        samples=evaluation.samples,
        treatment=evaluation.treatments[0],
        estimators=sorted(static, key=lambda name: name != indicator.published_estimator),
    )
    robustness_forest(
        rows, estimator=indicator.published_estimator, published=_published(claims, indicator, evaluation),
        is_compared=evaluation.publication.coefficients > 0,
        stem=paths.results / "figures" / f"robustness_{indicator.id}",
        title=f"{indicator.title}: the estimate and its alternatives",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation), source=source,
        value_label=effect_unit(indicator, evaluation), units=evaluation.units,
        clusters=levels(evaluation))


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
        choices=list(default), estimator=indicator.published_estimator, specification=evaluation.default_specification,
        stem=paths.results / "figures" / f"specification_{indicator.id}",
        title=f"{indicator.title}: every specification",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation),
        source=source, value_label=effect_unit(indicator, evaluation),
        published=_published(claims, indicator, evaluation), is_compared=evaluation.publication.coefficients > 0,
        clusters=levels(evaluation), samples=samples_of(evaluation))


def _timing(indicator: Indicator, evaluation: Evaluation, source: str, paths: Paths) -> None:
    """Draw the panel of an outcome by first treated period, each wave from its own date where a specification does
    so."""
    specification = result_files.staggered_specification(evaluation) or evaluation.default_specification
    panel = tables.read("panel", paths.panel(indicator.id))
    if specification not in set(panel["specification"]):
        specification = evaluation.default_specification
    timing_panel(
        panel.loc[panel["specification"] == specification], stem=paths.results / "figures" / f"timing_{indicator.id}",
        title=f"{indicator.title}: who is treated when",
        subtitle=f"{evaluation.units.capitalize()} by first treated {PERIODS[indicator.frequency]} and by system, "
                 f"{evaluation.place}. Specification: {specification}.",
        source=source, units=evaluation.units)


def _specifications_of_claims(
    indicator: Indicator, evaluation: Evaluation, varied: pd.DataFrame, claims: pd.DataFrame, source: str, paths: Paths
) -> None:
    """Draw the specifications of every claim on a number."""
    figures = result_files.specifications_figures(evaluation, [indicator.id])
    rows = judged(varied, claims)
    for claim in claims.loc[claims["claim"].isin(list(figures))].itertuples():
        specifications_strip(
            rows.loc[rows["claim"] == claim.claim], claim, default=evaluation.default_specification,
            stem=paths.results / "figures" / figures[claim.claim],
            title=f"{indicator.title}: {estimator_name(claim.estimator)} under every specification",
            subtitle=f"{TREATMENTS[claim.treatment]} treatment, {SAMPLES[claim.sample]}. "
                     f"{subtitle(claim.unit, indicator, evaluation)}", source=source, clusters=levels(evaluation))
