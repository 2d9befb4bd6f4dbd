"""Stage 7: the figures of a family of outcomes together: coefficients side by side."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.errors import one_of
from did.evidence import load_claims
from did.project import result_files
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.describe import effect_unit, source_line, sources_of, subtitle
from did.report.content.evaluation_facts import stage_tables
from did.report.content.facts import estimator_name, levels, samples_of, treatments_of
from did.report.figures.coefficients import HEADLINE, Names, coefficients
from did.report.figures.style import Frame
from did.store import tables
from did.words import plural


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Draw every figure that ``result_files.family_files`` lists for a family and return one line about them.

    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family and a table
    that is missing or breaks its contract.
    """
    by_family = result_files.families(evaluation, without)
    one_of("family", family, by_family)
    members = [load_indicator(name, evaluation.indicators_folder) for name in by_family[family]]
    estimates = stage_tables(("estimates",), by_family[family], evaluation, paths)["estimates"]
    headline = pd.concat([tables.read("headline", paths.headline(each.id)) for each in members], ignore_index=True)
    figures = result_files.family_figures(evaluation, family)
    for estimator, name in figures.items():
        _coefficients(estimator, Frame(
            paths.drawn / name, f"{evaluation.families[family].title}: effects by {estimator_name(estimator)}",
            subtitle(_unit(members, evaluation), members[0], evaluation),
            source_line(members, sources_of(members, evaluation)), evaluation.units,
            pictures=paths.pictures), members, evaluation, estimates, headline)
    return f"{family}: {plural(len(figures), 'figure')}"


def _unit(members: list[Indicator], evaluation: Evaluation) -> str:
    units = dict.fromkeys(effect_unit(each, evaluation) for each in members)
    return next(iter(units)) if len(units) == 1 else "unit of each outcome"


def _coefficients(estimator: str, frame: Frame, members: list[Indicator], evaluation: Evaluation,
                  estimates: pd.DataFrame, headline: pd.DataFrame) -> None:
    """Draw a family's coefficients by one estimator, with errors clustered by the first level, as published, and the
    interval that leads."""
    own = {"specification": evaluation.default_specification, "estimator": estimator}
    rows, leads = (table.loc[table[[*own]].eq(pd.Series(own)).all(axis=1)] for table in (estimates, headline))
    rows = rows.loc[rows["estimand"].eq("overall")]
    named, first = levels(evaluation), evaluation.clusters[0]
    claims = load_claims(evaluation.published)
    footnote = ""
    if len(leads):
        named = {first: named[first], HEADLINE: HEADLINE}
        rows = pd.concat([rows, _led(rows.loc[rows["cluster"].eq(first)], leads)], ignore_index=True)
        footnote = (f"{named[first].capitalize()}: 95% interval with errors clustered {named[first]}"
                    f"{'' if claims.empty else ', as published'}. Headline: 95% interval by a method that held its "
                    "level on these data, for the estimates that are judged.")
    unit = _unit(members, evaluation)
    published = claims.loc[claims["estimator"].eq(estimator)]
    published = published.assign(published_value=pd.to_numeric(published["value"], errors="coerce"))
    coefficients(
        rows, frame, names=Names(
            {each.id: each.label for each in members}, {"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"},
            named, samples_of(evaluation), treatments_of(evaluation)),
        published=published if len(published) else None, footnote=footnote)


def _led(rows: pd.DataFrame, leads: pd.DataFrame) -> pd.DataFrame:
    """The estimates that have a headline interval, with it."""
    keys = ["indicator", "sample", "treatment"]
    led = rows.drop(columns=["ci_low", "ci_high"]).merge(leads[[*keys, "ci_low", "ci_high"]], on=keys,
                                                         validate="one_to_one")
    return led.assign(cluster=HEADLINE)[list(rows.columns)]
