"""The report: one HTML page with everything a reader of the results needs, which opens offline and prints.

Style, script and figures are inside the page; nothing is requested from anywhere. All text is escaped by the template.
Every number comes from the tables passed in, every sentence from the wording rules of the Markdown pages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from did.config import Evaluation, Indicator
from did.errors import DidError
from did.outputs import contents
from did.outputs.describe import effect_unit, measure, onset, span, used
from did.outputs.facts import Facts, Front
from did.outputs.html import background, outcome, overview
from did.outputs.html.elements import Picture, inline, picture
from did.outputs.identities import additivity, sum_to_zero
from did.outputs.summary import agreement_sentence, answer, cells_sentence, claim_facts, reported, trend_sentence
from did.outputs.text import listed, markdown_cell, period_name
from did.paths import Paths
from did.registry import Source

TEMPLATES = Path(__file__).parent / "templates"
MOST_BYTES = 5_000_000
# Figures of an outcome by the beginning of their names, in the order shown, and what they show.
FIGURES = {
    "trends": "Means of the treated and the comparison {units}",
    "event_study": "By time since onset",
    "estimators": "Estimators side by side",
    "robustness": "The estimate and its alternatives",
    "specification": "Every specification",
    "timing": "Who is treated when",
}


@dataclass(frozen=True)
class Report:
    """What the page is made from: the evaluation, its available outcomes, the stages' tables and where files are.

    ``tables`` are estimates (annotated), diagnostics, lineage, readings, and reproduction (one row per claim and
    clustering, with its verdict). ``families`` are the facts of each family, in order; ``front`` those of the whole.
    """

    evaluation: Evaluation
    indicators: Mapping[str, Indicator]
    families: Mapping[str, Facts]
    front: Front
    sources: Mapping[str, Source]
    tables: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    paths: Paths
    without: Sequence[str] = ()


def report_html(report: Report) -> str:
    """Return the whole page as text, ending in one line break.

    Made-up data are said at the top and in each section if any row of the tables is synthetic. Raises DidError if a
    table lacks the reading, a figure is missing, or the page would exceed `MOST_BYTES`.
    """
    synthetic = any(bool(table["is_synthetic"].any()) for table in report.tables.values())
    estimates = report.tables["estimates"]
    # Effects by event time are in the figures; without them every search below is short.
    report = replace(report, tables={**report.tables, "estimates": estimates[estimates["estimand"].eq("overall")]})
    rows = reported(report.tables["reproduction"], report.front)
    manifests = background.raw_manifests(report.sources, report.paths)
    outcomes = {name: outcome_facts(report, name) for name in report.indicators}
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    evaluation = report.evaluation
    page = _environment().get_template("report.html.j2").render(
        front=report.front, evaluation=evaluation, onset=period_name(report.front.onset),
        synthetic=synthetic,
        style=Markup(style), script=Markup(script), hashes={"style": _hash(style), "script": _hash(script)},
        answers=[(facts, _headline(report, facts, rows)) for facts in report.families.values()],
        by_estimator=overview.outcomes_by_estimators(
            list(outcomes.values()), report.tables,
            static=[name for name in evaluation.estimators if name != "event_study"],
            staggered=evaluation.staggered_estimators if contents.staggered_reading(evaluation) else []),
        every=overview.every_effect(list(outcomes.values()), report.tables),
        claims=overview.claims_table(rows, report.front) if len(rows) else None,
        verdicts=_verdicts(rows), agreement=inline(agreement_sentence(rows, report.front)) if len(rows) else "",
        cells=inline(cells_sentence(rows, report.front)),
        printed=[inline(line) for line in ([*claim_facts(rows, report.front)] if len(rows) else [])]
        + list(report.front.context),
        waves=_picture(report, contents.WAVES, next(iter(report.families)), f"{evaluation.title}: who joined when")
        if evaluation.waves.records else None,
        families=[_family(report, family, facts, outcomes, rows) for family, facts in report.families.items()],
        methods=background.methods(evaluation), choices=background.choices(evaluation), clustered=background.CLUSTERED,
        sources=background.sources_table(report.sources, manifests),
        files=[background.files_table(name, source, manifests[name], report.paths.raw(name))
               for name, source in report.sources.items() if manifests[name]["files"]],
        versions=report.versions, citation=background.citation(evaluation, report.versions, manifests),
    ).rstrip("\n") + "\n"
    size = len(page.encode())
    if size > MOST_BYTES:
        raise DidError(f"report.html: expected at most {MOST_BYTES:,} bytes; found {size:,}; show fewer figures")
    return page


def outcome_facts(report: Report, name: str) -> Facts:
    """Return the facts of one outcome alone: those of its family with this outcome as the headline."""
    indicator, evaluation = report.indicators[name], report.evaluation
    first, last = span(indicator, evaluation)
    static = [each for each in evaluation.estimators if each != "event_study"]
    others = [each for each in static if each != indicator.published_estimator]
    return replace(
        report.families[indicator.family], outcomes={name: indicator.label}, total=name,
        measure=measure(indicator, evaluation), effect=effect_unit(indicator, evaluation), first=first, last=last,
        onset=onset(indicator, evaluation), frequency=indicator.frequency, parts=(), sum_to_zero=(),
        directions={name: indicator.direction}, estimator=indicator.published_estimator,
        other_estimator=others[0] if others else indicator.published_estimator, caveats=indicator.caveats)


def _headline(report: Report, facts: Facts, rows: pd.DataFrame) -> list[Markup]:
    """Return the paragraphs on a family's headline outcome: the answer, agreement with what was printed, trends."""
    estimates = report.tables["estimates"]
    ours = estimates[estimates["cluster"].isin(list(facts.clusters)) & estimates["reading"].eq(facts.reading)]
    claims = rows[rows["indicator"].isin(list(facts.outcomes))]
    words = answer(ours, facts, claims, next(iter(facts.treatments)))
    said = [f"{markdown_cell(facts.outcomes[facts.total])}. {words}",
            agreement_sentence(claims, facts) if len(claims) else "",
            trend_sentence(report.tables["diagnostics"], facts)]
    return [inline(text) for text in said if text]


def _family(report: Report, family: str, facts: Facts, outcomes: Mapping[str, Facts], rows: pd.DataFrame) -> dict:
    """What the template says of one family and its outcomes."""
    estimates = report.tables["estimates"]
    ours = estimates[estimates["reading"].eq(facts.reading) & estimates["indicator"].isin(list(facts.outcomes))]
    names = contents.figures(report.evaluation, family, report.without)
    sums = [check(ours, facts)
            for check, parts in ((additivity, facts.parts), (sum_to_zero, facts.sum_to_zero)) if parts]
    return {
        "id": family, "facts": facts,
        "coefficients": [_picture(report, name, family, f"{facts.title}: coefficients by {name.rpartition('_')[2]}")
                         for name in names if name.startswith(f"coefficients_{family}_")],
        "read_with": [*map(inline, sums), *facts.context],
        "pages": [(contents.family_page(family), "tables of the family"),
                  (contents.robustness_page(family), "what the headline estimate rests on")],
        "outcomes": [_outcome(report, name, outcomes[name], names) for name in facts.outcomes],
    }


def _outcome(report: Report, name: str, facts: Facts, figures: Sequence[str]) -> dict:
    """What the template says of one outcome."""
    indicator = report.indicators[name]
    tables = {table: frame[frame["indicator"].eq(name)] for table, frame in report.tables.items()}
    if len(tables["reproduction"]):
        tables["reproduction"] = reported(tables["reproduction"], facts)
    files = markdown_cell(listed(f"{source.title} ({source.publisher})"
                                 for source in used([indicator], report.sources)))
    shown = [(name_of, _caption(name_of, prefix, facts)) for prefix in FIGURES for name_of in figures
             if name_of == f"{prefix}_{name}" or (name_of.startswith(f"{prefix}_{name}_") and
                                                  name_of.removeprefix(f"{prefix}_{name}_") in facts.samples)]
    pictures = [_picture(report, each, indicator.family, caption) for each, caption in shown]
    return {
        "id": name, "title": indicator.title, "facts": facts,
        "glance": outcome.glance(indicator, facts, tables, files),
        "answers": outcome.answers(facts, tables),
        "pictures": pictures,
        "diagnostics": outcome.diagnostics(facts, tables, report.evaluation),
        "lineage": outcome.lineage(facts, tables),
    }


def _caption(name: str, prefix: str, facts: Facts) -> str:
    words = f"{facts.outcomes[facts.total]}. {FIGURES[prefix].format(units=facts.units)}"
    sample = next((words for sample, words in facts.samples.items() if name.endswith(f"_{sample}")), "")
    return f"{words}, {sample}" if sample else words


def _picture(report: Report, name: str, family: str, caption: str) -> Picture:
    return picture(report.paths.results, name, caption=caption, rule=f"draw_{family}")


def _verdicts(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """How many claims have each verdict, by clustering: (clustering, words)."""
    return [(cluster, listed(f"{n} {verdict}" for verdict, n in group["verdict"].value_counts(sort=True).items()))
            for cluster, group in rows.groupby("cluster", sort=False)]


def _environment() -> jinja2.Environment:
    return jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def _hash(text: str) -> str:
    """The checksum by which the page's own security policy knows its style and script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
