"""A regression with fixed effects as arrays, so that its inference can be redone without its estimator."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, join_notes, listed, unit_of
from did.estimators.within import ROUNDING, Fit, demean_periods, period_effects_fit, two_way_fit, within


@dataclasses.dataclass(frozen=True)
class Design:
    """What an estimator regresses on what.

    outcome     (units, periods) in units of the outcome; NaN = left out
    regressors  (units, periods, columns) finite
    names       (columns,) of the regressors
    wanted      columns that are the estimator's parameters; the others are controls
    weight      (units, periods) non-negative, 0 where a cell is left out
    effects     ``two_way`` (unit and period effects) or ``period``
    units       (units,) labels
    clusters    level -> (units,) labels
    """

    outcome: np.ndarray
    regressors: np.ndarray
    names: tuple[str, ...]
    wanted: tuple[int, ...]
    weight: np.ndarray
    effects: str
    units: pd.Index
    clusters: dict[str, np.ndarray]

    def without_effects(self, values: np.ndarray) -> np.ndarray:
        """Return (units, periods) or (units, periods, columns) ``values`` less the design's effects, 0 where the
        weight is 0."""
        return (within if self.effects == "two_way" else demean_periods)(values, self.weight)

    def scaled(self) -> tuple[Design, np.ndarray]:
        """Return the design in units in which squares neither overflow nor vanish, and the units of its coefficients.

        Both outcome and regressors are divided by powers of two (`did.estimators.base.unit_of`); units (columns,).
        """
        outcome, weight = unit_of(self.outcome), unit_of(self.weight)
        columns = np.array([unit_of(self.regressors[:, :, column]) for column in range(len(self.names))])
        return dataclasses.replace(self, outcome=self.outcome / outcome, regressors=self.regressors / columns,
                                   weight=self.weight / weight), outcome / columns

    def exposure(self, columns: Sequence[int]) -> np.ndarray:
        """Return the (units, columns) largest size of regressors over a unit's cells in use: of treatment, its dose."""
        return np.where((self.weight > 0)[:, :, None], np.abs(self.regressors[:, :, columns]), 0.0).max(axis=1)

    def fit(self) -> Fit:
        """Return the weighted least-squares fit of the design."""
        return (two_way_fit if self.effects == "two_way" else period_effects_fit)(
            self.outcome, self.regressors, self.weight)


def covariate_columns(panel: Panel, covariates: Sequence[str], estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the panel's ``covariates`` as (units, periods, covariates) and the weight of the cells that have them.

    Values are in the covariate's own unit of measure, 0 in cells that are not used. The (units, periods) weight is
    ``panel.observed_weight``, 0 also where a covariate is missing.

    Raises DidError, beginning with ``estimator``, if a covariate is not in the panel or if unit and period effects
    explain it in the cells used, so that it has no coefficient: one value per unit, one value per period, or a sum
    of the two.
    """
    for name in covariates:
        one_of(f"{estimator}: covariates", name, panel.covariates)
    if not covariates:
        return np.empty((*panel.outcome.shape, 0)), panel.observed_weight
    values = np.stack([panel.covariates[name] for name in covariates], axis=2)
    weight = np.where(np.isfinite(values).all(axis=2), panel.observed_weight, 0.0)
    values = np.where((weight > 0)[:, :, None], values, 0.0)
    rounding = ROUNDING**2 * _squares(values, weight)
    flat = _squares(within(values, weight), weight) <= rounding
    per_unit = _squares(demean_periods(values.swapaxes(0, 1), weight.T), weight.T) <= rounding
    per_period = _squares(demean_periods(values, weight), weight) <= rounding
    for column in np.flatnonzero(flat).tolist():
        found = ("no cell with an outcome and all covariates" if not weight.any()
                 else "one value per unit" if per_unit[column]
                 else "one value per period" if per_period[column] else "a value per unit plus one per period")
        raise DidError(f"{estimator}: covariate '{covariates[column]}': expected changes over time that differ between "
                       f"units; found {found}, which leaves nothing beyond unit and period effects; leave it out")
    return values, weight


def _squares(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.einsum("ut,utk,utk->k", weight, values, values)


def refuse_collinear(covariates: Sequence[str], kept: np.ndarray, estimator: str) -> None:
    """Raise DidError, beginning with ``estimator``, at the first covariate dropped by its fit as collinear.

    ``kept`` (covariates,) is the end of `Fit.kept`: covariates are the last columns of a regression.
    """
    for name, has_slope in zip(covariates, kept, strict=True):
        if not has_slope:
            raise DidError(f"{estimator}: covariate '{name}': expected variation beyond treatment, the effects and the "
                           "covariates before it; found none; leave it out")


def left_out(panel: Panel, weight: np.ndarray, covariates: Sequence[str] = ()) -> str:
    """Return the note on the cells of ``panel`` that a regression with (units, periods) ``weight`` leaves out.

    Empty if none is. Cells without an outcome are counted apart from those that only lack one of ``covariates``.
    """
    absent, lacking = panel.observed_weight <= 0, (panel.observed_weight > 0) & (weight <= 0)
    empty, bare = absent.all(axis=1), (weight <= 0).all(axis=1) & ~absent.all(axis=1)
    of = f"of {panel.outcome.size} unit-periods"
    behind = [name for name in covariates if (lacking & ~np.isfinite(panel.covariates[name])).any()]
    return join_notes(
        f"{int(absent.sum())} {of} have no outcome or no weight and are left out" if absent.any() else "",
        f"no outcome at all: {listed(panel.units[empty])}" if empty.any() else "",
        f"{int(lacking.sum())} {of} have an outcome but no {listed(behind)} and are left out" if lacking.any() else "",
        f"no period with outcome and covariates: {listed(panel.units[bare])}" if bare.any() else "",
    )
