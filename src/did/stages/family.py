"""Stage 7: the figures of a family of outcomes together: coefficients side by side, and who joined when."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.areas.waves import MEMBERSHIP
from did.errors import one_of
from did.estimators import entry
from did.evidence import load_claims
from did.project import result_files
from did.project.config import Evaluation, Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.readers.reference import read_reference
from did.report.content.describe import effect_unit, source_line, sources_of, subtitle
from did.report.content.evaluation_facts import stage_tables
from did.report.content.facts import estimator_name, levels, samples_of, treatments_of
from did.report.figures.coefficients import Names, coefficient_panes, coefficient_single
from did.report.figures.style import Frame
from did.report.figures.waves import wave_chart, wave_rows
from did.report.writers.figure_files import publish
from did.words import listed, plural

# What the areas of a geography are called in headings.
GEOGRAPHIES = {"upper_tier": "Upper-tier authorities", "ccg_2020": "CCGs of 2020"}


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Draw every figure that ``result_files.family_files`` lists for a family and return one line about them.

    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family and a table
    that is missing or breaks its contract.
    """
    by_family = result_files.families(evaluation, without)
    one_of("family", family, by_family)
    members = [load_indicator(name, evaluation.indicators_folder) for name in by_family[family]]
    estimates = stage_tables(("estimates",), by_family[family], evaluation, paths)["estimates"]
    _coefficients(members, evaluation, estimates, load_claims(evaluation.published), paths)
    if result_files.draws_waves(evaluation, family, without):
        _waves(evaluation, bool(estimates["is_synthetic"].any()), paths)
    figures = result_files.family_figures(evaluation, family, without)
    publish(figures, paths)
    return f"{family}: {plural(len(figures), 'figure')}"


def _coefficients(members: list[Indicator], evaluation: Evaluation, estimates: pd.DataFrame, claims: pd.DataFrame,
                  paths: Paths) -> None:
    """Draw a family's coefficients by every estimator but the event study, in the layout its entry names."""
    family = evaluation.families[members[0].family]
    claims = claims.assign(published_value=pd.to_numeric(claims["value"], errors="coerce"))
    units = dict.fromkeys(effect_unit(each, evaluation) for each in members)
    unit = next(iter(units)) if len(units) == 1 else "unit of each outcome"
    for estimator in evaluation.estimators:
        if not entry(estimator).overall:
            continue
        printed = claims.loc[claims["estimator"] == estimator]
        name = estimator_name(estimator)
        frame = Frame(paths.drawn / f"coefficients_{members[0].family}_{estimator}",
                      f"{family.title}: effects by {name}", subtitle(unit, members[0], evaluation),
                      source_line(members, sources_of(members, evaluation)), evaluation.units)
        common = dict(
            names=Names({each.id: each.label for each in members}, levels(evaluation), samples_of(evaluation),
                        treatments_of(evaluation)),
            estimator=estimator, specification=evaluation.default_specification,
            axis_labels={"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"},
            published=printed if len(printed) else None)
        overall = estimates.loc[estimates["estimand"] == "overall"]
        if family.layout == "single":
            coefficient_single(overall, frame, **common, axis_label=f"{unit}; intensity: per {evaluation.dose}")
        else:
            coefficient_panes(overall, frame, **common)


def _waves(evaluation: Evaluation, is_synthetic: bool, paths: Paths) -> None:
    """Draw the first record of waves: systems by the month they became treated, with their areas."""
    waves = evaluation.waves
    record, by_geography = next(iter(waves.records.items()))
    used = {load_indicator(name, evaluation.indicators_folder).geography for name in evaluation.indicators}
    members = {geography: read_reference(f"{evaluation.reference}/{table}", MEMBERSHIP, ["wave", "system", "area_code"])
               for geography, table in by_geography.items() if geography in used}
    wave_chart(
        wave_rows(members, waves.onsets, waves.system_onsets),
        Frame(paths.drawn / result_files.WAVES, f"{evaluation.title}: who joined when",
              f"Systems by the month from which they count as treated and the areas they cover, {evaluation.place}; "
              f"{record.replace('_', ' ')}.",
              f"{listed(by_geography[name] for name in members)} in {evaluation.reference}; own calculation",
              evaluation.units, is_synthetic),
        treated=waves.treated_waves,
        removable=next((wave for each in evaluation.samples.values() for wave in each.without_waves), None),
        geographies={name: GEOGRAPHIES.get(name, name.replace("_", " ")) for name in members})
