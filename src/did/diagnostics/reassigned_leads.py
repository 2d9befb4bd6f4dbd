"""Leads held against those of other assignments: a joint test for designs with more leads than treated clusters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Panel, join_notes
from did.inference import group_time_sums
from did.inference.assignments import drawn_orders, enumerate_orders, n_orders
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.randomisation import TIED
from did.inference.refit import carried, no_assignment

DRAWS = 999
# Units x clusters that the algebra holds.
LARGEST = 50_000_000
# A variance below this share of what it is the difference of is rounding.
ROUNDED = 1e-12


@tabled
def reassigned_leads(panel: Panel, level: str, *, bin_width: int = 1, draws: int = DRAWS,
                     seed: int = 20170601) -> list[dict]:
    """Test that all leads are zero by handing whole clusters of ``level`` the onsets and doses of others.

    A row of the diagnostics table (`COLUMNS`), diagnostic ``reassigned_leads`` or ``reassigned_leads_bin_<width>``.
    A lead is the difference between treated and never treated (per unit of dose) of the mean outcome in a bin of
    ``bin_width`` periods before the onset, less the last such bin; bins are counted from the onset, and the oldest may
    hold fewer. statistic is the largest |t| of them, with errors clustered by ``level``, value their mean in units of
    the outcome; p_value is the share of assignments whose largest |t| is as large: all if there are at most ``draws``,
    else as many drawn and the observed one. Under reassignment the leads move together as they do, so their number
    does not matter, and neither does a covariance of less than full rank; right where clusters are alike but for
    treatment (`did.inference.randomisation`). With several onsets and a binary treatment, leads are averages of
    group-time effects.

    Skipped, with the reason: clusters that cannot change places, fewer than two bins before an onset, units with
    missing periods alone, several onsets with doses. Cells without an outcome are left out of a unit's mean. Raises
    DidError for an unknown level.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 8}, 0.0, seed=2, units_per_system=4)[0])
    >>> row = reassigned_leads(data, "system").iloc[0]
    >>> row["status"], int(row["n_tried"]), bool(row["p_value"] > 0.02)
    ('done', 4, True)
    """
    name = "reassigned_leads" if bin_width == 1 else f"reassigned_leads_bin_{bin_width}"
    row = diagnostic_row(name, panel, level) | {"bin_width": bin_width if bin_width > 1 else None}
    panel, unit = panel.keep(~panel.always_treated & (panel.observed_weight > 0).any(axis=1)).scaled()
    try:
        found, treated, about = _statistics(*carried(panel, level), level, bin_width, (draws, seed))
    except DidError as error:
        return [skipped(row, str(error))]
    t = np.abs(found.estimate / found.error)
    if not np.isfinite(t[0]).any():
        return [skipped(row, "no lead has an error")]
    largest = np.where(np.isfinite(t).any(axis=1), np.nanmax(np.where(np.isfinite(t), t, -1.0), axis=1), np.inf)
    others, plus = largest[1:], 0 if found.enumerated else 1
    p_value = (plus + (others >= largest[0] * (1 - TIED)).sum()) / (plus + len(others))
    return [row | {
        "value": float(np.nanmean(found.estimate[0])) * unit, "statistic": float(largest[0]),
        "p_value": float(p_value), "n_clusters": found.n_clusters, "n_treated_clusters": treated,
        "n_units": panel.n_units, "n_tried": t.shape[1], "reason": about}]


@dataclasses.dataclass(frozen=True)
class _Leads:
    """Estimates and clustered errors of (assignments, leads), the observed assignment first."""

    estimate: np.ndarray
    error: np.ndarray
    enumerated: bool
    n_clusters: int


def _statistics(panel: Panel, dose_note: str, level: str, width: int,
                drawn: tuple[int, int]) -> tuple[_Leads, int, str]:
    draws, seed = drawn
    if reason := no_assignment(panel, level):
        raise DidError(reason)
    codes, names = pd.factorize(panel.clusters[level])
    first = np.unique(codes, return_index=True)[1]
    pairs = np.column_stack([panel.treated_from[first], panel.dose[first]])
    waves, observed = np.unique(pairs, axis=0, return_inverse=True)
    observed = observed.ravel()
    total = n_orders(np.bincount(observed))
    orders = enumerate_orders(observed) if total <= draws else drawn_orders(observed, draws, seed)
    labels = np.concatenate([observed[None], orders])
    onsets = np.unique(waves[waves[:, 0] < panel.n_periods, 0]).astype(int)
    if not (panel.treated_from >= panel.n_periods).any():
        raise DidError("no never-treated unit")
    n_bins = int(np.ceil(onsets.min() / width))
    if n_bins < 2:
        raise DidError(f"no lead besides the reference (bins of {width} periods)")
    if panel.n_units * len(names) > LARGEST:
        raise DidError(f"{panel.n_units} units and {len(names)} clusters are too many")
    made = (_one_onset if len(onsets) == 1 else _several)(panel, codes, (waves, labels), onsets, width, n_bins)
    note = f"all {total} assignments" if total <= draws else f"{draws} draws of assignments"
    about = f"the largest of {made[0].shape[1]} leads in |t|, {note} of clusters by {level}"
    n_treated = int((waves[observed, 0] < panel.n_periods).sum())
    return _Leads(*made, total <= draws, len(names)), n_treated, join_notes(about, dose_note)


def _one_onset(panel: Panel, codes: np.ndarray, dealt: tuple[np.ndarray, np.ndarray], onsets: np.ndarray, width: int,
               n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Leads as coefficients of the dose in regressions of units' changes: products of sums over clusters."""
    waves, labels = dealt
    onset = int(onsets[0])
    weight = panel.observed_weight
    outcome = np.where(weight > 0, panel.outcome, 0.0)
    ends = [onset - width * at for at in range(n_bins)]
    means = []
    for end in ends:
        kept = slice(max(end - width, 0), end)
        size = weight[:, kept].sum(axis=1)
        means.append(np.where(size > 0, (weight * outcome)[:, kept].sum(axis=1) / np.where(size > 0, size, 1.0),
                              np.nan))
    level = np.nanmean(np.stack(means), axis=0)
    change = np.stack(means[1:], axis=1) - means[0][:, None]
    used = np.isfinite(change).all(axis=1) & np.isfinite(level)
    if used.sum() < 3:
        raise DidError("fewer than three units have an outcome in every bin before the onset")
    size, change, own = weight[used].sum(axis=1), change[used], codes[used]
    change = change - size @ change / size.sum()
    n_clusters = int(codes.max()) + 1
    people, product = np.bincount(own, size, n_clusters), np.zeros((n_clusters, change.shape[1]))
    np.add.at(product, own, size[:, None] * change)
    dose = np.where(waves[:, 0] < panel.n_periods, waves[:, 1], 0.0)[labels]
    f = dose - (dose @ people / people.sum())[:, None]
    squared = f * f
    square = (squared @ people)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = f @ product / square
        # Squares of the clusters' scores f_g (product_g - estimate f_g people_g), summed.
        parts = (squared @ product**2, estimate * ((squared * f) @ (people[:, None] * product)),
                 estimate**2 * ((squared * squared) @ people**2)[:, None])
        variance = parts[0] - 2 * parts[1] + parts[2]
        has_error = variance > ROUNDED * (parts[0] + parts[2])
        error = np.sqrt(np.where(has_error, variance, np.nan)) / square
    return estimate, error


def _several(panel: Panel, codes: np.ndarray, dealt: tuple[np.ndarray, np.ndarray], onsets: np.ndarray, width: int,
             n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Leads as averages of group-time effects against never-treated and not yet treated clusters."""
    waves, labels = dealt
    if panel.treatment != "binary":
        raise DidError("several onsets with doses: no leads by one rule")
    options = {"base_period": "universal", "base_window": width}
    if not group_time_sums.is_plain("callaway_santanna", options, panel):
        raise DidError("units with missing periods, or weights that change: no leads from sums over clusters")
    number = np.where(waves[:, 0] < panel.n_periods, np.searchsorted(onsets, waves[:, 0]), group_time_sums.NEVER)
    estimates, errors = [], []
    for at in range(1, n_bins):
        made = group_time_sums.sums(panel, codes, onsets, options, (-width * (at + 1), -width * at))
        found = group_time_sums.averages(made, number[labels])
        estimates.append(found.estimate)
        errors.append(np.where(found.varies, found.spread, np.nan))
    return np.stack(estimates, axis=1), np.stack(errors, axis=1)
