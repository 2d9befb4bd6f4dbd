"""The page in front of the families' pages: the answers in short, every published cell, and what is not there."""

from __future__ import annotations

import pandas as pd

from did.report.content.answer import Answer
from did.report.content.facts import Facts, Front, few_treated_note
from did.report.content.lead import how_to_read, leads
from did.report.content.summary_tables import comparison_table
from did.report.pages.summary import agreement_sentence, answer, cells_sentence, claim_facts, rendered, reported
from did.words import markdown_cell, markdown_table, period_name


def front_markdown(*, front: Front, answer: Answer, reproduction: pd.DataFrame, estimates: pd.DataFrame,
                   diagnostics: pd.DataFrame, headline: pd.DataFrame) -> str:
    """Return the front page as Markdown text, ending in one line break.

    ``reproduction`` holds one row per published claim and cluster level, those that could not be run included;
    ``estimates``, ``diagnostics`` and ``headline`` are those tables. The page opens with the ``answer``, then has each
    family's headline outcome under every treatment, with the interval of the table headline. Each family that is
    available has one paragraph on it under its first treatment, by the wording rules of its own page, and says how many
    printed facts agree. If any row of a table is synthetic, the page begins by saying so.

    Raises DidError if a family's headline outcome has no estimate by the published estimator, or the reproduction
    table lacks the specification.
    """
    rows = reported(reproduction, front)
    first = next(iter(front.clusters))
    leading = [lead for facts in front.families for lead in leads(facts, estimates, diagnostics, headline)]
    return rendered(
        "front.md.j2",
        front=front,
        synthetic=any(bool(table["is_synthetic"].any()) for table in (reproduction, estimates, diagnostics, headline)),
        onset=period_name(front.onset),
        first=[markdown_cell(text) for text in answer.texts],
        leads=leading,
        how_to_read=how_to_read(leading),
        answers=[(facts, _answer(facts, estimates, rows)) for facts in front.families],
        comparison=markdown_table(comparison_table(rows, front, whole=False), right=["Ours"]) if len(rows) else "",
        agreement=agreement_sentence(rows, front) if len(rows) else "",
        cells=cells_sentence(rows, front),
        few=few_treated_note(rows.loc[rows["cluster"] == first, "few_treated"], front.families[0].units),
        printed=[*(claim_facts(rows, front) if len(rows) else []), *map(markdown_cell, front.context)],
    )


def _answer(facts: Facts, estimates: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Return the headline answer of one family, and how many printed facts of the family agree."""
    overall = estimates[estimates["estimand"].eq("overall") & estimates["cluster"].isin(list(facts.clusters))
                        & estimates["specification"].eq(facts.specification)]
    rows = rows[rows["indicator"].isin(list(facts.outcomes))]
    text = f"{markdown_cell(facts.outcomes[facts.total])}. {answer(overall, facts, rows, next(iter(facts.treatments)))}"
    return f"{text} {agreement_sentence(rows, facts)}".strip()
