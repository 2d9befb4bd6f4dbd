"""Stacked event study: one data set per cohort with its clean controls, estimated together."""

from __future__ import annotations

import dataclasses

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
    root_sum_squares,
    scale_free,
)
from did.estimators.cohort_panel import by_cohort
from did.estimators.shares import Shares, UnitShares, summed
from did.estimators.within import ROUNDING, identified_columns, independent_columns, within

CONTROL_GROUPS = ("not_yet_treated", "never_treated")
CONTROL_WEIGHTS = ("equal", "corrected")


@scale_free
def estimate(
    panel: Panel,
    *,
    n_leads: int | None = None,
    n_lags: int | None = None,
    control_group: str = "not_yet_treated",
    control_weights: str = "equal",
    static: bool = False,
) -> Result:
    """Return effects by event time from the cohorts' own comparisons with units untreated in the window.

        Y_its = alpha_is + gamma_ts + sum over e not -1 of delta_e dose_i 1[t - g_s = e, i in cohort s] + e_its

    Stack s holds cohort s and its clean controls, from n_leads periods before its first treated period g_s to
    n_lags after it (0 = the first treated period only); clean controls are treated in no period up to g_s +
    n_lags (``not_yet_treated``, never-treated units among them) or never (``never_treated``). Left empty,
    n_leads and n_lags are the most that every cohort has. A cohort without the whole window in the panel,
    without clean controls, or (but for ``static``) without outcomes of its own and of them at -1, is left out and
    named, so that every event time rests on the same units.

    Parameters: ``event_time`` for every event time in the window (-1 is the row with note ``reference``) and
    ``overall``, the mean of the delta_e of e >= 0, as Cengiz, Dube, Lindner and Zipperer 2019 report it
    (Quarterly Journal of Economics 134:1405-1454); being against event time -1 alone it carries that period's
    noise. With ``static=True`` one parameter ``overall`` for dose_i 1[t >= g_s] in place of the leads and lags;
    with one cohort and the whole panel as window it equals `did`, and the event times equal `event_study`. All
    are in units of the outcome per unit of dose.

    Least squares weighs a cohort's effect by its variance in the stack. ``control_weights="corrected"``
    weights the controls of stack s by (its share of all treated) / (its share of all stacked controls), both
    counted in panel weight, which makes delta_e the mean over treated units (Wing, Freedman and
    Hollingsworth 2024, NBER working paper 32054).

    A control's influence is summed over its stacks, so that clustering by unit or above holds. n_obs
    counts cells once per stack; n_parameters counts regressors and the period effects of every stack. Cells
    without an outcome or weight are left out and counted in the note.

    An event time that gaps leave tied to others is NaN and noted, and so are those others and `overall` with them.

    Raises DidError if n_leads is not a whole number of 1 or more, n_lags not one of 0 or more, an option's word
    is unknown, no cohort has the window and clean controls, or no effect can be told from unit and period
    effects.
    """
    one_of("stacked: control_group", control_group, CONTROL_GROUPS)
    one_of("stacked: control_weights", control_weights, CONTROL_WEIGHTS)
    n_leads, n_lags = _window(panel, n_leads, n_lags)
    cohorts = by_cohort(panel)
    # Where a cohort's units differ in their outcomes only, the regression is that of the cohorts.
    rows = panel if cohorts is None else cohorts.panel
    stacks, note = _stacks(rows, n_leads, n_lags, control_group, static)
    if control_weights == "corrected":
        stacks = _corrected(stacks)
    event_times = np.arange(-n_leads, n_lags + 1)
    estimated = event_times[event_times != -1]
    fit = _fit(stacks, event_times, None if static else estimated)
    if not fit.identified.any():
        raise DidError("stacked: expected treatment to vary within units and periods; found no variation among "
                       f"the {fit.n_obs} observed cells of the stacks; check that treated and control units "
                       "have outcomes before and after onset")
    used = np.unique(np.concatenate([stack.rows[(stack.weight > 0).any(axis=1)] for stack in stacks]))
    if static:
        parameters, combine = parameter_table("overall"), np.ones((1, 1))
    else:
        parameters, combine = _event_study_parameters(event_times, estimated, fit.identified)
    # A parameter that mixes in a column without a coefficient of its own is not identified.
    lost = (combine[~fit.identified] != 0).any(axis=0)
    combine[:, lost] = 0.0
    value = np.where(lost, np.nan, np.where(fit.identified, fit.coefficient, 0.0) @ combine)
    influence = np.zeros((rows.n_units, combine.shape[1]))
    for stack, part in zip(stacks, fit.influence, strict=True):
        influence[stack.rows] += part @ combine
    behind = _behind(rows, stacks, parameters, event_times)
    if cohorts is None:
        shares: Shares = UnitShares(panel.units[used], influence[used], behind[used])
    else:
        own = cohorts.keep(np.isin(np.arange(rows.n_units), used))
        weight = cohorts.moments.weight
        slopes = _slopes(stacks, fit, combine, weight, panel.n_periods)
        shares = own.shares(slopes[used], (influence / weight[:, None])[used], behind[used])
    return Result(
        estimator="stacked",
        parameters=parameters,
        estimate=value,
        shares=shares,
        n_obs=fit.n_obs if cohorts is None else sum(
            int(cohorts.moments.units[stack.rows].sum()) for stack in stacks) * len(event_times),
        n_parameters=int(fit.kept.sum()) + fit.n_periods,
        note=join_notes(f"{len(stacks)} {'stacks' if len(stacks) > 1 else 'stack'} of event times {-n_leads} to "
                        f"{n_lags}", note, _missing(stacks)),
    )


@dataclasses.dataclass(frozen=True)
class _Stack:
    """One cohort's data set: position of the window's first period, unit positions, (rows, window) outcome and weight,
    (rows,) dose, 0 for controls."""

    first: int
    rows: np.ndarray
    outcome: np.ndarray
    weight: np.ndarray
    dose: np.ndarray


@dataclasses.dataclass(frozen=True)
class _StackedFit:
    coefficient: np.ndarray
    kept: np.ndarray
    identified: np.ndarray
    influence: list[np.ndarray]
    columns: list[_Columns]
    bread: np.ndarray
    n_obs: int
    n_periods: int


def _window(panel: Panel, n_leads: int | None, n_lags: int | None) -> tuple[int, int]:
    starts = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if not len(starts):
        raise DidError("stacked: expected a treated unit with a period before treatment; found none; add "
                       "earlier periods")
    for name, number, least in (("n_leads", n_leads, 1), ("n_lags", n_lags, 0)):
        if number is not None and (not isinstance(number, int) or number < least):
            raise DidError(f"stacked: {name}: expected a whole number of periods, {least} or more; found {number}")
    return (
        int(starts.min()) if n_leads is None else n_leads,
        int(panel.n_periods - 1 - starts.max()) if n_lags is None else n_lags,
    )


def _stacks(panel: Panel, n_leads: int, n_lags: int, control_group: str, static: bool) -> tuple[list[_Stack], str]:
    weight = panel.observed_weight
    stacks, outside, alone, adrift = [], [], [], []
    for start in np.unique(panel.treated_from[~panel.never_treated]):
        first, last = start - n_leads, start + n_lags
        name = panel.periods[start]
        if first < 0 or last >= panel.n_periods:
            outside.append(name)
            continue
        clean = panel.never_treated if control_group == "never_treated" else panel.treated_from > last
        cohort = panel.treated_from == start
        window = slice(first, last + 1)
        seen = (weight[:, window] > 0).any(axis=1)
        at_reference = seen if static else weight[:, start - 1] > 0
        if not (clean & seen).any() or not (cohort & seen).any():
            alone.append(name)
            continue
        if not (clean & at_reference).any() or not (cohort & at_reference).any():
            adrift.append(name)
            continue
        rows = np.flatnonzero(cohort | clean)
        stacks.append(_Stack(first, rows, panel.outcome[rows, window], weight[rows, window],
                             np.where(cohort, panel.dose, 0.0)[rows]))
    note = join_notes(
        f"cohorts without the whole window, left out: {listed(outside)}" if outside else "",
        f"cohorts without clean controls or outcomes, left out: {listed(alone)}" if alone else "",
        f"cohorts without outcomes at event time -1, of their own or of clean controls, to measure others from, left "
        f"out: {listed(adrift)}" if adrift else "",
    )
    if not stacks:
        raise DidError(f"stacked: expected a cohort with event times {-n_leads} to {n_lags} and units untreated "
                       f"throughout ({control_group}); found none ({note}); choose a shorter window or other controls")
    return stacks, note


def _corrected(stacks: list[_Stack]) -> list[_Stack]:
    """Return the stacks with controls weighted to each stack's share of the treated."""
    treated = np.array([stack.weight[stack.dose > 0].sum() for stack in stacks])
    control = np.array([stack.weight[stack.dose <= 0].sum() for stack in stacks])
    factor = (treated / treated.sum()) / (control / control.sum())
    return [
        dataclasses.replace(stack, weight=np.where(stack.dose[:, None] > 0, stack.weight, stack.weight * ratio))
        for stack, ratio in zip(stacks, factor, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class _Columns:
    """A stack's leads and lags times dose, or dose after treatment if static, written out once for rows that share
    them: ``of`` (rows,) is the group of each. Regressors and, the effects taken out, columns are (groups, window,
    columns), ``weight`` (groups, window) the rows' sums."""

    of: np.ndarray
    weight: np.ndarray
    regressors: np.ndarray
    free: np.ndarray

    @classmethod
    def of_stack(cls, stack: _Stack, event_times: np.ndarray, estimated: np.ndarray | None) -> _Columns:
        shown = (event_times >= 0)[:, None] if estimated is None else event_times[:, None] == estimated[None, :]
        dose, of, weight = stack.dose, np.arange(len(stack.dose)), stack.weight
        if (weight > 0).all() and (weight == weight[:, :1]).all():
            # Weights that stay the same over time leave rows of one dose the same columns.
            dose, of = np.unique(stack.dose, return_inverse=True)
            weight = np.repeat(np.bincount(of, weight[:, 0])[:, None], weight.shape[1], axis=1)
        regressors = dose[:, None, None] * shown
        return cls(of, weight, regressors, within(regressors, weight))


def _fit(stacks: list[_Stack], event_times: np.ndarray, estimated: np.ndarray | None) -> _StackedFit:
    """Fit all stacks by weighted least squares, unit and period effects taken out stack by stack."""
    columns = [_Columns.of_stack(stack, event_times, estimated) for stack in stacks]
    weight = [stack.weight for stack in stacks]
    outcome = [within(stack.outcome, stack.weight) for stack in stacks]
    gram = sum(np.einsum("utk,utl->kl", x.free * x.weight[:, :, None], x.free, optimize=True) for x in columns)
    moment = sum(np.einsum("utk,ut->k", x.free, summed(w * y, x.of, len(x.free)))
                 for x, w, y in zip(columns, weight, outcome, strict=True))
    raw = sum(np.einsum("utk,ut->k", x.regressors**2, x.weight) for x in columns)
    rounding = ROUNDING**2 * raw
    kept = independent_columns(gram, rounding)
    coefficient = np.full(len(kept), np.nan)
    bread = np.zeros((len(kept), len(kept)))
    if kept.any():
        bread[np.ix_(kept, kept)] = np.linalg.inv(gram[np.ix_(kept, kept)])
        coefficient[kept] = bread[np.ix_(kept, kept)] @ moment[kept]
    fitted = np.where(kept, coefficient, 0.0)
    residual = [y - (x.free @ fitted)[x.of] for x, y in zip(columns, outcome, strict=True)]
    level = root_sum_squares(np.concatenate([stack.outcome[stack.weight > 0] for stack in stacks]))
    if root_sum_squares(np.concatenate([r.ravel() for r in residual])) <= ROUNDING * level:
        residual = [np.zeros_like(r) for r in residual]
    influence = [np.einsum("utk,ut->uk", x.free[x.of], w * r) @ bread
                 for x, w, r in zip(columns, weight, residual, strict=True)]
    identified = identified_columns(gram, kept, rounding)
    n_obs = sum(int((w > 0).sum()) for w in weight)
    return _StackedFit(coefficient, kept, identified, influence, columns, bread, n_obs,
                       sum(int((w > 0).any(axis=0).sum()) for w in weight))


def _slopes(stacks: list[_Stack], fit: _StackedFit, combine: np.ndarray, weight: np.ndarray, n_periods: int
            ) -> np.ndarray:
    """Return (cohorts, periods, parameters) what a unit of a cohort adds by each outcome, per unit of its weight;
    ``weight`` (cohorts,) are their units' sums. The columns less the effects sum to 0 over a window, so that the unit's
    own mean does not count."""
    slopes = np.zeros((len(weight), n_periods, combine.shape[1]))
    for stack, columns in zip(stacks, fit.columns, strict=True):
        window = slice(stack.first, stack.first + columns.weight.shape[1])
        slopes[stack.rows, window] += (stack.weight[:, :1] / weight[stack.rows, None])[:, :, None] * (
            columns.free @ (fit.bread @ combine))[columns.of]
    return slopes


def _event_study_parameters(event_times: np.ndarray, estimated: np.ndarray, identified: np.ndarray
                            ) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the parameters (overall, then event times) and the matrix that makes them of the coefficients."""
    after = estimated >= 0
    known = bool(identified[after].all())
    states = [ESTIMATED if known else NOT_IDENTIFIED] + [REFERENCE if e == -1 else ESTIMATED for e in event_times]
    notes = ["mean of event times 0 and later, against -1" if known else "an event time is missing"] + [""] * len(
        event_times)
    combine = np.zeros((len(estimated), 1 + len(event_times)))
    combine[after, 0] = 1 / after.sum()
    for column, e in enumerate(event_times, 1):
        combine[estimated == e, column] = 1.0
        if e != -1 and not identified[estimated == e][0]:
            states[column] = NOT_IDENTIFIED
            notes[column] = "collinear with the others"
    estimands, times = ["overall", *["event_time"] * len(event_times)], [None, *event_times.tolist()]
    return parameter_table(estimands, event_time=times, state=states, note=notes), combine


def _behind(panel: Panel, stacks: list[_Stack], parameters: pd.DataFrame, event_times: np.ndarray) -> np.ndarray:
    """Return (units, parameters) True for the treated units with an outcome that a parameter rests on."""
    behind = np.zeros((panel.n_units, len(parameters)), dtype=bool)
    for stack in stacks:
        cells = (stack.weight > 0) & (stack.dose > 0)[:, None]
        for column, e in enumerate(parameters["event_time"]):
            seen = cells[:, event_times >= 0] if pd.isna(e) else cells[:, event_times == e]
            behind[stack.rows, column] |= seen.any(axis=1)
    return behind


def _missing(stacks: list[_Stack]) -> str:
    n_missing = sum(int((stack.weight <= 0).sum()) for stack in stacks)
    n_cells = sum(stack.weight.size for stack in stacks)
    return (f"{n_missing} of {n_cells} stacked unit-periods have no outcome or no weight and are left out"
            if n_missing else "")
