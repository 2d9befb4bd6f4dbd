"""Stage 6: the published claims beside our estimates."""

from __future__ import annotations

import pandas as pd

from did import reproduce, tables
from did.availability import reason
from did.config import Evaluation
from did.outputs.text import write_csv
from did.paths import Paths


def run(*, evaluation: Evaluation, paths: Paths, without: list[str]) -> str:
    """Compare every claim with its estimate, write ``reproduction.csv`` and return one line about it.

    Claims on the indicators ``without``, which are not available in this run, get rows that say so.

    Raises DidError for a mistake in the claims file or a claim without an estimate.
    """
    claims = reproduce.load_claims(evaluation.published, evaluation.indicators)
    estimates = pd.concat([tables.read("estimates", paths.estimates(name)) for name in evaluation.indicators
                           if name not in without], ignore_index=True)
    reasons = {name: reason(evaluation, name, paths) for name in without}
    table = reproduce.compare(claims, estimates, evaluation.default_reading, reasons)
    write_csv(paths.results / "reproduction.csv", table)
    n = table.groupby("status")["claim"].nunique()
    return (f"{claims['claim'].nunique()} claims: {n.get('printed', 0)} with something printed to compare, "
            f"{n.get('not printed', 0)} not printed, {n.get('cannot run', 0)} that cannot run")
