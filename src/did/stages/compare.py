"""Stage 5: every published claim about one indicator alongside our estimate."""

from __future__ import annotations

from did.evidence import compare, load_claims
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content.evaluation_facts import stage_tables
from did.store import tables
from did.words import plural


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Set each claim about an indicator alongside our estimate, write the comparison table, return one line about it.

    Other stages read this table and none compares again. Raises DidError for a mistake in the claims file, a
    claim without an estimate, and a table that is missing or breaks its contract.
    """
    claims = load_claims(evaluation.published)
    table = compare(
        claims.loc[claims["indicator"] == indicator],
        stage_tables(("estimates",), [indicator], evaluation, paths)["estimates"],
        evaluation.default_specification,
        estimators=evaluation.estimators,
        treatments=evaluation.treatments,
        samples=evaluation.samples,
        close=evaluation.evidence.close,
    )
    tables.write("comparison", table, paths.comparison(indicator))
    return f"{indicator}: {plural(table['claim'].nunique(), 'claim')}"
