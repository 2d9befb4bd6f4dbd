"""Local projections: one regression of long differences per event time, on clean controls alone."""

from __future__ import annotations

import dataclasses
from typing import TypeGuard

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import (
    ESTIMATED,
    NOT_IDENTIFIED,
    REFERENCE,
    Panel,
    Result,
    join_notes,
    listed,
    parameter_table,
    scale_free,
)
from did.estimators.callaway_santanna import without_dose
from did.estimators.shares import UnitShares
from did.estimators.stacked import CONTROL_GROUPS

WEIGHTINGS = ("variance", "equal")
COMPOSITIONS = ("changing", "fixed")


@scale_free
def estimate(
    panel: Panel,
    *,
    n_leads: int | None = None,
    n_lags: int | None = None,
    weighting: str = "variance",
    base_window: int | str = 1,
    composition: str = "changing",
    control_group: str = "not_yet_treated",
) -> Result:
    """Return effects by event time, each from a regression of its own, and pooled over event times.

        Y_i,t+h - base_it = gamma_t + delta_h 1[t = g_i] + e_it

    for each event time h from -n_leads to n_lags, over the units first treated in t and the clean controls of t: units
    not treated up to t + h (``not_yet_treated``; up to t where h is negative) or never (``never_treated``). Left
    empty, n_leads and n_lags are the most that every cohort has. ``base_window`` N makes base_it the unit's mean over
    the N periods before t (1 = the last one alone), ``all`` over every period before t. Of a unit with gaps it is the
    mean of what was observed; the note counts such units.

    ``weighting``: least squares weighs the cohort of t by n_treated n_control / n (``variance``); ``equal`` multiplies
    its rows by n / n_control, which makes delta_h the mean over treated units. With a base of one period and
    controls not yet treated, ``equal`` is the average of `callaway_santanna` by event time, weighted by cohort size.
    ``composition="fixed"`` keeps the same units at every event time: cohorts with the whole window in the panel, units
    with every outcome in it, and controls untreated throughout it; each delta_h is then that of `stacked`, with
    ``equal`` that of its corrected weights where no unit lacks an outcome.

    Parameters: ``overall``, the same regression of the mean outcome from t to t + n_lags less the base, over controls
    untreated to t + n_lags; ``overall_before``, of the mean from t - n_leads to t - 2, if n_leads is 2 or more; and
    ``event_time``, whose -1 is the row with note ``reference`` for a base of one period, and is estimated against a
    longer one. All are in units of the outcome. A comparison has the panel's weight of its unit in t.

    Cluster by unit or above: a unit's influence is summed over the cohorts it is a control of. n_parameters is None,
    since every event time has a regression of its own, so the variance has the factor G/(G-1) alone; Stata's
    ``lpdid`` and R's examples multiply it by (N-1)/(N-K) of each regression too. n_obs counts outcome cells used,
    once each. Units treated from the first period have no base and are left out, and named, as are cohorts without
    outcomes or clean controls at any event time. Source: Dube, Girardi, Jorda and Taylor 2023, NBER working paper
    31184; for ``equal`` and the pooled effects, the weighted regressions of their published example
    LP_DiD_R_example_EW.R (its parts 2 and 4).

    Raises DidError if the treatment is not binary, n_leads is not a whole number of 1 or more, n_lags not one of 0 or
    more, base_window neither a whole number of 1 or more nor ``all`` or longer than the data before treatment, another
    option's word is unknown, no treated unit has a period before treatment, or no cohort has outcomes and clean
    controls at an event time other than -1.

    >>> import pandas as pd
    >>> table = pd.DataFrame([(u, str(t), "Y", None if u > 3 else "2003", 2.0 * (u < 4 and t > 2002) + u + t % 3)
    ...                       for u in range(8) for t in range(2000, 2006)],
    ...                      columns=["unit", "period", "frequency", "cohort", "outcome"])
    >>> found = estimate(Panel.from_frame(table, cluster_columns=[]), n_leads=2, n_lags=1)
    >>> found.parameters["estimand"].tolist()[:3]
    ['overall', 'overall_before', 'event_time']
    >>> [float(value) for value in found.estimate.round(9) + 0.0]  # after treatment, before it, and by event time
    [2.0, 0.0, 0.0, 0.0, 2.0, 2.0]
    """
    one_of("local_projections: weighting", weighting, WEIGHTINGS)
    one_of("local_projections: composition", composition, COMPOSITIONS)
    one_of("local_projections: control_group", control_group, CONTROL_GROUPS)
    dose = without_dose(panel, "local_projections")
    window = _window(panel, n_leads, n_lags, base_window)
    event_times = np.arange(-window.n_leads, window.n_lags + 1)
    sums = _Sums.empty(panel, 1 + (window.n_leads > 1) + len(event_times))
    never = control_group == "never_treated"
    outside, alone, fewer = [], [], []
    starts = np.unique(panel.treated_from[~panel.never_treated & ~panel.always_treated])
    longest, base = int(starts.max()), window.base or 1
    if base > longest:
        raise DidError(f"local_projections: base_window: expected no more periods than a cohort has before treatment, "
                       f"{longest} at most; found {base}; name fewer, or all")
    short = panel.periods[starts[starts < base]]
    for start in starts[starts >= base]:
        if composition == "fixed" and not 0 <= start - window.n_leads <= start + window.n_lags < panel.n_periods:
            outside.append(panel.periods[start])
            continue
        usable = sums.add(panel, _comparison(panel, start, window, never, composition == "fixed"),
                          equal=weighting == "equal")
        if not usable.any():
            alone.append(panel.periods[start])
        elif not usable.all():
            fewer.append(panel.periods[start])
    return _result(panel, sums, event_times, window, join_notes(
        dose,
        f"treated from the first period, left out: {listed(panel.units[panel.always_treated])}"
        if panel.always_treated.any() else "",
        f"cohorts with fewer than {base} periods before treatment, the base window, left out: {listed(short)}"
        if len(short) else "",
        f"cohorts without the whole window, left out: {listed(outside)}" if outside else "",
        f"cohorts without outcomes or clean controls, left out: {listed(alone)}" if alone else "",
        f"cohorts without outcomes or clean controls at some event times, left out there: {listed(fewer)}"
        if fewer else "",
        f"units with gaps in their base, which is then the mean of what was observed: {int(sums.gaps.sum())}"
        if sums.gaps.any() else "",
    ))


@dataclasses.dataclass(frozen=True)
class _Window:
    n_leads: int
    n_lags: int
    base: int | None  # None = every period before treatment


@dataclasses.dataclass(frozen=True)
class _Comparison:
    """What one cohort is compared on, a column per parameter: `overall`, `overall_before` if any, event times.

    periods   (columns, periods) True for the periods that a column compares, those of the base among them
    change    (units, columns) outcomes less the base; NaN where not observed
    treated   (units, 1) True for the cohort
    weight    (units, columns) 0 for units that are neither of the cohort nor clean controls, or lack the change
    gaps      (units,) True where a unit's base lacks a period that others have
    """

    periods: np.ndarray
    change: np.ndarray
    treated: np.ndarray
    weight: np.ndarray
    gaps: np.ndarray


def _window(panel: Panel, n_leads: int | None, n_lags: int | None, base_window: int | str) -> _Window:
    starts = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if not len(starts):
        raise DidError("local_projections: expected a treated unit with a period before treatment; found none; add "
                       "earlier periods")
    for name, number, least in (("n_leads", n_leads, 1), ("n_lags", n_lags, 0)):
        if number is not None and not (_whole(number) and number >= least):
            raise DidError(f"local_projections: {name}: expected a whole number of periods, {least} or more; found "
                           f"{number}")
    if isinstance(base_window, str) and base_window.isdecimal():   # as a command line has it
        base_window = int(base_window)
    base = None
    if base_window != "all":
        if not (_whole(base_window) and base_window >= 1):
            raise DidError("local_projections: base_window: expected a whole number of periods, 1 or more, or 'all'; "
                           f"found '{base_window}'")
        base = base_window
    return _Window(
        int(starts.min()) if n_leads is None else n_leads,
        int(panel.n_periods - 1 - starts.max()) if n_lags is None else n_lags,
        base,
    )


def _whole(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)


def _comparison(panel: Panel, start: int, window: _Window, never: bool, fixed: bool) -> _Comparison:
    horizons = np.arange(-window.n_leads, window.n_lags + 1)
    inside = (start + horizons >= 0) & (start + horizons < panel.n_periods)
    outcome = np.full((panel.n_units, len(horizons)), np.nan)
    outcome[:, inside] = panel.outcome[:, start + horizons[inside]]
    first = 0 if window.base is None else start - window.base
    before = panel.outcome[:, max(first, 0):start]
    seen = np.isfinite(before)
    n_seen = seen.sum(axis=1)
    # A base that begins before the panel is another base than the one asked for.
    has_base = (n_seen > 0) & (first >= 0)
    base = np.where(has_base, np.where(seen, before, 0.0).sum(axis=1) / np.maximum(n_seen, 1), np.nan)
    # Which horizons a column is the mean of: after treatment, before it, and each.
    means = np.vstack([horizons >= 0, *([horizons < -1] if window.n_leads > 1 else []), np.eye(len(horizons))]) > 0
    change = np.column_stack([*(outcome[:, part].mean(axis=1) for part in means[:-len(horizons)]), outcome])
    change -= base[:, None]
    until = np.concatenate([[window.n_lags], [0] * (window.n_leads > 1), np.maximum(horizons, 0)])
    until = np.full_like(until, window.n_lags) if fixed else until
    treated = (panel.treated_from == start)[:, None]
    clean = panel.never_treated[:, None] if never else panel.treated_from[:, None] > start + until
    weight = np.ones(panel.n_units) if panel.weight is None else panel.weight[:, start]
    weight = weight[:, None] * ((treated | clean) & np.isfinite(change))
    if fixed:
        weight = weight * np.isfinite(change).all(axis=1, keepdims=True)
    gaps = has_base & (n_seen < seen.any(axis=0).sum())
    periods = np.zeros((len(means), panel.n_periods), dtype=bool)
    periods[:, start + horizons[inside]] = means[:, inside]
    periods[:, max(first, 0):start] = True
    return _Comparison(periods, change, treated, weight, gaps)


@dataclasses.dataclass
class _Sums:
    """Sums over cohorts that the regressions are made of; a column per parameter.

    moment, square  (units, columns) each unit's part of D'WY and D'WD, D and Y less their cohort's means
    treated         (units, columns) True for treated units behind the parameter
    cells           (units, periods) True for outcomes used
    gaps            (units,) True for units used whose base has gaps
    """

    moment: np.ndarray
    square: np.ndarray
    treated: np.ndarray
    cells: np.ndarray
    gaps: np.ndarray

    @classmethod
    def empty(cls, panel: Panel, n_columns: int) -> _Sums:
        shape = (panel.n_units, n_columns)
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool),
                   np.zeros(panel.outcome.shape, dtype=bool), np.zeros(panel.n_units, dtype=bool))

    def add(self, panel: Panel, cohort: _Comparison, *, equal: bool) -> np.ndarray:
        """Add a cohort and return (columns,) whether it has treated units and controls there."""
        treated_total = (cohort.weight * cohort.treated).sum(axis=0)
        total = cohort.weight.sum(axis=0)
        usable = (treated_total > 0) & (total > treated_total)
        weight = np.where(usable, cohort.weight, 0.0)
        total = np.where(usable, total, 1.0)
        share = np.where(usable, treated_total / total, 0.0)
        change = np.where(weight > 0, cohort.change, 0.0)
        change -= (weight * change).sum(axis=0) / total
        treatment = cohort.treated - share
        scale = 1 / (1 - share) if equal else 1.0
        self.moment += scale * weight * treatment * change
        self.square += scale * weight * treatment**2
        self.treated |= cohort.treated & (weight > 0)
        self.gaps |= (weight > 0).any(axis=1) & cohort.gaps
        reached = (weight > 0).astype(np.float32) @ cohort.periods.astype(np.float32) > 0
        self.cells |= reached & np.isfinite(panel.outcome)
        return usable


def _result(panel: Panel, sums: _Sums, event_times: np.ndarray, window: _Window, note: str) -> Result:
    square = sums.square.sum(axis=0)
    found = square > 0
    pooled = len(square) - len(event_times)
    reference = np.concatenate([[False] * pooled, (event_times == -1) & (window.base == 1)])
    if not (found & ~reference).any():
        raise DidError("local_projections: expected a cohort with outcomes at an event time other than -1, a base, and "
                       f"clean controls; found none ({note or 'no cohort has them'}); add units never treated or "
                       "treated later, or choose a shorter window")
    value = np.where(found, sums.moment.sum(axis=0) / np.where(found, square, 1.0), np.nan)
    influence = (sums.moment - np.where(found, value, 0.0) * sums.square) / np.where(found, square, 1.0)
    value[reference], influence[:, reference] = 0.0, 0.0
    states = np.where(reference, REFERENCE, np.where(found, ESTIMATED, NOT_IDENTIFIED)).tolist()
    notes = np.where(found | reference, "", "no cohort has outcomes, a base and clean controls there").tolist()
    pools = [("overall", f"mean of event times 0 to {window.n_lags}"),
             ("overall_before", f"mean of event times {-window.n_leads} to -2")]
    parameters = pd.concat([
        *(parameter_table(name, state=[states[place]], note=[about if found[place] else notes[place]])
          for place, (name, about) in enumerate(pools[:pooled])),
        parameter_table("event_time", event_time=event_times.tolist(), state=states[pooled:], note=notes[pooled:]),
    ], ignore_index=True)
    used = sums.cells.any(axis=1)
    return Result(
        estimator="local_projections",
        parameters=parameters,
        estimate=value,
        shares=UnitShares(panel.units[used], influence[used], sums.treated[used]),
        n_obs=int(sums.cells.sum()),
        n_parameters=None,
        note=note,
    )
