"""Interaction-weighted event study of Sun and Abraham."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import (
    ESTIMATED,
    REFERENCE,
    Panel,
    Result,
    join_notes,
    listed,
    parameter_table,
    root_sum_squares,
    scale_free,
)
from did.estimators.callaway_santanna import without_dose
from did.estimators.cohort_panel import by_cohort
from did.estimators.shares import Shares, UnitShares
from did.estimators.within import ROUNDING, generalised_inverse, independent_columns

# A contrast of period effects outside what the data determine leaves a remainder of about 1; inside, rounding.
DETERMINED = 1e-6


@scale_free
def estimate(panel: Panel, *, reference: int = -1, covariates: Sequence[str] | None = None) -> Result:
    """Return cohort effects by event time, averaged over cohorts with their shares.

        Y_it = alpha_i + gamma_t + sum over g, e not in the reference of delta_ge 1[g_i = g] 1[t - g = e] + u_it

    delta_e = sum_g share_g delta_ge, with shares of the observed cells at event time e (by weight). Controls
    are the never treated or, if there are none, the last cohort, with its periods from onset left out. The
    regression is saturated by cohort and period, so it is solved exactly one cohort at a time: delta_gt is a
    difference of cohort-specific period effects, and in a balanced panel the group-time effect with
    never-treated controls and the universal base period. The panel's ``covariates`` named (None = all
    of them) enter linearly, with one slope for all; those that the effects or earlier ones explain, such as one
    fixed over time, drop out, and the note names them. Sun and Abraham 2021, Journal of Econometrics
    225:175-199, section 4.1.

    Parameters: ``event_time`` rows (the reference is 0, noted ``reference``), ``overall`` (all cells from
    treatment on by share) and ``cohort`` rows (a cohort's own cells from treatment on), in units of the
    outcome. Shares count as fixed, and errors, N and K are those of R's ``fixest::sunab``. Missing outcomes are
    left out and counted; units treated from the first period are left out and named; effects that gaps leave
    undetermined are left out of the averages and counted.

    Raises DidError if the treatment is not binary, a covariate is unknown, there is no treated unit with a
    reference period, no control has outcomes, or no effect from treatment on is determined.
    """
    dose = without_dose(panel, "sun_abraham")
    if isinstance(reference, bool) or not isinstance(reference, int) or reference >= 0:
        raise DidError("sun_abraham: reference: expected a whole number of periods before treatment, such as "
                       f"-1; found {reference}")
    covariates = list(panel.covariates if covariates is None else covariates)
    for name in covariates:
        one_of("sun_abraham: covariates", name, panel.covariates)
    used, last, note = _controls(panel, reference)
    # Where a cohort's units differ in their outcomes only, the regression is that of the cohorts.
    cohorts = None if covariates else by_cohort(used, last)
    units, used = used.units, used if cohorts is None else cohorts.panel
    weight = used.observed_weight.copy()
    weight[:, last:] = 0.0
    for name in covariates:
        weight[~np.isfinite(used.covariates[name])] = 0.0
    fits, kept = _fits(used.outcome, weight, np.minimum(used.treated_from, last),
                       [used.covariates[name] for name in covariates], slopes=cohorts is not None)
    dropped = [name for name, has_slope in zip(covariates, kept, strict=True) if not has_slope]
    table, value, influence, lost = _cells(used, fits, weight, last, reference)
    if not (table["event_time"] >= 0).any():
        raise DidError("sun_abraham: expected an effect from treatment on that the observed cells determine; "
                       "found none; check that treated and control units have outcomes before and after onset")
    observed = weight > 0
    n_obs, has_data = int(observed.sum()), observed.any(axis=1)
    groups, times, own = _averages(table)
    size = table["size"]
    share = groups * size[:, None] / (groups * size[:, None]).sum(axis=0)
    cells = observed[:, table["period"]] & (used.treated_from[:, None] == table["cohort"])
    behind = cells.astype(np.float32) @ groups.astype(np.float32) > 0
    estimates, influences = value @ share, influence @ share
    at_reference = (observed & (used.event_time == reference)).any(axis=1) & (used.treated_from < last)
    # The row of the reference period is put in its place.
    at = int(np.searchsorted(times, reference))
    estimates, influences = np.insert(estimates, at, 0.0), np.insert(influences, at, 0.0, axis=-1)
    behind = np.insert(behind, at, at_reference, axis=1)
    if cohorts is None:
        shares: Shares = UnitShares(units[has_data], influences[has_data], behind[has_data])
    else:
        n_obs = int(cohorts.moments.units.sum()) * last
        shares = cohorts.shares(influences, np.zeros(behind.shape), behind)
    n_missing = int((~observed[:, :last]).sum())
    return Result(
        estimator="sun_abraham",
        parameters=_parameters(np.insert(times, at, reference).tolist(), reference, panel.periods[own]),
        estimate=estimates,
        shares=shares,
        n_obs=n_obs,
        n_parameters=len(size) + int(kept.sum()) + int(observed.any(axis=0).sum()),
        note=join_notes(
            note,
            f"{n_missing} of {last * used.n_units} unit-periods have no outcome, weight or covariate and are left out"
            if n_missing else "",
            f"{lost} cohort effects are not determined by the observed cells and left out" if lost else "",
            f"covariates without variation beyond unit and cohort-period effects, left out: {listed(dropped)}"
            if dropped else "",
            "shares of cohorts taken as fixed",
            dose),
    )


def _controls(panel: Panel, reference: int) -> tuple[Panel, int, str]:
    """Return the panel without units that lack a reference period, the number of periods used, a note.

    Without never-treated units the last cohort is the control: only the periods before its onset are used.
    """
    last = panel.n_periods if panel.never_treated.any() else int(panel.treated_from.max())
    early = panel.treated_from + reference < 0
    note = f"no period at event time {reference}, left out: {listed(panel.units[early])}" if early.any() else ""
    if last < panel.n_periods:
        note = join_notes(note, f"no never-treated units: cohort {panel.periods[last]} serves as control and "
                                f"{panel.periods[last]} and later are left out")
    used = panel.keep(~early) if early.any() else panel
    if not (used.treated_from < last).any():
        raise DidError(f"sun_abraham: expected a cohort with a period at event time {reference} and controls "
                       f"treated later or never; found none ({note or 'one cohort'}); add periods or controls")
    return used, last, note


@dataclasses.dataclass(frozen=True)
class _Fit:
    """Period effects of one cohort.

    effect      (periods,) in units of the outcome, up to a constant
    influence   (all units, periods); of cohorts, (all cohorts, periods, periods) what a unit adds by each outcome
    projection  (periods, periods) onto the contrasts of effects that the cohort's cells determine
    """

    effect: np.ndarray
    influence: np.ndarray
    projection: np.ndarray


@dataclasses.dataclass(frozen=True)
class _System:
    """Normal equations of one cohort's period effects, its unit effects substituted out (see `within`)."""

    members: np.ndarray
    weight: np.ndarray
    per_unit: np.ndarray
    matrix: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, weight: np.ndarray, members: np.ndarray) -> _System:
        w = weight[members]
        total = w.sum(axis=1)
        per_unit = w / np.where(total > 0, total, 1.0)[:, None]
        matrix = np.diag(w.sum(axis=0)) - w.T @ per_unit
        return cls(np.flatnonzero(members), w, per_unit, matrix, generalised_inverse(matrix))

    def solve(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the period effects (periods,) of (all units, periods) values and the members' residuals."""
        v = np.where(self.weight > 0, values[self.members], 0.0)
        residual, effect = v, np.zeros(len(self.matrix))
        for _ in range(2):  # the second round takes out the rounding of the first, which is of the size of the effects
            centred = residual - (self.per_unit * residual).sum(axis=1)[:, None]
            more = self.inverse @ (self.weight * centred).sum(axis=0)
            residual = np.where(self.weight > 0, centred - more + (self.per_unit @ more)[:, None], 0.0)
            effect = effect + more
        if root_sum_squares(residual) <= ROUNDING * root_sum_squares(v):
            residual = np.zeros_like(residual)
        return effect, residual


def _fits(
    outcome: np.ndarray, weight: np.ndarray, cohort: np.ndarray, covariates: list[np.ndarray], *, slopes: bool = False
) -> tuple[dict[int, _Fit], np.ndarray]:
    """Return each cohort's period effects, net of covariates with one slope for all, and which have a slope.

    cohort (units,) codes; covariates each (units, periods). With ``slopes`` units are cohorts, each by itself. The
    slope comes from residuals of the cohorts' own effects (Frisch, Waugh and Lovell); its influence passes to the
    effects. A covariate that the effects explain, such as one fixed over time, is dropped. The influence of a unit on a
    cohort's effects is S^+ (w_i x residual_i), S the normal equations.
    """
    systems = {int(code): _System.of(weight, cohort == code) for code in np.unique(cohort)}
    solved = {code: [one.solve(values) for values in (outcome, *covariates)] for code, one in systems.items()}
    stacked = np.concatenate([
        np.stack([residual for _, residual in solved[code]], axis=2).reshape(-1, 1 + len(covariates))
        for code in systems])
    w = np.concatenate([one.weight.ravel() for one in systems.values()])
    raw = np.array([np.sum(weight * np.where(weight > 0, values, 0.0) ** 2) for values in covariates])
    gram = stacked.T @ (stacked * w[:, None])
    kept = independent_columns(gram[1:, 1:], ROUNDING**2 * raw) if covariates else np.zeros(0, dtype=bool)
    bread = np.linalg.inv(gram[1:, 1:][np.ix_(kept, kept)])
    slope = bread @ gram[1:, 0][kept]
    of_slope = np.zeros((len(weight), len(slope)))
    residuals = {}
    for code, one in systems.items():
        x = np.stack([solved[code][1 + k][1] for k in np.flatnonzero(kept)], axis=2) if kept.any() else (
            np.zeros((*one.weight.shape, 0)))
        residuals[code] = solved[code][0][1] - x @ slope
        of_slope[one.members] = np.einsum("utk,ut->uk", x, one.weight * residuals[code]) @ bread
    fits = {}
    for code, one in systems.items():
        x_effect = np.array([solved[code][1 + k][0] for k in np.flatnonzero(kept)]).reshape(
            len(slope), weight.shape[1])
        if slopes:
            influence = np.zeros((*weight.shape, weight.shape[1]))
            influence[one.members] = one.inverse
        else:
            influence = -of_slope @ x_effect if kept.any() else np.zeros(weight.shape)
            influence[one.members] += (one.weight * residuals[code]) @ one.inverse
        fits[code] = _Fit(solved[code][0][0] - slope @ x_effect, influence, one.inverse @ one.matrix)
    return fits, kept


def _cells(
    panel: Panel, fits: dict[int, _Fit], weight: np.ndarray, last: int, reference: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, int]:
    """Return the cells (cohort, period, event_time, size), their effects, influence, and how many are lost."""
    never = max(fits)
    control = fits[never]
    rows, values, influences, lost = [], [], [], 0
    for first, fit in fits.items():
        if first == never:
            continue
        base = first + reference
        period = np.array([t for t in range(last) if t != base])
        size = weight[panel.treated_from == first][:, period].sum(axis=0)
        period, size = period[size > 0], size[size > 0]
        contrast = np.zeros((last, len(period)))
        contrast[period, np.arange(len(period))] = 1.0
        contrast[base] -= 1.0
        padded = np.zeros((len(fit.effect), len(period)))
        padded[:last] = contrast
        known = np.ones(len(period), dtype=bool)
        for one in (fit, control):
            known &= np.abs(one.projection @ padded - padded).max(axis=0) < DETERMINED
        lost += int((~known).sum())
        padded, period, size = padded[:, known], period[known], size[known]
        influence = (fit.influence - control.influence) @ padded
        rows.append({"cohort": np.full(len(period), first), "period": period, "event_time": period - first,
                     "size": size})
        values.append((fit.effect - control.effect) @ padded)
        influences.append(influence)
    table = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return table, np.concatenate(values), np.concatenate(influences, axis=-1), lost


def _averages(table: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (cells, averages) membership: each event time, all cells from treatment on, each cohort's own; and the
    event times and cohorts."""
    event_time, cohort = table["event_time"], table["cohort"]
    times, post = np.unique(event_time), event_time >= 0
    cohorts = np.unique(cohort[post])
    groups = np.column_stack([
        event_time[:, None] == times, post, (cohort[:, None] == cohorts) & post[:, None],
    ]).astype(float)
    return groups, times, cohorts


def _parameters(times: list[int], reference: int, cohorts: pd.Index) -> pd.DataFrame:
    """Return the parameters: event times, the average of all cells from treatment on, and of each cohort."""
    states = [REFERENCE if time == reference else ESTIMATED for time in times]
    return parameter_table(
        ["event_time"] * len(times) + ["overall"] + ["cohort"] * len(cohorts),
        cohort=[*[None] * (len(times) + 1), *cohorts], event_time=[*times, *[None] * (1 + len(cohorts))],
        state=states + [ESTIMATED] * (1 + len(cohorts)))
