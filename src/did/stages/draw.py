"""Stage 6: the figures of one outcome, and its section of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from did.errors import one_of
from did.estimators import entry
from did.estimators.base import PERIODS_PER_YEAR
from did.evidence import load_claims
from did.project import result_files
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content import evaluation_facts
from did.report.content.answer import margin_decimals
from did.report.content.describe import effect_unit, source_line, sources_of, subtitle
from did.report.content.evidence_words import evidence_rows, leading
from did.report.content.facts import PERIODS, Facts, averaged_by, estimator_name, having, only, own_dates_names
from did.report.figures.event_time import effects_by_event_time, treated_words
from did.report.figures.forest import evidence_figure
from did.report.figures.key import Published
from did.report.figures.means import means_over_time, trend_rows, trend_words, wave_rows
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from did.report.figures.style import Frame
from did.report.pages.section import section_html
from did.store import tables
from did.store.provenance import write_text
from did.words import plural, singular

READ = ("estimates", "diagnostics", "area_audit", "specifications", "trends", "weights", "headline", "verdicts",
        "evidence", "evidence_items")
NOT_PRINTED = "No number was printed for this outcome."


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
    frames = evaluation_facts.stage_tables(READ, [name], evaluation, paths)
    sources = sources_of([indicator], evaluation)
    figures = result_files.figures(evaluation, name, shown.values())
    family = evaluation_facts.family_facts(indicator.family, evaluation, without=without)
    facts = evaluation_facts.outcome_facts(family, indicator, evaluation)
    outcome = Outcome(indicator, evaluation, paths, frames, facts)
    for figure in figures:
        DRAWN[figure.removesuffix(f"_{name}")](outcome)
    weights, systems = frames["weights"], evaluation_facts.systems_of(indicator, evaluation)
    frames["weights"] = weights.assign(label=[
        systems.get(label, label) if level == "system" else label
        for label, level in zip(weights["label"], weights["level"], strict=True)])
    write_text(paths.section(name), section_html(
        indicator, facts, evaluation, figures=figures, sources=sources,
        tables={**frames, "reproduction": tables.read("comparison", paths.comparison(name))}, paths=paths,
        timing=evaluation_facts.timing(indicator, evaluation, outcome.panel) if family.total == name else None))
    return f"{name}: {plural(len(figures), 'figure')}"


@dataclass(frozen=True)
class Outcome:
    """What the figures of one outcome are made from: its settings, its tables, and its facts."""

    indicator: Indicator
    evaluation: Evaluation
    paths: Paths
    tables: Mapping[str, pd.DataFrame]
    facts: Facts

    def leading(self, table: str) -> pd.DataFrame:
        """Rows of a table at the last level of clustering."""
        return having(self.tables[table], cluster=self.evaluation.clusters[-1])

    @cached_property
    def panel(self) -> pd.DataFrame:
        """The panel under the reported specification."""
        return evaluation_facts.panel_of(self.indicator, self.evaluation, self.paths)

    def frame(self, stem: str, words: str, unit: str = "") -> Frame:
        """Around a figure of effects, or of values in ``unit``, whose title goes on with ``words``."""
        indicator, evaluation = self.indicator, self.evaluation
        unit = unit or effect_unit(indicator, evaluation)
        return Frame(self.paths.drawn / f"{stem}_{indicator.id}", f"{indicator.title}: {words}",
                     subtitle(unit, indicator, evaluation), source_line([indicator], evaluation),
                     evaluation.units, unit, pictures=self.paths.pictures)

    def published(self, frame: Frame) -> tuple[Published | None, Frame]:
        """What was printed for the outcome by its published estimator, first treatment and sample, and the frame, which
        says if there is nothing of what others have."""
        cell = {name: value for name, value in self.facts.cell.items() if name != "specification"}
        claims = load_claims(self.evaluation.published)
        claim = only(claims.loc[pd.to_numeric(claims["value"], errors="coerce").notna()], **cell, estimand="overall",
                     estimator=self.indicator.published_estimator)
        if claim is not None:
            return Published(float(claim["value"]), estimator_name(claim["estimator"])), frame
        return None, frame.saying(NOT_PRINTED) if self.evaluation.publication.coefficients else frame


def _evidence(outcome: Outcome) -> None:
    """The evidence on the estimate that the outcome is answered by."""
    own = leading(outcome.tables["verdicts"], outcome.facts.cell | {"estimator": outcome.facts.estimator})
    rows = evidence_rows(own, outcome.tables["evidence"], outcome.tables["evidence_items"],
                         units=outcome.evaluation.units)
    evidence_figure(rows, outcome.frame("evidence", "the evidence at a glance"),
                    decimals=0 if own is None else margin_decimals(own))


def _trends(outcome: Outcome) -> None:
    """Means of the treated and the comparison and, where there are several onsets, of each wave."""
    indicator, evaluation, sample = outcome.indicator, outcome.evaluation, outcome.facts.cell["sample"]
    since = outcome.facts.onset
    trends = outcome.tables["trends"]
    level = evaluation.clusters[-1]
    test = only(outcome.tables["diagnostics"], cluster=level, sample=sample, diagnostic="linear_pretrend",
                treatment="binary")
    frame = outcome.frame("trends", "means over time", outcome.facts.measure).marked(trends)
    if test is not None:
        frame = frame.saying(trend_words(test, since, singular(evaluation.units) if level == "unit" else level))
    rows = [trend_rows(trends, since)]
    if result_files.staggered_specification(evaluation):
        rows.append(wave_rows(outcome.panel, evaluation_facts.later_onsets(indicator, evaluation)))
    means_over_time(pd.concat(rows, ignore_index=True), frame, sample=sample)


def _event_study(outcome: Outcome) -> None:
    """The reported estimate over time since onset, and estimators side by side under the first specification with
    several onsets."""
    evaluation, frequency = outcome.evaluation, outcome.indicator.frequency
    rows = having(outcome.tables["estimates"], cluster=evaluation.clusters[-1], sample=outcome.facts.cell["sample"],
                  treatment=outcome.facts.cell["treatment"])
    staggered = result_files.staggered_specification(evaluation)
    named = {evaluation.default_specification: {name: entry(name).label for name in evaluation.estimators
                                                if entry(name).over_time}}
    if staggered:
        named = {specification: {name: f"One date for all: {entry(name).short}" for name in each}
                 for specification, each in named.items()}
        named[staggered] = {name: own_dates_names()[name] for name in evaluation.staggered_estimators
                            if name in own_dates_names()}
    frame, panes = outcome.frame(result_files.EVENT_STUDY, "effects by time since onset"), {}
    for specification, estimators in named.items():
        own = having(rows, specification=specification)
        timed = own["estimand"].eq("event_time")
        overall = own["estimand"].eq("overall") & own["estimate"].notna()
        for name, heading in estimators.items():
            path = timed & own["estimator"].eq(name)
            if path.any():
                panes[heading] = own.loc[path | overall & own["estimator"].eq(averaged_by().get(name, name))]
        paths = own.loc[timed & own["estimator"].isin(list(estimators))]
        if len(paths):
            which = "Each wave from its own date: " if specification == staggered else "One date for all: "
            frame = frame.saying(f"{which if staggered else ''}{treated_words(paths, evaluation.units)}")
    published, frame = outcome.published(frame)
    effects_by_event_time(panes, frame, label=f"{PERIODS[frequency].capitalize()}s since onset",
                          per_year=PERIODS_PER_YEAR[frequency], published=published)


def _specifications(outcome: Outcome) -> None:
    evaluation, indicator = outcome.evaluation, outcome.indicator
    default = choices_of(evaluation.specifications[evaluation.default_specification], indicator)
    staggered = {name: choices_of(specification, indicator)
                 for name, specification in evaluation.specifications_of(indicator).items() if specification.staggered}
    rows = curve_rows(outcome.leading("specifications"), outcome.leading("estimates"), default=default,
                      staggered=staggered, treatment=outcome.facts.cell["treatment"])
    reported = {name: outcome.facts.cell[name] for name in ("specification", "sample")}
    published, frame = outcome.published(outcome.frame("specification", "every specification"))
    specification_curve(rows, frame, choices=list(default), published=published, samples=outcome.facts.samples,
                        reported=reported | {"estimator": indicator.published_estimator})


# Beginning of the names of figures -> what draws them.
DRAWN = {"evidence": _evidence, "trends": _trends, result_files.EVENT_STUDY: _event_study,
         "specification": _specifications}
