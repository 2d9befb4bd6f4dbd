"""Tests of parallel trends before treatment: linear, and all leads jointly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.estimators import event_study
from did.estimators.base import Panel, Result
from did.estimators.within import Fit, two_way_fit
from did.inference import cluster_sums, clustered_covariance, labels_of

COLUMNS = ["diagnostic", "item", "value", "statistic", "df", "df_denominator", "p_value", "status", "reason"]
# Singular values below this share of the largest count as zero when a rank is taken.
RANK = 1e-9
# Treated clusters per lead below which a joint test rejects far more often than it says (docs/methods.md).
FEW_TREATED = 5


def pretrend_rows(panel: Panel, *, bin_width: int = 12) -> pd.DataFrame:
    """Return the linear pre-trend test and the joint tests of leads, by period and by bins of ``bin_width``.

    Rows of the diagnostics table (`COLUMNS`; the caller adds indicator, reading, sample and is_synthetic),
    one per test and cluster level. With ``bin_width`` 1 the binned test is left out, being the same.
    """
    tests = [linear_pretrend(panel), joint_leads(panel)]
    if bin_width > 1:
        tests.append(joint_leads(panel, bin_width=bin_width))
    return pd.concat(tests, ignore_index=True)


def trends_fit(panel: Panel) -> tuple[Fit, np.ndarray]:
    """Fit the two-way model augmented with linear trends of the treated, before and after their onset.

        Y_it = alpha_i + gamma_t + delta D_it + zeta_0 w_i 1[t < g_i] t + zeta_1 w_i 1[t >= g_i] t + e_it

    w_i the dose (1 for treated, 0 for never treated), D_it = w_i 1[t >= g_i] and t in periods: the augmented
    model of Stata's ``estat ptrends`` and ``estat trendplots`` (manual [CAUSAL] didregress postestimation,
    methods and formulas). Each unit's own onset parts before from after. Columns of the fit: delta,
    zeta_0, zeta_1. Returns the fit and the (units,) mask of units used: those treated from the first
    period have no trend before onset and are left out.
    """
    used = ~panel.always_treated
    kept = panel.keep(used)
    time = np.arange(kept.n_periods, dtype=float)[None, :]
    exposure = np.where(kept.never_treated, 0.0, kept.dose)[:, None]
    columns = [exposure * kept.treated, exposure * ~kept.treated * time, exposure * kept.treated * time]
    return two_way_fit(kept.outcome, np.stack(columns, axis=2), kept.observed_weight), used


def linear_pretrend(panel: Panel) -> pd.DataFrame:
    """Test that the outcome's linear trend before onset does not differ by treatment (``estat ptrends``).

    value is zeta_0 of `trends_fit`, the difference in slope in units of the outcome per period (and per unit
    of dose); statistic is its F with df 1 and clusters - 1. One row per cluster level, diagnostic
    ``linear_pretrend``, item such as ``binary, unit clusters``. status ``skipped`` with the reason where the
    slope is not identified (fewer than two periods before onset), there are fewer than two clusters, or
    nothing varies between clusters.
    """
    fit, used = trends_fit(panel)
    units = (panel.observed_weight[used] > 0).any(axis=1)
    influence = fit.influence[units, 1:2]
    n_parameters = int(fit.kept.sum()) + fit.n_periods
    rows = []
    for level, every_label in panel.clusters.items():
        labels = every_label[used][units]
        n_clusters = len(pd.unique(labels))
        row = _row("linear_pretrend", panel, level, value=fit.coefficient[1])
        if not fit.kept[1]:
            rows.append(_skip(row, "fewer than two periods before onset: no trend to compare"))
            continue
        variance = clustered_covariance(influence, labels, fit.n_obs, n_parameters)
        rows.append(_f_test(row, np.array([fit.coefficient[1]]), variance, n_clusters,
                            _rank(influence, labels), "slope"))
    return pd.DataFrame(rows, columns=COLUMNS)


def joint_leads(panel: Panel, *, bin_width: int = 1) -> pd.DataFrame:
    """Test that all leads of the event study are zero (Wald test from its influence functions).

    statistic is F = b' V^-1 b / q with df q, the number of leads but the reference, and clusters - 1; value
    is the mean of the leads in units of the outcome. One row per cluster level, diagnostic ``joint_leads``
    (or ``joint_leads_bin_<width>``). A row is ``skipped``, with the numbers in its reason, where V is of less
    than full rank (no generalised inverse is used), as it must be with no more clusters than leads; and where
    there are no more treated clusters than leads: V then holds the noise of the control group alone in some
    directions, and the test rejects nearly always though nothing is amiss (docs/methods.md). A done row's
    reason gives the rank and the numbers of leads and clusters.
    """
    result = event_study.estimate(panel, bin_width=bin_width) if _has_leads(panel, bin_width) else None
    diagnostic = "joint_leads" if bin_width == 1 else f"joint_leads_bin_{bin_width}"
    rows = []
    for level in panel.clusters:
        if result is None:
            reason = ("no never-treated unit" if not panel.never_treated.any()
                      else f"no lead besides the reference (bins of {bin_width} periods)")
            rows.append(_skip(_row(diagnostic, panel, level), reason))
        else:
            rows.append(_joint_row(_row(diagnostic, panel, level), result, labels_of(result, panel, level)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _has_leads(panel: Panel, bin_width: int) -> bool:
    """True if the event study is identified and some lead bin before the reference bin has an outcome."""
    members = (panel.observed_weight > 0) & ~(panel.never_treated | panel.always_treated)[:, None]
    bins = np.unique(np.floor_divide(panel.event_time, bin_width)[members])
    return panel.never_treated.any() and -1 in bins and bool((bins < -1).any())


def _joint_row(row: dict, result: Result, labels: np.ndarray) -> dict:
    parameters = result.parameters
    identified = ~parameters["note"].str.startswith(("reference", "not identified")).to_numpy()
    leads = (parameters["event_time"] < -1).to_numpy(dtype=bool) & identified
    influence = result.influence.to_numpy()[:, leads]
    covariance = clustered_covariance(influence, labels, result.n_obs, result.n_parameters)
    row["value"] = float(result.estimate[leads].mean())
    n_clusters = len(pd.unique(labels))
    n_treated = len(pd.unique(labels[result.treated.to_numpy().any(axis=1)]))
    tested = _f_test(row, result.estimate[leads], covariance, n_clusters, _rank(influence, labels), "leads")
    if tested["status"] == "skipped":
        return tested
    n_leads = int(leads.sum())
    if n_treated <= n_leads:
        return _skip(row, f"{n_treated} treated clusters for {n_leads} leads: the joint test would over-reject")
    reason = f"rank {n_leads} for {n_leads} leads with {n_treated} treated of {n_clusters} clusters"
    few = n_treated < FEW_TREATED * n_leads
    return tested | {"reason": reason + ("; few treated clusters: rejects too often" if few else "")}


def _f_test(row: dict, estimate, covariance, n_clusters: int, rank: int, what: str) -> dict:
    from scipy import stats

    n_tested = len(estimate)
    if n_clusters < 2:
        return _skip(row, f"{n_clusters} cluster: no clustered covariance")
    if not np.isfinite(covariance).all():
        return _skip(row, "no more observations than parameters: no clustered covariance")
    if rank < n_tested:
        return _skip(row, f"covariance of rank {rank} for {n_tested} {what} with {n_clusters} clusters: "
                          "no joint test" if n_tested > 1 else "no variation between clusters")
    statistic = float(estimate @ np.linalg.solve(covariance, estimate)) / n_tested
    return row | {"statistic": statistic, "df": float(n_tested), "df_denominator": float(n_clusters - 1),
                  "p_value": float(stats.f.sf(statistic, n_tested, n_clusters - 1))}


def _rank(influence: np.ndarray, labels: np.ndarray) -> int:
    """Return the rank of a clustered covariance, found on the cluster sums (its square root), each scaled."""
    scale = np.abs(influence).sum(axis=0)
    sums = cluster_sums(influence, labels)
    return int(np.linalg.matrix_rank(sums / np.where(scale > 0, scale, 1.0), tol=RANK))


def _row(diagnostic: str, panel: Panel, level: str, value: float = np.nan) -> dict:
    row = dict.fromkeys(COLUMNS, np.nan)
    return row | {"diagnostic": diagnostic, "item": f"{panel.treatment}, {level} clusters",
                  "value": float(value), "status": "done", "reason": ""}


def _skip(row: dict, reason: str) -> dict:
    return row | {"status": "skipped", "reason": reason}
