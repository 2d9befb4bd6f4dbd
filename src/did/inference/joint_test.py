"""Rows of the diagnostics table, and the joint F test that several parameters are zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Generic, ParamSpec

import numpy as np
import pandas as pd

from did.estimators.base import Panel
from did.inference.change import Change
from did.inference.clustered import cluster_sums, small_sample_factor

# What a row is of, with the key of the table among it; then what was found.
IDENTITY = {"diagnostic": "", "treatment": "", "estimator": "", "cluster": "", **Change().columns(), "target": "",
            "event_time": None, "bin_width": None, "bound_m": np.nan, "is_breakdown": False}
COLUMNS = [*IDENTITY, "value", "std_error", "ci_low", "ci_high", "statistic", "df", "df_denominator",
           "p_value", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "n_tried", "n_apart",
           "condition", "status", "caveat", "reason"]
BLANK = IDENTITY | {"condition": "", "status": "done", "caveat": "", "reason": ""}
# Singular values below this share of the largest count as zero when a rank is taken.
RANK = 1e-9
UNHELD = "variances of outcomes of this size are too large or too small for a number: change the unit of the outcome"
# Treated clusters per lead below which a joint test rejects far more often than it says (docs/methods.md).
FEW_TREATED = 5
# The code of a caveat, in the column `caveat`: with so few, a joint test rejects too often.
FEW_TREATED_CLUSTERS = "few_treated_clusters"
Asked = ParamSpec("Asked")


class tabled(Generic[Asked]):
    """Decorate a function of rows so that it gives the diagnostics table of them; ``records`` still gives the rows.

    A table takes as long to make as hundreds of its rows: who asks many such functions makes one of all their records.
    ``columns`` are those of another table.
    """

    def __init__(self, records: Callable[Asked, list[dict]], columns: Sequence[str] = COLUMNS) -> None:
        self.records, self.columns = records, columns
        update_wrapper(self, records)

    def __call__(self, *args: Asked.args, **options: Asked.kwargs) -> pd.DataFrame:
        return pd.DataFrame(self.records(*args, **options), columns=self.columns)


def table(rows: Sequence[dict]) -> pd.DataFrame:
    """Return rows of `diagnostic_row` as a table."""
    return pd.DataFrame(rows, columns=COLUMNS)


def f_test(row: dict, estimate: np.ndarray, influence: np.ndarray, labels: np.ndarray, *, rounding: np.ndarray,
           n_obs: int, n_parameters: int | None, what: str) -> dict:
    """Return ``row`` with the F test that all of ``estimate`` are zero, or skipped where it cannot be made.

    ``influence`` (units, parameters) with its cluster ``labels``, ``rounding`` of `rounding_error`, ``n_obs`` and
    ``n_parameters`` those of `small_sample_factor`; ``what`` names the parameters. F = b' V^-1 b / q with q and
    clusters - 1 degrees of freedom.
    """
    from scipy import special  # as in `did.inference.clustered.quantile`

    sums = cluster_sums(influence, labels)
    n_tested, n_clusters = len(estimate), len(sums)
    factor = small_sample_factor(n_clusters, n_obs, n_parameters)
    if n_clusters < 2:
        return skipped(row, f"{n_clusters} cluster: no clustered covariance")
    if np.isnan(factor):
        return skipped(row, "no more observations than parameters: no clustered covariance")
    rank = covariance_rank(sums, influence, rounding)
    if rank < n_tested:
        return skipped(row, f"covariance of rank {rank} for {n_tested} {what} with {n_clusters} clusters: "
                          "no joint test" if n_tested > 1 else "no variation between clusters")
    statistic = wald(estimate, sums) / (factor * n_tested)
    return row | {"statistic": statistic, "df": float(n_tested), "df_denominator": float(n_clusters - 1),
                  "p_value": float(special.fdtrc(n_tested, n_clusters - 1, statistic))}


def wald(estimate: np.ndarray, sums: np.ndarray) -> float:
    """Return b' V^-1 b, V the covariance without a small-sample factor of (clusters, parameters) ``sums`` of
    influence."""
    # Of the sums themselves, and not of their squares, which would lose half the digits.
    root = np.asarray(np.linalg.qr(sums, mode="r"))  # its stub says a pair
    return float((np.linalg.solve(root.T, estimate) ** 2).sum())


def covariance_rank(sums: np.ndarray, influence: np.ndarray, rounding: np.ndarray) -> int:
    """Return the rank of a clustered covariance, found on the cluster ``sums`` of ``influence`` (its square root), each
    scaled.

    ``rounding`` (parameters,) of `rounding_error`: what varies by no more than that does not vary.
    """
    scale = np.abs(influence).sum(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    tolerance = max(RANK, (rounding / scale).max(initial=0.0))
    return int(np.linalg.matrix_rank(sums / scale, tol=tolerance))


def held(covariance: np.ndarray) -> bool:
    """Return whether the variances of a covariance are numbers above 0, and not overflow or nothing."""
    return bool(np.isfinite(covariance).all() and (np.diag(covariance) > 0).all())


def refused_for_few(n_treated: int, n_tested: int, what: str) -> str:
    """Return why ``n_tested`` parameters cannot be tested jointly with so few treated clusters, empty if they can.

    With no more treated clusters than parameters the covariance holds the noise of the control group alone in some
    directions, and the test rejects nearly always though nothing is amiss (docs/methods.md).
    """
    if n_treated > n_tested:
        return ""
    return f"{n_treated} treated clusters for {n_tested} {what}: the joint test would over-reject"


def diagnostic_row(diagnostic: str, panel: Panel, level: str, value: float = np.nan) -> dict:
    """Return a row of the diagnostics table for one treatment and cluster level, done unless something is changed."""
    return dict.fromkeys(COLUMNS, np.nan) | BLANK | {
        "diagnostic": diagnostic, "treatment": panel.treatment, "cluster": level, "value": float(value)}


def skipped(row: dict, reason: str) -> dict:
    """Return ``row`` as not done, with its reason."""
    return row | {"status": "skipped", "reason": reason}
