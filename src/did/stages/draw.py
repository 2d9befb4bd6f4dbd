"""Stage 7: the figures of one family of outcomes."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did import tables
from did.config import Evaluation, Indicator, load_indicator
from did.errors import one_of
from did.estimators.base import PERIODS_PER_YEAR
from did.outputs import contents
from did.outputs.describe import effect_unit, measure, onset, source_line, sources_of, subtitle
from did.outputs.event_figures import event_study
from did.outputs.facts import (
    ESTIMATORS,
    PERIODS,
    SAMPLES,
    STAGGERED,
    annotated,
    estimator_name,
    levels,
    only,
    samples_of,
    treatments_of,
)
from did.outputs.figures import coefficient_panes, coefficient_single
from did.outputs.robustness_figures import robustness_forest
from did.outputs.robustness_rows import alternatives
from did.outputs.specification_figures import choices_of, specification_curve, specifications
from did.outputs.staggered_figures import estimators_over_event_time
from did.outputs.text import listed
from did.outputs.trend_figures import parallel_trends
from did.outputs.wave_figures import timing_panel, wave_chart, wave_rows
from did.paths import Paths
from did.reference import read_reference
from did.reproduce import load_claims
from did.waves import MEMBERSHIP

# What the areas of a geography are called in headings.
GEOGRAPHIES = {"upper_tier": "Upper-tier authorities", "ccg_2020": "CCGs of 2020"}


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Draw every figure that ``contents.draw_files`` lists for a family and return one line about them.

    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family and a table
    that is missing or breaks its contract.
    """
    by_family = contents.families(evaluation, without)
    one_of("family", family, by_family)
    members = [load_indicator(name, evaluation.indicators_folder) for name in by_family[family]]
    frames = {table: pd.concat([tables.read(table, getattr(paths, table)(each.id)) for each in members],
                               ignore_index=True)
              for table in ("estimates", "diagnostics", "trends", "readings")}
    estimates = annotate(frames["estimates"], members)
    claims = load_claims(evaluation.published, evaluation.indicators)
    claims["published_value"] = pd.to_numeric(claims["value"], errors="coerce")
    sources = sources_of(members, evaluation)
    _coefficients(members, evaluation, estimates, claims, source_line(members, sources), paths)
    for indicator in members:
        source = source_line([indicator], sources)
        _trends(indicator, evaluation, frames, source, paths)
        if "event_study" in evaluation.estimators:
            _event_study(indicator, evaluation, estimates, source, paths)
        if contents.staggered_reading(evaluation):
            _estimators(indicator, evaluation, estimates, claims, source, paths)
        _robustness(indicator, evaluation, frames, claims, source, paths)
    shown = next(each for each in members if each.id == contents.headline(evaluation, family, without))
    _specifications(shown, evaluation, frames, claims, sources, paths)
    _timing(shown, evaluation, sources, paths)
    if contents.draws_waves(evaluation, family, without):
        _waves(evaluation, bool(estimates["is_synthetic"].any()), paths)
    return f"{family}: {len(contents.figures(evaluation, family, without))} figures"


def annotate(estimates: pd.DataFrame, members: Collection[Indicator]) -> pd.DataFrame:
    """Estimates with the notes that follow from their indicators: few treated units, rates without counts."""
    return annotated(estimates, minimum={each.id: each.minimum_treated for each in members},
                     weighted=[each.id for each in members if each.rate is not None and each.rate.is_weighted])


def _coefficients(members: list[Indicator], evaluation: Evaluation, estimates: pd.DataFrame,
                  claims: pd.DataFrame, source: str, paths: Paths) -> None:
    """Draw a family's coefficients by every estimator but the event study, in the layout its entry names."""
    family = evaluation.families[members[0].family]
    units = dict.fromkeys(effect_unit(each, evaluation) for each in members)
    unit = next(iter(units)) if len(units) == 1 else "unit of each outcome"
    for estimator in evaluation.estimators:
        if estimator == "event_study":
            continue
        printed = claims.loc[claims["estimator"] == estimator]
        name = ESTIMATORS.get(estimator, (estimator,))[0]
        common = dict(
            outcomes={each.id: each.label for each in members}, estimator=estimator,
            reading=evaluation.default_reading,
            stem=paths.results / "figures" / f"coefficients_{members[0].family}_{estimator}",
            title=f"{family.title}: effects by {name}", subtitle=subtitle(unit, members[0], evaluation),
            source=source,
            axis_labels={"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"},
            published=printed if len(printed) else None, units=evaluation.units, clusters=levels(evaluation),
            samples=samples_of(evaluation), treatments=treatments_of(evaluation))
        overall = estimates.loc[estimates["estimand"] == "overall"]
        if family.layout == "single":
            coefficient_single(overall, **common, axis_label=f"{unit}; intensity: per {evaluation.dose}")
        else:
            coefficient_panes(overall, **common)


def _trends(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], source: str,
            paths: Paths) -> None:
    name, tests, trends = indicator.id, frames["diagnostics"], frames["trends"]
    unit = measure(indicator, evaluation)
    for sample in evaluation.samples:
        rows = trends.loc[(trends["indicator"] == name) & (trends["sample"] == sample)]
        linear = tests.loc[(tests["indicator"] == name) & (tests["sample"] == sample)
                           & (tests["diagnostic"] == "linear_pretrend") & tests["item"].str.startswith("binary")]
        parallel_trends(
            rows, onset=onset(indicator, evaluation), stem=paths.results / "figures" / f"trends_{name}_{sample}",
            title=f"{indicator.title}, {SAMPLES[sample]}", subtitle=subtitle(unit, indicator, evaluation),
            source=source, value_label=unit, tests=linear, units=evaluation.units,
            is_synthetic=bool(rows["is_synthetic"].any()))


def _event_study(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, source: str,
                 paths: Paths) -> None:
    event_study(
        estimates.loc[estimates["estimand"] == "event_time"], indicator=indicator.id,
        reading=evaluation.default_reading, sample=evaluation.samples[0], treatment=evaluation.treatments[0],
        stem=paths.results / "figures" / f"event_study_{indicator.id}",
        title=f"{indicator.title}: by time since onset",
        subtitle=subtitle(measure(indicator, evaluation), indicator, evaluation),
        source=source, value_label=effect_unit(indicator, evaluation),
        time_label=f"{PERIODS[indicator.frequency].capitalize()}s since onset",
        tick_every=PERIODS_PER_YEAR[indicator.frequency], units=evaluation.units,
        clusters=levels(evaluation))


def _estimators(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, claims: pd.DataFrame,
                source: str, paths: Paths) -> None:
    rows = estimates.loc[(estimates["indicator"] == indicator.id)
                         & (estimates["reading"] == contents.staggered_reading(evaluation))]
    claim = only(claims.loc[claims["published_value"].notna()], indicator=indicator.id,
                 estimator=indicator.published_estimator, treatment="binary", sample="full")
    estimators_over_event_time(
        rows, estimators={name: STAGGERED[name] for name in evaluation.staggered_estimators if name in STAGGERED},
        stem=paths.results / "figures" / f"estimators_{indicator.id}",
        title=f"{indicator.title}: estimators side by side",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation), source=source,
        time_label=f"{PERIODS[indicator.frequency].capitalize()}s since onset",
        published=None if claim is None else (claim["published_value"], estimator_name(claim["estimator"])),
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
    static = [name for name in evaluation.estimators if name != "event_study"]
    rows = alternatives(
        indicator=indicator.id, estimates=frames["estimates"], diagnostics=frames["diagnostics"],
        readings=frames["readings"], reading=evaluation.default_reading, samples=evaluation.samples,
        treatment=evaluation.treatments[0],
        estimators=sorted(static, key=lambda name: name != indicator.published_estimator))
    robustness_forest(
        rows, estimator=indicator.published_estimator, published=_published(claims, indicator, evaluation),
        stem=paths.results / "figures" / f"robustness_{indicator.id}",
        title=f"{indicator.title}: the estimate and its alternatives",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation), source=source,
        value_label=effect_unit(indicator, evaluation), units=evaluation.units,
        clusters=levels(evaluation))


def _specifications(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame],
                    claims: pd.DataFrame, sources: dict, paths: Paths) -> None:
    estimates, readings = (frames[table].loc[frames[table]["indicator"] == indicator.id]
                           for table in ("estimates", "readings"))
    default = choices_of(evaluation.readings[evaluation.default_reading], indicator)
    staggered = {name: choices_of(reading, indicator) for name, reading in evaluation.readings_of(indicator).items()
                 if reading.staggered}
    specification_curve(
        specifications(readings, estimates, default=default, staggered=staggered, treatment=evaluation.treatments[0]),
        choices=list(default), estimator=indicator.published_estimator, reading=evaluation.default_reading,
        stem=paths.results / "figures" / f"specification_{indicator.id}",
        title=f"{indicator.title}: every specification",
        subtitle=subtitle(effect_unit(indicator, evaluation), indicator, evaluation),
        source=source_line([indicator], sources), value_label=effect_unit(indicator, evaluation),
        published=_published(claims, indicator, evaluation),
        clusters=levels(evaluation), samples=samples_of(evaluation))


def _timing(indicator: Indicator, evaluation: Evaluation, sources: dict, paths: Paths) -> None:
    """Draw the panel of an outcome by first treated period, each wave from its own date where a reading does so."""
    reading = contents.staggered_reading(evaluation) or evaluation.default_reading
    panel = tables.read("panel", paths.panel(indicator.id))
    if reading not in set(panel["reading"]):
        reading = evaluation.default_reading
    timing_panel(
        panel.loc[panel["reading"] == reading], stem=paths.results / "figures" / f"timing_{indicator.id}",
        title=f"{indicator.title}: who is treated when",
        subtitle=f"{evaluation.units.capitalize()} by first treated {PERIODS[indicator.frequency]} and by system, "
                 f"{evaluation.place}. Reading: {reading}.",
        source=source_line([indicator], sources), units=evaluation.units)


def _waves(evaluation: Evaluation, is_synthetic: bool, paths: Paths) -> None:
    """Draw the first record of waves: systems by the month they became treated, with their areas."""
    waves = evaluation.waves
    record, by_geography = next(iter(waves.records.items()))
    used = {load_indicator(name, evaluation.indicators_folder).geography for name in evaluation.indicators}
    members = {geography: read_reference(f"{evaluation.reference}/{table}", MEMBERSHIP, ["wave", "system", "area_code"])
               for geography, table in by_geography.items() if geography in used}
    wave_chart(
        wave_rows(members, waves.onsets, waves.system_onsets), treated=waves.treated_waves,
        removable=waves.removable_wave, stem=paths.results / "figures" / contents.WAVES,
        geographies={name: GEOGRAPHIES.get(name, name.replace("_", " ")) for name in members},
        title=f"{evaluation.title}: who joined when",
        subtitle=f"Systems by the month from which they count as treated and the areas they cover, {evaluation.place}; "
                 f"{record.replace('_', ' ')}.",
        source=f"{listed(by_geography[name] for name in members)} in {evaluation.reference}; own calculation",
        is_synthetic=is_synthetic)
