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

import contextlib
import dataclasses
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from did.estimators.base import root_sum_squares

# A column is dropped when what earlier columns leave of its sum of squares, the effects taken out, is below this share.
COLLINEAR = 1e-10
# What is left of numbers is their rounding, and nothing else, up to this share of their size.
ROUNDING = 64 * float(np.finfo(float).eps)
# A coefficient that moves with a dropped column by more than this, both on the scale of their columns, is not its own.
DEPENDENT = 1e-4


@dataclasses.dataclass(frozen=True)
class Fit:
    """A weighted least-squares fit, kept by unit.

    coefficient  (columns,) NaN where it is not identified
    kept         (columns,) True for the columns used
    identified   (columns,) True for the columns whose coefficient does not depend on which collinear ones are dropped
    influence    (units, columns) each unit's summed score times the bread (X'WX)^-1; 0 where not identified
    residual     (units, periods) NaN where the cell was not used
    n_obs        cells with a positive weight
    n_units      units with at least one such cell
    n_periods    periods with at least one such cell
    leverage     (units, periods) how far a cell's own outcome moves its fit through the columns, the effects' part left
                 out; 0 where the cell was not used; None if the fit did not find it
    """

    coefficient: np.ndarray
    kept: np.ndarray
    identified: np.ndarray
    influence: np.ndarray
    residual: np.ndarray
    n_obs: int
    n_units: int
    n_periods: int
    leverage: np.ndarray | None = None


def within(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return ``values`` less their unit and period effects.

    ``values`` is (units, periods) or (units, periods, columns) in any unit of measure; ``weight`` is
    (units, periods), 0 where a cell is left out (its value may be NaN and comes back as 0). The result has
    the shape and unit of measure of ``values``.
    """
    return _by_cell(_without_both(_by_column(values), weight), values.shape)


def demean_periods(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return ``values`` less their weighted period means (shapes as in `within`)."""
    return _by_cell(_without_periods(_by_column(values), weight), values.shape)


def _by_column(values: np.ndarray) -> np.ndarray:
    """Return (units, periods) or (units, periods, columns) ``values`` as (columns, units, periods), in which sums run
    over neighbours in memory."""
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, 2, 0))


def _by_cell(columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return columns[0] if len(shape) == 2 else np.ascontiguousarray(np.moveaxis(columns, 0, 2))


def _without_both(columns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`within`, of (columns, units, periods)."""
    used = weight > 0
    columns = np.where(used, columns, 0.0)
    units, periods = used.any(axis=1), used.any(axis=0)
    own = weight[np.ix_(units, periods)]
    if own.size and (own == own[:, :1]).all():
        # The same over time, but for whole units and periods: the means are the effects.
        complete = used.all()
        inside = np.ix_(np.ones(len(columns), dtype=bool), units, periods)
        part, share = columns if complete else columns[inside], own[:, 0] / own[:, 0].sum()
        for _ in range(2):
            part -= part.mean(axis=2, keepdims=True)
            part -= (share @ part)[:, None, :]
        if not complete:
            columns[inside] = part
        return columns
    unit_total = weight.sum(axis=1)
    per_unit = weight / np.where(unit_total > 0, unit_total, 1.0)[:, None]
    inverse = period_inverse(weight, per_unit)
    for _ in range(2):  # the second round takes out the rounding of the first, which is of the size of the effects
        columns -= np.einsum("ut,kut->ku", per_unit, columns)[:, :, None]
        period = np.einsum("ut,kut->kt", weight, columns) @ inverse
        columns -= period[:, None, :]
        columns += (period @ per_unit.T)[:, :, None]
        columns = np.where(used, columns, 0.0)
    return columns


def period_inverse(weight: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Return the (periods, periods) inverse of the system that period effects solve (the head of this file).

    ``weight`` (units, periods), ``per_unit`` the same as shares of each unit's sum. The system is singular by one for
    each connected part of the panel (a constant may move between unit and period effects): the generalised inverse
    picks one of the equivalent solutions. Raises nothing.

    >>> weight = np.ones((3, 2))
    >>> period_inverse(weight, weight / 2).round(6).tolist()
    [[0.166667, -0.166667], [-0.166667, 0.166667]]
    """
    n_periods, total = weight.shape[1], weight[:, 0].sum()
    if total > 0 and (weight == weight[:, :1]).all():
        return (np.eye(n_periods) - 1 / n_periods) / total
    return generalised_inverse(np.diag(weight.sum(axis=0)) - weight.T @ per_unit)


def generalised_inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the Moore-Penrose inverse (n, n) of a symmetric (n, n) ``matrix`` of finite numbers, read only; an
    eigenvalue below 1e-12 of the largest in size counts as zero. Raises nothing.

    >>> generalised_inverse(np.array([[2.0, 0.0], [0.0, 0.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    return _generalised_inverse(np.asarray(matrix, dtype=float).tobytes())


@lru_cache(16)   # one estimate asks for the same several times, and so do placebos of one design
def _generalised_inverse(matrix: bytes) -> np.ndarray:
    numbers = np.frombuffer(matrix)
    n = math.isqrt(numbers.size)
    inverse = np.linalg.pinv(numbers.reshape(n, n), rcond=1e-12, hermitian=True)
    inverse.flags.writeable = False
    return inverse


def _without_periods(columns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`demean_periods`, of (columns, units, periods)."""
    used = weight > 0
    columns = np.where(used, columns, 0.0)
    total = weight.sum(axis=0)
    share = weight / np.where(total > 0, total, 1.0)[None, :]
    for _ in range(2):
        columns -= np.einsum("ut,kut->kt", share, columns)[:, None, :]
        columns = np.where(used, columns, 0.0)
    return columns


def two_way_fit(outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    """Regress ``outcome`` on ``regressors`` with unit and period effects, by weighted least squares.

    outcome (units, periods), NaN = left out; regressors (units, periods, columns), finite; weight
    (units, periods), 0 = left out. A column that earlier columns and the effects explain is dropped.
    """
    return _fit(_without_both, outcome, regressors, weight)


def period_effects_fit(outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    """Regress ``outcome`` on ``regressors`` with period effects only; shapes and rules of `two_way_fit`."""
    return _fit(_without_periods, outcome, regressors, weight)


def _fit(without_effects: Callable, outcome: np.ndarray, regressors: np.ndarray, weight: np.ndarray) -> Fit:
    weight = np.where(np.isfinite(outcome), weight, 0.0)
    used, w, columns = weight > 0, weight.ravel(), _by_column(regressors)
    raw_squares = (columns.reshape(len(columns), -1) ** 2) @ w
    # Cells that are not used are zeros, here and below.
    x = without_effects(columns, weight).reshape(len(columns), -1)
    cells = without_effects(outcome[None], weight).ravel()
    gram = (x * w) @ x.T
    rounding = ROUNDING**2 * raw_squares
    kept = independent_columns(gram, rounding)
    identified = identified_columns(gram, kept, rounding)
    coefficient = np.full(regressors.shape[2], np.nan)
    influence = np.zeros((len(outcome), regressors.shape[2]))
    leverage = np.zeros(outcome.shape)
    if kept.any():
        # Columns of one size, so that a large unit of measure of one does not cost the others their digits.
        unit = np.ldexp(1.0, np.frexp(np.sqrt(np.diag(gram)[kept]))[1])
        x = x[kept] / unit[:, None]
        root = np.sqrt(w)
        basis, triangle = np.linalg.qr((x * root).T)
        inverse = np.linalg.inv(triangle)
        leverage = (basis**2).sum(axis=1).reshape(outcome.shape)
        scaled = inverse @ (basis.T @ (root * cells))
        coefficient[kept] = scaled / unit
        cells = cells - scaled @ x
        if root_sum_squares(cells) <= ROUNDING * root_sum_squares(outcome[used]):
            cells = np.zeros_like(cells)
        score = (x * (w * cells)).reshape(len(x), *outcome.shape).sum(axis=2)
        influence[:, kept] = score.T @ (inverse @ inverse.T) / unit
    residual = np.where(used, cells.reshape(outcome.shape), np.nan)
    coefficient[~identified], influence[:, ~identified] = np.nan, 0.0
    return Fit(coefficient, kept, identified, influence, residual, int(used.sum()), int(used.any(axis=1).sum()),
               int(used.any(axis=0).sum()), leverage)


def independent_columns(gram: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return which columns of a regressor matrix to keep, from its Gram matrix, dropping later ones first.

    The effects are out of the columns, so a constant added to one changes nothing. ``rounding`` (columns,) are the
    sums of squares up to which a column is only what rounding left of one that lies in the effects.
    """
    with contextlib.suppress(np.linalg.LinAlgError):
        # As a rule every column is far from dropped, which one decomposition tells: its pivots are those below.
        pivots = np.diag(np.linalg.cholesky(gram)) ** 2
        if (pivots > 2 * np.maximum(COLLINEAR * np.diag(gram), rounding)).all():
            return np.ones(len(gram), dtype=bool)
    left = gram.copy()
    kept = np.zeros(len(gram), dtype=bool)
    for column in range(len(gram)):
        pivot = left[column, column]
        if pivot > COLLINEAR * max(gram[column, column], 0.0) and pivot > rounding[column]:
            kept[column] = True
            left -= np.outer(left[:, column], left[column, :]) / pivot
    return kept


def identified_columns(gram: np.ndarray, kept: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Return which columns of a regressor matrix have a coefficient of their own, from its Gram matrix.

    Some columns must be dropped as collinear; a column ``kept`` that one of them is made of would take up its
    coefficient, so that its own depends on which was dropped. A column of no more than ``rounding`` is made of none.
    """
    squares = np.diag(gram)
    dropped = ~kept & (squares > rounding)
    if not dropped.any() or not kept.any():
        return kept.copy()
    size = np.sqrt(np.where(kept | dropped, squares, 1.0))
    scaled = gram / np.outer(size, size)
    made_of = np.linalg.solve(scaled[np.ix_(kept, kept)], scaled[np.ix_(kept, dropped)])
    identified = kept.copy()
    identified[kept] = (np.abs(made_of) < DEPENDENT).all(axis=1)
    return identified
