"""What a design could find: the minimum detectable effect, and a power curve from the panel's own noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from did.diagnostics.pretest_power import result_row
from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, root_sum_squares
from did.estimators.within import COLLINEAR, two_way_fit, within
from did.inference.clustered import by_cluster, cluster_sums, quantile, small_sample_factor
from did.inference.joint_test import skipped, tabled

POWER_ESTIMATORS = ("did",)
# Cells (units x periods x draws) worked on at once.
BATCH_CELLS = 2_000_000


def minimum_detectable(std_error: float, df: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true effect that a two-sided test at ``alpha`` finds with probability ``power``.

    (t_{1 - alpha/2} + t_{power}) x std_error, in the units of ``std_error`` (Bloom 1995, Evaluation Review 19:547-556);
    t with ``df`` degrees of freedom, or the standard normal where ``df`` is missing: then 2.80 errors. NaN if std_error
    is. Raises DidError if power or alpha is not between 0 and 1.
    """
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise DidError(f"minimum detectable effect: {name}: expected a probability between 0 and 1; found {value}")
    of_t = np.array(df) if np.isfinite(df) else None
    return float((quantile(1 - alpha / 2, of_t) + quantile(power, of_t)) * std_error)


def detectable_by_interval(low: float, high: float, df: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true effect that the test behind an interval finds with probability ``power``.

    ``low`` and ``high``: ends of the 1 - ``alpha`` interval by any method, such as a bootstrap test inverted. Its half
    width stands for t_{1 - alpha/2} errors, so that the effect is half the width x (t_{1 - alpha/2} + t_power) /
    t_{1 - alpha/2} (`minimum_detectable`), in the units of the ends; t with ``df`` degrees of freedom, of which the
    ratio hardly depends, or the standard normal where ``df`` is missing. NaN if an end is missing or infinite. Raises
    DidError if power or alpha is not between 0 and 1.

    >>> round(detectable_by_interval(-1.96, 1.96, float("nan")), 2)
    2.8
    >>> detectable_by_interval(float("-inf"), 3.0, 41)
    nan
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        return float("nan")
    together = minimum_detectable(1.0, df, power=power, alpha=alpha)
    return float((high - low) / 2 * together / quantile(1 - alpha / 2, np.array(df) if np.isfinite(df) else None))


@tabled
def minimum_detectable_rows(result: Result, panel: Panel) -> list[dict]:
    """Return the minimum detectable effect of a result's overall effect, at each cluster level.

    Rows of the diagnostics table (`COLUMNS`): ``minimum_detectable``, value in units of the outcome (per unit of dose)
    for a two-sided test at 5% and power 80% (`minimum_detectable`; df_denominator the degrees of freedom), and
    ``minimum_detectable_share``, the same as a share of the treated units' weighted mean outcome before onset; for
    intensity at their mean dose. It speaks of the design: the estimate does not enter, its error does. ``skipped``
    with the reason where the result has no single parameter of estimand ``overall``, there is no error, or that mean is
    not positive.
    """
    overall = result.parameters["estimand"].astype(str) == "overall"
    if overall.sum() != 1:
        reason = f"{result.estimator}: {int(overall.sum())} parameters of estimand overall, expected one"
        rows = [skipped(result_row(name, result, panel, level), reason) for level in panel.clusters
                for name in ("minimum_detectable", "minimum_detectable_share")]
        return rows
    place = int(np.flatnonzero(overall)[0])
    before, mean_dose = _before_onset(panel, result.units)
    at_dose = f", at mean dose {mean_dose:.4g}" if panel.treatment == "intensity" else ""
    rows = []
    for block in by_cluster(result, panel):
        found = {name: values[place] for name, values in block.items()}
        effect = minimum_detectable(found["std_error"], found["df"])
        about = f"{found['n_treated_clusters']} treated of {found['n_clusters']} clusters"
        error = {"std_error": found["std_error"], "df_denominator": found["df"]}
        row = result_row("minimum_detectable", result, panel, found["cluster"]) | error | {"value": effect}
        share = row | {"diagnostic": "minimum_detectable_share", "value": np.nan, "std_error": np.nan}
        if not np.isfinite(effect):
            rows += [skipped(one, found["note"] or "no standard error") for one in (row, share)]
            continue
        rows.append(row | {"reason": about})
        if before > 0:
            scale = mean_dose / before
            rows.append(share | {"value": effect * scale, "std_error": found["std_error"] * scale,
                                 "reason": f"of {before:.4g}, the treated units' mean before onset{at_dose}; {about}"})
        else:
            rows.append(skipped(share, f"the treated units' mean before onset is {before:.4g}: no share of it"))
    return rows


def power_curve(
    panel: Panel,
    effects: Sequence[float],
    estimator: str = "did",
    draws: int = 500,
    seed: int = 20170601,
    *,
    level: str = "system",
    alpha: float = 0.05,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return how often a clustered t test would find effects of given sizes, by re-assigning treatment to clusters.

    The noise is the panel's own: the residual paths of the two-way regression, its estimated effect taken out. A draw
    deals the treatment of each cluster (onsets and doses of its units, matched by rank where numbers of units differ)
    to clusters at random, adds ``effects`` (units of the outcome, per unit of dose) to the treated cells, estimates
    again and tests at level ``alpha`` with clusters - 1 degrees of freedom, as `did.inference.clustered`. Whole paths
    stay with their cluster, so correlation over time and within clusters is kept; what it asks is that clusters could
    have changed places. If the share at effect 0 is far above ``alpha``, the test itself rejects too often (few
    treated clusters, unequal sizes), and the rest of the curve is too high by as much. A constant effect moves the
    estimate by itself and leaves the error alone, so all effects share the draws.

    One row per effect: effect, share_rejected, simulation_error (binomial), draws (those that could be estimated),
    level, n_clusters, n_treated_clusters. The same seed gives the same rows. ``progress`` is called with the draws
    done and their number. Units without an outcome are left out.

    Raises DidError for an estimator other than did, a level the panel does not have, fewer than one draw, an effect
    that is not a finite number, alpha not between 0 and 1, fewer than two clusters, or no draw that can be estimated.
    """
    from scipy import stats

    one_of("power curve: estimator", estimator, POWER_ESTIMATORS)
    one_of("power curve: level", level, panel.clusters)
    sizes = np.asarray(effects, dtype=float)
    if draws < 1:
        raise DidError(f"power curve: draws: expected 1 or more; found {draws}")
    if not np.isfinite(sizes).all():
        raise DidError(f"power curve: effects: expected finite numbers; found {list(effects)}")
    if not 0 < alpha < 1:
        raise DidError(f"power curve: alpha: expected a level between 0 and 1; found {alpha}")
    panel = panel.keep(np.any(panel.observed_weight > 0, axis=1))
    labels = panel.clusters[level]
    n_clusters = len(pd.unique(labels))
    if n_clusters < 2:
        raise DidError(f"power curve: level {level}: expected two or more clusters; found {n_clusters}; choose another")
    estimate, std_error = _placebo_estimates(panel, labels, draws, seed, progress)
    usable = std_error > 0
    if not usable.any():
        raise DidError("power curve: expected a draw with an estimate and an error; found none; check that clusters "
                       "differ in treatment")
    critical = stats.t(n_clusters - 1).ppf(1 - alpha / 2)
    rejected = np.abs(estimate[usable] + sizes[:, None]) > critical * std_error[usable]
    share = rejected.mean(axis=1)
    return pd.DataFrame({
        "effect": sizes, "share_rejected": share, "simulation_error": np.sqrt(share * (1 - share) / usable.sum()),
        "draws": int(usable.sum()), "level": level, "n_clusters": n_clusters,
        "n_treated_clusters": len(pd.unique(labels[~panel.never_treated])),
    })


def _placebo_estimates(
    panel: Panel, labels: np.ndarray, draws: int, seed: int, progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (draws,) two-way estimates and clustered errors when treatment is dealt to clusters at random."""
    weight = panel.observed_weight
    regressor = np.where(panel.treated, panel.dose[:, None], 0.0)
    fit = two_way_fit(panel.outcome, regressor[:, :, None], weight)
    noise = np.nan_to_num(fit.residual)
    factor = small_sample_factor(len(pd.unique(labels)), fit.n_obs, 1 + fit.n_periods)
    donors = _dealt(panel, labels, draws, np.random.default_rng(seed))
    batch = max(1, BATCH_CELLS // panel.outcome.size)
    position = np.arange(panel.n_periods)[None, :, None]
    estimate, std_error = np.full(draws, np.nan), np.full(draws, np.nan)
    for start in range(0, draws, batch):
        given = donors[start:start + batch].T
        treated = np.where(position >= panel.treated_from[given][:, None, :], panel.dose[given][:, None, :], 0.0)
        x = within(treated, weight)
        with_noise = np.einsum("utk,ut->uk", x, weight * noise)
        with_itself = np.einsum("utk,utk,ut->uk", x, x, weight)
        bread = with_itself.sum(axis=0)
        left = bread > COLLINEAR * np.einsum("utk,utk,ut->k", treated, treated, weight)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(left, with_noise.sum(axis=0) / bread, np.nan)
            sums = cluster_sums(with_noise - found * with_itself, labels)
            std_error[start:start + batch] = np.sqrt(factor) * root_sum_squares(sums, axis=0) / bread
        estimate[start:start + batch] = found
        if progress is not None:
            progress(min(start + batch, draws), draws)
    return estimate, std_error


def _dealt(panel: Panel, labels: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return (draws, units) positions of the unit whose onset and dose each unit is given.

    Clusters are permuted; the k-th of n units of a cluster takes after the unit at the same rank, by onset and dose, of
    the cluster it is dealt.
    """
    codes, found = pd.factorize(labels, sort=True)
    order = np.lexsort((panel.dose, panel.treated_from, codes))
    n_members = np.bincount(codes)
    first = np.concatenate([[0], np.cumsum(n_members)[:-1]])
    rank = np.empty(len(codes))
    rank[order] = np.arange(len(codes)) - first[codes[order]]
    share = (rank + 0.5) / n_members[codes]
    permuted = generator.permuted(np.tile(np.arange(len(found)), (draws, 1)), axis=1)[:, codes]
    return order[first[permuted] + np.floor(share * n_members[permuted]).astype(int)]


def _before_onset(panel: Panel, units: pd.Index) -> tuple[float, float]:
    """Return the weighted mean outcome before onset and the mean dose of the treated among ``units``, NaN if none."""
    used = panel.keep(panel.units.isin(units) & ~panel.never_treated)
    weight = np.where(used.treated, 0.0, used.observed_weight)
    total = weight.sum()
    mean = float((weight * np.nan_to_num(used.outcome)).sum() / total) if total > 0 else np.nan
    return mean, float(used.dose.mean()) if used.n_units else np.nan
