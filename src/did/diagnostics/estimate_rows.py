"""An estimate under a changed panel, as rows of the diagnostics table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from did.diagnostics.alternatives import Variants
from did.errors import DidError
from did.estimators import overall
from did.estimators.base import Panel
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import COLUMNS, diagnostic_row, skipped

KEPT = ["std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
        "n_treated_clusters"]


def estimate_rows(diagnostic: str, variants: Variants, *, original: Panel,
                  estimators: Sequence[str], options: dict[str, dict]) -> pd.DataFrame:
    """Return the overall estimate of each variant of a panel by each estimator, one row per cluster level.

    ``variants`` gives (`Change`, the changed panel), or (`Change`, why it cannot be made). value is the estimate,
    statistic its t, both with intervals as in `did.inference.clustered.summarise`; the columns of the `Change` say
    what was changed. ``options`` maps an estimator to its keyword arguments. A variant that cannot be made or
    fitted is ``skipped`` with the reason. Rows of `joint_test.COLUMNS`, in the order of the variants.
    """
    rows = []
    for what, panel in variants:
        for estimator in estimators:
            rows += _rows(diagnostic, what, panel, original, estimator, options.get(estimator, {}))
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(diagnostic: str, what: Change, panel: Panel | str, original: Panel, estimator: str,
          options: dict) -> list[dict]:
    def row(level: str) -> dict:
        return diagnostic_row(diagnostic, original, level) | what.columns() | {"estimator": estimator}

    if isinstance(panel, str):
        return [skipped(row(level), panel) for level in original.clusters]
    try:
        found = by_cluster(overall(estimator, panel, **options), panel)
    except DidError as error:
        return [skipped(row(level), str(error)) for level in original.clusters]
    # One effect each: the first of every column.
    each = [{name: column[0] for name, column in block.items()} for block in found]
    return [row(own["cluster"]) | {name: own[name] for name in KEPT} | {
        "value": own["estimate"], "statistic": own["estimate"] / own["std_error"], "df_denominator": own["df"],
        "reason": own["note"]} for own in each]
