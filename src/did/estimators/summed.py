"""Group-time effects of a panel that was summed to its cohorts, piece by piece, because it is larger than memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Panel, Result, join_notes
from did.estimators.callaway_santanna import Asked, cell_table, cohorts_for, sample_of
from did.estimators.cohort_shares import SummedShares
from did.estimators.group_time_moments import contrast_of, from_moments
from did.estimators.moments import Moments, Rows
from did.estimators.shares import UnitShares, summed


@dataclasses.dataclass(frozen=True)
class Groups:
    """Sums over the units of a cluster and cohort: their number, and outcomes less each unit's own mean.

    cluster  (groups,) labels; cohort (groups,) its number; n_units (groups,); total (groups, periods)
    """

    cluster: np.ndarray
    cohort: np.ndarray
    n_units: np.ndarray
    total: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, rows: Rows) -> Groups:
        """Return the sums over the units of ``rows``, whose clusters are ``labels`` (units,)."""
        codes, names = pd.factorize(labels)
        pair = codes * rows.n_cohorts + rows.cohort
        found, place = np.unique(pair, return_inverse=True)
        values = rows.level_free(np.arange(len(rows.cohort)))
        return cls(np.asarray(names)[found // rows.n_cohorts], found % rows.n_cohorts, np.bincount(place),
                   summed(values, place, len(found)))

    @classmethod
    def joined(cls, parts: Iterable[Groups]) -> Groups:
        """Return the sums of all parts."""
        every = list(parts)
        cluster, cohort, n_units, total = (np.concatenate([getattr(part, each.name) for part in every])
                                           for each in dataclasses.fields(cls))
        codes, names = pd.factorize(cluster, sort=True)
        n_cohorts = int(cohort.max()) + 1
        found, place = np.unique(codes * n_cohorts + cohort, return_inverse=True)
        return cls(np.asarray(names)[found // n_cohorts], found % n_cohorts,
                   np.bincount(place, n_units).astype(np.int64), summed(total, place, len(found)))


@dataclasses.dataclass(frozen=True)
class Summed:
    """A panel summed to its cohorts.

    moments    of the units with every period, by cohort
    first      (cohorts,) position of the first treated period, rising; the number of periods for the never treated
    periods    (periods,) labels; frequency M, Q or Y
    groups     cluster level -> sums over clusters
    """

    moments: Moments
    first: np.ndarray
    periods: pd.Index
    frequency: str
    groups: dict[str, Groups]


def without(data: Summed, level: str, label: object) -> Summed:
    """Return the panel without a cluster of ``level``, for estimates alone: cross-products, of which only errors are
    made, stay those of all. Raises nothing."""
    moments, groups = data.moments, data.groups[level]
    out = groups.cluster == label
    lost = np.zeros_like(moments.units)
    np.add.at(lost, groups.cohort[out], groups.n_units[out])
    total = moments.mean * moments.units[:, None]
    np.subtract.at(total, groups.cohort[out], groups.total[out])
    units = moments.units - lost
    mean = np.divide(total, units[:, None], out=np.zeros_like(total), where=units[:, None] > 0)
    return dataclasses.replace(data, moments=dataclasses.replace(moments, units=units, weight=units.astype(float),
                                                                 mean=mean))


@dataclasses.dataclass(frozen=True)
class Estimated:
    """Effects by cohort and period, the panel whose units are the cohorts, of the cohorts' sizes as weights, and, by
    cluster level, sums over clusters of the cohorts used."""

    result: Result
    panel: Panel
    groups: dict[str, Groups]


def group_time_effects(
    data: Summed, *, control_group: str = "not_yet_treated", base_period: str = "varying", anticipation: int = 0,
    base_window: int | str | None = None,
) -> Estimated:
    """Return what `did.estimators.callaway_santanna.estimate` does, of a panel that was summed to its cohorts.

    Options, estimates, errors and notes as there, to rounding. Raises DidError as there.
    """
    there = data.moments.units > 0
    moments = data.moments.take(there, np.arange(len(data.periods)))
    units = pd.Index([f"{count:,} units" for count in moments.units.tolist()], dtype="str")
    first = data.first[there]
    panel = Panel(moments.mean, units, data.periods, data.frequency, first, (first < len(data.periods)).astype(float),
                  "binary", {"unit": units.to_numpy()},
                  np.repeat(moments.units[:, None].astype(float), len(data.periods), axis=1))
    kept, sample, firsts, note = sample_of(panel, Asked("callaway_santanna", control_group, anticipation, (), True))
    cohorts, said = cohorts_for(panel, sample, firsts, base_period, anticipation, base_window)
    used, panel = moments.take(kept, sample.positions), panel.keep(kept)
    contrast = contrast_of(cohorts, len(sample.positions))
    if contrast is None:
        raise DidError("callaway_santanna: base_window: expected periods before treatment; found too few; leave it out")
    value, parts, reasons = from_moments(sample, cohorts, used, contrast,
                                         never_treated_only=control_group == "never_treated")
    rows = Rows(used.mean, None, np.arange(len(used.units)), len(used.units))
    shares = SummedShares(panel.units, used, rows, contrast, *parts)
    result = Result("callaway_santanna", cell_table(panel, sample, cohorts, reasons, shares.n_treated()), value, shares,
                    int(used.units.sum()) * len(sample.positions), None, join_notes(note, said),
                    distribution="normal", anticipation=anticipation)
    number = np.full(len(data.moments.units), -1)
    number[np.flatnonzero(there)[kept]] = np.arange(int(kept.sum()))
    groups = {}
    for level, each in data.groups.items():
        own = number[each.cohort] >= 0
        groups[level] = Groups(each.cluster[own], number[each.cohort[own]], each.n_units[own],
                               each.total[own][:, sample.positions])
    return Estimated(result, panel, groups)


def by_groups(result: Result, panel: Panel, groups: Groups, level: str) -> tuple[Result, Panel]:
    """Return a result, and the panel it is of, whose units are the groups of one cluster ``level``: errors by cluster
    follow from it, counts of units do not."""
    assert isinstance(result.shares, SummedShares)
    shares = result.shares
    units = pd.RangeIndex(len(groups.cohort))
    written = shares.of_groups(groups.cohort, groups.n_units, groups.total)
    made = dataclasses.replace(result, shares=UnitShares(units, written, shares.behind[groups.cohort]))
    first = panel.treated_from[groups.cohort]
    return made, dataclasses.replace(
        panel, outcome=np.zeros((len(units), panel.n_periods)), units=units, treated_from=first,
        dose=(first < panel.n_periods).astype(float), clusters={level: groups.cluster}, weight=None)
