"""A panel whose units are the cohorts of another: a regression with the same columns for all units of a cohort is one
of the cohorts' means, and errors by unit follow from the moments (`did.estimators.cohort_shares`)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators.base import Panel
from did.estimators.cohort_shares import CohortShares
from did.estimators.moments import Moments, Rows, rows_by_cohort


@dataclasses.dataclass(frozen=True)
class CohortPanel:
    """The cohorts of a panel.

    panel    its units are the cohorts: mean outcomes less each unit's own mean, the sums of weights as weights
    units    (units,) labels of the units; rows their outcomes; moments of these
    """

    panel: Panel
    units: pd.Index
    rows: Rows
    moments: Moments

    def shares(self, slopes: np.ndarray, constant: np.ndarray, behind: np.ndarray) -> CohortShares:
        """Return shares of units, by cohort; arrays as `CohortShares` has them without a contrast."""
        return CohortShares(self.units, self.moments, self.rows, None, slopes, constant, behind)

    def keep(self, cohorts: np.ndarray) -> CohortPanel:
        """Return the units of the cohorts where the (cohorts,) mask is True."""
        if cohorts.all():
            return self
        units = cohorts[self.rows.cohort]
        outcome = self.rows.outcome[units]
        weight = None if self.rows.weight is None else self.rows.weight[units]
        rows = Rows(outcome, weight, (np.cumsum(cohorts) - 1)[self.rows.cohort[units]], int(cohorts.sum()))
        moments = self.moments.take(cohorts, np.arange(self.moments.n_periods))
        return CohortPanel(self.panel.keep(cohorts), self.units[units], rows,
                           dataclasses.replace(moments, squares=float(np.vdot(outcome, outcome))))


def by_cohort(panel: Panel, n_periods: int | None = None) -> CohortPanel | None:
    """Return the cohorts of a panel, or of its first ``n_periods``; None where these do not say all: outcomes are
    missing, weights are 0 or change over time, or units of a cohort differ in dose."""
    outcome = panel.outcome if n_periods is None else panel.outcome[:, :n_periods]
    weight = None if panel.weight is None else panel.weight[:, :outcome.shape[1]]
    if not (panel.is_complete or np.isfinite(outcome).all()) or (weight is not None and not (weight > 0).all()):
        return None
    first = np.clip(panel.treated_from, 0, outcome.shape[1])
    rows = rows_by_cohort(outcome, first, weight)
    if rows is None:
        return None
    own = np.array([places[0] for places in rows.places])
    if (panel.dose != panel.dose[own][rows.cohort]).any():
        return None
    moments = rows.moments()
    labels = pd.RangeIndex(len(own))
    cohorts = Panel(moments.mean, labels, panel.periods[:outcome.shape[1]], panel.frequency, first[own],
                    panel.dose[own], panel.treatment, {"unit": labels.to_numpy()},
                    np.repeat(moments.weight[:, None], outcome.shape[1], axis=1))
    return CohortPanel(cohorts, panel.units, rows, moments)
