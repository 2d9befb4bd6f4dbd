"""The report: one HTML page with everything a reader of the results needs, which opens offline and prints.

Style, script and figures are inside the page; nothing is requested from anywhere. All text is escaped by the template.
Every number comes from the tables passed in, every sentence from the wording rules of the Markdown pages.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from did.errors import DidError
from did.estimators import entry
from did.project import result_files
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.registry import Source
from did.report.content.answer import MADE_UP, Answer
from did.report.content.evaluation_facts import outcome_facts
from did.report.content.facts import Facts, Front, estimator_name
from did.report.content.identities import additivity, sum_to_zero
from did.report.content.lead import how_to_read, leads
from did.report.pages import background, overview
from did.report.pages.summary import agreement_sentence, answer, cells_sentence, claim_facts, reported, trend_sentence
from did.report.writers.html import TEMPLATES, Picture, html_of, inline, picture
from did.words import listed, markdown_cell, period_name

MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Report:
    """What the page is made from: the evaluation, the facts of the whole, the stages' tables and where files are.

    ``tables`` are the overall estimates (with the notes of the indicators' settings), the diagnostics, the headlines
    and the second opinions of every available outcome, and reproduction (one row per claim and clustering). The
    sections on outcomes are those that the draw stage wrote; ``answer`` is the first screen.
    """

    evaluation: Evaluation
    front: Front
    sources: Mapping[str, Source]
    tables: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    paths: Paths
    answer: Answer
    without: Sequence[str] = ()


def report_html(report: Report) -> str:
    """Return the whole page as text, ending in one line break.

    Made-up data are said at the top if any row of the tables is synthetic. Raises DidError if a table lacks the
    specification, a figure or a section is missing, or the page would exceed `MOST_BYTES`.
    """
    evaluation, front = report.evaluation, report.front
    rows = reported(report.tables["reproduction"], front)
    manifests = background.raw_manifests(report.sources, report.paths)
    families = result_files.families(evaluation, report.without)
    outcomes = [outcome_facts(facts, load_indicator(name, evaluation.indicators_folder), evaluation)
                for facts in front.families for name in facts.outcomes]
    leading = [lead for facts in front.families
               for lead in leads(facts, *(report.tables[name] for name in ("estimates", "diagnostics", "headline")))]
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = html_of(
        "report.html.j2",
        front=front, evaluation=evaluation, onset=period_name(front.onset),
        synthetic=any(bool(table["is_synthetic"].any()) for table in report.tables.values()),
        style=Markup(style), script=Markup(script), hashes={"style": _hash(style), "script": _hash(script)},
        answer=report.answer, made_up=MADE_UP, glance=_glance(report),
        checked=background.checked(report.tables["second_opinion"]),
        leads=[(inline(lead.text), lead.page) for lead in leading], how_to_read=inline(how_to_read(leading)),
        answers=[(facts, _headline(report, facts, rows)) for facts in front.families],
        by_estimator=overview.outcomes_by_estimators(
            outcomes, report.tables, static=[name for name in evaluation.estimators if entry(name).overall],
            staggered=evaluation.staggered_estimators if result_files.staggered_specification(evaluation) else []),
        every=overview.every_effect(outcomes, report.tables),
        claims=overview.claims_table(rows, front) if len(rows) else None,
        numbers=_numbers(rows), agreement=inline(agreement_sentence(rows, front)) if len(rows) else "",
        cells=inline(cells_sentence(rows, front)),
        printed=[inline(line) for line in ([*claim_facts(rows, front)] if len(rows) else [])] + list(front.context),
        waves=_picture(report, result_files.WAVES, next(iter(families)), f"{evaluation.title}: who joined when")
        if evaluation.waves.records else None,
        families=[_family(report, family, facts) for family, facts in zip(families, front.families, strict=True)],
        methods=background.methods(evaluation), choices=background.choices(evaluation),
        clustered=background.clustered(evaluation),
        sources=background.sources_table(report.sources, manifests),
        files=[background.files_table(name, source, manifests[name], report.paths.raw(name))
               for name, source in report.sources.items() if manifests[name]["files"]],
        downloads=background.downloads(dict(zip(families, front.families, strict=True))),
        versions=report.versions, citation=background.citation(evaluation, report.versions, manifests),
    )
    size = len(page.encode())
    if size > MOST_BYTES:
        raise DidError(f"report.html: expected at most {MOST_BYTES:,} bytes; found {size:,}; show fewer figures")
    return page


def _glance(report: Report) -> Picture:
    """The figure of the first screen."""
    about = report.answer.lines[0].heading if report.answer.lines else report.front.title
    return picture(report.paths.results, result_files.ANSWER, caption=f"{about}: what the checks make of it",
                   rule="report")


def _headline(report: Report, facts: Facts, rows: pd.DataFrame) -> list[Markup]:
    """Return the paragraphs on a family's headline outcome: the answer, agreement with what was printed, trends."""
    estimates = report.tables["estimates"]
    ours = estimates[estimates["cluster"].isin(list(facts.clusters))
                     & estimates["specification"].eq(facts.specification)]
    claims = rows[rows["indicator"].isin(list(facts.outcomes))]
    words = answer(ours, facts, claims, next(iter(facts.treatments)))
    said = [f"{markdown_cell(facts.outcomes[facts.total])}. {words}",
            agreement_sentence(claims, facts) if len(claims) else "",
            trend_sentence(report.tables["diagnostics"], facts)]
    return [inline(text) for text in said if text]


def _family(report: Report, family: str, facts: Facts) -> dict:
    """What the template says of one family and its outcomes."""
    estimates = report.tables["estimates"]
    ours = estimates[estimates["specification"].eq(facts.specification)
                     & estimates["indicator"].isin(list(facts.outcomes))]
    names, prefix = result_files.family_figures(report.evaluation, family, report.without), f"coefficients_{family}_"
    sums = [check(ours, facts)
            for check, parts in ((additivity, facts.parts), (sum_to_zero, facts.sum_to_zero)) if parts]
    return {
        "id": family, "facts": facts,
        "coefficients": [_picture(report, f"{prefix}{name}", family,
                                  f"{facts.title}: coefficients by {estimator_name(name)}")
                         for name in report.evaluation.estimators if f"{prefix}{name}" in names],
        # What concerns every family is said once, before them.
        "read_with": [*map(inline, sums), *(text for text in facts.context if text not in report.front.context)],
        "pages": [(result_files.family_page(family), "tables of the family"),
                  (result_files.robustness_page(family), "what the headline estimate rests on")],
        "outcomes": [{"id": name, "label": label, "section": _section(report.paths.section(name))}
                     for name, label in facts.outcomes.items()],
    }


def _section(path: Path) -> Markup:
    """A section as the draw stage wrote it: markup of our own, with all text escaped then."""
    try:
        return Markup(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DidError(f"{path}: expected an outcome's section of the report; found no file; run: did draw {path.stem}"
                       ) from None


def _picture(report: Report, name: str, family: str, caption: str) -> Picture:
    return picture(report.paths.results, name, caption=caption, rule=f"family_{family}")


def _numbers(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """How many claims have each word for the number, by clustering: (clustering, words)."""
    return [(cluster, listed(f"{n} {word.replace('_', ' ')}" for word, n in group["number"].value_counts().items()))
            for cluster, group in rows.groupby("cluster", sort=False)]


def _hash(text: str) -> str:
    """The checksum by which the page's own security policy knows its style and script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
