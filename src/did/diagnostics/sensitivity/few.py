"""Covariances of event-study coefficients for bounds where clusters are few."""

from __future__ import annotations

import numpy as np

from did.errors import DidError
from did.estimators import design_of
from did.estimators.base import Panel, Result
from did.inference.bias_reduced import leverages
from did.inference.clustered import cluster_sums

# Coefficients of a regression made again are those of the result up to this share of the largest.
SAME = 1e-6


def corrected(result: Result, panel: Panel, level: str, kept: np.ndarray,
              confidence: float = 0.95) -> tuple[np.ndarray, float] | None:
    """Return the covariance of the coefficients ``kept`` by CR3, made wide enough for t, and its degrees of freedom.

    CR3 takes the residuals of each cluster from the fit without it, as the jackknife over clusters does (Bell and
    McCaffrey 2002, Survey Methodology 28:169-181; for difference in differences Hansen 2025, J. Applied Econometrics,
    doi 10.1002/jae.3110). The bounds use normal quantiles; the covariance is multiplied by (t / normal quantile)^2 at
    (1 + ``confidence``) / 2, with the median of the coefficients' Satterthwaite degrees of freedom (Pustejovsky and
    Tipton 2018, J. Bus. Econ. Stat. 36:672-683), so that an interval without any bias has the length of one by t.

    ``result`` an event study on ``panel``; ``level`` a cluster level; ``kept`` positions of coefficients. The
    covariance, (kept, kept), is in squared units of the outcome. None for a result that is no regression of an event
    study without covariates, or has no such error. Raises DidError for an unknown level.

    >>> from did.estimators import estimate
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 6, {4: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> covariance, df = corrected(estimate("event_study", data), data, "system", np.array([0, 4]))
    >>> covariance.shape, 1 < df < 10
    ((2, 2), True)
    """
    from scipy import stats

    if result.estimator != "event_study":
        return None
    estimand = result.parameters["estimand"].iloc[kept[0]]
    width = int(estimand.removeprefix("event_bin_")) if estimand.startswith("event_bin_") else 1
    try:
        design = design_of("event_study", panel, bin_width=width)
    except DidError:
        return None
    names = {name: place for place, name in enumerate(design.names)}
    wanted = [names.get(f"{estimand} {int(time)}") for time in result.parameters["event_time"].iloc[kept]]
    if None in wanted:
        return None
    columns = [place for place in wanted if place is not None]
    found = leverages(design, level, columns)
    rows = found.rows("CR3")
    size = float(np.abs(result.estimate[kept]).max())
    df = float(rows["df"].median())
    if np.abs(rows["estimate"].to_numpy() - result.estimate[kept]).max() > SAME * size or not np.isfinite(df):
        return None
    tail = (1 + confidence) / 2
    return found.covariance("CR3") * (stats.t.ppf(tail, df) / stats.norm.ppf(tail)) ** 2, df


def working(covariance: np.ndarray, influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a covariance of the size of ``covariance`` to which every cluster adds as much.

    ``influence`` (units, coefficients) with its cluster ``labels``. The clustered covariance is nearly all of the few
    treated clusters, and an estimator of least variance by it makes their noise cancel by chance. The clusters' sums,
    each of length one in standard deviations, tell how coefficients go together by all clusters alike.
    """
    scale = np.sqrt(np.diag(covariance))
    sums = cluster_sums(influence, labels) / scale
    length = (sums**2).sum(axis=1, keepdims=True)
    alike = sums / np.sqrt(np.where(length > 0, length, 1.0))
    shape = alike.T @ alike
    return shape * (len(scale) / np.trace(shape)) * np.outer(scale, scale)
