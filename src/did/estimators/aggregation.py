"""Averages of group-time effects: overall, by event time, by cohort, by calendar period."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import ESTIMATED, REFERENCE, Panel, Result, join_notes, listed, parameter_table
from did.estimators.callaway_santanna import CohortOfUnits, cohort_of_units
from did.estimators.shares import Averages

KINDS = ("simple", "event_time", "cohort", "calendar")


def aggregate(
    result: Result,
    panel: Panel,
    kind: str = "simple",
    *,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    balance_event_time: int | None = None,
) -> Result:
    """Return averages of the group-time effects of ``result``, with cohorts weighted by their size.

    ``result`` is of `did.estimators.callaway_santanna`, ``panel`` the panel it was estimated on. A cohort's
    size is its units' sampling weight in their first period (their number if unweighted).

    ``simple``       ``overall``: every cell from treatment on
    ``event_time``   one ``event_time`` row each; ``overall_event_time``: their plain mean from 0 on
    ``cohort``       one ``cohort`` row each, the plain mean of its cells from treatment on;
                     ``overall_cohort``: their mean by size
    ``calendar``     one ``calendar`` row per period from the first onset on; ``overall_calendar``: their
                     plain mean

    in units of the outcome. ``min_event_time`` and ``max_event_time`` limit the cells of every kind.
    ``balance_event_time`` e keeps the cohorts observed to event time e, and the event times for which all of them
    are. Cohorts that these limits leave without a cell are named in the note. Influence includes that of estimating
    the sizes: weight_i x (sum over the cohort's cells in the average of (ATT - average)) / (sum of sizes). Cells that
    are not identified are left out and counted in the note. Callaway and Sant'Anna 2021, Journal of Econometrics
    225:200-230, section 3; equal to R's did 2.5.1 ``aggte(na.rm = TRUE)``, except that ``min_event_time`` reaches every
    kind, as in R since 2.5.1.901 (its pull request 273); calendar averages of R's did 2.5.1 take no limit.

    Raises DidError if ``result`` is not group-time effects, ``kind`` is unknown, balancing is asked of another
    kind than event_time, or no cell falls into the average.
    """
    one_of("aggregate: kind", kind, KINDS)
    if set(result.parameters["estimand"]) != {"att_gt"}:
        raise DidError("aggregate: expected the group-time effects (att_gt) of callaway_santanna; found "
                       f"{listed(result.parameters['estimand'].unique())}; aggregate those")
    for name, time in (("min_event_time", min_event_time), ("max_event_time", max_event_time),
                       ("balance_event_time", balance_event_time)):
        if time is not None and not isinstance(time, int | np.integer):
            raise DidError(f"aggregate: {name}: expected a whole number of periods since treatment; found {time!r}")
    if balance_event_time is not None and kind != "event_time":
        raise DidError(f"aggregate: balance_event_time: expected kind event_time; found {kind}; leave it out")
    cells = _Cells.of(result, panel, cohort_of_units(result, panel))
    upper = np.inf if max_event_time is None else max_event_time
    lower = -np.inf if min_event_time is None else min_event_time
    chosen = cells.identified & (cells.event_time >= lower) & (cells.event_time <= upper)
    post = chosen & (cells.event_time >= 0)
    if kind == "event_time":
        if balance_event_time is not None:
            chosen &= _balanced(cells, balance_event_time)
        return _finish(result, cells, chosen, cells.event_time, kind, sized=True)
    if kind == "simple":
        return _finish(result, cells, post, np.zeros(len(post), dtype=int), kind, sized=True)
    if kind == "cohort":
        return _finish(result, cells, post, cells.cohort, kind, sized=False)
    return _finish(result, cells, post, cells.period, kind, sized=True)


@dataclasses.dataclass(frozen=True)
class _Cells:
    """Group-time cells as arrays: position of cohort and period, event time, size of the cohort."""

    units: CohortOfUnits
    cohort: np.ndarray
    period: np.ndarray
    periods: pd.Index
    event_time: np.ndarray
    identified: np.ndarray
    size_of: np.ndarray

    @classmethod
    def of(cls, result: Result, panel: Panel, units: CohortOfUnits) -> _Cells:
        parameters = result.parameters
        member = units.code >= 0
        size = np.bincount(units.code[member], units.weight[member], len(units.labels))
        return cls(units, units.labels.get_indexer(parameters["cohort"]),
                   panel.periods.get_indexer(parameters["period"]), panel.periods,
                   parameters["event_time"].to_numpy(dtype=int), np.isfinite(result.estimate), size)


def _balanced(cells: _Cells, horizon: int) -> np.ndarray:
    """Return the (cells,) mask of cohorts observed to ``horizon`` and event times they all share."""
    first, last = cells.period.min(), cells.period.max()
    reached = last - (cells.period - cells.event_time) >= horizon
    return reached & (cells.event_time <= horizon) & (cells.event_time >= horizon - last + first)


def _finish(
    result: Result, cells: _Cells, chosen: np.ndarray, group: np.ndarray, kind: str, *, sized: bool
) -> Result:
    """Average the chosen cells by ``group``, then the averages to the overall effect of the kind."""
    if not chosen.any() or (kind == "event_time" and not (cells.event_time[chosen] >= 0).any()):
        raise DidError(f"aggregate: {kind}: expected a cell at or after treatment within the event times asked "
                       "for; found none; widen min_event_time, max_event_time or balance_event_time")
    found, code = np.unique(group[chosen], return_inverse=True)
    rows = np.flatnonzero(chosen)
    weight = np.zeros((len(chosen), len(found)))
    weight[rows, code] = cells.size_of[cells.cohort[rows]] if sized else 1.0
    total = weight.sum(axis=0)
    attainable = np.nan_to_num(result.estimate)
    value = attainable @ weight / total
    used, weight = weight > 0, weight / total
    spread = np.zeros((len(cells.size_of), len(found)))
    if sized:
        # Effect of the estimated sizes, by cohort and average; none where an average has one cohort (where the sum
        # would be rounding).
        np.add.at(spread, (cells.cohort[rows], code), (attainable[rows] - value[code]) / total[code])
        has_cohort = np.zeros(spread.shape, dtype=bool)
        has_cohort[cells.cohort[rows], code] = True
        spread[:, has_cohort.sum(axis=0) == 1] = 0.0
    if kind == "simple":
        table = parameter_table("overall")
    else:
        share = np.full(len(found), 1 / len(found))
        if kind == "event_time":
            share = (found >= 0) / (found >= 0).sum()
        elif kind == "cohort":
            share = cells.size_of[found] / cells.size_of[found].sum()
        overall = share @ value
        combined = spread @ share
        if kind == "cohort":
            combined[found] += (value - overall) / cells.size_of[found].sum()
        table = parameter_table(
            [kind] * len(found) + [f"overall_{kind}"], state=[*_states(result, chosen, code), ESTIMATED],
            event_time=[*found.tolist(), None] if kind == "event_time" else None,
            cohort=[*cells.units.labels[found], None] if kind == "cohort" else None,
            period=[*cells.periods[found], None] if kind == "calendar" else None)
        value = np.append(value, overall)
        used = np.column_stack([used, used[:, share > 0].any(axis=1)])
        weight, spread = np.column_stack([weight, weight @ share]), np.column_stack([spread, combined])
    return dataclasses.replace(
        result,
        parameters=table,
        estimate=value,
        shares=result.shares.averaged(Averages(weight, used, spread, cells.units.code, cells.units.weight)),
        note=join_notes(result.note, _lost(result, cells.identified), _without_cell(cells, chosen)),
    )


def _lost(result: Result, identified: np.ndarray) -> str:
    """Return how many cells are not identified and the reasons, the same for any part of the cells."""
    if identified.all():
        return ""
    reasons = result.parameters.loc[~identified, "note"].unique()
    return (f"{int((~identified).sum())} of {len(identified)} cells not identified and left out of averages ("
            f"{listed(reasons)})")


def _without_cell(cells: _Cells, chosen: np.ndarray) -> str:
    """Return which cohorts with an effect from treatment on have no cell in the average."""
    lost = np.setdiff1d(cells.cohort[cells.identified & (cells.event_time >= 0)], cells.cohort[chosen])
    if not len(lost):
        return ""
    many = "cohorts" if len(lost) > 1 else "cohort"
    return f"no effect within the event times asked for, left out: {many} {listed(cells.units.labels[lost])}"


def _states(result: Result, chosen: np.ndarray, code: np.ndarray) -> list[str]:
    """Return the state of each average: the reference where it is made of reference cells only."""
    others = (result.parameters["state"] != REFERENCE).to_numpy()[chosen]
    return [ESTIMATED if count else REFERENCE for count in np.bincount(code, others)]
