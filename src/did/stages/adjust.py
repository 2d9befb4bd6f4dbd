"""Stage 7: the effects on a family of outcomes, and the claims about them, with p-values for having asked them all."""

from __future__ import annotations

from collections.abc import Collection

from did.errors import one_of
from did.evidence import with_holm
from did.inference.multiplicity import family_tests
from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content.evaluation_facts import stage_tables
from did.store import tables
from did.words import plural


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the family's tables of adjusted p-values, of effects under the default specification and of claims, and
    return one line about them.

    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family, a table that
    is missing or breaks its contract, and an estimate whose influence is missing.
    """
    by_family = result_files.families(evaluation, without)
    one_of("family", family, by_family)
    frames = stage_tables(("estimates", "influence", "verdicts", "headline"), by_family[family], evaluation, paths)
    estimates, headline = frames["estimates"], frames["headline"]
    headline = headline.loc[headline["specification"] == evaluation.default_specification]
    tests = family_tests(
        estimates.loc[estimates["specification"] == evaluation.default_specification],
        frames["influence"],
        headline,
        {family: by_family[family]},
        draws=evaluation.draws,
        seed=evaluation.seed,
    )
    tables.write("adjusted_p_values", tests, paths.adjusted_p_values(family))
    tables.write("tested_claims", with_holm(frames["verdicts"], headline), paths.tested_claims(family))
    return f"{family}: {plural(len(tests), 'adjusted effect')} of {plural(len(by_family[family]), 'outcome')}"
