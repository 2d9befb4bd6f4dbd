"""Group-time effects of a whole sample: from moments where these are enough, else from each unit's changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.estimators import drdid_rc, group_time
from did.estimators.cohort_shares import CohortShares, Contrast
from did.estimators.drdid import NO_SIDE
from did.estimators.group_time import Cohort, Sample, control_blocks
from did.estimators.moments import Moments, Rows, rows_by_cohort
from did.estimators.shares import Shares, UnitShares


def effects(
    sample: Sample, cohorts: list[Cohort], units: pd.Index, *, never_treated_only: bool, method: str,
    sections: bool = False
) -> tuple[np.ndarray, Shares, list[str]]:
    """Return effect (cells,), the shares of ``units`` in it and reason (cells,) of all cells.

    As `did.estimators.group_time.effects`, which computes them where there are covariates, missing outcomes or weights
    that change over time, and `did.estimators.drdid_rc.effects`, for repeated cross-sections (``sections``). Elsewhere
    they follow from the moments of the sample's cohorts.
    """
    rows = None if sections else _rows(sample, method)
    contrast = contrast_of(cohorts, sample.outcome.shape[1]) if rows is not None else None
    if rows is None or contrast is None:
        value, influence, treated, reasons = (drdid_rc if sections else group_time).effects(
            sample, cohorts, never_treated_only=never_treated_only, method=method)
        return value, UnitShares(units, influence, treated), reasons
    moments = rows.moments()
    value, parts, reasons = from_moments(sample, cohorts, moments, contrast, never_treated_only=never_treated_only)
    return value, CohortShares(units, moments, rows, contrast, *parts), reasons


def _rows(sample: Sample, method: str) -> Rows | None:
    """Return the sample's outcomes by cohort, None where moments are not enough."""
    if (method != "unconditional" and len(sample.covariates)) or not np.isfinite(sample.outcome.sum()):
        return None
    return rows_by_cohort(sample.outcome, sample.first, sample.weight)


def contrast_of(cohorts: list[Cohort], n_periods: int) -> Contrast | None:
    """Return the cells' differences over time; None where a unit with every period still has too few for some base."""
    windows = None
    if any(cohort.window is not None for cohort in cohorts):
        everything = np.ones(n_periods, dtype=bool)
        columns = np.eye(n_periods)
        windows = np.concatenate([
            columns[:, cohort.base] if cohort.window is None else cohort.window(everything, slice(0, len(cohort.base)))
            for cohort in cohorts], axis=1)
        if np.isnan(windows).any():
            return None
    return Contrast(np.concatenate([cohort.period for cohort in cohorts]),
                    np.concatenate([cohort.base for cohort in cohorts]), windows)


def from_moments(
    sample: Sample, cohorts: list[Cohort], moments: Moments, contrast: Contrast, *, never_treated_only: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray], list[str]]:
    """Return effect (cells,), what its shares are made of (slopes, constant and behind, each (cohorts, cells), of
    `CohortShares`), and reason (cells,) of all cells.

    The effect is the mean change of the cohort's units less that of the controls, and a unit of weight w has the share
    w (its change - mean change) / (sum of weights) of its side.
    """
    firsts = np.flatnonzero(np.bincount(sample.first))
    # A sample whose units are the cohorts.
    each = Sample(moments.mean, sample.positions, firsts, sample.never, None, np.empty((0, *moments.mean.shape)), ())
    change = contrast.of(moments.mean)
    effect, reasons = np.zeros(change.shape[1]), [""] * change.shape[1]
    slopes, constant = np.zeros((2, *change.shape))
    behind = np.zeros(change.shape, dtype=bool)
    start = 0
    for cohort in cohorts:
        own = int(np.searchsorted(firsts, cohort.first))
        behind[own, start:start + len(cohort.period)] = True
        for cells, controls in control_blocks(each, cohort, never_treated_only):
            columns = slice(start + cells.start, start + cells.stop)
            others = np.flatnonzero(controls)
            total = moments.weight[others].sum()
            if not total > 0:
                effect[columns] = np.nan
                reasons[columns] = [NO_SIDE] * (cells.stop - cells.start)
                continue
            middle = (moments.weight[others, None] * change[others, columns]).sum(axis=0) / total
            effect[columns] = change[own, columns] - middle
            slopes[own, columns] = 1 / moments.weight[own]
            slopes[others, columns] = -1 / total
            constant[others, columns] = (middle - change[others, columns]) / total
        fixed = start + np.flatnonzero(cohort.reference)
        effect[fixed] = slopes[:, fixed] = constant[:, fixed] = 0.0
        for cell in fixed.tolist():
            reasons[cell] = ""
        start += len(cohort.period)
    return effect, (slopes, constant, behind), reasons
