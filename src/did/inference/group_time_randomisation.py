"""Reassignment and jackknife of whole clusters for averages of group-time effects, from sums over clusters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators.base import Panel, Result, join_notes
from did.inference import group_time_sums
from did.inference.assignments import enumerate_orders, n_orders, near_in_size
from did.inference.clustered import rounding_of
from did.inference.group_time_sums import NEVER
from did.inference.refit import COLUMNS, Parts, carried, keys, no_assignment, tested, without

# Assignments compared at a time, and by default.
BLOCK, DRAWS = 1_000, 9999


def serves(results: list[Result], estimator: str, options: dict, panel: Panel) -> bool:
    """Return whether `reassigned` has the test of ``results``: their one effect ``overall``, of an estimator that
    `did.inference.group_time_sums.is_plain`, with clusters that are never treated."""
    one = len(results) == 1 and results[0].parameters["estimand"].tolist() == ["overall"]
    return one and bool(panel.never_treated.any()) and group_time_sums.is_plain(estimator, options, panel)


def reassigned(panel: Panel, result: Result, options: dict, level: str, *, statistic: str = "studentised",
               draws: int = DRAWS, seed: int = 20170601, coverage: float = 0.95) -> pd.DataFrame:
    """Return the test of `did.inference.refit.randomise` for the average ``result``, one row with its columns.

    ``panel`` is the one that ``result`` is of, ``options`` its estimator's. ``statistic`` may also be
    ``studentised_near``: t against assignments in which each treated cluster gives its onset to one of the five nearest
    to it in units. Skipped, with the reason in the note, as there. Raises nothing.
    """
    rounding, panel = rounding_of(result, panel)[0], panel.keep(result.used(panel))
    panel, dose_note = carried(panel, level)
    value = result.estimate
    reason = no_assignment(panel, level)
    if reason:
        return without(value, f"no randomisation test: {reason}")
    codes, _ = pd.factorize(panel.clusters[level])
    first = np.unique(codes, return_index=True)[1]
    onset = panel.treated_from[first]
    onsets, number = np.unique(onset, return_inverse=True)
    observed = number.ravel()
    n_assignments, near = n_orders(np.bincount(observed)), statistic == "studentised_near"
    enumerated, generator = n_assignments <= draws and not near, np.random.default_rng(seed)
    if near:
        places = np.flatnonzero(onset < panel.n_periods)
        orders = np.full((draws, len(observed)), len(onsets) - 1)
        sizes = np.bincount(codes)
        orders[np.arange(draws)[:, None], near_in_size(sizes[places], sizes, draws, generator)] = observed[places]
    else:
        orders = enumerate_orders(observed) if enumerated else generator.permuted(
            np.broadcast_to(observed, (draws, len(observed))), axis=1)
    labels = np.concatenate([observed[None], orders])
    labels = np.where(labels == len(onsets) - 1, NEVER, labels)   # the never treated come last
    dosed = dataclasses.replace(panel, outcome=np.where(
        np.isfinite(panel.outcome), np.where(panel.treated, panel.dose[:, None], 0.0), np.nan))
    on_outcome, on_dose = (_parts(one, codes, onsets[:-1], options, labels) for one in (panel, dosed))
    row = dict.fromkeys(COLUMNS, np.nan) | {"shape": "", "estimate": value[0], "draws": len(orders)} | tested(
        on_outcome, on_dose, "estimate" if statistic == "estimate" else "studentised", 0 if enumerated else 1,
        1 - coverage, rounding=rounding)
    if np.isfinite(row["p_value"]):
        row["note"] = join_notes(
            f"all {n_assignments} assignments of clusters by {level}" if enumerated else
            f"{draws} draws of assignments of clusters by {level}", "among clusters near in size" if near else "",
            dose_note, row["note"])
    return pd.DataFrame([row], columns=COLUMNS)


def left_out(panel: Panel, result: Result, options: dict, level: str) -> dict[object, dict[tuple, float]]:
    """Return the average ``result`` without each cluster of ``level`` in turn, as `did.inference.refit.without_each`.

    Units of a cluster may differ in onset: the sums are then over its units of each onset. NaN where the average does
    not exist. ``panel`` is the one that ``result`` is of. Raises nothing.
    """
    panel = panel.keep(result.used(panel))
    labels = panel.clusters[level]
    parts, pairs = pd.factorize(pd.MultiIndex.from_arrays([labels.astype(object), panel.treated_from]))
    cluster, onset = (np.array([pair[which] for pair in pairs], dtype=object) for which in (0, 1))
    onsets, number = np.unique(onset.astype(int), return_inverse=True)
    made = group_time_sums.sums(panel, parts, onsets[:-1], options)
    dealt = np.where(number == len(onsets) - 1, NEVER, number)[None]
    codes, names = pd.factorize(cluster)
    with np.errstate(invalid="ignore"):
        values = group_time_sums.without_each(made, dealt, codes)[:, 0]
    name, = keys([result])
    return {label: {name: float(value)} for label, value in zip(names, values, strict=True)}


def _parts(panel: Panel, codes: np.ndarray, onsets: np.ndarray, options: dict, labels: np.ndarray) -> Parts:
    """Of each assignment the estimate, the clusters' summed influence, and whether it has an error."""
    made = group_time_sums.sums(panel, codes, onsets, options)
    found = [group_time_sums.averages(made, labels[start:start + BLOCK]) for start in range(0, len(labels), BLOCK)]
    names = ("estimate", "scores", "varies")
    return Parts(*(np.concatenate([getattr(part, name) for part in found]) for name in names))
