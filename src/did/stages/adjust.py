"""Stage 7: the effects on a family of outcomes, and the claims about them, with p-values for having asked them all."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.errors import DidError, one_of
from did.evidence import with_holm
from did.inference.calibration import REGRESSIONS
from did.inference.joint_reassignment import joint_statistics
from did.inference.multiplicity import family_tests
from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content.evaluation_facts import stage_tables
from did.stages.fit import options_of, panel_of
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
    frames = stage_tables(("estimates", "influence", "comparison", "headline"), by_family[family], evaluation, paths)
    estimates, headline = frames["estimates"], frames["headline"]
    headline = headline.loc[headline["specification"] == evaluation.default_specification]
    tests = family_tests(
        estimates.loc[estimates["specification"] == evaluation.default_specification],
        frames["influence"],
        headline,
        {family: by_family[family]},
        draws=evaluation.draws,
        seed=evaluation.seed,
        reassigned=_reassigned(by_family[family], evaluation, paths) if len(by_family[family]) > 1 else {},
    )
    tables.write("adjusted_p_values", tests, paths.adjusted_p_values(family))
    tables.write("tested_claims", with_holm(frames["comparison"], headline), paths.tested_claims(family))
    return f"{family}: {plural(len(tests), 'adjusted effect')} of {plural(len(by_family[family]), 'outcome')}"


def _reassigned(indicators: Collection[str], evaluation: Evaluation,
                paths: Paths) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Joint statistics of the outcomes under the reported specification, first sample, by treatment and estimator;
    without those whose clusters cannot change places together."""
    specification, sample = evaluation.default_specification, evaluation.sample
    frames = {name: tables.read("panel", paths.panel(name), specification=[specification]) for name in indicators}
    found = {}
    for treatment in evaluation.treatments:
        panels = {name: panel_of(frame, sample, treatment, evaluation) for name, frame in frames.items()}
        for estimator in (name for name in evaluation.estimators if name in REGRESSIONS):
            options = options_of(estimator, next(iter(panels.values())), evaluation.specifications[specification].lags)
            try:
                found[sample, treatment, estimator] = joint_statistics(
                    panels, estimator, options, evaluation.clusters[-1], seed=evaluation.seed)
            except DidError:   # Holm's adjustment needs nothing of this, and is then the one that is reported
                continue
    return found
