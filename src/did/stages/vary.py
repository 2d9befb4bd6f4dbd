"""Stage 6: one indicator under every reading of its design."""

from __future__ import annotations

from did import readings, tables
from did.config import Evaluation, load_indicator
from did.panel import observations_needed
from did.paths import Paths
from did.reproduce.claims import load_claims


def run(indicator_name: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Fit one indicator under every reading, write the readings table and return one line about it.

    Raises DidError for a mistake in the claims file and for everything that did.readings.vary describes.
    """
    indicator = load_indicator(indicator_name, evaluation.indicators_folder)
    claims = load_claims(evaluation.published, evaluation.indicators)
    observations = {name: tables.read("observations", paths.observations(name))
                    for name in observations_needed(indicator)}
    table = readings.vary(indicator, evaluation, observations, claims.loc[claims["indicator"] == indicator_name])
    synthetic = any(bool(frame["is_synthetic"].any()) for frame in observations.values())
    tables.write("readings", table.assign(indicator=indicator_name, is_synthetic=synthetic),
                 paths.readings(indicator_name))
    return f"{indicator_name}: {len(table):,} estimates under {table['reading'].nunique()} readings"
