"""Clustered covariances, standard errors, intervals and tests from influence functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.estimators.base import (
    ESTIMATED,
    NOT_IDENTIFIED,
    REFERENCE,
    Panel,
    Result,
    join_notes,
    root_sum_squares,
)
from did.estimators.shares import outcome_size, summed
from did.estimators.within import ROUNDING

COLUMNS = [
    "treatment", "estimator", "estimand", "cohort", "period", "event_time", "cluster",
    "estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "p_adjusted",
    "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "n_parameters", "df", "state", "note",
]
# Below this share of the units' own influence, cluster sums are cancellation and not variation.
CANCELLED = 1e-9


def small_sample_factor(n_clusters: int, n_obs: int, n_parameters: int | None) -> float:
    """Return G/(G-1) x (N-1)/(N-K); without the second term if K is None; NaN if G < 2 or N <= K.

    The rule of Stata's ``xtreg, fe vce(cluster)``, ``xtdidregress`` and ``regress, vce(cluster)`` and of
    fixest's default ``ssc()``: K counts regressors and period effects, not the unit effects, which are
    nested in the clusters (Stata manual [R] regress, methods and formulas; fixest vignette on standard
    errors).
    """
    if n_clusters < 2 or (n_parameters is not None and n_obs <= n_parameters):
        return np.nan
    factor = n_clusters / (n_clusters - 1)
    return factor if n_parameters is None else factor * (n_obs - 1) / (n_obs - n_parameters)


def cluster_sums(influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the (clusters, parameters) sums of a (units, parameters) influence matrix over labels."""
    codes, found = pd.factorize(np.asarray(labels), sort=True)
    return summed(influence, codes, len(found))


def clustered_covariance(
    influence: np.ndarray | pd.DataFrame, labels: np.ndarray, n_obs: int, n_parameters: int | None
) -> np.ndarray:
    """Return the (parameters, parameters) covariance of estimates, clustered by ``labels``.

    ``influence`` is (units, parameters) as in `Result`; ``labels`` (units,) one cluster label per unit;
    ``n_obs`` and ``n_parameters`` the N and K of `small_sample_factor`. V = factor x sum over clusters of
    S_c S_c', S_c the cluster's summed influence (Liang and Zeger 1986, Biometrika 73:13-22; Cameron and
    Miller 2015, Journal of Human Resources 50:317-372, section II). All NaN if the factor is.
    """
    sums = cluster_sums(np.asarray(influence, dtype=float), labels)
    return small_sample_factor(len(sums), n_obs, n_parameters) * (sums.T @ sums)


def rounding_error(outcome: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Return the (parameters,) standard errors that rounding of the outcomes alone may give: an error no larger counts
    as zero.

    ``outcome`` of any shape, NaN = not observed; ``exposure`` (units, parameters) the dose of the treated units that a
    parameter rests on, 0 for others. A mean over these units of numbers that are off by `ROUNDING` of the root mean
    square outcome.
    """
    return rounding_from(outcome_size(outcome), root_sum_squares(exposure, axis=0))


def rounding_from(size: float | np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return (parameters,) `rounding_error` from the root mean square outcome, the same or one for each, and the roots
    of the sums of squared exposures."""
    return ROUNDING * np.divide(size, total, out=np.zeros(len(total)), where=total > 0)


def rounding_of(result: Result, panel: Panel) -> np.ndarray:
    """Return `rounding_error` of the parameters of ``result``, estimated on ``panel``."""
    places = result.places(panel)
    return rounding_from(result.shares.outcome_size(panel.outcome, places), result.shares.exposure(panel.dose[places]))


def varies(influence: np.ndarray, sums: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return (parameters,) whether anything varies between clusters, from an influence and its `cluster_sums`.

    Sums are nothing but cancellation below a share of the units' own influence, and nothing but rounding below
    ``rounding`` (parameters,) of `rounding_error`.
    """
    return is_variation(root_sum_squares(sums, axis=0), np.abs(influence).sum(axis=0), rounding)


def is_variation(spread: np.ndarray, magnitude: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return (parameters,) `varies` from roots of sums of squared cluster sums and sums of the size of influences."""
    return (spread > CANCELLED * magnitude) & (spread > rounding)


def by_level(result: Result, panel: Panel, level: str, rounding: np.ndarray
              ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of clusters at ``level`` and, of each parameter, the root of the sum over them of their squared
    shares, whether anything varies between them (more than ``rounding``, of `rounding_of`), and how many hold a treated
    unit that it rests on. Raises nothing."""
    shares = result.shares
    if level == "unit":
        n_clusters, spread, n_treated = result.n_units, shares.spread(), shares.n_treated()
    else:
        codes, found = pd.factorize(labels_of(result, panel, level))
        n_clusters, n_treated = len(found), shares.n_treated_clusters(codes, len(found))
        spread = root_sum_squares(shares.sums(codes, n_clusters), axis=0)
    return n_clusters, spread, is_variation(spread, shares.magnitude(), rounding), n_treated


def labels_of(result: Result, panel: Panel, level: str) -> np.ndarray:
    """Return the cluster labels at ``level`` of the units a result used, in the order of its influence."""
    return panel.clusters[level][result.places(panel)]


def cluster_shares(result: Result, panel: Panel) -> pd.DataFrame:
    """Return each cluster's share of a single-parameter result, so that estimates can be tested together.

    One row per level and cluster: cluster, label, value = sqrt(factor) x the cluster's summed influence, in units
    of the outcome; the root of the sum of squares over a level is the standard error `summarise` gives. NaN where
    there is no factor.
    """
    levels, names, values = [], [], []
    for cluster in panel.clusters:
        labels = labels_of(result, panel, cluster).astype(str)
        own = np.unique(labels)
        factor = small_sample_factor(len(own), result.n_obs, result.n_parameters)
        levels += [cluster] * len(own)
        names += own.tolist()
        values.append(np.sqrt(factor) * cluster_sums(result.influence.to_numpy(), labels)[:, 0])
    return pd.DataFrame({"cluster": levels, "label": names, "value": np.concatenate(values)})


def summarise(result: Result, panel: Panel, level: float = 0.95) -> pd.DataFrame:
    """Return the rows of the estimates table for every cluster level of the panel.

    One row per parameter and cluster level with the columns `COLUMNS`: the estimates table less indicator,
    specification, sample and is_synthetic, which the caller adds. Intervals cover ``level`` pointwise and, with
    p_value (two-sided, of no effect), use Student's t with clusters - 1 degrees of freedom, or, for a result
    whose distribution is ``normal``, the standard normal without any small-sample factor (df is then missing:
    the convention of R's did package, whose error is sqrt(mean(influence^2) / n)). band_low, band_high and
    p_adjusted are NaN here (see `did.inference.multiplier`). n_treated and n_treated_clusters count the treated units a
    row rests on and the clusters they lie in.

    std_error, interval and p_value are NaN, with the reason in the note, for a reference row, a parameter
    that is not identified, fewer than two clusters, no more observations than parameters, or no variation
    between clusters (no more than the rounding of the outcomes). At level ``unit``, `Result.unit_errors` and their
    degrees of freedom stand in place of these where the estimator gives them. A row that rests on one treated
    cluster keeps its error and says so in the note.
    """
    return tabulated([(result, panel, by_cluster(result, panel, level))])


def tabulated(found: Sequence[tuple[Result, Panel, list[dict[str, np.ndarray]]]]) -> pd.DataFrame:
    """Return one frame of `summarise` from what `by_cluster`, or `did.inference.multiplier.banded`, gave of each result
    and panel, in their order. Raises nothing; there is one result at least."""
    blocks = [(result, panel, block) for result, panel, of in found for block in of]
    lengths = [len(result.estimate) for result, *_ in blocks]
    columns = {name: np.concatenate([block[name] for *_, block in blocks]) for name in blocks[0][2]}
    parameters = pd.concat([result.parameters for result, *_ in found], ignore_index=True)
    first = np.cumsum([0] + [len(result.estimate) for result, *_ in found[:-1]])
    rows = np.concatenate([np.tile(np.arange(len(result.estimate)) + start, len(of))
                           for start, (result, _, of) in zip(first, found, strict=True)])
    columns |= {name: parameters[name].array.take(rows)
                for name in ("estimand", "cohort", "period", "event_time", "state")}
    columns = {name: np.full(sum(lengths), np.nan) for name in ("band_low", "band_high", "p_adjusted")} | columns
    columns |= {
        "n_parameters": pd.array(np.repeat(np.array([one.n_parameters for one, *_ in blocks], dtype=object), lengths),
                                 dtype="Int64"),
        "treatment": pd.array(np.repeat([panel.treatment for _, panel, _ in blocks], lengths), dtype="str"),
        "estimator": pd.array(np.repeat([one.estimator for one, *_ in blocks], lengths), dtype="str"),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)


def by_cluster(result: Result, panel: Panel, level: float = 0.95) -> list[dict[str, np.ndarray]]:
    """Return what `summarise` computes, without a frame: a dict of (parameters,) columns per cluster level.

    For callers that summarise hundreds of results and make one frame of all.
    """
    shares = result.shares
    own = list(zip(*(result.parameters[name].to_numpy(dtype=object) for name in ("state", "note")), strict=True))
    normal = result.distribution == "normal"
    rounding = rounding_of(result, panel)
    blocks = []
    for cluster in panel.clusters:
        n_clusters, spread, has_error, n_treated_clusters = by_level(result, panel, cluster, rounding)
        factor = small_sample_factor(n_clusters, result.n_obs, result.n_parameters)
        factor = 1.0 if normal and n_clusters > 1 else factor
        own_errors = result.unit_errors if cluster == "unit" else None
        std_error = np.where(has_error, np.sqrt(factor) * spread, np.nan)
        df = np.repeat(np.nan if normal else float(max(n_clusters - 1, 0)), len(std_error))
        if own_errors is not None:
            std_error, df = np.where(own_errors[:, 0] > rounding, own_errors[:, 0], np.nan), own_errors[:, 1]
        of_t = None if normal and own_errors is None else df
        half_width = quantile((1 + level) / 2, of_t) * std_error
        # An estimator that gives no influence says itself why there is no error.
        silent = shares.silent() | (own_errors is not None)
        known: dict[tuple, str] = {}
        note = []
        for (state, text), n_with, has_one, is_silent in zip(own, n_treated_clusters.tolist(), has_error.tolist(),
                                                             silent.tolist(), strict=True):
            key = state, text, n_with, has_one, is_silent
            if key not in known:   # most parameters have the same
                about = "" if is_silent else caveat(state, n_clusters, factor, n_with, has_one, cluster)
                known[key] = join_notes(said(state, text), about, result.note)
            note.append(known[key])
        n = len(result.estimate)
        blocks.append({
            "cluster": np.repeat(cluster, n).astype(object),
            "estimate": result.estimate,
            "std_error": std_error,
            "ci_low": result.estimate - half_width,
            "ci_high": result.estimate + half_width,
            "p_value": 2 * beyond(np.abs(result.estimate) / std_error, of_t),
            "n_treated": shares.n_treated(),
            "n_clusters": np.repeat(n_clusters, n),
            "n_treated_clusters": n_treated_clusters,
            "n_obs": np.repeat(result.n_obs, n),
            "n_units": np.repeat(result.n_units, n),
            "df": df,
            "note": np.array(note, dtype=object),
        })
    return blocks


def quantile(probability: float, df: np.ndarray | None) -> np.ndarray:
    """Return a quantile of Student's t with (parameters,) ``df`` degrees of freedom, missing where these are not above
    0; of the standard normal for None."""
    from scipy import special  # what scipy.stats calls in the end, after a hundred times as long

    return np.asarray(special.ndtri(probability) if df is None else
                      special.stdtrit(np.where(df > 0, df, np.nan), probability))


def beyond(statistic: np.ndarray, df: np.ndarray | None) -> np.ndarray:
    """Return the probability of more than (parameters,) ``statistic`` under the same."""
    from scipy import special

    return np.asarray(special.ndtr(-statistic) if df is None else
                      special.stdtr(np.where(df > 0, df, np.nan), -statistic))


def said(state: str, note: str) -> str:
    """The remark on a parameter, with its state where that needs saying."""
    if state == REFERENCE:
        return join_notes("reference", note)
    return f"not identified: {note}" if state == NOT_IDENTIFIED else note


def caveat(
    state: str, n_clusters: int, factor: float, n_treated_clusters: int, has_error: bool, cluster: str
) -> str:
    """Return what to say of a standard error, or of why there is none; empty if nothing."""
    if state != ESTIMATED:
        return ""
    if n_clusters < 2:
        return f"no standard error: {n_clusters} cluster by {cluster}"
    if np.isnan(factor):
        return "no standard error: no more observations than parameters"
    if not has_error:
        return f"no standard error: no variation between clusters by {cluster}"
    if n_treated_clusters == 1:
        return f"one treated cluster by {cluster}: its standard error is too small to rely on"
    return ""
