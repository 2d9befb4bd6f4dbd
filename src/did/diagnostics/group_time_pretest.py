"""Wald pre-test of parallel trends: that every group-time effect before treatment is zero."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, listed
from did.estimators.base import Panel, Result
from did.estimators.shares import Shares
from did.inference.clustered import by_level, cluster_sums, labels_of, rounding_of
from did.inference.joint_test import (
    FEW_TREATED,
    FEW_TREATED_CLUSTERS,
    covariance_rank,
    diagnostic_row,
    refused_for_few,
    skipped,
    tabled,
    wald,
)

DIAGNOSTIC = "group_time_pretest"


@tabled
def pretest(result: Result, panel: Panel) -> list[dict]:
    """Test that the effects of all cells before treatment are zero, by a chi-square test at each cluster level.

    ``result`` holds the group-time effects of `did.estimators.callaway_santanna`, ``panel`` the panel they were
    estimated on. Rows of the diagnostics table (`joint_test.COLUMNS`), diagnostic ``group_time_pretest``: value is
    the mean of the tested effects in units of the outcome, statistic W = b' V^-1 b with V the clustered covariance
    without a small-sample factor, df the number of cells with event time below -``result.anticipation`` and a
    positive error (a cell that is not identified, or is the reference, is none), p_value from the chi-square.
    Clustered by unit it is the pre-test of R's did 2.5.1 (Callaway and Sant'Anna 2021, Journal of Econometrics
    225:200-230), and with anticipation that of 2.5.1.901 (its pull request 276): effects that are expected say
    nothing of parallel trends. Under a varying base period it tests changes from one period to the next, under a
    universal one differences from the base.

    A row is ``skipped`` with its reason where there is no such cell; V is singular, as it always is with as many
    cells as clusters; or there are no more treated clusters than cells (`pretrends.joint_leads` has why; R's did
    reports these). With few treated clusters a cell the test rejects too often, which the reason says.

    Raises DidError if ``result`` is not group-time effects.
    """
    found = result.parameters["estimand"].unique()
    if set(found) != {"att_gt"}:
        raise DidError(f"{DIAGNOSTIC}: expected the group-time effects (att_gt) of callaway_santanna; found "
                       f"{listed(found)}; test those")
    event_time = result.parameters["event_time"].to_numpy(dtype=int)
    before = (event_time < -result.anticipation) & np.isfinite(result.estimate)
    estimate, tested = result.estimate[before], dataclasses.replace(result, shares=result.shares.columns(before))
    rounding = rounding_of(result, panel)[before]
    onset = "anticipation" if result.anticipation else "treatment"
    rows = []
    for level in panel.clusters:
        n_clusters, _, has_error, _ = by_level(tested, panel, level, rounding)
        shares = tested.shares.columns(has_error)
        mean = float(estimate[has_error].mean()) if has_error.any() else np.nan
        labels, behind = labels_of(result, panel, level), shares.behind_any()
        row = diagnostic_row(DIAGNOSTIC, panel, level, value=mean) | {
            "estimator": result.estimator, "n_obs": result.n_obs, "n_units": result.n_units,
            "n_treated": int(behind.sum()), "n_clusters": n_clusters,
            "n_treated_clusters": int(behind.sum()) if level == "unit" else len(pd.unique(labels[behind]))}
        rows.append(_tested(row, estimate[has_error], shares, None if level == "unit" else labels, rounding[has_error],
                            onset))
    return rows


def _tested(row: dict, estimate: np.ndarray, shares: Shares, labels: np.ndarray | None, rounding: np.ndarray,
            onset: str) -> dict:
    """The test of ``estimate`` from its shares, by unit or by ``labels`` (units,) of clusters."""
    from scipy import special  # as in `did.inference.clustered.quantile`

    n_cells, n_clusters, n_treated = len(estimate), row["n_clusters"], row["n_treated_clusters"]
    if not n_cells:
        return skipped(row, f"no cell before {onset} has an error")
    if n_cells >= n_clusters:
        return skipped(row, f"{n_cells} cells and {n_clusters} clusters: no joint test of more cells than clusters")
    # By unit, a few rows with the covariance of all of them.
    influence = shares.root() if labels is None else shares.influence()
    sums = influence if labels is None else cluster_sums(influence, labels)
    rank = covariance_rank(sums, influence, rounding)
    if rank < n_cells:
        return skipped(row, f"covariance of rank {rank} for {n_cells} cells with {n_treated} treated of {n_clusters} "
                            "clusters: no joint test")
    if refusal := refused_for_few(n_treated, n_cells, "cells"):
        return skipped(row, refusal)
    statistic = wald(estimate, sums)
    few = FEW_TREATED_CLUSTERS if n_treated < FEW_TREATED * n_cells else ""
    reason = f"{n_cells} cells with {n_treated} treated of {n_clusters} clusters"
    return row | {"statistic": statistic, "df": float(n_cells), "p_value": float(special.chdtrc(n_cells, statistic)),
                  "caveat": few, "reason": reason}
