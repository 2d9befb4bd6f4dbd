"""One pass over a panel: counts, means and cross-products of the outcome by cohort.

Without covariates, and with every period observed, effects of cohorts and their errors depend on the outcome through
these alone. The outcome is taken less each unit's own mean, on which no comparison over time depends, and its
cross-products are about the cohort's mean: those of large numbers would cancel. Moments of parts of a panel add up
(Chan, Golub and LeVeque 1983, The American Statistician 37:242-247), so that a panel need not be in memory at once.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property, reduce

import numpy as np

# Outcomes looked at in one go: few enough for the processor's cache, enough for little to be done between them.
BLOCK = 2**18


@dataclasses.dataclass(frozen=True)
class Moments:
    """What a panel's cohorts are made of.

    units    (cohorts,) number of units
    weight   (cohorts,) sum of the units' weights
    mean     (cohorts, periods) weighted mean of the outcome less the unit's own mean, in units of the outcome
    cross    (cohorts, 1 + periods, 1 + periods) sums over units of the squared weight times the products of 1 and the
             outcome less the unit's own mean and ``mean``
    squares  sum of the squared outcomes themselves
    """

    units: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    cross: np.ndarray
    squares: float

    @classmethod
    def nothing(cls, n_cohorts: int, n_periods: int) -> Moments:
        """Return the moments of no unit."""
        return cls(np.zeros(n_cohorts, dtype=np.int64), np.zeros(n_cohorts), np.zeros((n_cohorts, n_periods)),
                   np.zeros((n_cohorts, 1 + n_periods, 1 + n_periods)), 0.0)

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.mean.shape[1]

    def take(self, cohorts: np.ndarray, periods: np.ndarray) -> Moments:
        """Return the moments of some cohorts and periods, masks or places; `squares` stays that of all."""
        columns = np.concatenate([[0], 1 + np.arange(self.n_periods)[periods]])
        return Moments(self.units[cohorts], self.weight[cohorts], self.mean[cohorts][:, periods],
                       self.cross[cohorts][:, columns][:, :, columns], self.squares)

    def __add__(self, other: Moments) -> Moments:
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros(len(weight)), where=weight > 0)[:, None]
        step = other.mean - self.mean
        mean = self.mean + share * step
        return Moments(self.units + other.units, weight, mean,
                       _moved(self.cross, share * step) + _moved(other.cross, (share - 1) * step),
                       self.squares + other.squares)


def _moved(cross: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return `Moments.cross` about a mean that is ``step`` (cohorts, periods) further on."""
    count, first = cross[:, 0, 0], cross[:, 0, 1:]
    moved = cross.copy()
    moved[:, 0, 1:] -= count[:, None] * step
    moved[:, 1:, 0] = moved[:, 0, 1:]
    crossed = step[:, :, None] * first[:, None, :]
    moved[:, 1:, 1:] += count[:, None, None] * step[:, :, None] * step[:, None, :] - crossed - crossed.swapaxes(1, 2)
    return moved


@dataclasses.dataclass(frozen=True)
class Rows:
    """The outcomes of units, none of them missing.

    outcome   (units, periods)
    weight    (units,) or None for equal weights
    cohort    (units,) number of each unit's cohort, of ``n_cohorts``
    """

    outcome: np.ndarray
    weight: np.ndarray | None
    cohort: np.ndarray
    n_cohorts: int

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.outcome.shape[1]

    def level_free(self, at: np.ndarray) -> np.ndarray:
        """Return the outcomes of the units at places ``at`` less each unit's own mean."""
        return _level_free(self.outcome.take(at, axis=0))

    @cached_property
    def places(self) -> list[np.ndarray]:
        """The places of each cohort's units."""
        small = self.cohort.astype(np.int16) if self.n_cohorts < 2**15 else self.cohort
        order = np.argsort(small, kind="stable").astype(np.int32)
        return np.split(order, np.cumsum(np.bincount(self.cohort, minlength=self.n_cohorts))[:-1])

    def blocks(self, places: np.ndarray) -> Iterator[np.ndarray]:
        """Yield ``places`` in pieces of about `BLOCK` outcomes."""
        step = max(1, BLOCK // max(self.n_periods, 1))
        for begin in range(0, len(places), step):
            yield places[begin:begin + step]

    def moments(self) -> Moments:
        """Return the moments of all units, by cohort."""
        parts = []
        for places in self.places:
            blocks = (moments_of(self.outcome.take(at, axis=0), None if self.weight is None else self.weight[at])
                      for at in self.blocks(places))
            parts.append(reduce(operator.add, blocks) if len(places) else Moments.nothing(1, self.n_periods))
        return joined(parts)


def rows_by_cohort(outcome: np.ndarray, first: np.ndarray, weight: np.ndarray | None) -> Rows | None:
    """Return (units, periods) outcomes, none missing, by when the units are first treated (``first`` (units,), whole
    numbers from 0); None if a unit's weights (units, periods) change over time."""
    if weight is not None and not (weight == weight[:, :1]).all():
        return None
    there = np.bincount(first) > 0
    return Rows(outcome, None if weight is None else weight[:, 0], (np.cumsum(there) - 1).astype(np.int32)[first],
                int(there.sum()))


def joined(parts: Sequence[Moments]) -> Moments:
    """Return the moments of the cohorts of several, one after the other."""
    return Moments(np.concatenate([part.units for part in parts]), np.concatenate([part.weight for part in parts]),
                   np.concatenate([part.mean for part in parts]), np.concatenate([part.cross for part in parts]),
                   sum(part.squares for part in parts))


def moments_of(outcome: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Return the moments of one cohort's (units, periods) ``outcome``, which is changed, with (units,) weights."""
    n = len(outcome)
    squares = float(np.vdot(outcome, outcome))
    values = _level_free(outcome)
    cross = np.zeros((1, 1 + values.shape[1], 1 + values.shape[1]))
    own = np.ones(n) if weight is None else weight
    total = float(own.sum())
    mean = own @ values / total
    values -= mean
    if weight is None:
        cross[0, 0, 0] = n
    else:
        values *= own[:, None]
        cross[0, 0, 0] = own @ own
        cross[0, 0, 1:] = cross[0, 1:, 0] = own @ values
    cross[0, 1:, 1:] = values.T @ values
    return Moments(np.array([n]), np.array([total]), mean[None], cross, squares)


def _level_free(outcome: np.ndarray) -> np.ndarray:
    """Return (units, periods) ``outcome``, which is changed, less each unit's own mean.

    The mean need not be exact: what it is off by is the same in all of the unit's periods.
    """
    outcome -= (outcome @ np.full(outcome.shape[1], 1 / outcome.shape[1]))[:, None]
    return outcome
