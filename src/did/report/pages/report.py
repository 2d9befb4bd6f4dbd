"""The report: one HTML page with everything a reader of the results needs, which opens offline and prints.

The answer comes first, then about ten printed pages, then an annex with every number, folded. Style, script and figures
are inside the page; nothing is requested from anywhere. All text is escaped by the template.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from did.errors import DidError
from did.estimators import entry
from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.project.registry import Source
from did.report.content import background
from did.report.content.answer import MADE_UP, Answer
from did.report.content.facts import Front, estimator_name, having, reported
from did.report.content.family_text import dose_sentences, headline_sentences, terms
from did.report.content.names import Names
from did.report.content.outcome_tables import fates, panel_sentence
from did.report.content.published import layout_table
from did.report.content.result_tables import headline_table, identity_tables
from did.report.content.table import Table
from did.report.writers.html import TEMPLATES, html_of, picture, written
from did.words import period_name

MOST_BYTES = 5_000_000
# What the report's contents lead to, before and after the families: address and words, other files of the results last.
FIRST = [("#answer", "Answer"), ("#terms", "How to read this report")]
LAST = [("#treated", "Who was treated when"), ("#data", "The data, and what is missing"),
        ("#methods", "How it was done"), ("#cite", "How to cite, and whom to ask"), ("#annex", "Annex: every number"),
        (result_files.WORKBENCH, "Workbench: every choice"), (result_files.WORKBOOK, "Workbook of all tables")]
# Columns of the headline table that the ten pages have.
HEADLINE = ("Treatment", "Estimator", "Estimate", "95% interval (p)", "Method", "Measured coverage",
            "Smallest effect that would be found")


@dataclass(frozen=True)
class Report:
    """What the page is made from: the evaluation, the facts of the whole, the stages' tables and where files are.

    ``front`` has the families in the order of ``answer``, the first screen. ``tables`` are the overall estimates (with
    the notes of the indicators' settings), the diagnostics, the headlines, the audits of areas and the second opinions
    of every available outcome, and reproduction (one row per claim and clustering). ``timing`` says who is treated
    when, ``traces`` are the ways from the answer's numbers to the publishers' files (`did.stages.trace.Trace`). The
    sections of the annex are those that other stages wrote.
    """

    evaluation: Evaluation
    front: Front
    sources: Mapping[str, Source]
    tables: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    paths: Paths
    answer: Answer
    timing: Table
    traces: Sequence[object] = ()


def report_html(report: Report) -> str:
    """Return the whole page as text, ending in one line break. Made-up data are said at the top if any row of the
    tables is synthetic. Raises DidError if a table lacks the specification, a figure or a section is missing, or the
    page would exceed `MOST_BYTES`."""
    evaluation, front = report.evaluation, report.front
    manifests = background.raw_manifests(report.sources, report.paths)
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    first = next(iter(front.families.values()))
    estimators = dict.fromkeys([*evaluation.estimators, *evaluation.staggered_estimators])
    shown = [name for name in estimators if entry(name).overall and name in evaluation.estimators]
    about = report.answer.lines[0].heading if report.answer.lines else front.title
    page = html_of(
        "report.html.j2", front=front, evaluation=evaluation, onset=period_name(front.onset),
        synthetic=any(bool(table["is_synthetic"].any()) for table in report.tables.values()),
        style=Markup(style), script=Markup(script), hashes={"style": _hash(style), "script": _hash(script)},
        answer=report.answer, made_up=MADE_UP, traces=report.traces,
        glance=picture(report.paths, result_files.ANSWER, caption=f"{about}: what the checks make of it"),
        checked=background.checked(report.tables["second_opinion"]),
        contents=[*FIRST, *((f"#{name}", facts.title) for name, facts in front.families.items()), *LAST],
        words=terms(first, published=bool(front.n_published)),
        families=[_family(report, family) for family in front.families],
        waves=report.timing,
        sources=background.sources_table(report.sources, manifests).slim(keep={"Source", "Publisher", "Licence"}),
        data=_data(report),
        methods=background.methods(shown, evaluation, "Estimators"),
        others=background.methods([name for name in estimators if name not in shown], evaluation,
                                  "Other estimators"),
        choices=background.choices(evaluation), order=", ".join(evaluation.inference.order).replace("_", " "),
        files=background.files_table(report.sources, manifests),
        purposes=result_files.PURPOSES, versions=report.versions, published=_section(report.paths.published_section),
        citation=background.citation(evaluation, report.versions, manifests))
    size = len(page.encode())
    if size > MOST_BYTES:
        raise DidError(f"report.html: expected at most {MOST_BYTES:,} bytes; found {size:,}; show fewer figures")
    return page


def _family(report: Report, family: str) -> dict:
    """What the template says of one family: half a page, and what the annex has of it."""
    facts, tables, evaluation = report.front.families[family], report.tables, report.evaluation
    rows = having(tables["headline"], **{name: value for name, value in facts.cell.items() if name != "treatment"})
    headline = headline_table(rows, Names([facts]), tables["diagnostics"]).slim(keep=HEADLINE)
    ours = having(tables["estimates"], specification=facts.specification, indicator=list(facts.outcomes))
    claims = reported(having(tables["reproduction"], indicator=list(facts.outcomes)), facts)
    figures = result_files.family_figures(evaluation, family)
    return {
        "id": family, "facts": facts, "said": headline_sentences(facts, tables),
        "headline": replace(headline, name=f"headline-{family}", notes=(),
                            columns=[column for column in headline.columns if column.heading in HEADLINE],
                            caption=f"{facts.outcomes[facts.total]}: the headline estimates"),
        "layout": layout_table(ours, claims, facts),
        "evidence": picture(report.paths, f"evidence_{facts.total}",
                            caption=f"{facts.outcomes[facts.total]}: the evidence at a glance"),
        # What concerns every family is said once.
        "read_with": [text for text in facts.context if text not in report.front.context],
        "coefficients": [picture(report.paths, name, caption=f"{facts.title}: coefficients by "
                                 f"{estimator_name(estimator)}") for estimator, name in figures.items()],
        "identities": identity_tables(ours, facts),
        "dose": dose_sentences(facts) if "intensity" in facts.treatments else [],
        "outcomes": [(label, _section(report.paths.section(name))) for name, label in facts.outcomes.items()],
    }


def _data(report: Report) -> list[tuple[str, list[str]]]:
    """What the data of each family are, and what is missing of its headline outcome: title and sentences."""
    found = []
    for facts in report.front.families.values():
        kept = fates(report.tables["area_audit"], facts)
        areas = ", ".join(f"{n:,} {words}" for words, n in kept)
        found.append((facts.title, [
            f"{facts.outcomes[facts.total]}: {facts.measure}, {period_name(facts.first)} to "
            f"{period_name(facts.last)}.", panel_sentence(report.tables["estimates"], facts),
            f"Of the areas in the publishers' files: {areas}.", *facts.caveats]))
    return found


def _section(path: Path) -> Markup:
    """A section as another stage wrote it: markup of our own, with all text escaped then."""
    stage = "reproduce" if path.stem == "published" else f"draw {path.stem}"
    return Markup(written(path, "a section", f"run: did {stage}"))


def _hash(text: str) -> str:
    """The checksum by which the page's own security policy knows its style and script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
