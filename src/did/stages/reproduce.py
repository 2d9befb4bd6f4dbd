"""Stage 6: the published claims beside our estimates."""

from __future__ import annotations

import pandas as pd

from did import reproduce, tables
from did.config import Evaluation
from did.outputs.text import write_csv
from did.paths import Paths


def run(*, evaluation: Evaluation, paths: Paths) -> str:
    """Compare every claim with its estimate, write ``reproduction.csv`` and return one line about it.

    Raises DidError for a mistake in the claims file or a claim without an estimate.
    """
    claims = reproduce.load_claims(evaluation.published, evaluation.indicators)
    estimates = pd.concat([tables.read("estimates", paths.estimates(name)) for name in evaluation.indicators],
                          ignore_index=True)
    table = reproduce.compare(claims, estimates, evaluation.default_reading)
    write_csv(paths.results / "reproduction.csv", table)
    printed = table.loc[table["status"] == "printed", "claim"].nunique()
    return f"{claims['claim'].nunique()} claims, {printed} of them with something printed to compare"
