"""Covariance of the effects of a fit, and the joint test that several of them are zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from did.api.arguments import several
from did.api.errors import InferenceError, OptionError
from did.errors import listed, suggest
from did.estimators.base import ESTIMATED
from did.inference.clustered import cluster_sums, labels_of, rounding_of, small_sample_factor
from did.inference.joint_test import covariance_rank, refused_for_few
from did.inference.joint_test import wald as wald_statistic

if TYPE_CHECKING:
    from did.api.fit import Fit


@dataclasses.dataclass(frozen=True)
class Wald:
    """A joint test that effects are zero.

    Attributes
    ----------
    statistic
        F, or chi-square where ``df_denominator`` is None.
    df
        Effects tested.
    df_denominator
        Clusters - 1, None for chi-square.
    p_value
        Of all being zero.
    labels
        Of the effects tested.
    cluster
        The level that the covariance is clustered by.
    n_clusters, n_treated_clusters
        Of that level.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> before = did.event_study(panel).wald("before")
    >>> before.df, before.df_denominator
    (6, 35)
    """

    statistic: float
    df: int
    df_denominator: int | None
    p_value: float
    labels: tuple[Any, ...]
    cluster: str
    n_clusters: int
    n_treated_clusters: int

    def __str__(self) -> str:
        kind = "chi-square" if self.df_denominator is None else "F"
        degrees = f"df {self.df}" + ("" if self.df_denominator is None else f" and {self.df_denominator}")
        p_value = f"p {self.p_value:.3f}" if self.p_value >= 0.001 else "p below 0.001"
        return (f"{kind} {self.statistic:.2f}, {degrees}, {p_value}: that {self.df} effects are zero "
                f"({self.n_treated_clusters} treated of {self.n_clusters} clusters by {self.cluster})")


def covariance(fit: Fit) -> np.ndarray:
    """Return the (effects, effects) covariance clustered at the fit's level; NaN for effects that are not estimated."""
    _, factor, sums = _sums(fit)
    found: np.ndarray = factor * (sums.T @ sums)
    gone = ~_estimated(fit)
    found[gone] = np.nan
    found[:, gone] = np.nan
    return found


def wald(fit: Fit, which: str | Sequence[Any]) -> Wald:
    """Return the joint test of the effects named by ``which``; see `Fit.wald`."""
    index, chosen = fit.index, _estimated(fit).copy()
    times = fit.effects["event_time"]
    if isinstance(which, str) and which in ("all", "before", "after"):
        if which != "all":
            chosen &= ((times < 0) if which == "before" else (times >= 0)).fillna(False).to_numpy(dtype=bool)
        else:
            chosen &= ~fit.effects["estimand"].str.startswith("overall_").to_numpy()
    else:
        wanted = [which] if isinstance(which, tuple) else list(several(which, "wald", "all, before, after, or labels"))
        for label in wanted:
            if label not in index:
                raise OptionError(f"wald: expected all, before, after, or labels of params such as {listed(index)}; "
                                  f"found {label!r}{suggest(label, map(str, index))}")
        chosen &= index.isin(wanted)
    if not chosen.any():
        raise InferenceError(f"wald: expected estimated effects ({which}); found none; name others")
    influence, factor, sums = _sums(fit)
    results = fit.question.results
    n_tested, n_clusters = int(chosen.sum()), len(sums)
    treated = np.column_stack([result.treated.to_numpy() for result in results])[:, chosen].any(axis=1)
    n_treated = len(pd.unique(labels_of(results[0], fit.question.panel, fit.level)[treated]))
    reason = refused_for_few(n_treated, n_tested, "effects")
    rounding = np.concatenate([rounding_of(result, fit.question.panel) for result in results])[chosen]
    if not reason and not np.isfinite(factor):
        reason = f"{n_clusters} clusters: no clustered covariance"
    if not reason and (rank := covariance_rank(sums[:, chosen], influence[:, chosen], rounding)) < n_tested:
        reason = f"covariance of rank {rank} for {n_tested} effects with {n_clusters} clusters"
    if reason:
        raise InferenceError(f"wald: expected a covariance that can be inverted; found {reason}; test fewer effects")
    from scipy import stats

    value = wald_statistic(fit.effects["estimate"].to_numpy()[chosen], sums[:, chosen]) / factor
    normal = results[0].distribution == "normal"
    p_value = stats.chi2.sf(value, n_tested) if normal else stats.f.sf(value / n_tested, n_tested, n_clusters - 1)
    return Wald(float(value if normal else value / n_tested), n_tested, None if normal else n_clusters - 1,
                float(p_value), tuple(index[chosen]), fit.level, n_clusters, n_treated)


def _estimated(fit: Fit) -> np.ndarray:
    return np.asarray(fit.effects["state"].eq(ESTIMATED) & np.isfinite(fit.effects["estimate"]))


def _sums(fit: Fit) -> tuple[np.ndarray, float, np.ndarray]:
    """The influence (units, effects), the small-sample factor and the clusters' sums."""
    results, panel = fit.question.results, fit.question.panel
    if fit.level not in panel.clusters:
        raise InferenceError(f"cluster level {fit.level}: expected one level; found two ways; take fit.by(...) with "
                             "one of them")
    influence = np.column_stack([result.influence.to_numpy() for result in results])
    sums = cluster_sums(influence, labels_of(results[0], panel, fit.level))
    factor = 1.0 if results[0].distribution == "normal" else small_sample_factor(
        len(sums), results[0].n_obs, results[0].n_parameters)
    return influence, factor, sums
