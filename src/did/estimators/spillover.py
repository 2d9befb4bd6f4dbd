"""Effects on treated units and on their neighbours, each against units that no treatment is near to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators import imputation
from did.estimators.base import Panel, Result, join_notes, parameter_table, scale_free
from did.estimators.callaway_santanna import whole_number, without_dose
from did.estimators.neighbours import beyond_border, named, steps
from did.estimators.shares import UnitShares

BORDER = ("estimated", "left_out")


@scale_free
def estimate(panel: Panel, *, rings: int = 1, exposure: str | None = None, border: str = "estimated") -> Result:
    """Return the effect on treated units and on units near them, imputed from cells that no treatment is near to.

        clean cells:  Y_it = alpha_i + gamma_t + e_it
        elsewhere:    tau_it = Y_it - alpha_i - gamma_t

    Clean are cells of units that are not treated by t and have nobody treated within ``rings`` borders, by the pairs
    of `did.estimators.neighbours.with_neighbours`; or, with ``exposure``, whose column of that name (a covariate of the
    panel, 0 or more) is 0. Comparisons with neighbours that treatment reaches too are off by what it does to them;
    these are not among the controls here. Butts 2021, "Difference-in-differences estimation with spatial spillovers",
    arXiv 2105.03737, sections 3 and 5 (two-stage estimate); the imputation and its conservative errors are those of
    `did.estimators.imputation`, cells averaged by cohort and what they are near to.

    Parameters, in units of the outcome: ``overall``, the mean effect on treated cells, that of neighbours' treatment on
    them among it; and ``neighbours_1`` to ``neighbours_<rings>``, the mean over untreated cells whose nearest treated
    unit is so many borders away, or ``neighbours``, the sum of effects over exposed untreated cells by the sum of
    exposures. ``border="left_out"`` gives ``overall`` alone: never-treated units that are ever near a treated one are
    left out, as are cells of units treated later while they are near one. Without spillovers all are imputation's.

    A ring without a cell is not listed. Units treated, or near a treated one, from the first period are left out
    and named, as are cells that imputation leaves out.

    Raises DidError for a treatment that is not binary, a ``rings`` that is no whole number of 1 or more, an unknown
    word, no neighbours and no exposure (or both), an exposure that is missing, negative, or falls back to 0 (with unit
    and period), no clean control, and as imputation does.

    >>> import pandas as pd
    >>> from did.estimators.neighbours import with_neighbours
    >>> table = pd.DataFrame([(f"u{u}", str(t), "Y", "2003" if u == 0 else None,
    ...                        u + t % 3 + (t > 2002) * {0: 4.0, 1: 1.0}.get(u, 0.0))
    ...                       for u in range(6) for t in range(2000, 2006)],
    ...                      columns=["unit", "period", "frequency", "cohort", "outcome"])
    >>> data = with_neighbours(Panel.from_frame(table, cluster_columns=[]), [("u0", "u1")])
    >>> found = estimate(data)
    >>> dict(zip(found.parameters["estimand"], found.estimate.round(9)))
    {'overall': np.float64(4.0), 'neighbours_1': np.float64(1.0)}
    """
    one_of("spillover: border", border, BORDER)
    whole_number("spillover: rings", rings, "borders", 1)
    dose = without_dose(panel, "spillover")
    _refuse_source(panel, exposure)
    note = dose
    if border == "left_out" and exposure is None:
        whole, (panel, near) = panel, beyond_border(panel, rings)
        note = join_notes(note, f"never treated and near a treated unit, left out: {named(whole, near)}")
    size, group = _near(panel, rings, exposure)
    if border == "left_out" and exposure is not None:
        near = panel.never_treated & (group > 0).any(axis=1)
        note = join_notes(note, f"never treated and exposed, left out: {named(panel, near)}")
        panel, size, group = panel.keep(~near), size[~near], group[~near]
    changed = group >= 0
    first = np.where(changed.any(axis=1), changed.argmax(axis=1), panel.n_periods)
    if not (first == panel.n_periods).any() and len(np.unique(first)) < 2:
        raise DidError("spillover: expected units that nobody treated is near to; found none; take fewer rings")
    if border == "left_out":
        panel = dataclasses.replace(panel, outcome=np.where(group > 0, np.nan, panel.outcome))
    # For imputation, a unit is treated once anything reaches it.
    cells = imputation.cells_of(dataclasses.replace(panel, treated_from=first, dose=np.ones(panel.n_units)), [])
    kept = panel.units.isin(cells.panel.units)
    return _result(cells, group[kept], size[kept], exposure is None, note)


def _refuse_source(panel: Panel, exposure: str | None) -> None:
    if exposure is not None:
        one_of("spillover: exposure", exposure, panel.covariates)
        if panel.neighbours:
            raise DidError("spillover: expected neighbours or an exposure; found both; leave one of the two out")
    elif not panel.neighbours:
        raise DidError("spillover: expected to know which units border each other, or how exposed each is; found "
                       "neither; add --neighbours FILE.csv (unit, neighbour) or --exposure COLUMN")


def _near(panel: Panel, rings: int, exposure: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (units, periods) what an effect is divided by, and what a cell is: -1 clean, 0 treated, else its ring."""
    if exposure is None:
        distance = steps(panel, rings)
        return np.ones(panel.outcome.shape), np.where(distance > rings, -1, distance)
    values = panel.covariates[exposure]
    seen = np.isfinite(panel.outcome)
    for what, wrong in (("a number", seen & ~np.isfinite(values)), ("0 or more", values < 0)):
        if wrong.any():
            unit, period = np.argwhere(wrong)[0]
            raise DidError(f"spillover: exposure '{exposure}', unit {panel.units[unit]}, period "
                           f"{panel.periods[period]}: expected {what}; found {values[unit, period]}; fix the cell")
    exposed = np.nan_to_num(values) > 0
    falls = ~panel.treated & ~exposed & np.isfinite(values) & (np.maximum.accumulate(exposed, axis=1))
    if falls.any():
        unit, period = np.argwhere(falls)[0]
        raise DidError(f"spillover: exposure '{exposure}', unit {panel.units[unit]}, period {panel.periods[period]}: "
                       "expected an exposure that stays above 0 once it is; found 0; what came before may last, so "
                       "that the cell is no comparison; leave it out")
    exposed = np.maximum.accumulate(exposed, axis=1)
    return np.where(panel.treated, 1.0, values), np.where(panel.treated, 0, np.where(exposed, 1, -1))


def _result(cells: imputation.Cells, group: np.ndarray, size: np.ndarray, by_ring: bool, note: str) -> Result:
    group = np.where(cells.target > 0, group, -1)
    found = np.unique(group[group >= 0])
    if 0 not in found:
        raise DidError("spillover: expected a treated unit-period with clean cells of its unit and of its period; "
                       "found none; add units that nobody treated is near to, or earlier periods")
    number = np.where(group >= 0, np.searchsorted(found, group), -1)
    size = np.nan_to_num(size)
    estimated = imputation.averages(cells, imputation.imputed(cells, size, _cohorts(group)), number, size)
    names = ["overall", *((f"neighbours_{ring}" if by_ring else "neighbours") for ring in found[1:])]
    has_data = ((cells.untreated + cells.target) > 0).any(axis=1)
    return Result(
        estimator="spillover",
        parameters=pd.concat([parameter_table(name) for name in names], ignore_index=True),
        estimate=estimated.value,
        shares=UnitShares(cells.panel.units[has_data], estimated.influence[has_data], estimated.behind[has_data]),
        n_obs=int(((cells.untreated + cells.target) > 0).sum()),
        n_parameters=None,
        note=join_notes(note, cells.note),
        distribution="normal",
    )


def _cohorts(group: np.ndarray) -> np.ndarray:
    """Return (units, periods) numbers of what a cell is and since when, -1 where it is clean."""
    cohort = np.full(group.shape, -1)
    for one in np.unique(group[group >= 0]):
        inside = group == one
        first = np.broadcast_to(inside.argmax(axis=1)[:, None], group.shape)
        cohort[inside] = one * group.shape[1] + first[inside]
    return cohort
