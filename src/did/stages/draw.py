"""Stage 6: the figures of one outcome, and its section of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from did.areas import waves
from did.errors import one_of
from did.estimators.base import PERIODS_PER_YEAR
from did.evidence import load_claims
from did.project import result_files
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.answer import margin_decimals
from did.report.content.describe import effect_unit, measure, onset, source_line, sources_of, span, subtitle
from did.report.content.evaluation_facts import family_facts, outcome_facts, stage_tables
from did.report.content.evidence_rows import evidence_rows, leading
from did.report.content.facts import PERIODS, estimator_name, only, own_dates_names, samples_of
from did.report.figures.event_study import TimeAxis, event_study
from did.report.figures.evidence import evidence_figure
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from did.report.figures.staggered import PublishedNumber, estimators_over_event_time
from did.report.figures.style import Frame
from did.report.figures.timing import timing, timing_rows
from did.report.figures.trends import parallel_trends, series_by_wave, wave_means
from did.report.pages.section import section_html
from did.store import tables
from did.store.provenance import write_text
from did.words import count, period_name, plural, singular


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
    frames = stage_tables(("estimates", "diagnostics", "area_audit", "specifications", "trends", "weights", "headline"),
                          [name],
                          evaluation, paths)
    frames |= {table: tables.read(table, getattr(paths, table)(name)) for table in ("verdicts", "evidence",
                                                                                    "evidence_items")}
    sources = sources_of([indicator], evaluation)
    figures = result_files.figures(evaluation, name, shown.values())
    outcome = Outcome(indicator, evaluation, paths, frames, source_line([indicator], sources))
    for prefix, draw in DRAWN.items():
        if any(figure.startswith(f"{prefix}_{name}") for figure in figures):
            draw(outcome)
    facts = family_facts(indicator.family, evaluation, without=without)
    weights = frames["weights"]
    frames["weights"] = weights.assign(label=weights["label"].mask(
        weights["level"].eq("system"), weights["label"].replace(outcome.systems)))
    write_text(paths.section(name), section_html(
        indicator, outcome_facts(facts, indicator, evaluation), evaluation, figures=figures, sources=sources,
        tables={**frames, "reproduction": tables.read("comparison", paths.comparison(name))}, paths=paths,
        is_headline=facts.total == name))
    return f"{name}: {plural(len(figures), 'figure')}"


@dataclass(frozen=True)
class Outcome:
    """What the figures of one outcome are made from: its settings, its tables, and whose files they come from."""

    indicator: Indicator
    evaluation: Evaluation
    paths: Paths
    tables: Mapping[str, pd.DataFrame]
    source: str

    @property
    def cell(self) -> dict[str, str]:
        """The estimate reported: specification, sample, treatment."""
        evaluation = self.evaluation
        return {"specification": evaluation.default_specification, "sample": evaluation.sample,
                "treatment": evaluation.treatments[0]}

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Estimates of the first sample and treatment with errors clustered by the last level, which leads."""
        return self.tables["estimates"].loc[lambda rows: rows["sample"].eq(self.cell["sample"])
                                            & rows["treatment"].eq(self.cell["treatment"]) & self._leads(rows)]

    @property
    def time_axis(self) -> TimeAxis:
        """Periods since onset, a tick a year."""
        frequency = self.indicator.frequency
        return TimeAxis(f"{PERIODS[frequency].capitalize()}s since onset", PERIODS_PER_YEAR[frequency])

    def _leads(self, rows: pd.DataFrame) -> pd.Series:
        return rows["cluster"].eq(self.evaluation.clusters[-1])

    def leading(self, table: str) -> pd.DataFrame:
        """Rows of a table at the last level of clustering."""
        return self.tables[table].loc[lambda rows: self._leads(rows)]

    @cached_property
    def panel(self) -> pd.DataFrame:
        """The panel under the reported specification."""
        panel = tables.read("panel", self.paths.panel(self.indicator.id))
        return panel.loc[panel["specification"].eq(self.evaluation.default_specification)]

    @cached_property
    def systems(self) -> dict[str, str]:
        """System -> its name."""
        table = waves.systems(self.evaluation, self.indicator.geography)
        return dict(zip(table["system"], table["system_name"], strict=True))

    def later_onsets(self) -> dict[int, str]:
        """Wave -> its first treated period, of every wave with a date."""
        return {wave: str(self.indicator.onset(month)) for wave, month in self.evaluation.waves.onsets.items()}

    def frame(self, stem: str, words: str, unit: str) -> Frame:
        """Around a figure with values in ``unit``, whose title goes on with ``words``."""
        return Frame(self.paths.drawn / f"{stem}_{self.indicator.id}", f"{self.indicator.title}: {words}",
                     subtitle(unit, self.indicator, self.evaluation), self.source, self.evaluation.units, unit,
                     pictures=self.paths.pictures)

    def effects(self, stem: str, words: str) -> Frame:
        """Around a figure of effects."""
        return self.frame(stem, words, effect_unit(self.indicator, self.evaluation))

    def levels(self, stem: str, words: str) -> Frame:
        """Around a figure of the outcome itself."""
        return self.frame(stem, words, measure(self.indicator, self.evaluation))

    @cached_property
    def published(self) -> PublishedNumber:
        """What was printed for the outcome by its published estimator, first treatment and sample."""
        claims = load_claims(self.evaluation.published)
        claims = claims.assign(published_value=pd.to_numeric(claims["value"], errors="coerce"))
        claim = only(claims.loc[claims["published_value"].notna()], indicator=self.indicator.id,
                     estimator=self.indicator.published_estimator, treatment=self.cell["treatment"],
                     sample=self.cell["sample"], estimand="overall")
        is_compared = self.evaluation.publication.coefficients > 0
        if claim is None:
            return PublishedNumber(is_compared=is_compared)
        return PublishedNumber(float(claim["published_value"]), estimator_name(claim["estimator"]), is_compared)


def _evidence(outcome: Outcome) -> None:
    """The evidence on the estimate that the outcome is answered by."""
    own = leading(outcome.tables["verdicts"], outcome.cell | {"estimator": outcome.indicator.published_estimator})
    rows = evidence_rows(own, outcome.tables["evidence"], outcome.tables["evidence_items"],
                         units=outcome.evaluation.units)
    evidence_figure(rows, outcome.effects("evidence", "the evidence at a glance"),
                    decimals=0 if own is None else margin_decimals(own))


def _trends(outcome: Outcome) -> None:
    rows, sample = outcome.tables["trends"], outcome.cell["sample"]
    test = only(outcome.leading("diagnostics"), sample=sample, diagnostic="linear_pretrend", treatment="binary")
    parallel_trends(rows, outcome.levels("trends", "means over time").marked(rows), sample=sample, test=test,
                    onset=onset(outcome.indicator, outcome.evaluation))


def _series(outcome: Outcome) -> None:
    panel = outcome.panel
    series_by_wave(wave_means(panel, outcome.later_onsets()),
                   outcome.levels("series", "means of each wave").marked(panel))


def _event_studies(outcome: Outcome) -> None:
    names = result_files.event_studies(outcome.evaluation, outcome.indicator.id)
    rows = outcome.estimates
    rows = rows.loc[rows["estimand"].eq("event_time") & rows["specification"].eq(outcome.cell["specification"])]
    for place, (estimator, name) in enumerate(names.items()):
        by = f", {estimator_name(estimator)}" if place else ""
        frame = outcome.effects(result_files.EVENT_STUDY, f"effects by time since onset{by}")
        event_study(rows.loc[rows["estimator"].eq(estimator)], replace(frame, stem=outcome.paths.drawn / name),
                    axis=outcome.time_axis)


def _estimators(outcome: Outcome) -> None:
    """Estimators side by side, under the first specification with several onsets."""
    evaluation = outcome.evaluation
    rows = outcome.estimates
    estimators_over_event_time(
        rows.loc[rows["specification"].eq(result_files.staggered_specification(evaluation))],
        outcome.effects("estimators", "estimators side by side"),
        estimators={name: called for name in evaluation.staggered_estimators
                    if (called := own_dates_names().get(name))},
        axis=outcome.time_axis, published=outcome.published)


def _specifications(outcome: Outcome) -> None:
    evaluation, indicator = outcome.evaluation, outcome.indicator
    default = choices_of(evaluation.specifications[evaluation.default_specification], indicator)
    staggered = {name: choices_of(specification, indicator)
                 for name, specification in evaluation.specifications_of(indicator).items() if specification.staggered}
    rows = curve_rows(outcome.leading("specifications"), outcome.leading("estimates"), default=default,
                      staggered=staggered, treatment=outcome.cell["treatment"])
    reported = {name: outcome.cell[name] for name in ("specification", "sample")}
    specification_curve(
        rows, outcome.effects("specification", "every specification"), choices=list(default),
        reported=reported | {"estimator": indicator.published_estimator}, published=outcome.published,
        samples=samples_of(evaluation))


def _timing(outcome: Outcome) -> None:
    """Who is treated when under the reported specification, and how much of the panel is missing."""
    evaluation, indicator = outcome.evaluation, outcome.indicator
    panel = outcome.panel
    periods = [str(period) for period in pd.period_range(*span(indicator, evaluation), freq=indicator.frequency)]
    cells = panel["unit"].nunique() * len(periods)
    lost = cells - int(panel["outcome"].notna().sum())
    each = f"{singular(evaluation.units)} and {PERIODS[indicator.frequency]}"
    said = (f"No figure for {count(lost)} of {count(cells)} pairs of {each}." if lost
            else f"There is a figure for every {each}.")
    frame = Frame(outcome.paths.drawn / f"timing_{indicator.id}", f"{indicator.title}: who is treated when",
                  f"{evaluation.place}, {period_name(periods[0])} to {period_name(periods[-1])}. {said}",
                  outcome.source, evaluation.units, pictures=outcome.paths.pictures).marked(panel)
    timing(timing_rows(panel, outcome.later_onsets(), outcome.systems), frame, periods=periods)


# Beginning of the names of figures -> what draws them, in order.
DRAWN = {"evidence": _evidence, "trends": _trends, "series": _series, result_files.EVENT_STUDY: _event_studies,
         "estimators": _estimators, "specification": _specifications,
         "timing": _timing}
