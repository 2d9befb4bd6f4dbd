"""Group-time cells: which cohort, period, base period and controls, and the effect of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

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
    base       (cells,) column of the base period; equal to ``period`` in a reference cell
    last_used  (cells,) calendar position a control must not be treated by (anticipation included)
    """

    first: int
    period: np.ndarray
    base: np.ndarray
    last_used: np.ndarray


def cohorts_of(sample: Sample, firsts: np.ndarray, *, universal: bool, anticipation: int) -> list[Cohort]:
    """Return the cells of the cohorts ``firsts`` (calendar positions).

    The base of a period from ``anticipation`` before treatment on, and of every period if ``universal``, is the last
    period more than ``anticipation`` before treatment; else the period before (the previous one observed, if there is
    a gap). The varying base has no cell for the first period.
    """
    columns = np.arange(len(sample.positions))
    cohorts = []
    for first in firsts:
        before = columns[sample.positions + anticipation < first][-1]
        period = columns if universal else columns[1:]
        base = np.where(universal | (sample.positions[period] + anticipation >= first), before, period - 1)
        last_used = sample.positions[np.maximum(period, base)] + anticipation
        cohorts.append(Cohort(int(first), period, base, last_used))
    return cohorts


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
        for cells, controls in _blocks(sample, cohort, never_treated_only):
            members = sample.first == cohort.first
            rows = np.flatnonzero(members | controls)
            block = _Block(sample, cohort, cells, rows, members[rows], constant, incomplete)
            columns = slice(start + cells.start, start + cells.stop)
            if method == "unconditional" or not len(sample.covariates):
                found = unconditional(block.change, block.members, block.weight)
                missing = np.flatnonzero(np.isnan(found.effect))
                names = {cell: found.reason for cell in missing}
            else:
                found, names = _conditional(block, method)
            effect[columns] = found.effect
            influence[rows, columns] = found.influence
            treated[rows, columns] = block.present & block.members[:, None]
            for cell, reason in names.items():
                reasons[columns.start + cell] = reason
        for cell in start + np.flatnonzero(cohort.period == cohort.base):
            effect[cell], influence[:, cell], reasons[cell] = 0.0, 0.0, ""
        start += len(cohort.period)
    return effect, influence, treated, reasons


class _Block:
    """Changes (rows, cells) of a cohort and one set of controls, and the weights and covariates behind them."""

    def __init__(self, sample, cohort, cells, rows, members, constant, incomplete) -> None:
        period, base = cohort.period[cells], cohort.base[cells]
        outcome = sample.outcome[rows]
        self.members = members
        self.change = outcome[:, period] - outcome[:, base]
        # R's did takes weights and covariates from the earlier of the two periods.
        earlier = np.minimum(period, base)
        self.design_of_cell = np.zeros_like(earlier) if constant else earlier
        self.covariates = sample.covariates[:, rows]
        self.names = sample.names
        self.weight = None if sample.weight is None else sample.weight[rows][:, earlier]
        self.present = np.ones(1, dtype=bool)
        if incomplete:
            self.present = np.isfinite(self.change)
            if len(sample.covariates):
                self.present &= np.isfinite(self.covariates[:, :, self.design_of_cell]).all(axis=0)
            self.weight = np.where(self.present, 1.0 if self.weight is None else self.weight, 0.0)


def _blocks(sample: Sample, cohort: Cohort, never_treated_only: bool) -> Iterator[tuple[slice, np.ndarray]]:
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
            names |= {cell: found.reason for cell in cells}
    return Cells(effect, influence), names


def _constant_over_time(sample: Sample) -> bool:
    """Return whether no covariate and no weight varies within a unit, so that cells share their design."""
    arrays = [*sample.covariates] + ([] if sample.weight is None else [sample.weight])
    return all(bool((values == values[:, :1]).all()) for values in arrays)
