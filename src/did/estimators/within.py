"""Two-way fixed effects regression: take out unit and period effects, then least squares.

One closed form serves balanced, unbalanced and weighted panels. The effects of a variable V solve the
weighted normal equations; with the unit effects substituted out, a system of periods x periods is left:

    (diag(w_.t) - W' diag(1 / w_i.) W) gamma = sum_i w_it (V_it - mean_i(V)),    alpha_i = mean_i(V - gamma)

and V - alpha_i - gamma_t is the within-transformed variable (Wansbeek and Kapteyn 1989, Journal of
Econometrics 41:341-361). In a balanced panel this is V_it - mean_i - mean_t + mean. By the theorem
of Frisch, Waugh and Lovell, least squares on transformed variables gives the coefficients and residuals of
the regression with all dummies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from statsmodels.regression.linear_model import WLS

# A column is dropped when what the earlier columns and the effects leave of its sum of squares is below
# this share; residuals below this share of the outcome are rounding and count as a perfect fit.
COLLINEAR = 1e-10
ROUNDING = 1e-11


@dataclasses.dataclass(frozen=True)
class Fit:
    """A weighted least-squares fit, kept by unit.

    coefficient  (columns,) NaN where a column was dropped as collinear
    kept         (columns,) True for the columns used
    influence    (units, columns) each unit's summed score times the bread (X'WX)^-1; 0 where dropped
    residual     (units, periods) NaN where the cell was not used
    n_obs        cells with a positive weight
    n_units      units with at least one such cell
    n_periods    periods with at least one such cell
    """

    coefficient: np.ndarray
    kept: np.ndarray
    influence: np.ndarray
    residual: np.ndarray
    n_obs: int
    n_units: int
    n_periods: int


def within(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return ``values`` less their unit and period effects.

    ``values`` is (units, periods) or (units, periods, columns) in any unit of measure; ``weight`` is
    (units, periods), 0 where a cell is left out (its value may be NaN and comes back as 0). The result has
    the shape and unit of measure of ``values``.
    """
    used = weight > 0
    flat = np.where(used[:, :, None], values.reshape(*weight.shape, -1), 0.0)
    units, periods = used.any(axis=1), used.any(axis=0)
    first = weight[np.ix_(units, periods)]
    if first.size and (first == first[0, 0]).all():
        # Complete and unweighted but for whole units and periods: the means are the effects.
        part = flat[np.ix_(units, periods)]
        part -= part.mean(axis=1, keepdims=True)
        part -= part.mean(axis=0, keepdims=True)
        flat[np.ix_(units, periods)] = part
        return flat.reshape(values.shape)
    unit_total = weight.sum(axis=1)
    per_unit = weight / np.where(unit_total > 0, unit_total, 1.0)[:, None]
    flat -= np.einsum("ut,utk->uk", per_unit, flat)[:, None, :]
    system = np.diag(weight.sum(axis=0)) - weight.T @ per_unit
    # Singular by one for each connected part of the panel (a constant may move between unit and period
    # effects): the generalised inverse picks one of the equivalent solutions.
    period = np.linalg.pinv(system, rcond=1e-12, hermitian=True) @ np.einsum("ut,utk->tk", weight, flat)
    flat -= period[None, :, :]
    flat += (per_unit @ period)[:, None, :]
    return np.where(used[:, :, None], flat, 0.0).reshape(values.shape)


def demean_periods(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return ``values`` less their weighted period means (shapes as in `within`)."""
    used = weight > 0
    flat = np.where(used[:, :, None], values.reshape(*weight.shape, -1), 0.0)
    total = weight.sum(axis=0)
    share = weight / np.where(total > 0, total, 1.0)[None, :]
    flat -= np.einsum("ut,utk->tk", share, flat)[None, :, :]
    return np.where(used[:, :, None], flat, 0.0).reshape(values.shape)


def two_way_fit(outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    """Regress ``outcome`` on ``regressors`` with unit and period effects, by weighted least squares.

    outcome (units, periods), NaN = left out; regressors (units, periods, columns), finite; weight
    (units, periods), 0 = left out. A column that earlier columns and the effects explain is dropped.
    """
    return _fit(within, outcome, regressors, weight)


def period_effects_fit(outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    """Regress ``outcome`` on ``regressors`` with period effects only; shapes and rules of `two_way_fit`."""
    return _fit(demean_periods, outcome, regressors, weight)


def _fit(without_effects: Callable, outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    weight = np.where(np.isfinite(outcome), weight, 0.0)
    raw_squares = np.einsum("ut,utk,utk->k", weight, regressors, regressors)
    used = weight > 0
    x, w = without_effects(regressors, weight)[used], weight[used]
    cells = without_effects(outcome, weight)[used]
    kept = independent_columns(x.T @ (x * w[:, None]), raw_squares)
    coefficient = np.full(regressors.shape[2], np.nan)
    influence = np.zeros((len(outcome), regressors.shape[2]))
    if kept.any():
        columns = x[:, kept] if not kept.all() else x
        # The effects are out, so there is no constant to look for: looking would cost two decompositions.
        fit = WLS(cells, columns, weights=w, hasconst=False).fit(method="qr")
        coefficient[kept] = fit.params
        cells = np.asarray(fit.resid)
        if np.linalg.norm(cells) <= ROUNDING * np.linalg.norm(outcome[used]):
            cells = np.zeros_like(cells)
        score = np.zeros((*weight.shape, int(kept.sum())))
        score[used] = columns * (w * cells)[:, None]
        influence[:, kept] = score.sum(axis=1) @ fit.normalized_cov_params
    residual = np.full(outcome.shape, np.nan)
    residual[used] = cells
    return Fit(coefficient, kept, influence, residual, int(used.sum()), int(used.any(axis=1).sum()),
               int(used.any(axis=0).sum()))


def independent_columns(gram: np.ndarray, raw_squares: np.ndarray) -> np.ndarray:
    """Return which columns of a regressor matrix to keep, from its Gram matrix, dropping later ones first.

    ``raw_squares`` are the columns' sums of squares before the effects were taken out: a column that lies
    in the effects has next to nothing left of it.
    """
    left = gram.copy()
    kept = np.zeros(len(gram), dtype=bool)
    for column in range(len(gram)):
        pivot = left[column, column]
        if pivot > COLLINEAR * max(gram[column, column], 0.0) and pivot > COLLINEAR * raw_squares[column]:
            kept[column] = True
            left -= np.outer(left[:, column], left[column, :]) / pivot
    return kept
