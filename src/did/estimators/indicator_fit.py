"""Two-way regression on indicators of which each cell has at most one, without writing them out.

With a column per event time the regressors are units x periods x columns numbers, nearly all zero. All that least
squares needs of them are sums over the cells of a column, by unit and by period (`did.estimators.within` has the
formulas of the effects).
"""

from __future__ import annotations

import numpy as np

from did.estimators.base import root_sum_squares
from did.estimators.within import (
    COLLINEAR,
    ROUNDING,
    Fit,
    identified_columns,
    independent_columns,
    period_inverse,
    within,
)


def indicator_fit(
    outcome: np.ndarray, column: np.ndarray, value: np.ndarray, weight: np.ndarray, n_columns: int
) -> Fit:
    """Regress ``outcome`` on columns with unit and period effects, by weighted least squares.

    outcome (units, periods), NaN = left out; ``column`` (units, periods) the one column that is not 0 there, below 0
    if none is; ``value`` (units, periods) what it is there; weight (units, periods), 0 = left out. Equal to
    `within.two_way_fit` on the columns written out, in memory and time of the panel.
    """
    weight = np.where(np.isfinite(outcome), weight, 0.0)
    used = weight > 0
    n_units, n_periods = weight.shape
    cell = used & (column >= 0)
    unit, period = np.nonzero(cell)
    k, v, w = column[cell], value[cell], weight[cell]

    def summed(rows: np.ndarray, n_rows: int, what: np.ndarray) -> np.ndarray:
        return np.bincount(rows * n_columns + k, what, n_rows * n_columns).reshape(n_rows, n_columns)

    total = weight.sum(axis=1)
    per_unit = weight / np.where(total > 0, total, 1.0)[:, None]
    by_unit, by_period = summed(unit, n_units, w * v), summed(period, n_periods, w * v)
    means = by_unit / np.where(total > 0, total, 1.0)[:, None]
    periods = period_inverse(weight, per_unit) @ (by_period - weight.T @ means)
    units = means - per_unit @ periods
    squares = np.bincount(k, w * v * v, n_columns)
    gram = np.diag(squares) - by_unit.T @ units - by_period.T @ periods
    gram = (gram + gram.T) / 2
    # Unlike in `within`, the effects are taken out of sums of squares, whose rounding is larger.
    rounding = COLLINEAR * squares
    kept = independent_columns(gram, rounding)
    identified = identified_columns(gram, kept, rounding)
    target = within(outcome, weight)

    def residuals(coefficient: np.ndarray) -> np.ndarray:
        fitted = np.zeros_like(target)
        fitted[cell] = v * coefficient[k]
        fitted -= (units @ coefficient)[:, None] + (periods @ coefficient)[None, :]
        return np.where(used, target - fitted, 0.0)

    bread = np.linalg.inv(gram[np.ix_(kept, kept)])
    coefficient, left = np.zeros(n_columns), target
    for _ in range(2):  # the second round takes out the rounding of the first
        coefficient[kept] += bread @ np.bincount(k, w * v * left[cell], n_columns)[kept]
        left = residuals(coefficient)
    if root_sum_squares(left[used]) <= ROUNDING * root_sum_squares(outcome[used]):
        left = np.zeros_like(left)
    score = summed(unit, n_units, w * v * left[cell]) - (weight * left) @ periods
    influence = np.zeros((n_units, n_columns))
    influence[:, kept] = score[:, kept] @ bread
    influence[:, ~identified] = 0.0
    return Fit(np.where(identified, coefficient, np.nan), kept, identified, influence, np.where(used, left, np.nan),
               int(used.sum()), int(used.any(axis=1).sum()), int(used.any(axis=0).sum()))
