"""Multiplier bootstrap of influence functions: bootstrap errors and bands uniform over parameters."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, root_sum_squares
from did.inference.clustered import by_cluster, cluster_sums, labels_of, rounding_of, varies

MULTIPLIERS = ("rademacher", "mammen")


def multiplier_draws(
    influence: np.ndarray | pd.DataFrame,
    labels: np.ndarray,
    *,
    draws: int = 999,
    seed: int = 20170601,
    multiplier: str = "rademacher",
) -> np.ndarray:
    """Return (draws, parameters) bootstrap deviations: sums over clusters of V_c x the cluster's influence.

    ``influence`` is (units, parameters) as in `did.estimators.Result`, ``labels`` (units,) cluster labels. V
    has mean 0 and variance 1, one draw per cluster: ``rademacher`` +1 or -1 evenly, as R's did draws (package
    BMisc); ``mammen`` the two points of Mammen 1993, Annals of Statistics 21:255-285. The same seed gives the
    same draws whatever the labels are called, as long as their sorted order is the same. In units of the
    outcome. Raises DidError if ``draws`` is below 1 or ``multiplier`` unknown.
    """
    return _drawn(cluster_sums(np.asarray(influence, dtype=float), labels), draws, seed, multiplier)


def _drawn(sums: np.ndarray, draws: int, seed: int, multiplier: str) -> np.ndarray:
    """`multiplier_draws` from the clusters' sums."""
    one_of("bootstrap: multiplier", multiplier, MULTIPLIERS)
    if draws < 1:
        raise DidError(f"bootstrap: draws: expected 1 or more; found {draws}")
    return _points(multiplier, draws, len(sums), seed) @ sums


@lru_cache(maxsize=8)
def _points(multiplier: str, draws: int, n_clusters: int, seed: int) -> np.ndarray:
    """(draws, clusters) values of V, read only: estimates that are tested together ask for the same ones."""
    generator = np.random.default_rng(seed)
    if multiplier == "rademacher":
        points = generator.integers(0, 2, size=(draws, n_clusters)) * 2.0 - 1.0
    else:
        root = np.sqrt(5.0)
        points = np.where(generator.random((draws, n_clusters)) < (root + 1) / (2 * root), (1 - root) / 2,
                          (1 + root) / 2)
    points.flags.writeable = False
    return points


def uniform_critical_value(draws: np.ndarray, error: np.ndarray, level: float = 0.95) -> float:
    """Return the ``level`` quantile of the largest |deviation| / error over parameters.

    ``draws`` (draws, parameters); ``error`` (parameters,) above 0, the standard errors the value will multiply, on
    the scale of the draws: at least ``level`` of the draws then lie within -/+ value x error in every parameter.
    Callaway and Sant'Anna 2021, Journal of Econometrics 225:200-230, algorithm 1; Montiel Olea and Plagborg-Moller
    2019, J. Applied Econometrics 34:1-17.
    """
    largest = np.abs(draws / error).max(axis=1)
    return float(np.quantile(largest, level, method="inverted_cdf"))


def add_bands(
    rows: pd.DataFrame,
    result: Result,
    panel: Panel,
    *,
    level: float = 0.95,
    draws: int = 999,
    seed: int = 20170601,
    multiplier: str = "rademacher",
) -> pd.DataFrame:
    """Return ``rows`` of `did.inference.clustered.summarise` at ``level`` with the bands of `banded` filled in.

    ``rows`` is not changed. Raises DidError as `multiplier_draws`.
    """
    blocks = banded(result, panel, level=level, draws=draws, seed=seed, multiplier=multiplier)
    return rows.assign(**{end: np.concatenate([block[end] for block in blocks]) for end in ("band_low", "band_high")})


def banded(
    result: Result,
    panel: Panel,
    *,
    level: float = 0.95,
    draws: int = 999,
    seed: int = 20170601,
    multiplier: str = "rademacher",
) -> list[dict[str, np.ndarray]]:
    """Return `did.inference.clustered.by_cluster` with band_low and band_high.

    The band estimate -/+ c x std_error covers all parameters of one estimand at once with probability
    ``level``, at each cluster level: c from `uniform_critical_value` over its parameters, and at least the
    pointwise critical value, as in R's did. One scale throughout: draws are divided by the analytic errors that c
    multiplies (R's did does both with bootstrap errors); the small-sample factor scales draws and errors alike.
    Estimands of a single parameter, reference rows and rows without an error have no band, NaN. Raises DidError as
    `multiplier_draws`, and for draws too few to have a ``level`` quantile: 1 / (1 - level).
    """
    fewest = math.ceil(round(1 / (1 - level), 9))
    if draws < fewest:
        raise DidError(f"bands: draws: expected {fewest} or more, of which {100 * level:g}% can be told from all; "
                       f"found {draws}; ask for more")
    blocks = by_cluster(result, panel, level)
    estimand = result.parameters["estimand"].to_numpy(dtype=object)
    for block in blocks:
        block["band_low"], block["band_high"] = np.full((2, len(estimand)), np.nan)
    several = [name for name in dict.fromkeys(estimand) if (estimand == name).sum() > 1]
    if not several:
        return blocks
    influence, rounding = result.influence.to_numpy(), rounding_of(result, panel)
    for cluster, block in zip(panel.clusters, blocks, strict=True):
        sums = cluster_sums(influence, labels_of(result, panel, cluster))
        has_error, spread = varies(influence, sums, rounding), root_sum_squares(sums, axis=0)
        for name in several:
            chosen = np.flatnonzero((estimand == name) & has_error)
            if len(chosen) < 2 or len(sums) < 2:
                continue
            deviations = _drawn(sums[:, chosen], draws, seed, multiplier)
            half = uniform_critical_value(deviations, spread[chosen], level) * block["std_error"][chosen]
            value = block["estimate"][chosen]
            block["band_low"][chosen] = np.fmin(value - half, block["ci_low"][chosen])
            block["band_high"][chosen] = np.fmax(value + half, block["ci_high"][chosen])
    return blocks
