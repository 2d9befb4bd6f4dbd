"""Group-time cells: which cohort, period, base period and controls, and the effect of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from did.estimators.drdid import CONDITIONAL, NO_SIDE, Cells, unconditional


@dataclasses.dataclass(frozen=True)
class Sample:
    """The units and periods an estimate rests on.

    outcome     (units, periods) NaN = not observed
    positions   (periods,) increasing calendar positions of the periods; gaps are allowed
    first       (units,) calendar position of the first treated period; ``never`` for the never treated
    never       a position after every period
    weight      (units, periods) or None for equal weights
    covariates  (covariates, units, periods), with no covariate for unconditional estimates
    names       (covariates,) their names
    """

    outcome: np.ndarray
    positions: np.ndarray
    first: np.ndarray
    never: int
    weight: np.ndarray | None
    covariates: np.ndarray
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Cohort:
    """The cells of one cohort, in order of period.

    first      calendar position of its first treated period
    period     (cells,) column of the period in `Sample`
    base       (cells,) column of the base period, the last of several
    last_used  (cells,) calendar position a control must not be treated by (anticipation included)
    reference  (cells,) True where the effect is zero by construction
    window     weights of the periods that are taken off a unit's outcome, or None for ``base`` alone: a function of
               the (periods,) mask of those a unit has and of a slice of cells, to (periods, cells); NaN where the unit
               has too few of them
    """

    first: int
    period: np.ndarray
    base: np.ndarray
    last_used: np.ndarray
    reference: np.ndarray
    window: Callable[[np.ndarray, slice], np.ndarray] | None = None


def cohorts_of(
    sample: Sample, firsts: np.ndarray, *, universal: bool, anticipation: int, window: int | None = 1, season: int = 0
) -> list[Cohort]:
    """Return the cells of the cohorts ``firsts`` (calendar positions).

    The base of a period from ``anticipation`` before treatment on, and of every period if ``universal``, is the last
    period more than ``anticipation`` before treatment; else the period before (the previous one observed, if there is
    a gap). The varying base has no cell for the first period. ``window`` periods that end there are averaged, None =
    all from the first on. With ``season`` periods to a year the base is the last of these periods that lies whole years
    from the cell's own; a cell without one is left out.
    """
    columns = np.arange(len(sample.positions))
    cohorts = []
    for first in firsts:
        before = columns[sample.positions + anticipation < first][-1]
        period = columns if universal else columns[1:]
        end = np.where(universal | (sample.positions[period] + anticipation >= first), before, period - 1)
        last_used = sample.positions[np.maximum(period, end)] + anticipation
        base = end
        if season:
            alike = (sample.positions[:, None] - sample.positions[period]) % season == 0
            alike &= columns[:, None] <= end
            found = alike.any(axis=0)
            base = np.where(alike, columns[:, None], -1).max(axis=0)[found]
            period, last_used = period[found], last_used[found]
        if season or window == 1:
            cohorts.append(Cohort(int(first), period, base, last_used, period == base))
            continue
        begin = np.zeros_like(end) if window is None else np.maximum(end - window + 1, 0)
        within = (columns[:, None] >= begin) & (columns[:, None] <= end)
        alone = within.sum(axis=0) == 1
        cohorts.append(Cohort(int(first), period, base, last_used, (period == base) & alone, _mean_of(within)))
    return cohorts


def _mean_of(within: np.ndarray) -> Callable[[np.ndarray, slice], np.ndarray]:
    """Return `Cohort.window` that averages the periods of a (periods, cells) mask that a unit has."""
    def weights(present: np.ndarray, cells: slice) -> np.ndarray:
        used = within[:, cells] & present[:, None]
        count = used.sum(axis=0)
        return np.where(count > 0, used / np.maximum(count, 1), np.nan)
    return weights


def changes(sample: Sample, cohort: Cohort, cells: slice, rows: np.ndarray) -> np.ndarray:
    """Return the (rows, cells) outcomes less their base, NaN where a unit lacks either."""
    outcome = sample.outcome[rows]
    period, base = cohort.period[cells], cohort.base[cells]
    if cohort.window is None:
        return outcome[:, period] - outcome[:, base]
    present = np.isfinite(outcome)
    seen = np.where(present, outcome, 0.0)
    # About each unit's own mean, so that its level leaves no rounding.
    centre = seen.sum(axis=1, keepdims=True) / np.maximum(present.sum(axis=1, keepdims=True), 1)
    seen = np.where(present, outcome - centre, 0.0)
    if present.all():
        return seen[:, period] - seen @ cohort.window(np.ones(seen.shape[1], dtype=bool), cells)
    change = np.where(present, seen, np.nan)[:, period]
    patterns, member = np.unique(np.packbits(present, axis=1), axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    counts = np.bincount(member.ravel(), minlength=len(patterns))
    for units in np.split(order, np.cumsum(counts)[:-1]):
        change[units] -= seen[units] @ cohort.window(present[units[0]], cells)
    return change


def effects(
    sample: Sample, cohorts: list[Cohort], *, never_treated_only: bool, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return effect (cells,), influence and treated (units, cells) and reason (cells,) of all cells.

    Controls are the never treated, or also every unit of another cohort not treated by ``last_used``. Cells
    of a cohort with the same controls are computed together. A unit without the outcome (or a covariate) in
    either period is left out of the cell. ``reason`` says why a cell has no estimate.
    """
    n_cells = sum(len(cohort.period) for cohort in cohorts)
    effect, reasons = np.zeros(n_cells), [""] * n_cells
    influence = np.zeros((len(sample.outcome), n_cells))
    treated = np.zeros((len(sample.outcome), n_cells), dtype=bool)
    # A weight of 0 is a unit left out: with missing outcomes every cell carries weights.
    incomplete = not np.isfinite(sample.outcome).all() or not np.isfinite(sample.covariates).all()
    constant = _constant_over_time(sample)
    start = 0
    for cohort in cohorts:
        for cells, controls in control_blocks(sample, cohort, never_treated_only):
            members = sample.first == cohort.first
            rows = np.flatnonzero(members | controls)
            block = _Block(sample, cohort, cells, rows, members[rows], constant, incomplete)
            columns = slice(start + cells.start, start + cells.stop)
            if method == "unconditional" or not len(sample.covariates):
                found = unconditional(block.change, block.members, block.weight)
                missing = np.flatnonzero(np.isnan(found.effect))
                names = dict.fromkeys(missing.tolist(), found.reason)
            else:
                found, names = _conditional(block, method)
            effect[columns] = found.effect
            influence[rows, columns] = found.influence
            treated[rows, columns] = block.present & block.members[:, None]
            for cell, reason in names.items():
                reasons[columns.start + cell] = reason
        for cell in (start + np.flatnonzero(cohort.reference)).tolist():
            effect[cell], influence[:, cell], reasons[cell] = 0.0, 0.0, ""
        start += len(cohort.period)
    return effect, influence, treated, reasons


class _Block:
    """Changes (rows, cells) of a cohort and one set of controls, and the weights and covariates behind them."""

    def __init__(self, sample: Sample, cohort: Cohort, cells: slice, rows: np.ndarray, members: np.ndarray,
                 constant: bool, incomplete: bool) -> None:
        period, base = cohort.period[cells], cohort.base[cells]
        self.members = members
        self.change = changes(sample, cohort, cells, rows)
        # R's did takes weights and covariates from the earlier of the two periods.
        earlier = np.minimum(period, base)
        self.design_of_cell = np.zeros_like(earlier) if constant else earlier
        self.covariates = sample.covariates[:, rows]
        self.names = sample.names
        self.weight = None if sample.weight is None else sample.weight[rows][:, earlier]
        self.present = np.ones(1, dtype=bool)
        if incomplete or (cohort.window is not None and np.isnan(self.change).any()):
            self.present = np.isfinite(self.change)
            if len(sample.covariates):
                self.present &= np.isfinite(self.covariates[:, :, self.design_of_cell]).all(axis=0)
            self.weight = np.where(self.present, 1.0 if self.weight is None else self.weight, 0.0)


def control_blocks(sample: Sample, cohort: Cohort, never_treated_only: bool) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of a cohort's cells that share one set of controls, and that set as a (units,) mask."""
    never = sample.first >= sample.never
    if never_treated_only:
        yield slice(0, len(cohort.period)), never
        return
    others = np.unique(sample.first[~never & (sample.first != cohort.first)])
    # `last_used` never falls from one period to the next, so equal sets of controls are neighbours.
    n_used_up = np.searchsorted(others, cohort.last_used, side="right")
    edges = np.flatnonzero(np.diff(n_used_up, prepend=-1, append=-1))
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        waiting = (sample.first > cohort.last_used[begin]) & (sample.first != cohort.first)
        yield slice(int(begin), int(end)), never | waiting


def _conditional(block: _Block, method: str) -> tuple[Cells, dict[int, str]]:
    """Return the cells of a block under a method with covariates, one call per design, and reasons."""
    n_rows, n_cells = block.change.shape
    effect, influence = np.full(n_cells, np.nan), np.zeros((n_rows, n_cells))
    names: dict[int, str] = {}
    present = np.broadcast_to(block.present if block.present.ndim == 2 else True, (n_rows, n_cells))
    key = block.design_of_cell
    if block.present.ndim == 2:
        patterns = np.unique(block.present, axis=1, return_inverse=True)[1].ravel()
        key = key * n_cells + patterns
    for value in np.unique(key):
        cells = np.flatnonzero(key == value)
        rows = np.flatnonzero(present[:, cells[0]])
        members = block.members[rows]
        weight = np.ones(len(rows)) if block.weight is None else block.weight[rows, cells[0]]
        if weight[members].sum() <= 0 or weight[~members].sum() <= 0:
            names |= dict.fromkeys(cells, NO_SIDE)
            continue
        covariates = block.covariates[:, rows, block.design_of_cell[cells[0]]]
        design = np.column_stack([np.ones(len(rows)), covariates.T])
        found = CONDITIONAL[method](block.change[np.ix_(rows, cells)], members, design, weight, block.names)
        effect[cells], influence[np.ix_(rows, cells)] = found.effect, found.influence
        if found.reason:
            names |= dict.fromkeys(cells, found.reason)
    return Cells(effect, influence), names


def _constant_over_time(sample: Sample) -> bool:
    """Return whether no covariate and no weight varies within a unit, so that cells share their design."""
    arrays = [*sample.covariates] + ([] if sample.weight is None else [sample.weight])
    return all(bool((values == values[:, :1]).all()) for values in arrays)
