"""Each unit's share of (estimate - truth): what errors at any cluster level are made of.

A share is an influence function, scaled so that the sum over clusters of squared cluster sums is the variance without a
small-sample factor. `UnitShares` hold them written out; `did.estimators.cohort_shares` has those that a few numbers per
cohort stand for.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pandas as pd

# Sums of squares in between have lost nothing to numbers that are too large or too small.
SQUARES = (1e-200, 1e200)


class Shares(ABC):
    """The shares (units, parameters) of a result, and which treated units each parameter rests on.

    units  (units,) labels of the units used
    """

    units: pd.Index

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Number of parameters."""

    @abstractmethod
    def influence(self) -> np.ndarray:
        """Return the shares written out, (units, parameters)."""

    @abstractmethod
    def treated(self) -> np.ndarray:
        """Return (units, parameters) True for the treated units a parameter rests on."""

    @abstractmethod
    def silent(self) -> np.ndarray:
        """Return (parameters,) True where an estimator gives no share."""

    @abstractmethod
    def spread(self) -> np.ndarray:
        """Return (parameters,) roots of the sums over units of squared shares: errors by unit."""

    @abstractmethod
    def magnitude(self) -> np.ndarray:
        """Return (parameters,) sums over units of the size of shares, or a bound of them."""

    @abstractmethod
    def root(self) -> np.ndarray:
        """Return R (at most parameters, parameters), R'R the sums over units of products of shares: their covariance
        by unit."""

    @abstractmethod
    def behind_any(self) -> np.ndarray:
        """Return (units,) True for the treated units that any parameter rests on."""

    @abstractmethod
    def sums(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        """Return (clusters, parameters) sums of shares over ``codes`` (units,), the number of each unit's cluster."""

    @abstractmethod
    def n_treated(self) -> np.ndarray:
        """Return (parameters,) numbers of treated units that a parameter rests on."""

    @abstractmethod
    def n_treated_clusters(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        """Return (parameters,) numbers of clusters with such a unit; ``codes`` as in `sums`."""

    @abstractmethod
    def exposure(self, dose: np.ndarray) -> np.ndarray:
        """Return (parameters,) roots of the sums of squared ``dose`` (units,) over the treated units."""

    def outcome_size(self, outcome: np.ndarray, places: np.ndarray) -> float:
        """Return the root mean square of the units' outcomes: those at ``places`` (units,) of (rows, periods)
        ``outcome``, NaN = not observed."""
        return outcome_size(outcome[places])

    @abstractmethod
    def columns(self, chosen: np.ndarray | Sequence[int]) -> Shares:
        """Return the shares of the parameters ``chosen``, a mask or their places."""

    @abstractmethod
    def times(self, factor: float) -> Shares:
        """Return the shares of the parameters times a number."""

    @abstractmethod
    def averaged(self, averages: Averages) -> Shares:
        """Return the shares of averages of the parameters."""


@dataclasses.dataclass(frozen=True)
class Averages:
    """Averages of parameters, with weights that are sizes of cohorts and so estimated too.

    weights  (parameters, averages); used (parameters, averages) True where the average rests on the parameter
    spread   (cohorts, averages) what a unit of a cohort adds by being counted, per unit of its weight
    code     (units,) each unit's cohort, -1 for none; own (units,) its weight
    """

    weights: np.ndarray
    used: np.ndarray
    spread: np.ndarray
    code: np.ndarray
    own: np.ndarray

    def padded(self) -> np.ndarray:
        """Return `spread` with a last row of zeros, that of code -1."""
        return np.concatenate([self.spread, np.zeros((1, self.spread.shape[1]))])


@dataclasses.dataclass(frozen=True)
class UnitShares(Shares):
    """Shares written out: (units, parameters) ``written``, and ``behind``, True for treated units."""

    units: pd.Index
    written: np.ndarray
    behind: np.ndarray

    @property
    def n_parameters(self) -> int:
        return self.written.shape[1]

    def influence(self) -> np.ndarray:
        return self.written

    def treated(self) -> np.ndarray:
        return self.behind

    def silent(self) -> np.ndarray:
        return np.isnan(self.written).any(axis=0)

    def spread(self) -> np.ndarray:
        return root_sum_squares(self.written, axis=0)

    def magnitude(self) -> np.ndarray:
        return np.abs(self.written).sum(axis=0)

    def root(self) -> np.ndarray:
        return triangle(self.written)

    def behind_any(self) -> np.ndarray:
        return np.asarray(self.behind.any(axis=1))

    def sums(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        return summed(self.written, codes, n_clusters)

    def n_treated(self) -> np.ndarray:
        return self.behind.sum(axis=0)

    def n_treated_clusters(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        return (summed(self.behind.astype(np.int32), codes, n_clusters) > 0).sum(axis=0)

    def exposure(self, dose: np.ndarray) -> np.ndarray:
        return root_sum_squares(self.behind * dose[:, None], axis=0)

    def columns(self, chosen: np.ndarray | Sequence[int]) -> UnitShares:
        return UnitShares(self.units, self.written[:, chosen], self.behind[:, chosen])

    def times(self, factor: float) -> UnitShares:
        return UnitShares(self.units, self.written * factor, self.behind)

    def averaged(self, averages: Averages) -> UnitShares:
        written = self.written @ averages.weights
        written += averages.own[:, None] * averages.padded()[averages.code]
        behind = self.behind.astype(np.float32) @ averages.used.astype(np.float32) > 0
        return UnitShares(self.units, written, behind)


def joined(parts: Sequence[Shares]) -> UnitShares:
    """Return the shares of the parameters of several results of the same units, one after the other."""
    return UnitShares(parts[0].units, np.hstack([part.influence() for part in parts]),
                      np.hstack([part.treated() for part in parts]))


def triangle(rows: np.ndarray) -> np.ndarray:
    """Return R of the QR decomposition of (rows, columns), R'R = rows' rows."""
    return np.asarray(np.linalg.qr(rows, mode="r"))   # its stub says a pair


def summed(values: np.ndarray, codes: np.ndarray, n_groups: int) -> np.ndarray:
    """Return (groups, columns) sums of (units, columns) ``values`` over ``codes`` (units,), all of which occur."""
    order = np.argsort(codes, kind="stable")
    if n_groups == len(codes):
        return np.asarray(values[order])
    return np.add.reduceat(values[order], np.searchsorted(codes[order], np.arange(n_groups)), axis=0)


def outcome_size(outcome: np.ndarray) -> float:
    """Return the root mean square of outcomes of any shape, NaN = not observed."""
    seen = outcome[np.isfinite(outcome)]
    return float(root_sum_squares(seen) / np.sqrt(max(seen.size, 1)))


def root_sum_squares(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the root of the sum of squares over ``axis`` (None = all), of numbers of any size."""
    with np.errstate(over="ignore", under="ignore"):
        total = np.square(values).sum(axis=axis)
    if np.all((total > SQUARES[0]) & (total < SQUARES[1])):
        return np.sqrt(total)
    peak = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    # A power of two, so that dividing is exact.
    unit = np.ldexp(1.0, np.frexp(np.where(peak > 0, peak, 1.0))[1] - 1)
    return np.sqrt(((values / unit) ** 2).sum(axis=axis)) * (unit.squeeze() if axis is None else unit.squeeze(axis))
