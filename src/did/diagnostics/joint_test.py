"""Rows of the diagnostics table, and the joint F test that several parameters are zero."""

from __future__ import annotations

import numpy as np

from did.estimators.base import Panel
from did.inference.clustered import cluster_sums

COLUMNS = ["diagnostic", "item", "treatment", "estimator", "cluster", "value", "std_error", "ci_low", "ci_high",
           "statistic", "df", "df_denominator", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
           "n_treated_clusters", "status", "reason"]
TEXT = {"treatment": "", "estimator": "", "cluster": "", "status": "done", "reason": ""}
# Singular values below this share of the largest count as zero when a rank is taken.
RANK = 1e-9
# Treated clusters per lead below which a joint test rejects far more often than it says (docs/methods.md).
FEW_TREATED = 5


def f_test(row: dict, estimate, covariance, n_clusters: int, rank: int, what: str) -> dict:
    """Return ``row`` with the F test that all of ``estimate`` are zero, or skipped where it cannot be made.

    ``covariance`` is clustered over ``n_clusters``, of rank ``rank``; ``what`` names the parameters. F = b' V^-1 b / q
    with q and clusters - 1 degrees of freedom.
    """
    from scipy import stats

    n_tested = len(estimate)
    if n_clusters < 2:
        return skipped(row, f"{n_clusters} cluster: no clustered covariance")
    if not np.isfinite(covariance).all():
        return skipped(row, "no more observations than parameters: no clustered covariance")
    if rank < n_tested:
        return skipped(row, f"covariance of rank {rank} for {n_tested} {what} with {n_clusters} clusters: "
                          "no joint test" if n_tested > 1 else "no variation between clusters")
    statistic = float(estimate @ np.linalg.solve(covariance, estimate)) / n_tested
    return row | {"statistic": statistic, "df": float(n_tested), "df_denominator": float(n_clusters - 1),
                  "p_value": float(stats.f.sf(statistic, n_tested, n_clusters - 1))}


def covariance_rank(influence: np.ndarray, labels: np.ndarray) -> int:
    """Return the rank of a clustered covariance, found on the cluster sums (its square root), each scaled."""
    scale = np.abs(influence).sum(axis=0)
    sums = cluster_sums(influence, labels)
    return int(np.linalg.matrix_rank(sums / np.where(scale > 0, scale, 1.0), tol=RANK))


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
    return dict.fromkeys(COLUMNS, np.nan) | TEXT | {
        "diagnostic": diagnostic, "item": f"{panel.treatment}, {level} clusters", "treatment": panel.treatment,
        "cluster": level, "value": float(value)}


def skipped(row: dict, reason: str) -> dict:
    """Return ``row`` as not done, with its reason."""
    return row | {"status": "skipped", "reason": reason}
