"""Quasi-likelihood with effects by unit or group and columns that belong to one period each.

Maximises sum_it w_it (Y_it eta_it - b(eta_it)), eta_it = offset_it + a_i + sum over columns k of period t of x_ik c_k,
by Newton's steps. Dummies of units are not written out: their block of the normal equations is diagonal and is
substituted out, which leaves as many equations as columns, and each step is exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.special import expit

from did.estimators.within import COLLINEAR, independent_columns

# Newton's steps end when no linear predictor moves by more than this share of the largest, or of 1.
CLOSE = 1e-9
MOST_STEPS = 60


class Separated(Exception):
    """No maximum: some linear predictor runs to infinity. Holds the (unit, period) farthest on its way."""

    def __init__(self, cell: tuple[int, int]):
        self.cell = cell
        super().__init__(str(cell))


@dataclasses.dataclass(frozen=True)
class Family:
    """b(eta), its derivative (the mean) and its second derivative (the variance), of the canonical link."""

    cumulant: Callable[[np.ndarray], np.ndarray]
    mean: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


FAMILIES = {
    "linear": Family(lambda eta: eta**2 / 2, lambda eta: eta, np.ones_like),
    "poisson": Family(np.exp, np.exp, np.exp),
    "logit": Family(lambda eta: np.logaddexp(0.0, eta), expit, lambda eta: expit(eta) * expit(-eta)),
}


@dataclasses.dataclass(frozen=True)
class Model:
    """The regressors.

    groups   (units, groups) columns fixed over time, such as dummies of cohorts; None = an effect per unit
    columns  (units, columns) values of the others, each 0 outside its period
    period   (columns,) position of that period
    """

    groups: np.ndarray | None
    columns: np.ndarray
    period: np.ndarray

    def predict(self, effects: np.ndarray, coefficients: np.ndarray, n_periods: int) -> np.ndarray:
        """Return the (units, periods) linear predictor of (units or groups,) effects and (columns,) coefficients."""
        of_period = np.eye(n_periods)[self.period] * coefficients[:, None]
        own = effects if self.groups is None else self.groups @ effects
        return own[:, None] + self.columns @ of_period


@dataclasses.dataclass(frozen=True)
class Normal:
    """Z'WZ of a `Model`, the block of unit or group effects substituted out; see `normal_equations`."""

    model: Model
    own: np.ndarray
    cross: np.ndarray
    share: np.ndarray
    inverse: np.ndarray
    kept: np.ndarray

    def solve(self, by_unit: np.ndarray, by_column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the effects and coefficients u of Z'WZ u = d, d given as (units or groups,) and (columns,) parts."""
        coefficients = np.zeros(len(by_column))
        coefficients[self.kept] = self.inverse @ (by_column - self.share.T @ by_unit)[self.kept]
        left = by_unit - self.cross @ coefficients
        return (left / self.own if self.model.groups is None else np.linalg.solve(self.own, left)), coefficients


def normal_equations(model: Model, weight: np.ndarray, kept: np.ndarray | None = None) -> Normal:
    """Return the normal equations with (units, periods) ``weight``; without ``kept``, find which columns to keep.

    Every unit has a positive weight. Columns that earlier ones and the effects explain are dropped. Raises
    numpy.linalg.LinAlgError if the columns kept are collinear under this weight.
    """
    total = weight.sum(axis=1)
    cross = weight[:, model.period] * model.columns
    gram = np.where(model.period[:, None] == model.period, model.columns.T @ cross, 0.0)
    if model.groups is None:
        own = total
        share = cross / total[:, None]
    else:
        own = model.groups.T @ (total[:, None] * model.groups)
        cross = model.groups.T @ cross
        share = np.linalg.solve(own, cross)
    reduced = gram - cross.T @ share
    reduced = (reduced + reduced.T) / 2
    if kept is None:
        kept = independent_columns(reduced, COLLINEAR * np.diag(gram))
    return Normal(model, own, cross, share, np.linalg.inv(reduced[np.ix_(kept, kept)]), kept)


def by_parts(model: Model, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Z'values of (units, periods) values, as the parts of effects and of columns."""
    total = values.sum(axis=1)
    own = total if model.groups is None else model.groups.T @ total
    return own, (values[:, model.period] * model.columns).sum(axis=0)


@dataclasses.dataclass(frozen=True)
class QuasiFit:
    """The maximum.

    effects, coefficients  (units or groups,) and (columns,); 0 for dropped columns
    eta                    (units, periods) linear predictor, also of cells without weight
    score                  (units, periods) w (Y - mean), 0 where the weight is
    normal                 the normal equations at the maximum
    """

    effects: np.ndarray
    coefficients: np.ndarray
    eta: np.ndarray
    score: np.ndarray
    normal: Normal


def fit(family: Family, model: Model, outcome: np.ndarray, weight: np.ndarray, offset: np.ndarray,
        start: np.ndarray) -> QuasiFit:
    """Return the maximum of the quasi-likelihood.

    outcome, weight (0 = left out), offset and ``start`` (first linear predictor) are (units, periods) and finite.
    Raises `Separated` if there is no maximum.
    """
    used, n_periods = weight > 0, weight.shape[1]
    kept = normal_equations(model, weight).kept

    def loss(eta: np.ndarray) -> float:
        return float((weight * (family.cumulant(eta) - outcome * eta))[used].sum())

    eta, at, height = start, None, np.inf
    for _ in range(MOST_STEPS):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            slope = np.where(used, family.slope(eta), 1.0)
            worked = np.where(used, slope * (eta - offset) + outcome - family.mean(eta), 0.0)
            try:
                solved = normal_equations(model, weight * slope, kept).solve(*by_parts(model, weight * worked))
            except np.linalg.LinAlgError:
                break
            for _ in range(30):  # a step that goes too far is halved
                new = offset + model.predict(*solved, n_periods)
                found = loss(new)
                if at is None or found <= height + 1e-12 * abs(height):
                    break
                solved = tuple((there + here) / 2 for there, here in zip(solved, at, strict=True))
        if not np.isfinite(found):
            break
        moved = np.abs(new - eta)[used].max()
        eta, at, height = new, solved, found
        if moved <= CLOSE * max(1.0, np.abs(eta)[used].max()):
            slope = np.where(used, family.slope(eta), 0.0)
            score = np.where(used, weight * (outcome - family.mean(eta)), 0.0)
            return QuasiFit(*at, eta, score, normal_equations(model, weight * slope, kept))
    far = np.where(used, np.abs(eta - start), -1.0)
    unit, period = np.unravel_index(np.nanargmax(far), far.shape)
    raise Separated((int(unit), int(period)))
