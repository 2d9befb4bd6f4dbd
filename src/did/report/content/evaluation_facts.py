"""What the pages say of an evaluation that is in no table: names, settings, caveats and what was printed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from did.areas import waves
from did.estimators import entry
from did.fetch.availability import reason
from did.project import result_files
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.slices import without_words
from did.report.content.answer import Answer, Names, answer
from did.report.content.background import timing_table
from did.report.content.describe import effect_unit, measure, source_lines, sources_of, span
from did.report.content.facts import CLUSTERS, TREATMENTS, Facts, Front, having
from did.report.content.notes import annotated
from did.report.content.table import Table
from did.store import tables
from did.words import count, listed, number, short_decimals, singular

OWN_DATES = ("Every unit is treated from a date of its own. Where a page says from when, it is the earliest; each unit "
             "counts as treated from its own on.")


def levels(evaluation: Evaluation) -> dict[str, str]:
    """An evaluation's levels of clustering and their names."""
    names = CLUSTERS | {"unit": f"by {singular(evaluation.units)}"}
    return {name: names[name] for name in evaluation.clusters}


def samples_of(evaluation: Evaluation) -> dict[str, str]:
    """An evaluation's samples and their names."""
    return {name: each.called or name.replace("_", " ") for name, each in evaluation.samples.items()}


def treatments_of(evaluation: Evaluation) -> dict[str, str]:
    """An evaluation's treatments and their names."""
    return {name: TREATMENTS[name] for name in evaluation.treatments}


def _shared(evaluation: Evaluation, family: str | None = None) -> dict[str, Any]:
    """What the facts of the whole and of each family have in common, with the printed facts that concern it."""
    publication = evaluation.publication
    return {
        "place": evaluation.place, "onset": evaluation.waves.onset, "specification": evaluation.default_specification,
        "samples": samples_of(evaluation), "treatments": treatments_of(evaluation), "clusters": levels(evaluation),
        "n_published": publication.coefficients, "n_published_numbers": publication.printed_numbers,
        "published_conclusion": publication.conclusion, "context": [
            *([OWN_DATES] if evaluation.waves.table else []), *(
                fact.text for fact in publication.context
                if (family in (fact.families or []) if family else not fact.families))]}


def family_facts(family: str, evaluation: Evaluation, *, without: Collection[str]) -> Facts:
    """Return the facts of one family. If its headline is not available, the first member stands in. ``without`` are the
    indicators that this run has no files for."""
    members = [load_indicator(name, evaluation.indicators_folder)
               for name in result_files.families(evaluation, without)[family]]
    shown, by_name = evaluation.families[family], {each.id: each for each in members}
    headline = by_name.get(shown.headline, members[0])
    when = evaluation.dose_counted
    return Facts(
        **_shared(evaluation, family) | _of_headline(headline, evaluation), title=shown.title,
        outcomes={name: each.label for name, each in by_name.items()},
        parts=shown.parts if set(shown.parts) <= set(by_name) else (),
        sum_to_zero=shown.sum_to_zero if set(shown.sum_to_zero) <= set(by_name) else (), dose=evaluation.dose,
        dose_counted=f"The dose was counted {when}, after the effects it is to explain." if when else "",
        units=evaluation.units, effects={name: effect_unit(each, evaluation) for name, each in by_name.items()},
        staggered=result_files.staggered_specification(evaluation) or "",
        sources=source_lines(sources_of(members, evaluation).values()))


def outcome_facts(facts: Facts, indicator: Indicator, evaluation: Evaluation) -> Facts:
    """Return the facts of one outcome alone: those of its family, with this outcome as the headline."""
    return replace(facts, outcomes={indicator.id: indicator.label}, parts=(), sum_to_zero=(),
                   **_of_headline(indicator, evaluation))


def _of_headline(indicator: Indicator, evaluation: Evaluation) -> dict[str, Any]:
    """The settings of the outcome that a family is answered for."""
    first, last = span(indicator, evaluation)
    estimator = indicator.published_estimator
    others = [name for name in evaluation.estimators if entry(name).overall and name != estimator]
    return {"total": indicator.id, "measure": measure(indicator, evaluation), "caveats": indicator.caveats,
            "direction": indicator.direction, "first": first, "last": last,
            "onset": str(indicator.onset(evaluation.waves.onset)), "frequency": indicator.frequency,
            "estimator": estimator, "other_estimator": others[0] if others else estimator}


def front_facts(evaluation: Evaluation, *, without: Collection[str], paths: Paths) -> Front:
    """Return the facts of the whole, with those of each family that is available, in order."""
    return Front(
        **_shared(evaluation), title=evaluation.title, question=evaluation.question,
        families={family: family_facts(family, evaluation, without=without)
                  for family in result_files.families(evaluation, without)},
        citation=evaluation.publication.citation, unavailable=missing_outcomes(evaluation, without, paths))


def missing_outcomes(evaluation: Evaluation, without: Collection[str], paths: Paths) -> list[tuple[str, str, str]]:
    """Title of the family, its outcomes that are not available, and why, one row per reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in (name for name in evaluation.indicators if name in without):
        indicator = load_indicator(name, evaluation.indicators_folder)
        why = f"{reason(evaluation, name, paths).rstrip('.')}."
        found.setdefault((evaluation.families[indicator.family].title, why), []).append(indicator.label)
    return [(title, listed(labels), why) for (title, why), labels in found.items()]


def run_answer(evaluation: Evaluation, paths: Paths, without: Collection[str]) -> Answer:
    """Return the answer of a run, from its verdicts and its evidence. Raises DidError for a table that is missing."""
    members = {name: load_indicator(name, evaluation.indicators_folder) for name in evaluation.indicators}
    names = Names(
        outcomes={name: each.title for name, each in members.items()},
        families={name: each.family for name, each in members.items()},
        units={name: effect_unit(each, evaluation) for name, each in members.items()},
        headlines=list(result_files.headlines(evaluation, without).values()),
        dose=evaluation.dose, areas=evaluation.units,
        samples={name: called for name, called in samples_of(evaluation).items() if name != evaluation.sample})
    evidence = pd.concat([tables.read("evidence", paths.evidence(name)) for name in evaluation.indicators
                          if name not in without], ignore_index=True)
    return answer(tables.read("verdicts", paths.answers), evidence, names)


def panel_of(indicator: Indicator, evaluation: Evaluation, paths: Paths) -> pd.DataFrame:
    """Return the panel under the reported specification. Raises DidError if it is missing."""
    return tables.read("panel", paths.panel(indicator.id), specification=[evaluation.default_specification])


def later_onsets(indicator: Indicator, evaluation: Evaluation) -> dict[int, str]:
    """Return wave -> its first treated period, of every wave with a date."""
    return {wave: str(indicator.onset(month)) for wave, month in evaluation.waves.onsets.items()}


def systems_of(indicator: Indicator, evaluation: Evaluation) -> dict[str, str]:
    """Return system -> its name."""
    table = waves.systems(evaluation, indicator.geography)
    return dict(zip(table["system"], table["system_name"], strict=True))


def timing(indicator: Indicator, evaluation: Evaluation, panel: pd.DataFrame) -> Table:
    """Return who is treated when, of an outcome's ``panel`` under the reported specification."""
    periods = len(pd.period_range(*span(indicator, evaluation), freq=indicator.frequency))
    return timing_table(panel, later_onsets(indicator, evaluation), systems_of(indicator, evaluation),
                        units=evaluation.units, periods=periods)


def largest_dose(indicator: Indicator, evaluation: Evaluation, panel: pd.DataFrame) -> str:
    """Return which systems have the largest dose of the treated units of a ``panel``; "" if no treated unit has one.
    """
    treated = panel.loc[panel["cohort"].notna() & (panel["intensity"] > 0)].drop_duplicates("unit")
    if treated.empty:
        return ""
    most, names = treated.loc[treated["intensity"].eq(treated["intensity"].max())], systems_of(indicator, evaluation)
    dose, systems = float(most["intensity"].iloc[0]), [names.get(each, each) for each in sorted(set(most["system"]))]
    return (f"The largest dose ({number(dose, short_decimals(dose))}) is that of {listed(systems)}: {count(len(most))} "
            f"of the {count(len(treated))} treated {evaluation.units} ({number(100 * len(most) / len(treated), 0)}%), "
            "which weigh accordingly.")


def stage_tables(names: Sequence[str], indicators: Collection[str], evaluation: Evaluation,
                 paths: Paths) -> dict[str, pd.DataFrame]:
    """Return the named stage tables of the indicators, one below the other; the estimates with the notes that follow
    from the indicators' settings. Raises DidError for a table that is missing or breaks its contract."""
    frames = {table: pd.concat([tables.read(table, getattr(paths, table)(name)) for name in indicators],
                               ignore_index=True) for table in names}
    if "estimates" in frames:
        members = [without_words(load_indicator(name, evaluation.indicators_folder)) for name in indicators]
        frames["estimates"] = annotated(frames["estimates"], weighted=[
            each.id for each in members if each.rate is not None and each.rate.is_weighted])
    return frames


def members(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, Indicator]:
    """Return the indicators of a run by name, family by family; ``without`` are those that it has no files for."""
    return {name: load_indicator(name, evaluation.indicators_folder)
            for names in result_files.families(evaluation, without).values() for name in names}


def result_tables(evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> dict[str, pd.DataFrame]:
    """Return the tables that a run gives to people: estimates, with p_adjusted of the reported overall effects (that of
    adjusted_p_values), diagnostics, area_audit, calibration, headline, adjusted_p_values and reproduction. Raises
    DidError for a table that is missing or breaks its contract."""
    names = ("estimates", "diagnostics", "area_audit", "calibration", "headline")
    frames = stage_tables(names, members(evaluation, without), evaluation, paths)
    tests = pd.concat([tables.read("adjusted_p_values", paths.adjusted_p_values(family))
                       for family in result_files.families(evaluation, without)], ignore_index=True)
    estimates = frames["estimates"]
    keys = ["indicator", "sample", "treatment", "estimator", "cluster"]
    reported = having(estimates, specification=evaluation.default_specification, estimand="overall")[keys]
    adjusted = reported.merge(tests[[*keys, "p_adjusted"]], on=keys, how="left", validate="many_to_one")
    p_adjusted = estimates["p_adjusted"].copy()
    p_adjusted[reported.index] = adjusted["p_adjusted"].to_numpy()
    frames["estimates"] = estimates.assign(p_adjusted=p_adjusted)
    return frames | {"adjusted_p_values": tests, "reproduction": tables.read("reproduction", paths.reproduction)}
