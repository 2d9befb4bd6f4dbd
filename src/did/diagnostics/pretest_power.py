"""What a test of pre-trends could have seen: its power against a trend, and the bias it lets through (Roth 2022)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import ESTIMATED, REFERENCE, Panel, Result, join_notes
from did.inference.clustered import cluster_sums, labels_of, rounding_of, small_sample_factor, varies
from did.inference.joint_test import (
    FEW_TREATED,
    UNHELD,
    covariance_rank,
    diagnostic_row,
    held,
    skipped,
    tabled,
)

# The pre-test of the paper and of its R package: any lead further than this many errors from zero.
CRITICAL = 1.96
POWERS = (0.5, 0.8)
# Quasi-random points of a normal probability: good to 1e-5 in a dozen dimensions.
POINTS, SEED = 8192, 20170601
# Points of a first guess at a slope, and about how far it is off, as a share of the slope.
FEW_POINTS, NEAR = 512, 1e-4


@dataclasses.dataclass(frozen=True)
class PretestPower:
    """A violation of parallel trends, and what a pre-test makes of it.

    violation         (coefficients,) the violation, in units of the outcome
    mean_if_passed    (coefficients,) expected coefficients under it, given that the pre-test passed, if there is
                      no effect: their bias after pre-testing. NaN where it practically never passes
    power             probability that the pre-test finds the violation
    size              the same without a violation
    bayes_factor      (1 - power) / (1 - size): how passing shifts the odds towards the violation
    likelihood_ratio  density of the estimated leads under the violation over that under none
    """

    violation: np.ndarray
    mean_if_passed: np.ndarray
    power: float
    size: float
    bayes_factor: float
    likelihood_ratio: float


@dataclasses.dataclass(frozen=True)
class EventPath:
    """The identified coefficients of an event study at one cluster level, without the reference.

    event_time (coefficients,) in periods or bins; estimate (coefficients,) and covariance in units of the outcome;
    reference the event time fixed at zero, None unless there is exactly one; bin_width in periods; rank of the
    covariance of leads; df NaN where the standard normal applies; problem why nothing can be made of it, or empty.
    """

    event_time: np.ndarray
    estimate: np.ndarray
    covariance: np.ndarray
    reference: int | None
    bin_width: int
    rank: int
    n_clusters: int
    n_treated: int
    df: float
    problem: str

    @property
    def leads(self) -> np.ndarray:
        """(coefficients,) True before the reference, or before onset where there is not exactly one reference."""
        return self.event_time < (0 if self.reference is None else self.reference)

    @property
    def after(self) -> np.ndarray:
        """(coefficients,) True from onset on; anticipated periods are neither leads nor after onset."""
        return self.event_time >= 0

    @property
    def effect(self) -> float:
        """Plain mean of the coefficients from onset on, NaN if there is none."""
        return float(self.estimate[self.after].mean()) if self.after.any() else np.nan

    @property
    def suffix(self) -> str:
        """Ending of a diagnostic's name: empty, or ``_bin_<width>``."""
        return "" if self.bin_width == 1 else f"_bin_{self.bin_width}"


def event_path(result: Result, panel: Panel, level: str) -> EventPath:
    """Return the path over event time of ``result``, with its covariance clustered by ``level`` of ``panel``.

    Parameters of estimand ``event_time`` or ``event_bin_<width>`` are taken; those marked reference or not
    identified, without an estimate, or within the anticipation are left out. The covariance has the small-sample
    factor of the result's distribution.
    """
    estimand = result.parameters["estimand"].astype(str)
    on_path = estimand.str.match(r"event_(time|bin_\d+)$").to_numpy()
    names = estimand[on_path].unique()
    state = result.parameters["state"]
    reference = result.parameters["event_time"][on_path & (state == REFERENCE).to_numpy()]
    chosen = on_path & (state == ESTIMATED).to_numpy() & np.isfinite(result.estimate)
    time = result.parameters["event_time"].fillna(0).to_numpy(dtype=int)
    chosen &= (time < -result.anticipation) | (time >= 0)
    event_time = result.parameters["event_time"][chosen].to_numpy(dtype=int)
    influence, labels = result.influence.to_numpy()[:, chosen], labels_of(result, panel, level)
    single = int(reference.iloc[0]) if len(reference) == 1 else None
    sums, leads = cluster_sums(influence, labels), event_time < (0 if single is None else single)
    normal = result.distribution == "normal"
    factor = 1.0 if normal else small_sample_factor(len(sums), result.n_obs, result.n_parameters)
    rounding = rounding_of(result, panel)[chosen]
    has_error = varies(influence, sums, rounding)
    with np.errstate(over="ignore"):  # reported as a problem below
        covariance, problem = factor * (sums.T @ sums), ""
    if len(names) != 1:
        problem = f"{result.estimator} has no path over event time" if not len(names) else "several paths"
    elif not leads.any():
        problem = "no lead besides the reference"
    elif len(sums) < 2:
        problem = f"{len(sums)} cluster: no clustered covariance"
    elif np.isnan(factor):
        problem = "no more observations than parameters: no clustered covariance"
    elif not has_error.all():
        problem = f"no variation between clusters at event time {event_time[~has_error][0]}"
    elif not held(covariance):
        problem = UNHELD
    return EventPath(
        event_time=event_time, estimate=result.estimate[chosen], covariance=covariance,
        reference=single,
        bin_width=int(names[0].rsplit("_", 1)[1]) if len(names) == 1 and "bin" in names[0] else 1,
        rank=covariance_rank(sums[:, leads], influence[:, leads], rounding[leads]), n_clusters=len(sums),
        n_treated=len(pd.unique(labels[result.treated.to_numpy().any(axis=1)])),
        df=np.nan if normal else float(len(sums) - 1), problem=problem,
    )


def result_row(diagnostic: str, result: Result, panel: Panel, level: str) -> dict:
    """Return a row of the diagnostics table with the counts of what ``result`` rests on at one cluster level."""
    labels, treated = labels_of(result, panel, level), result.treated.to_numpy().any(axis=1)
    return diagnostic_row(diagnostic, panel, level) | {
        "estimator": result.estimator, "n_obs": result.n_obs, "n_units": result.n_units,
        "n_treated": int(treated.sum()), "n_clusters": len(pd.unique(labels)),
        "n_treated_clusters": len(pd.unique(labels[treated]))}


def normal_box(
    mean: np.ndarray, covariance: np.ndarray, half_width: np.ndarray, *, points: int = POINTS, seed: int = SEED
) -> tuple[float, np.ndarray]:
    """Return the probability that a normal vector lies within -/+ ``half_width``, and its mean given that it does.

    mean, half_width (k,), covariance (k, k) positive definite, all in one unit of measure. Genz 1992 (J.
    Computational and Graphical Statistics 1:141-149): coordinates are drawn one after the other, each within its
    bounds given those before, on ``points`` (a power of two) scrambled Sobol points; the product of the bounds'
    probabilities weighs a point. The same arguments give the same answer, and nearby means nearby answers. Raises
    DidError if the covariance is not positive definite.
    """
    probability, inside = _box(_Numbers.of(mean, covariance, half_width), points, seed)
    return probability, inside.copy()


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """What a box depends on, to be looked up by."""

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    half_width: tuple[float, ...]

    @classmethod
    def of(cls, mean: np.ndarray, covariance: np.ndarray, half_width: np.ndarray) -> _Numbers:
        return cls(tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())), tuple(half_width.tolist()))


@lru_cache(64)
def _box(of: _Numbers, points: int, seed: int) -> tuple[float, np.ndarray]:
    """`normal_box`, kept as the same is asked for again."""
    from scipy.special import ndtr, ndtri

    mean, covariance, half_width = np.array(of.mean), np.array(of.covariance), np.array(of.half_width)
    scale = np.sqrt(np.diag(covariance))
    root = _cholesky(covariance / np.outer(scale, scale))
    low, high = (-half_width - mean) / scale, (half_width - mean) / scale
    uniform = _uniform(len(mean), points, seed)
    draws, weight = np.zeros((len(mean), points)), np.ones(points)
    for k in range(len(mean)):
        # The bounds of the first coordinate are the same in every draw.
        before = root[k, :k] @ draws[:k] if k else np.zeros(1)
        below, above = ndtr((low[k] - before) / root[k, k]), ndtr((high[k] - before) / root[k, k])
        weight *= above - below
        draws[k] = ndtri(np.clip(below + uniform[k] * (above - below), np.finfo(float).tiny, 1 - 1e-16))
    probability = float(weight.mean())
    if probability <= 0:
        return 0.0, np.full(len(mean), np.nan)
    return probability, mean + scale * (root @ (draws @ weight)) / weight.sum()


@lru_cache(8)
def _uniform(size: int, points: int, seed: int) -> np.ndarray:
    """(size, points) scrambled Sobol points."""
    from scipy.stats import qmc

    return np.ascontiguousarray(qmc.Sobol(size, scramble=True, rng=np.random.default_rng(seed)).random(points).T)


def slope_for_power(
    covariance: np.ndarray, event_times: np.ndarray, *, power: float = 0.5, reference: float = -1,
    trend: np.ndarray | None = None, critical: float = CRITICAL, points: int = POINTS, seed: int = SEED,
) -> float:
    """Return the slope of a linear trend that the pre-test finds with probability ``power``.

    The violation is slope x ``trend``, by default slope x (event time - ``reference``): the slope is in units of the
    outcome per unit of ``event_times``. The pre-test finds it if any coefficient before the reference is beyond
    ``critical`` of its standard errors. covariance (coefficients, coefficients) and event_times (coefficients,) may
    hold later coefficients too; they are not used. NaN if the pre-test finds something at least as often when there
    is nothing to find. Roth 2022 (American Economic Review: Insights 4:305-322), section I; ``slope_for_power`` of
    its R package pretrends. Raises DidError if power is not between 0 and 1, no event time lies before the reference,
    shapes do not fit, the trend is zero there, or the covariance of leads is singular.
    """
    from scipy.optimize import newton

    if not 0 < power < 1:
        raise DidError(f"pre-test power: power: expected a probability between 0 and 1; found {power}")
    distance, covariance = _checked(covariance, event_times, reference)
    leads = distance < 0
    before, spread = covariance[np.ix_(leads, leads)], np.sqrt(np.diag(covariance)[leads])
    unit = (distance if trend is None else np.asarray(trend, dtype=float))[leads]
    if not unit.any():
        raise DidError("pre-test power: trend: expected one that shows before the reference; found zeros; give another")

    def excess(slope: float, points: int) -> float:
        return 1 - normal_box(slope * unit, before, critical * spread, points=points, seed=seed)[0] - power

    def rise(slope: float, points: int) -> float:
        passing, mean = normal_box(slope * unit, before, critical * spread, points=points, seed=seed)
        return -passing * float(unit @ np.linalg.solve(before, mean - slope * unit))

    if excess(0.0, points) >= 0:
        return np.nan
    scale = float((spread[unit != 0] / np.abs(unit[unit != 0])).min())
    few = min(points, FEW_POINTS)
    # Few points find a slope near it, from where two steps with all of them do.
    guess = _bracketed_root(excess, scale, few, NEAR) if excess(0.0, few) < 0 else 0.0
    if guess > 0:
        slope, about = newton(excess, guess, rise, args=(points,), tol=1e-7 * guess, full_output=True, disp=False)
        if about.converged and slope > 0:
            return float(slope)
    return _bracketed_root(excess, scale, points, 1e-7)


def _bracketed_root(excess: Callable[[float, int], float], high: float, points: int, close: float) -> float:
    """Return where ``excess`` on so many ``points``, negative at zero, rises to zero, up to a share ``close``
    of it; ``high`` is doubled up to it."""
    from scipy.optimize import brentq

    while excess(high, points) < 0:
        high *= 2
    return float(brentq(excess, 0.0, high, args=(points,), xtol=1e-9 * high, rtol=close))


def pretest_power(
    estimate: np.ndarray, covariance: np.ndarray, event_times: np.ndarray, reference: float = -1, *,
    violation: np.ndarray | None = None, power: float = 0.5,
) -> PretestPower:
    """Return what a pre-test makes of a violation of parallel trends.

    estimate, event_times, violation (coefficients,) and covariance (coefficients, coefficients) without the
    reference; all but event_times in units of the outcome. Coefficients before ``reference`` are tested, those after
    it carry the bias. Without ``violation`` it is the linear trend that the test finds with probability ``power``
    (`slope_for_power`). Roth 2022 (American Economic Review: Insights 4:305-322), section I and online appendix; the
    numbers are those of the R package pretrends: power, Bayes factor, likelihood ratio and meanAfterPretesting, which
    is E[b_pre | passed] by quasi-random draws, and mean_post + V_post,pre V_pre^-1 (E[b_pre | passed] - mean_pre).

    Raises DidError as `slope_for_power`, for a violation of another length, or where no slope has that power.
    """
    distance, covariance = _checked(covariance, event_times, reference)
    estimate = np.asarray(estimate, dtype=float)
    if violation is None:
        slope = slope_for_power(covariance, event_times, power=power, reference=reference)
        if np.isnan(slope):
            raise DidError(f"pre-test power: power {power}: expected more than the size of the pre-test; found that it "
                           "rejects as often without a violation; ask for a higher power or give the violation")
        violation = slope * distance
    violation = np.asarray(violation, dtype=float)
    for name, values in (("estimate", estimate), ("violation", violation)):
        if values.shape != distance.shape:
            raise DidError(f"pre-test power: {name}: expected one number for each of {len(distance)} event times; "
                           f"found shape {values.shape}")
    leads = distance < 0
    before = covariance[np.ix_(leads, leads)]
    half_width = CRITICAL * np.sqrt(np.diag(before))
    passing, mean_before = normal_box(violation[leads], before, half_width)
    passing_none, _ = normal_box(np.zeros(leads.sum()), before, half_width)
    mean = violation.copy()
    mean[leads] = mean_before
    mean[~leads] += covariance[np.ix_(~leads, leads)] @ np.linalg.solve(before, mean_before - violation[leads])

    def distance_from(centre: np.ndarray) -> float:
        return float((estimate[leads] - centre) @ np.linalg.solve(before, estimate[leads] - centre))

    return PretestPower(
        violation=violation, mean_if_passed=mean, power=1 - passing, size=1 - passing_none,
        bayes_factor=passing / passing_none,
        likelihood_ratio=float(np.exp((distance_from(np.zeros(leads.sum())) - distance_from(violation[leads])) / 2)),
    )


@tabled
def pretest_power_rows(result: Result, panel: Panel, level: str) -> list[dict]:
    """Return what a pre-test on the leads of an event study could see, clustered by ``level``.

    Rows of the diagnostics table (`COLUMNS`), named with the ending ``_bin_<width>`` for bins:

        pretest_slope_50, _80         slope of a linear trend found with that probability, in units of the outcome per
                                      period (and per unit of dose)
        pretest_bias_50, _80          mean of the coefficients from onset on that such a trend alone would give
        pretest_bias_passed_50, _80   the same, given that the pre-test found nothing
        pretest_size                  probability that it finds something where there is nothing
        pretest_slope_effect          slope of the trend that would by itself give the estimated mean from onset on
        pretest_power_effect          probability that the pre-test finds that trend

    value is that number. Coefficients of bins under a linear trend are those the event study gives for a panel with
    nothing but that trend. Rows are ``skipped`` with the reason where there is no single reference or no lead, the
    covariance of leads is singular, a slope does not exist, there is no coefficient after onset, or (given passing)
    there are no more treated clusters than leads: V_pre^-1 then rests on the noise of the controls.
    """
    path = event_path(result, panel, level)
    names = [f"pretest_{kind}_{round(100 * power)}" for power in POWERS for kind in ("slope", "bias", "bias_passed")]
    names += ["pretest_size", "pretest_slope_effect", "pretest_power_effect"]
    row = result_row("", result, panel, level)
    rows = {name: row | {"diagnostic": name + path.suffix} for name in names}
    n_leads = int(path.leads.sum())
    problem = path.problem
    reference = path.reference
    if not problem and reference is None:
        problem = "no single reference period to measure a trend from"
    if not problem and path.rank < n_leads:
        problem = f"covariance of rank {path.rank} for {n_leads} leads with {path.n_clusters} clusters: no power"
    if problem or reference is None:
        return [skipped(row, problem) for row in rows.values()]
    unit_trend, after = _unit_trend(path, panel), path.after
    about = f"{n_leads} leads with {path.n_treated} treated of {path.n_clusters} clusters"
    if path.n_treated < FEW_TREATED * n_leads:
        about = join_notes(about, "few treated clusters: errors too small to rely on it")

    def against(slope: float) -> PretestPower:
        return pretest_power(path.estimate, path.covariance, path.event_time, reference,
                             violation=slope * unit_trend)

    size = against(0.0).size
    found: dict[str, float | str] = dict.fromkeys(names, "no coefficient after onset")
    found["pretest_size"] = size
    for power in POWERS:
        slope = slope_for_power(path.covariance, path.event_time, power=power, reference=reference,
                                trend=unit_trend)
        at = round(100 * power)
        if np.isnan(slope):
            reason = f"the pre-test of {n_leads} leads rejects with probability {size:.2f} without any trend"
            found |= dict.fromkeys((f"pretest_{kind}_{at}" for kind in ("slope", "bias", "bias_passed")), reason)
            continue
        found[f"pretest_slope_{at}"] = slope
        if after.any():
            found[f"pretest_bias_{at}"] = slope * unit_trend[after].mean()
            found[f"pretest_bias_passed_{at}"] = (
                against(slope).mean_if_passed[after].mean() if path.n_treated > n_leads else
                f"{path.n_treated} treated clusters for {n_leads} leads: their covariance cannot be relied on")
    if after.any():
        slope = path.effect / unit_trend[after].mean()
        found |= {"pretest_slope_effect": slope, "pretest_power_effect": against(slope).power}
    done = [skipped(rows[name], value) if isinstance(value, str)
            else rows[name] | {"value": float(value), "reason": about} for name, value in found.items()]
    return done


def _unit_trend(path: EventPath, panel: Panel) -> np.ndarray:
    """Return the coefficients that a trend of the treated of 1 per period would give, with none at the reference."""
    if path.bin_width == 1:
        return (path.event_time - path.reference).astype(float)
    from did.estimators import event_study

    trend = panel.dose[:, None] * np.arange(panel.n_periods, dtype=float)
    only_trend = dataclasses.replace(panel, outcome=np.where(np.isfinite(panel.outcome), trend, np.nan))
    found = event_study.estimate(only_trend, bin_width=path.bin_width, reference=path.reference)
    coefficient = dict(zip(found.parameters["event_time"].astype(int), found.estimate, strict=True))
    return np.array([coefficient[e] for e in path.event_time])


def _checked(covariance: np.ndarray, event_times: np.ndarray, reference: float) -> tuple[np.ndarray, np.ndarray]:
    """Return distances from the reference and the covariance as arrays that fit each other."""
    distance = np.asarray(event_times, dtype=float) - reference
    covariance = np.asarray(covariance, dtype=float)
    if covariance.shape != (len(distance), len(distance)):
        raise DidError(f"pre-test power: covariance: expected {len(distance)} x {len(distance)} for as many event "
                       f"times; found shape {covariance.shape}")
    if not (distance < 0).any() or (distance == 0).any():
        raise DidError(f"pre-test power: event_times: expected some before the reference {reference} and the reference "
                       f"itself left out; found {list(event_times)}")
    return distance, covariance


def _cholesky(correlation: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError as error:
        raise DidError(f"pre-test power: covariance: expected one of full rank for {len(correlation)} leads; found a "
                       "singular one; use fewer leads or bins of several periods") from error
