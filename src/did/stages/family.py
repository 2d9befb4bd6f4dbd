"""Stage 7: the figures of a family of outcomes together: coefficients side by side."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.errors import one_of
from did.evidence import load_claims
from did.project import result_files
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.describe import effect_unit, source_line, subtitle
from did.report.content.evaluation_facts import levels, samples_of, stage_tables, treatments_of
from did.report.content.evidence_words import PRINTED
from did.report.content.facts import estimator_name, having
from did.report.figures.coefficients import HEADLINE, PLACE, coefficients
from did.report.figures.style import Frame
from did.words import plural


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Draw every figure that ``result_files.family_files`` lists for a family and return one line about them.
    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family and a table
    that is missing or breaks its contract."""
    by_family = result_files.families(evaluation, without)
    one_of("family", family, by_family)
    members = [load_indicator(name, evaluation.indicators_folder) for name in by_family[family]]
    tables = stage_tables(("estimates", "headline"), by_family[family], evaluation, paths)
    units = {effect_unit(each, evaluation) for each in members}
    unit = units.pop() if len(units) == 1 else "unit of each outcome"
    first, claims = evaluation.clusters[0], load_claims(evaluation.published)
    by = levels(evaluation)[first]
    figures = result_files.family_figures(evaluation, family)
    for estimator, name in figures.items():
        own = {"specification": evaluation.default_specification, "estimator": estimator}
        rows, leads = having(tables["estimates"], **own, estimand="overall"), having(tables["headline"], **own)
        published = having(claims, estimator=estimator, estimand="overall")[[*PLACE[:-1], "value"]]
        printed = published.assign(cluster=PRINTED, estimate=pd.to_numeric(published["value"], errors="coerce"))
        footnote, shown = "", levels(evaluation)
        if len(leads):
            # The estimates that have a headline interval, with it, behind those with errors as published.
            led = having(rows, cluster=first).drop(columns=["ci_low", "ci_high"]).merge(
                leads[[*PLACE[:-1], "ci_low", "ci_high"]], on=PLACE[:-1], validate="one_to_one")
            rows, shown = pd.concat([rows, led.assign(cluster=HEADLINE)]), {first: by, HEADLINE: HEADLINE}
            footnote = (f"{by.capitalize()}: 95% interval with errors clustered {by}"
                        f"{'' if claims.empty else ', as published'}. Headline: 95% interval by a method that held "
                        "its level on these data, for the estimates that are judged.")
        coefficients(
            pd.concat([rows, printed], ignore_index=True), Frame(
                paths.drawn / name, f"{evaluation.families[family].title}: effects by {estimator_name(estimator)}",
                subtitle(unit, members[0], evaluation), source_line(members, evaluation),
                evaluation.units, pictures=paths.pictures),
            called={"treatment": treatments_of(evaluation), "sample": samples_of(evaluation),
                    "indicator": {each.id: each.label for each in members}, "cluster": shown | {PRINTED: "as printed"}},
            units={"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"}, footnote=footnote)
    return f"{family}: {plural(len(figures), 'figure')}"
