"""The annex of the report: one outcome's section, and what was published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from did.project import result_files
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.paths import Paths
from did.project.registry import Source
from did.report.content import published
from did.report.content.facts import Facts, Front, having, reported
from did.report.content.outcome_tables import area_audit_table, evidence_tables, outcome_tables, panel_sentence
from did.report.content.table import Table
from did.report.writers.html import html_of, picture
from did.words import listed

# Figures of an outcome by the beginning of their names, in the order shown, and what they show.
FIGURES = {
    "evidence": "The evidence at a glance",
    "trends": "Means of the treated, the comparison and each wave",
    result_files.EVENT_STUDY: "By time since onset, estimators side by side",
    "specification": "Every specification",
}


def section_html(indicator: Indicator, facts: Facts, evaluation: Evaluation, *, sources: Mapping[str, Source],
                 tables: Mapping[str, pd.DataFrame], figures: Sequence[str], paths: Paths, timing: Table | None) -> str:
    """Return one outcome's section as text, ending in one line break.

    ``facts`` are of this outcome alone, ``figures`` the names of its figures; ``timing`` says who is treated when, if
    its family is answered by it, so that its evidence is drawn before the annex; ``tables`` are its rows of the stages'
    tables and, as ``reproduction``, its claims alongside ours. Made-up data are said if any row is synthetic. All text
    is escaped by the template. Raises DidError if a table lacks the specification or a figure is missing.
    """
    name, claims = indicator.id, reported(tables["reproduction"], facts)
    verdicts = tables["verdicts"]
    judged = set(verdicts.loc[verdicts["estimate"].notna(), "target"])
    # The evidence on a family's headline is before the annex.
    first, *more = [picture(paths, f"{prefix}_{name}", caption=f"{facts.outcomes[facts.total]}. {words}")
                    for prefix, words in FIGURES.items() if f"{prefix}_{name}" in figures]
    files = listed(f"{source.title} ({source.publisher})" for source in sources.values())
    return html_of(
        "outcome.html.j2", id=name, title=indicator.title, facts=facts,
        synthetic=any(bool(table["is_synthetic"].any()) for table in tables.values()),
        evidence=evidence_tables(facts, tables).items(),
        groups=[("What was published", _claims(claims, facts, judged)),
                *outcome_tables(facts, {**tables, "reproduction": claims})][0 if len(claims) else 1:],
        panel=panel_sentence(tables["estimates"], facts), first=[] if timing else [first], pictures=more,
        data=[*([replace(timing, name=f"timing-{name}",
                         caption=f"{facts.outcomes[name]}: who is treated when")] if timing else []),
              area_audit_table(tables["area_audit"], facts)],
        comes_from=f"The figures come from {files}. In the tables its rows have the indicator {name}; the command did "
                   f"trace {name} goes from a number down to a cell of a file.")


def _claims(rows: pd.DataFrame, facts: Facts, judged: Collection[str]) -> list[Table]:
    """What was published on one outcome, the claims that are ``judged`` linked to the way from them to a file."""
    table = published.claims_table(rows, facts).slim(keep={"Cell"})
    return [replace(table, name=f"claims-{facts.total}", links=[
        f"#trace-{claim}" if claim in judged else "" for claim in table.rows["claim"]],
        caption=f"{facts.outcomes[facts.total]}: what was published alongside ours")]


def published_html(evaluation: Evaluation, front: Front, *, reproduction: pd.DataFrame,
                   specifications: pd.DataFrame, ranked: pd.DataFrame, moved: pd.DataFrame,
                   denominators: Mapping[str, str]) -> str:
    """Return what the annex says of everything that was published, as text; "" where nothing was. ``reproduction``:
    that table; ``specifications``, ``ranked`` and ``moved`` as from `judged`, `ranking` and `choices` of
    `did.evidence.ranking`; ``denominators`` of the families' headline outcomes."""
    if reproduction.empty:
        return ""
    rows = reported(reproduction, front)
    varied, own = (having(table, cluster=evaluation.clusters[0]) for table in (specifications, rows))
    boundaries = evaluation.specifications[front.specification].boundaries
    units = own.dropna(subset="n_units").drop_duplicates("indicator").set_index("indicator")["n_units"].to_dict()
    return html_of(
        "published.html.j2", front=front, synthetic=bool(reproduction["is_synthetic"].any()),
        claims=published.claims_table(rows, front).slim(keep={"Cell"}), facts=[
            *published.printed_facts(rows, front), *published.lost_lines(rows)],
        reasons=published.reasons_of(rows), those=[
            published.agreement_table(rows, front), published.observations_table(own, varied, front.families.values()),
            published.numbers_table(own, varied), published.bands_table(own, varied),
            *(published.ranking_table(part, front.families[name]) for name, part in ranked.groupby("family", sort=False)
              if name in front.families), published.choices_table(moved, own, varied)],
        defaults=[published.default_words(each, boundaries, denominators[name], units[each.total])
                  for name, each in front.families.items() if each.total in units and boundaries])
