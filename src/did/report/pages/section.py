"""One outcome's section of the report: what a reader asks first, words, figures, diagnostics, area audit and
caveats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from did.estimators import entries
from did.project import result_files
from did.project.config import Evaluation, Indicator
from did.project.registry import Source
from did.report.content.describe import used
from did.report.content.facts import Facts
from did.report.pages import outcome
from did.report.pages.summary import reported
from did.report.writers.html import html_of, picture
from did.words import listed, markdown_cell

# Figures of an outcome by the beginning of their names, in the order shown, and what they show.
FIGURES = {
    "evidence": "The evidence at a glance",
    "trends": "Means of the treated and the comparison {units}",
    "series": "Means of each wave",
    result_files.EVENT_STUDY: "By time since onset",
    "estimators": "Estimators side by side",
    "robustness": "The estimate and its alternatives",
    "specification": "Every specification",
    "timing": "Who is treated when",
}


def section_html(indicator: Indicator, facts: Facts, evaluation: Evaluation, *, figures: Sequence[str],
                 sources: Mapping[str, Source], tables: Mapping[str, pd.DataFrame], results: Path) -> str:
    """Return the section as text, ending in one line break.

    ``facts`` are of this outcome alone, ``figures`` the names of its figures in the folder ``results``; ``tables`` its
    rows of the stages' tables and, as ``reproduction``, its claims alongside ours. Made-up data are said if any
    row is synthetic. All text is escaped by the template. Raises DidError if a table lacks the specification or a
    figure is missing.
    """
    name = indicator.id
    tables = dict(tables)
    # Effects by event time are in the figures; without them every search is short.
    tables["estimates"] = tables["estimates"].loc[tables["estimates"]["estimand"].eq("overall")]
    if len(tables["reproduction"]):
        tables["reproduction"] = reported(tables["reproduction"], facts)
    files = markdown_cell(listed(f"{source.title} ({source.publisher})" for source in used([indicator], sources)))
    shown = [(each, _caption(each, prefix, facts)) for prefix in FIGURES for each in figures
             if each == f"{prefix}_{name}" or (each.startswith(f"{prefix}_{name}_") and
                                               each.removeprefix(f"{prefix}_{name}_") in {*facts.samples, *entries()})]
    return html_of(
        "outcome.html.j2", id=name, title=indicator.title, facts=facts,
        synthetic=any(bool(table["is_synthetic"].any()) for table in tables.values()),
        glance=outcome.glance(indicator, facts, tables, files),
        evidence=outcome.evidence(facts, tables),
        answers=outcome.answers(facts, tables),
        pictures=[picture(results, each, caption=caption, rule=f"draw_{name}") for each, caption in shown],
        diagnostics=outcome.diagnostics(facts, tables, evaluation),
        area_audit=outcome.area_audit(facts, tables),
    )


def _caption(name: str, prefix: str, facts: Facts) -> str:
    words = f"{facts.outcomes[facts.total]}. {FIGURES[prefix].format(units=facts.units)}"
    called = dict(facts.samples) | {estimator: each.running for estimator, each in entries().items()}
    of = called.get(name.removeprefix(f"{prefix}_{facts.total}_"), "")
    return f"{words}, {of}" if of else words
