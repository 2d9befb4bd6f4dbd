"""Stage 7: the overall effects of a family of outcomes, with p-values for having asked all of them."""

from __future__ import annotations

from collections.abc import Collection

from did import tables
from did.config import Evaluation
from did.errors import one_of
from did.inference.multiplicity import family_tests
from did.outputs import contents
from did.outputs.evaluation_facts import stage_tables
from did.outputs.text import plural
from did.paths import Paths


def run(family: str, *, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the family's table of adjusted p-values under the default reading and return one line about it.

    ``without`` are the indicators that this run has no files for. Raises DidError for an unknown family, a table that
    is missing or breaks its contract, and an estimate whose influence is missing.
    """
    by_family = contents.families(evaluation, without)
    one_of("family", family, by_family)
    frames = stage_tables(("estimates", "influence"), by_family[family], evaluation, paths)
    estimates = frames["estimates"]
    tests = family_tests(estimates.loc[estimates["reading"] == evaluation.default_reading], frames["influence"],
                         {family: by_family[family]}, draws=evaluation.draws, seed=evaluation.seed)
    tables.write("many_tests", tests, paths.many_tests(family))
    return f"{family}: {plural(len(tests), 'adjusted effect')} of {plural(len(by_family[family]), 'outcome')}"
