"""Errors clustered two ways: units may be alike through either of two groupings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, join_notes
from did.inference.clustered import (
    COLUMNS,
    cluster_sums,
    clustered_covariance,
    labels_of,
    rounding_of,
    summarise,
    varies,
)


def two_way_covariance(result: Result, panel: Panel, levels: Sequence[str]) -> tuple[np.ndarray, bool]:
    """Return the (parameters, parameters) covariance clustered by both ``levels``, and whether it had to be repaired.

    V = V_a + V_b - V_ab, ab the groups that share both labels, each with its own small-sample factor (none where the
    result's distribution is normal, as by one level; Cameron, Gelbach
    and Miller 2011, Journal of Business & Economic Statistics 29:238-249, equation 2.11). The difference may have
    negative eigenvalues; these are set to zero (their equation 2.13) and the second value is then True. In squared
    units of the outcome, per unit of dose. NaN where a level has one cluster.

    Raises DidError unless ``levels`` are two levels of the panel's clusters.
    """
    if len(levels) != 2 or levels[0] == levels[1]:
        raise DidError(f"clusters two ways: expected two different cluster levels; found {', '.join(levels)}; name two")
    for level in levels:
        one_of("clusters two ways: level", level, panel.clusters)
    first, second = (labels_of(result, panel, level).astype(str) for level in levels)
    both = pd.factorize(pd.Series(list(zip(first, second, strict=True))))[0]
    found = [_covariance(result, labels) for labels in (first, second, both)]
    covariance = found[0] + found[1] - found[2]
    if not np.isfinite(covariance).all():
        return np.full_like(covariance, np.nan), False
    values, vectors = np.linalg.eigh(covariance)
    if values.min(initial=0.0) >= -1e-10 * max(values.max(initial=0.0), 0.0):
        return covariance, False
    return vectors @ (np.maximum(values, 0.0)[:, None] * vectors.T), True


def _covariance(result: Result, labels: np.ndarray) -> np.ndarray:
    if result.distribution != "normal":
        return clustered_covariance(result.influence, labels, result.n_obs, result.n_parameters)
    sums = cluster_sums(result.influence.to_numpy(), labels)
    return sums.T @ sums if len(sums) > 1 else np.full((sums.shape[1],) * 2, np.nan)


def summarise_two_way(result: Result, panel: Panel, levels: Sequence[str], confidence: float = 0.95) -> pd.DataFrame:
    """Return the rows of the estimates table (`did.inference.clustered.COLUMNS`) with errors clustered two ways.

    cluster is ``a,b``; n_clusters and n_treated_clusters are those of the level with fewer clusters, and t has one
    degree of freedom less than it; a result whose distribution is normal keeps it, and df is then missing. Errors, p
    and interval are missing, with the reason, where `summarise` of that level
    has none, or where nothing of the variance is left. Raises DidError as `two_way_covariance`.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)
    >>> frame["region"] = frame["unit"].str[-1]
    >>> data = Panel.from_frame(frame, cluster_columns=("system", "region"))
    >>> from did.estimators import estimate
    >>> summarise_two_way(estimate("did", data), data, ("system", "region"))["cluster"].tolist()
    ['system,region']
    """
    from scipy import stats

    covariance, repaired = two_way_covariance(result, panel, levels)
    fewest = min(levels, key=lambda level: len(set(labels_of(result, panel, level))))
    rows = summarise(result, panel, confidence)
    rows = rows.loc[rows["cluster"] == fewest].reset_index(drop=True)
    normal = result.distribution == "normal"
    df = np.full(len(rows), np.nan) if normal else np.maximum(rows["n_clusters"].to_numpy(dtype=float) - 1, 1.0)
    by = stats.norm if normal else stats.t(df)
    variance = np.diag(covariance)
    influence = result.influence.to_numpy()
    known = rows["std_error"].notna().to_numpy() & (variance > 0) & varies(
        influence, np.sqrt(np.maximum(variance, 0.0))[None, :], rounding_of(result, panel))
    error = np.sqrt(np.where(known, variance, np.nan))
    estimate = rows["estimate"].to_numpy()
    half = by.ppf((1 + confidence) / 2) * error
    lost = rows["std_error"].notna().to_numpy() & ~known
    more = np.where(lost, f"no standard error: no variation is left by {','.join(levels)}", "")
    repair = "negative eigenvalues of the two-way covariance are set to zero" if repaired else ""
    rows = rows.assign(
        cluster=",".join(levels), std_error=error, ci_low=estimate - half, ci_high=estimate + half,
        p_value=2 * by.sf(np.abs(estimate) / error), df=df,
        note=[join_notes(own, text, repair) for own, text in zip(rows["note"], more, strict=True)])
    return rows[COLUMNS]
