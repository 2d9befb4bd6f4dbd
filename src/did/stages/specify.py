"""Stage 6: one indicator under every specification of its design."""

from __future__ import annotations

from did.panels import outcomes, specifications
from did.project.claims import load_claims
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.slices import without_words
from did.store import tables


def run(indicator_name: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Fit one indicator under every specification, write the specifications table and return one line about it.

    Raises DidError for a mistake in the claims file and for everything that did.panels.specifications.specify
    describes.
    """
    indicator = without_words(load_indicator(indicator_name, evaluation.indicators_folder))
    claims = load_claims(evaluation.published)
    observations = outcomes.read(indicator, paths)
    table = specifications.specify(indicator, evaluation, observations,
                                   claims.loc[claims["indicator"] == indicator_name])
    synthetic = any(bool(frame["is_synthetic"].any()) for frame in observations.values())
    tables.write("specifications", table.assign(indicator=indicator_name, is_synthetic=synthetic),
                 paths.specifications(indicator_name))
    return f"{indicator_name}: {len(table):,} estimates under {table['specification'].nunique()} specifications"
