"""Errors of synthetic difference-in-differences: placebo assignments, the bootstrap and the jackknife, by clusters.

The estimate is no regression, and with one treated unit or system nothing but the donors tells how far off it may be.
Source of all three: Arkhangelsky, Athey, Hirshberg, Imbens and Wager 2021, American Economic Review 111:4088-4118,
algorithms 2 to 4; several cohorts as in Clarke, Pailanir, Athey and Imbens 2023 (arXiv 2301.11859).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, join_notes, listed
from did.estimators.synthetic_did import (
    assigned_effects,
    averaged,
    averages,
    estimate,
    leave_out,
    observed_weights,
)
from did.estimators.synthetic_sample import Study, study
from did.inference.assignments import near_in_size
from did.inference.clustered import beyond, quantile

COLUMNS = ["method", "cluster", "estimand", "cohort", "period", "event_time", "estimate", "std_error", "ci_low",
           "ci_high", "p_value", "n_draws", "n_units", "n_treated", "n_clusters", "n_treated_clusters",
           "size_mismatch", "status", "reason", "note"]
METHODS = ("placebo", "bootstrap", "jackknife")
# Steps at most that find the weights of a draw. At 149 units these give errors within 0.4% of those of 4,000 steps, in
# the middle 0.14%; that there are 199 draws and no more leaves 5%.
ROUNDS = 250
# Resamples tried for each that is wanted, before a bootstrap is given up.
TRIES = 50


@dataclasses.dataclass(frozen=True)
class _Setting:
    """A study with its clusters: codes and names (units,), treated and never-treated cluster codes, and its averages.

    sizes  (clusters,) units of the panel in each; n_draws and generator are for the draws
    """

    data: Study
    codes: np.ndarray
    names: np.ndarray
    sizes: np.ndarray
    treated: np.ndarray
    free: np.ndarray
    cells: np.ndarray
    draws: int
    generator: np.random.Generator


@dataclasses.dataclass(frozen=True)
class _Found:
    """Errors (parameters,), estimates of the draws (draws, parameters) or None, and why an error may be missing."""

    error: np.ndarray
    drawn: np.ndarray | None = None
    n_draws: int = 0
    mismatch: float = np.nan
    note: str = ""
    reason: str = "no variation between draws"


def synthetic_errors(panel: Panel, method: str, *, level: str = "unit", draws: int = 199, seed: int = 20170601,
                     confidence: float = 0.95, options: Mapping[str, object] | None = None,
                     fitted: Result | None = None) -> pd.DataFrame:
    """Return the estimates of `did.estimators.synthetic_did` with errors by ``method``, one row for each parameter.

    ``options`` are keyword arguments of its `estimate` (variant, estimands, covariates, level, combine), ``fitted``
    what it gave with them, where that is known; clusters of ``level`` are drawn, left out or given the places of others
    as a whole. Methods:

    - ``placebo``: never-treated clusters take the places of the treated ones, each near in size
      (`did.inference.calibration.near_in_size`), with their onsets, against the never-treated units that are left;
      weights are found again. The error is the standard deviation of ``draws`` such estimates, and p_value is
      (1 + number as large as the estimate in size) / (1 + draws). It supposes that treated and never-treated clusters
      are equally noisy; size_mismatch is the mean distance in units between a cluster and the one it stands in for.
    - ``bootstrap``: clusters drawn with replacement, weights found again; a resample without donors or without some
      cohort is drawn again and counted in the note. Not with a single treated cluster in a cohort.
    - ``jackknife``: each cluster left out, the weights kept. Not with a single treated cluster in a cohort.

    In draws the weights stop after 250 steps (10,000 for the estimate), and ridge and covariates' coefficients are
    those of the estimate. Intervals cover ``confidence`` and are normal, as are p-values of the last two. The columns
    are `COLUMNS`; estimate, std_error and interval in units of the outcome; n_treated and n_treated_clusters those of
    the whole estimate. What does not apply has status ``skipped``, the reason, and no error. Missing outcomes are left
    out as by the estimator, and the note says so. The same seed gives the same rows.

    Raises DidError for an unknown method or level, ``draws`` below 19, a ``confidence`` outside 0 to 1, and whatever
    the estimator raises.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(24, 12, {8: 4}, 5.0, seed=1, noise=1.0)
    >>> rows = synthetic_errors(Panel.from_frame(frame), "placebo", draws=19, options={"estimands": ["overall"]})
    >>> rows[["status", "n_draws", "n_clusters", "p_value"]].values.tolist()
    [['done', 19, 24, 0.05]]
    """
    one_of("synthetic errors: method", method, METHODS)
    one_of("synthetic errors: level", level, panel.clusters)
    if draws < 19:
        raise DidError(f"synthetic errors: draws: expected 19 or more; found {draws}; ask for more")
    if not 0 < confidence < 1:
        raise DidError(f"synthetic errors: confidence: expected a share between 0 and 1; found {confidence}; use 0.95")
    given: dict[str, Any] = dict(options or {})
    result = estimate(panel, **given) if fitted is None else fitted
    panel, unit = panel.scaled()
    result = dataclasses.replace(result, estimate=result.estimate / unit)   # a power of two: nothing is rounded
    data = study(panel, given.get("variant", "synthetic_did"), given.get("level", "unit"),
                 given.get("combine", "mean"), list(given.get("covariates", ())))
    estimands = result.parameters["estimand"].unique().tolist()
    codes, names = pd.factorize(panel.clusters[level][panel.units.get_indexer(data.units)])
    is_treated = np.unique(codes[data.donors == 0])
    setting = _Setting(data, codes, np.asarray(names), np.bincount(codes, weights=data.size), is_treated,
                       np.setdiff1d(np.arange(len(names)), is_treated), averages(panel, data, estimands)[1], draws,
                       np.random.default_rng(seed))
    table = _rows(result, setting, method, level)
    reason = _reason(setting, method, level)
    if reason:
        return table.assign(estimate=result.estimate * unit, status="skipped", reason=reason)[COLUMNS]
    how: dict[str, Callable[[_Setting], _Found]] = {"placebo": _placebo, "bootstrap": _bootstrap,
                                                     "jackknife": _jackknife}
    found = how[method](setting)
    return _filled(table, result, found, unit, confidence)


def _rows(result: Result, setting: _Setting, method: str, level: str) -> pd.DataFrame:
    """The rows without numbers of the method."""
    return result.parameters.drop(columns="note").assign(
        method=method, cluster=level, std_error=np.nan, ci_low=np.nan, ci_high=np.nan, p_value=np.nan, n_draws=0,
        n_units=result.n_units, n_treated=result.treated.sum(axis=0).to_numpy(), n_clusters=len(setting.names),
        n_treated_clusters=[len(np.unique(setting.codes[one])) for one in result.treated.to_numpy().T],
        size_mismatch=np.nan, status="done", reason="", note=result.note)


def _filled(table: pd.DataFrame, result: Result, found: _Found, unit: float, confidence: float) -> pd.DataFrame:
    error = np.where(found.error > 0, found.error, np.nan)
    half = quantile((1 + confidence) / 2, None) * error
    p_value = 2 * beyond(np.abs(result.estimate) / error, None)
    if found.drawn is not None:
        as_large = (np.abs(found.drawn) >= np.abs(result.estimate)).sum(axis=0)
        p_value = (1 + as_large) / (1 + len(found.drawn))
    without = np.isnan(error)
    return table.assign(
        estimate=result.estimate * unit, std_error=error * unit, ci_low=(result.estimate - half) * unit,
        ci_high=(result.estimate + half) * unit, p_value=np.where(without, np.nan, p_value), n_draws=found.n_draws,
        size_mismatch=found.mismatch, status=np.where(without, "skipped", "done"),
        reason=np.where(without, found.reason, ""), note=join_notes(result.note, found.note))[COLUMNS]


def _reason(setting: _Setting, method: str, level: str) -> str:
    """Why a method does not apply, empty if it does."""
    data, codes = setting.data, setting.codes
    of_cohort = [np.unique(codes[cohort.treated > 0]) for cohort in data.cohorts]
    if method == "placebo":
        n_free, n_treated = len(setting.free), len(setting.treated)
        mixed = [code for code in setting.treated if sum(code in members for members in of_cohort) > 1]
        if mixed:
            return (f"{level} {setting.names[mixed[0]]} has units of several cohorts: whole clusters cannot take its "
                    "place")
        if n_free < n_treated + 2:
            return (f"{n_free} never-treated clusters by {level} for the places of {n_treated} treated ones: "
                    f"{n_treated + 2} are needed, so that two are left as donors")
        return ""
    alone = [cohort.label for cohort, members in zip(data.cohorts, of_cohort, strict=True) if len(members) == 1]
    if alone:
        return f"one treated cluster by {level} in cohort {listed(alone)}: no {method}; use placebo"
    return ""


def _placebo(setting: _Setting) -> _Found:
    data, codes, draws = setting.data, setting.codes, setting.draws
    treated_units = (data.donors == 0).astype(float) * data.size
    sizes = np.bincount(codes, weights=treated_units, minlength=len(setting.names))[setting.treated]
    available = setting.sizes[setting.free]
    chosen = near_in_size(sizes, available, draws, setting.generator)
    place = np.full((draws, len(setting.names)), -1)
    place[np.arange(draws)[:, None], setting.free[chosen]] = np.arange(len(setting.treated))
    cohort_of = np.array([next(number for number, cohort in enumerate(data.cohorts)
                               if (cohort.treated[codes == code] > 0).any()) for code in setting.treated])
    stands_in = np.where(place < 0, -1, cohort_of[place])[:, codes]   # which cohort's place each unit takes
    treated = [(stands_in == number).astype(float) for number in range(len(data.cohorts))]
    drawn = _drawn(setting, np.where(stands_in < 0, data.donors, 0.0), treated)
    return _Found(drawn.std(axis=0), drawn, draws, float(np.abs(available[chosen] - sizes).mean()))


def _bootstrap(setting: _Setting) -> _Found:
    data, n_clusters = setting.data, len(setting.names)
    kept: list[np.ndarray] = []
    tried = 0
    while len(kept) < setting.draws and tried < TRIES * setting.draws:
        tried += 1
        times = np.bincount(setting.generator.integers(0, n_clusters, n_clusters), minlength=n_clusters)[setting.codes]
        if (times * data.donors).any() and all((times * cohort.treated).any() for cohort in data.cohorts):
            kept.append(times)
    if len(kept) < setting.draws:
        return _Found(np.full(len(setting.cells), np.nan), reason=f"of {tried} resamples only {len(kept)} have donors "
                                                                  "and every cohort; use placebo")
    times = np.array(kept, dtype=float)
    drawn = _drawn(setting, times * data.donors, [times * cohort.treated for cohort in data.cohorts])
    lost = tried - len(kept)
    return _Found(drawn.std(axis=0), None, len(kept),
                  note=f"{lost} resamples without donors or some cohort drawn again" if lost else "")


def _jackknife(setting: _Setting) -> _Found:
    data, n = setting.data, len(setting.names)
    without = leave_out(data, observed_weights(data), setting.codes, setting.cells)
    return _Found(np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)), None, n)


def _drawn(setting: _Setting, donors: np.ndarray, treated: list[np.ndarray]) -> np.ndarray:
    """Return the (draws, parameters) estimates of assignments."""
    sizes = np.stack([counts.sum(axis=1) for counts in treated], axis=1)
    return averaged(assigned_effects(setting.data, donors, treated, ROUNDS), sizes, setting.data, setting.cells)
