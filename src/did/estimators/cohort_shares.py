"""Shares of effects that are the same for all units of a cohort but for their outcomes.

Unit i of cohort c, of weight w_i and with outcome z_i (less its own mean and its cohort's), has the share

    w_i (z_i slopes_c + constant_c)

so that errors by unit follow from `did.estimators.moments.Moments`, those by cluster from sums of z over clusters, and
averages of effects from averages of slopes. Shares are written out when somebody asks for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.moments import Moments, Rows
from did.estimators.shares import Averages, Shares, root_sum_squares, triangle

# Below this share of what its parts amount to, a variance from cross-products is made from the shares themselves.
CANCELLED = 1e-4
# Where the shares are not at hand, what is below this share is rounding.
ALL_CANCELLED = 1e-11


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Differences of outcomes over time: ``period`` (contrasts,) less ``base`` (contrasts,), both columns, or less the
    average of several with the weights ``window`` (periods, contrasts)."""

    period: np.ndarray
    base: np.ndarray
    window: np.ndarray | None = None

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the (..., contrasts) differences of (..., periods) values."""
        less = values[..., self.base] if self.window is None else values @ self.window
        return np.asarray(values[..., self.period] - less)

    def quadratic(self, cross: np.ndarray) -> np.ndarray:
        """Return (contrasts,) k' cross k of each contrast k, from (periods, periods) ``cross``."""
        if self.window is None:
            diagonal = np.diagonal(cross)
            return np.asarray(diagonal[self.period] + diagonal[self.base] - 2 * cross[self.period, self.base])
        matrix = self.matrix(len(cross))
        return np.asarray(((cross @ matrix) * matrix).sum(axis=0))

    def matrix(self, n_periods: int) -> np.ndarray:
        """Return the contrasts written out, (periods, contrasts)."""
        return self.of(np.eye(n_periods))

    def operator(self, n_periods: int) -> Any:
        """Return the contrasts as a (periods, contrasts) matrix to multiply by, of few numbers where they are few."""
        if self.window is not None:
            return self.matrix(n_periods)
        from scipy.sparse import csr_array

        n = len(self.period)
        signs, places = np.repeat([1.0, -1.0], n), np.concatenate([self.period, self.base])
        return csr_array((signs, (places, np.tile(np.arange(n), 2))), (n_periods, n))

    def size(self, spread: np.ndarray) -> np.ndarray:
        """Return (contrasts,) sums of (periods,) ``spread`` times the size of weights."""
        if self.window is None:
            return np.where(self.period == self.base, 0.0, spread[self.period] + spread[self.base])
        return np.asarray(spread @ np.abs(self.matrix(len(spread))))

    def columns(self, chosen: np.ndarray | Sequence[int]) -> Contrast:
        """Return the ``chosen`` contrasts."""
        return Contrast(self.period[chosen], self.base[chosen], None if self.window is None else self.window[:, chosen])


@dataclasses.dataclass(frozen=True)
class CohortShares(Shares):
    """Shares by cohort.

    units     (units,) labels
    moments   of these units
    rows      their outcomes
    contrast  over time of each parameter; None for parameters that ``slopes`` are written out for
    slopes    (cohorts, periods, parameters); with a contrast (cohorts, parameters), what it is multiplied by
    constant  (cohorts, parameters)
    behind    (cohorts, parameters) True for the treated cohorts that a parameter rests on
    unit      of the outcomes of ``rows`` and of the shares made of them, in units of the outcome
    """

    units: pd.Index
    moments: Moments
    rows: Rows
    contrast: Contrast | None
    slopes: np.ndarray
    constant: np.ndarray
    behind: np.ndarray
    unit: float = 1.0

    @property
    def n_parameters(self) -> int:
        return self.constant.shape[1]

    def influence(self) -> np.ndarray:
        written = np.empty((len(self.units), self.n_parameters))
        for at, part in self._blocks():
            written[at] = part
        return written * self.unit if self.unit != 1 else written

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places of units and their shares."""
        for cohort, places in enumerate(self.rows.places):
            for at in self.rows.blocks(places):
                yield at, self._weighted(at, self._of(self.rows.level_free(at) - self.moments.mean[cohort], cohort)
                                         + self.constant[cohort])

    def _weighted(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
        return values if self.rows.weight is None else values * self.rows.weight[at, None]

    def _of(self, values: np.ndarray, cohort: int) -> np.ndarray:
        """Return (units, periods) ``values`` times the slopes of a cohort."""
        if self.contrast is None:
            return np.asarray(values @ self.slopes[cohort])
        return self.contrast.of(values) * self.slopes[cohort]

    def _quadratic(self, cohort: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (parameters,) a cohort's part of the variances by unit, and what the parts of that amount to."""
        cross, constant = self.moments.cross[cohort], self.constant[cohort]
        own, spread = cross[1:, 1:], np.sqrt(np.maximum(np.diagonal(cross)[1:], 0.0))
        if self.contrast is None:
            slopes = self.slopes[cohort]
            found, size = ((own @ slopes) * slopes).sum(axis=0), spread @ np.abs(slopes)
        else:
            found = self.contrast.quadratic(own) * self.slopes[cohort] ** 2
            size = self.contrast.size(spread) * np.abs(self.slopes[cohort])
        both = 2 * constant * self._of(cross[:1, 1:], cohort)[0] if self.rows.weight is not None else 0.0
        steady = constant**2 * cross[0, 0]
        return found + both + steady, size**2 + steady

    def spread(self) -> np.ndarray:
        return self._spread * self.unit

    @cached_property
    def _spread(self) -> np.ndarray:
        variance, size = self._variance()
        found = np.sqrt(np.maximum(variance, 0.0))
        weak = np.flatnonzero(variance < CANCELLED * size)
        if len(weak):
            parts = [root_sum_squares(part, axis=0) for _, part in self.columns(weak)._blocks()]
            found[weak] = root_sum_squares(np.stack(parts), axis=0)
        return found

    def _variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (parameters,) sums of squared shares over units, and what their parts amount to."""
        variance, size = np.zeros((2, self.n_parameters))
        for cohort in range(len(self.constant)):
            own, amount = self._quadratic(cohort)
            variance, size = variance + own, size + amount
        return variance, size

    def magnitude(self) -> np.ndarray:
        return np.sqrt(len(self.units)) * self.spread()

    def root(self) -> np.ndarray:
        # Of the shares themselves, and not of their squares, which would lose half the digits.
        found = np.zeros((0, self.n_parameters))
        for _, part in self._blocks():
            found = triangle(np.vstack([found, part]))
        return found * self.unit

    def behind_any(self) -> np.ndarray:
        return np.asarray(self.behind.any(axis=1))[self.rows.cohort]

    def sums(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        total = np.zeros((n_clusters, self.n_parameters))
        for cohort, places in enumerate(self.rows.places):
            places = places[np.argsort(codes[places], kind="stable")]
            clusters = np.unique(codes[places])
            values, weights = np.zeros((len(clusters), self.rows.n_periods)), np.zeros(len(clusters))
            for at in self.rows.blocks(places):
                part = self._weighted(at, self.rows.level_free(at) - self.moments.mean[cohort])
                here, begin = np.unique(codes[at], return_index=True)
                found = np.searchsorted(clusters, here)
                values[found] += np.add.reduceat(part, begin, axis=0)
                weights[found] += np.add.reduceat(np.ones(len(at)) if self.rows.weight is None else
                                                  self.rows.weight[at], begin)
            total[clusters] += self._of(values, cohort) + weights[:, None] * self.constant[cohort]
        return total * self.unit

    def treated(self) -> np.ndarray:
        return np.asarray(self.behind[self.rows.cohort])

    def silent(self) -> np.ndarray:
        return np.zeros(self.n_parameters, dtype=bool)

    def n_treated(self) -> np.ndarray:
        return np.asarray(self.moments.units @ self.behind)

    def n_treated_clusters(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        there = np.zeros((n_clusters, len(self.behind)), dtype=np.float32)
        there[codes, self.rows.cohort] = 1
        # Most parameters rest on the same cohorts as another.
        kinds = {cohorts.tobytes(): cohorts for cohorts in self.behind.T}
        found = {kind: np.count_nonzero(there @ cohorts) for kind, cohorts in kinds.items()}
        return np.array([found[cohorts.tobytes()] for cohorts in self.behind.T], dtype=int)

    def exposure(self, dose: np.ndarray) -> np.ndarray:
        return np.sqrt(np.array([dose[places] @ dose[places] for places in self.rows.places]) @ self.behind)

    def outcome_size(self, outcome: np.ndarray, places: np.ndarray) -> float:
        return float(self.unit * np.sqrt(self.moments.squares / max(len(self.units) * self.moments.n_periods, 1)))

    def columns(self, chosen: np.ndarray | Sequence[int]) -> CohortShares:
        return dataclasses.replace(
            self, contrast=None if self.contrast is None else self.contrast.columns(chosen),
            slopes=self.slopes[..., chosen], constant=self.constant[:, chosen], behind=self.behind[:, chosen])

    def times(self, factor: float) -> CohortShares:
        # Not times the numbers, whose squares would be too large or too small for a float.
        return dataclasses.replace(self, unit=self.unit * factor)

    def averaged(self, averages: Averages) -> CohortShares:
        weights = averages.weights
        if self.contrast is None:
            slopes = self.slopes @ weights
        else:
            operator = self.contrast.operator(self.moments.n_periods)
            slopes = np.stack([operator @ (own[:, None] * weights) for own in self.slopes])
        # Units of a cohort are of one cohort of the averages too.
        first = np.array([places[0] for places in self.rows.places])
        constant = self.constant @ weights + averages.padded()[averages.code[first]] / self.unit
        behind = self.behind.astype(np.float32) @ averages.used.astype(np.float32) > 0
        return dataclasses.replace(self, contrast=None, slopes=slopes, constant=constant, behind=behind)


class SummedShares(CohortShares):
    """Shares of cohorts whose units are not at hand, as where a panel is larger than memory: ``units`` and ``rows`` are
    the cohorts themselves. Errors by unit follow from the moments, those of groups of units from `of_groups`."""

    def influence(self) -> np.ndarray:
        raise DidError("influence of each unit: expected a panel in memory; found one that was summed to its cohorts; "
                       "estimate a part of it")

    def sums(self, codes: np.ndarray, n_clusters: int) -> np.ndarray:
        return self.influence()

    def root(self) -> np.ndarray:
        return self.influence()

    @cached_property
    def _spread(self) -> np.ndarray:
        variance, size = self._variance()
        return np.sqrt(np.where(variance > ALL_CANCELLED * size, variance, 0.0))

    def magnitude(self) -> np.ndarray:
        return np.sqrt(self.moments.units.sum()) * self.spread()

    def exposure(self, dose: np.ndarray) -> np.ndarray:
        return np.sqrt(self.moments.units @ self.behind)

    def outcome_size(self, outcome: np.ndarray, places: np.ndarray) -> float:
        return float(np.sqrt(self.moments.squares / (self.moments.units.sum() * self.moments.n_periods)))

    def of_groups(self, cohort: np.ndarray, n_units: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Return (groups, parameters) sums of shares over groups of units of one ``cohort`` (groups,) each, of
        ``n_units`` (groups,), whose outcomes less each unit's own mean sum to ``total`` (groups, periods)."""
        found = np.empty((len(cohort), self.n_parameters))
        for one in np.unique(cohort):
            own = cohort == one
            found[own] = self._of(total[own] - n_units[own, None] * self.moments.mean[one], one) + (
                n_units[own, None] * self.constant[one])
        return found
