"""Intervals and breakdown values of an event study's effects under bounds on differential trends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from did.diagnostics.sensitivity.breakdown import relative_magnitudes_breakdown, smoothness_breakdown
from did.diagnostics.sensitivity.few import corrected, working
from did.diagnostics.sensitivity.path import TARGETS, EventPath, original_interval
from did.diagnostics.sensitivity.relative_magnitudes import relative_magnitudes_interval
from did.diagnostics.sensitivity.smoothness import Frontier, slope_change_bounds, slope_change_unit
from did.errors import DidError, listed, one_of
from did.estimators.base import NOT_IDENTIFIED, REFERENCE, Panel, Result, join_notes
from did.inference.clustered import cluster_sums, clustered_covariance, labels_of, rounding_of
from did.inference.few_clusters import is_few
from did.inference.joint_test import FEW_TREATED, UNHELD, covariance_rank, held

COLUMNS = ["method", "target", "m", "level", "estimate", "ci_low", "ci_high", "breakdown", "covariance", "df",
           "n_clusters", "n_treated_clusters", "status", "reason"]
METHODS = ("original", "relative_magnitudes", "smoothness")


def sensitivity_rows(
    result: Result,
    panel: Panel,
    level: str,
    *,
    targets: Sequence[str] = TARGETS,
    m_bars: Sequence[float] = (0.0, 0.5, 1.0, 2.0),
    m_units: Sequence[float] = (0.0, 0.5, 1.0),
    largest: float = 10.0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return how far effects hold if trends were not parallel: intervals per bound, and breakdown values.

    ``result`` is an event study with the one reference -1 (`did.estimators.event_study`, by period or in bins) or
    the event-time averages of `did.estimators.aggregation` from universal-base group-time effects; ``panel`` the
    panel it was estimated on, ``level`` one of its cluster levels. ``targets`` are ``first`` (the effect at event
    time 0) and ``average`` (mean of the effects from 0 on, each bin by its periods). Bins are counted from the onset;
    the oldest is left out if it holds fewer periods than the others, since a change over it is none over a whole bin.
    Rows by target, with the columns `COLUMNS`:

    method     ``original`` (parallel trends), ``relative_magnitudes`` (one row per entry of ``m_bars``: after
               treatment trends part per period by at most m times the most they did before; hybrid test), or
               ``smoothness`` (one row per entry of ``m_units``: the slope of the difference changes per period
               by at most m; fixed-length interval)
    m          Mbar, a ratio; or M in units of the outcome per period (per bin), ``m_units`` times the largest
               absolute change of slope among the estimated leads; 0 for ``original``
    level      the cluster level
    estimate   of the target under parallel trends, with ``ci_low`` and ``ci_high``, in units of the outcome per unit
               of dose; intervals use the normal distribution, as the method does. With fewer than 20 treated or 40
               clusters the covariance of an event study is by CR3 and wide enough for t (`did.diagnostics.sensitivity
               .few`), and the smoothness estimator is chosen by a covariance to which every cluster adds as much
    breakdown  the m, same for all rows of a method and target, up to which the interval leaves out zero: 0 if it
               includes zero at 0, infinite if only beyond the largest tried (``largest`` for Mbar, ``largest``
               units for M); missing for ``original``
    covariance ``clustered``, or ``CR3`` (above); empty where skipped
    df         degrees of freedom of the t that intervals by CR3 are wide enough for; missing for others
    n_clusters, n_treated_clusters   clusters of the event study, and those with a treated unit; missing where skipped
    status     ``done`` or ``skipped``; then one row of the method and target without numbers
    reason     why skipped; or what the row rests on, and a breakdown beyond the largest tried

    Skipped: a reference other than -1 alone, event times that are not consecutive or not identified, no lead
    (relative magnitudes) or fewer than two (smoothness), no effect from 0 on, a singular covariance, one treated
    cluster; smoothness also with no more treated clusters than leads, since its estimator could then be chosen so
    that their noise cancels. Rambachan and Roth 2023, Review of Economic Studies 90:2555-2591.

    Raises DidError for an unknown cluster level or target, a negative entry of ``m_bars`` or ``m_units``, a
    confidence outside 0.5 to 1, or a result that is not an event study.
    """
    one_of("sensitivity: level", level, panel.clusters)
    for target in targets:
        one_of("sensitivity: targets", target, TARGETS)
    given: dict[str, Sequence[Any]] = {"m_bars": m_bars, "m_units": m_units, "largest": [largest]}
    for name, values in given.items():
        wrong = [value for value in values if not (
            isinstance(value, int | float | np.integer) and np.isfinite(value) and value >= 0)]
        if wrong:
            raise DidError(f"sensitivity: {name}: expected numbers, 0 or more; found {listed(wrong)}; fix them")
    if not 0.5 < confidence < 1:
        raise DidError(f"sensitivity: confidence: expected a share between 0.5 and 1; found {confidence}; "
                       "0.95 is usual")
    path, reasons, about = _path_of(result, panel, level, confidence)
    rows: list[dict] = []
    for target in targets:
        keys = {"target": target, "level": level, "covariance": ""}
        for method in METHODS:
            if path is None or reasons[method][0] == "skipped":
                found: list[dict] = [{}]
            elif method == "original":
                low, high = original_interval(path, target, confidence=confidence)
                found = [{"m": 0.0, "ci_low": low, "ci_high": high}]
            elif method == "relative_magnitudes":
                found = list(_relative_magnitudes(path, target, m_bars, largest, confidence))
            else:
                found = list(_smoothness(path, target, m_units, largest, confidence))
            status, reason = reasons[method]
            estimate = (np.nan if path is None or status == "skipped" else
                        float(path.weights(target) @ path.estimate[path.n_pre:]))
            for row in found:
                said = "; ".join(part for part in (row.pop("reason", ""), reason) if part)
                rows.append(keys | (about if status == "done" else {}) | row | {
                    "method": method, "status": status, "reason": said, "estimate": estimate})
    frame = pd.DataFrame(rows, columns=COLUMNS)
    numbers = ["m", "estimate", "ci_low", "ci_high", "breakdown", "df"]
    return frame.astype(dict.fromkeys(numbers, float))


def _relative_magnitudes(
    path: EventPath, target: str, m_bars: Sequence[float], largest: float, confidence: float
) -> Iterator[dict]:
    breakdown = relative_magnitudes_breakdown(path, target, largest=largest, confidence=confidence)
    reason = f"breakdown beyond the largest Mbar tried, {largest:g}" if np.isinf(breakdown) else ""
    for m_bar in m_bars:
        low, high = relative_magnitudes_interval(path, target, m_bar, confidence=confidence)
        yield {"m": m_bar, "ci_low": low, "ci_high": high, "breakdown": breakdown, "reason": reason}


def _smoothness(
    path: EventPath, target: str, m_units: Sequence[float], largest: float, confidence: float
) -> Iterator[dict]:
    frontier, unit = Frontier.of(path, target), slope_change_unit(path)
    breakdown = smoothness_breakdown(frontier, largest=largest * unit, confidence=confidence)
    beyond = f"breakdown beyond the largest M tried, {largest * unit:.4g}; " if np.isinf(breakdown) else ""
    at_least = slope_change_bounds(path, confidence=confidence)[0]
    for share in m_units:
        low, high = frontier.interval(share * unit, confidence=confidence)
        yield {"m": share * unit, "ci_low": low, "ci_high": high, "breakdown": breakdown,
               "reason": f"{beyond}M is {share:g} x {unit:.4g}, the largest change of slope among the leads (at least "
                         f"{at_least:.4g} with {confidence:.0%} confidence)"}


def _path_of(result: Result, panel: Panel, level: str, confidence: float
             ) -> tuple[EventPath | None, dict[str, tuple[str, str]], dict[str, Any]]:
    """Return the coefficients around the reference, or None, every method's status and reason, and the columns that say
    what their covariance rests on."""
    parameters = result.parameters
    rows = parameters["estimand"].isin(["event_time"]) | parameters["estimand"].str.startswith("event_bin_")
    if not rows.any():
        raise DidError("sensitivity: expected an event study (event_time or event_bin_<width>); found "
                       f"{listed(parameters['estimand'].unique())}; aggregate by event time first")

    def skip(reason: str, methods: Sequence[str] = METHODS) -> dict[str, tuple[str, str]]:
        return {method: ("skipped", reason) for method in methods}

    used = parameters[rows].sort_values("event_time")
    time = used["event_time"].to_numpy(dtype=int)
    is_reference = (used["state"] == REFERENCE).to_numpy()
    if time[is_reference].tolist() != [-1]:
        found = listed(time[is_reference]) or "none (group-time effects need the universal base)"
        return None, skip(f"reference: expected event time -1 alone; found {found}"), {}
    gaps = np.flatnonzero(np.diff(time) != 1)
    if len(gaps):
        return None, skip(f"event times not consecutive: none between {time[gaps[0]]} and {time[gaps[0] + 1]}"), {}
    held_by, width = _periods(panel, used)
    notes = []
    if time[0] < -1 and held_by[0] < width:
        notes.append(f"the oldest bin holds {held_by[0]} of {width} periods and is left out")
        used, time, held_by, is_reference = used.iloc[1:], time[1:], held_by[1:], is_reference[1:]
    short = [f"{count} of {width}" for count in held_by[time >= 0] if count < width]
    if short:
        notes.append(f"bins from onset on that hold {listed(short)} periods weigh as much in the average")
    kept = used.index.to_numpy()[~is_reference]
    n_pre, n_post = int((time < -1).sum()), int((time >= 0).sum())
    missing = (used["state"] == NOT_IDENTIFIED).to_numpy() | ~np.isfinite(result.estimate[used.index])
    if missing.any():
        return None, skip(f"not identified at event times {listed(time[missing])}"), {}
    if n_pre < 1 or n_post < 1:
        return None, skip(join_notes(
            f"{n_pre} coefficients before the reference and {n_post} after: one needed on each side", *notes)), {}
    influence, labels = result.influence.to_numpy()[:, kept], labels_of(result, panel, level)
    with np.errstate(over="ignore"):
        covariance = _covariance(result, influence, labels)
    rank = covariance_rank(cluster_sums(influence, labels), influence, rounding_of(result, panel)[kept])
    n_clusters = len(pd.unique(labels))
    if rank < len(kept) or np.isnan(covariance).any():
        return None, skip(f"singular covariance: rank {rank} for {len(kept)} coefficients with {n_clusters} "
                          "clusters"), {}
    if not held(covariance):
        return None, skip(UNHELD), {}
    n_treated = len(pd.unique(labels[result.treated.to_numpy()[:, kept].any(axis=1)]))
    if n_treated < 2:
        return None, skip("one treated cluster: its standard error is too small to rely on"), {}
    few = "; few treated clusters: intervals may be too short" if n_treated < FEW_TREATED * n_pre else ""
    about: dict[str, Any] = {"covariance": "clustered", "n_clusters": n_clusters, "n_treated_clusters": n_treated}
    chosen_by = None
    if is_few(n_treated, n_clusters) and (better := corrected(result, panel, level, kept, confidence)) is not None:
        covariance, df = better
        chosen_by = working(covariance, influence, labels)
        about |= {"covariance": "CR3", "df": df}
        few = f"; few clusters: covariance by CR3, t with {df:.1f} degrees of freedom"
    done = {method: ("done", f"{n_pre} leads and {n_post} effects with {n_treated} treated of {n_clusters} "
                             f"clusters{few}{''.join(f'; {note}' for note in notes)}") for method in METHODS}
    if n_pre < 2:
        done |= skip("one coefficient before the reference: a change of slope needs two", ("smoothness",))
    elif n_treated <= n_pre:
        done |= skip(f"{n_treated} treated clusters for {n_pre} leads: the interval would be too short",
                     ("smoothness",))
    return EventPath(result.estimate[kept], covariance, n_pre, held_by[time >= 0], chosen_by), done, about


def _periods(panel: Panel, used: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Return how many event times with an outcome of a treated unit each event time or bin holds, and a whole bin."""
    estimand = used["estimand"].iloc[0]
    if estimand == "event_time":
        return np.ones(len(used), dtype=int), 1
    width = int(estimand.removeprefix("event_bin_"))
    seen = (panel.observed_weight > 0) & ~(panel.never_treated | panel.always_treated)[:, None]
    bins = np.floor_divide(np.unique(panel.event_time[seen]), width)
    return np.array([(bins == time).sum() for time in used["event_time"]]), width


def _covariance(result: Result, influence: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the covariance that the result's own intervals use: without a small-sample factor if it is normal."""
    if result.distribution == "normal":
        sums = cluster_sums(influence, labels)
        return sums.T @ sums
    return clustered_covariance(influence, labels, result.n_obs, result.n_parameters)
