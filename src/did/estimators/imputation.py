"""Imputation: effects as outcomes less what untreated observations predict (Borusyak, Jaravel and Spiess)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, join_notes, listed, parameter_table, root_sum_squares, scale_free
from did.estimators.cohort_panel import CohortPanel, by_cohort
from did.estimators.shares import Shares, UnitShares
from did.estimators.within import ROUNDING, generalised_inverse, independent_columns

ESTIMANDS = ("overall", "event_time", "cohort", "calendar")
ERROR_WEIGHTS = ("exact", "didimputation")


@scale_free
def estimate(
    panel: Panel,
    *,
    estimands: Sequence[str] = ("overall", "event_time"),
    covariates: Sequence[str] = (),
    error_weights: str = "exact",
) -> Result:
    """Return averages of imputed effects: over all treated cells, by event time, cohort or calendar period.

        untreated cells:  Y_it = alpha_i + gamma_t + X_it beta + e_it
        treated cells:    tau_it = Y_it - alpha_i - gamma_t - X_it beta
        estimate = sum w_it tau_it / sum w_it dose_i

    over the treated cells of an estimand, w the panel's weights: the mean effect where every dose is 1, else mean
    effect over mean dose (intensity or shares of exposure), so per unit of dose. ``estimands`` are any of ``overall``,
    ``event_time`` (e >= 0), ``cohort`` and ``calendar``. X holds the panel's
    ``covariates`` named, if any; they must vary over time. Leads are another regression:
    `did.estimators.imputation_leads`.

    The influence of unit i is sum_t v_it e_it, v the weight of the cell in the estimate: w / sum w dose where
    treated; -w_it Z_it (Z'wZ)^-1 Z_1'v where not, Z the unit and period dummies. e_it is the residual, or
    tau_it less dose_i times the v^2-weighted mean effect per dose of its cohort and event time. The error is
    conservative if effects differ between the units of a cohort at one event time. Source: Borusyak, Jaravel
    and Spiess 2024, Review of Economic Studies 91:3253-3285 (equations 6, 8 and 10 of the 2021 draft); equal to
    R ``didimputation`` 0.5.0. With weights, that package squares them in the second v, which is then
    not the weight of any cell in the estimate; ``error_weights="didimputation"`` repeats this.

    Cells without an outcome, weight or covariate are left out and counted. Units without an untreated cell
    are left out and named, and so are treated cells that no chain of untreated cells links to their unit (in
    periods when nobody is untreated, say). A parameter resting on a unit alone in its cohort says so: the
    mean effect is then its own, and its own variation is not in the error. n_parameters is None: no
    small-sample factor applies, and intervals are normal, as in R.

    Raises DidError if an estimand, covariate or error_weights is unknown, no treated cell can be imputed, or a
    covariate does not vary in untreated cells beyond unit and period effects and the covariates before it.
    """
    chosen = [estimands] if isinstance(estimands, str) else list(dict.fromkeys(estimands))
    for name in chosen or [""]:
        one_of("imputation: estimands", name, ESTIMANDS)
    one_of("imputation: error_weights", error_weights, ERROR_WEIGHTS)
    for name in covariates:
        one_of("imputation: covariates", name, panel.covariates)
    # Where a cohort's units differ in their outcomes only, what is imputed are the cohorts' means.
    cohorts = None if covariates or error_weights != "exact" else by_cohort(panel)
    if cohorts is not None:
        cohorts = cohorts.keep(~cohorts.panel.always_treated)
    cells = cells_of(panel if cohorts is None else cohorts.panel, list(covariates))
    used = cells.panel
    untreated, target = cells.untreated, cells.target
    count = np.ones(used.n_units, dtype=int) if cohorts is None else cohorts.moments.units
    parts = [_groups(used, target, name) for name in chosen]
    tables, groups = [table for table, _ in parts], [group for _, group in parts]
    dose = np.broadcast_to(used.dose[:, None], target.shape)
    cohort = np.where(target > 0, used.treated_from[:, None], -1)
    effects = imputed(cells, dose, cohort)
    found = [averages(cells, effects, group, dose, error_weights) for group in groups]
    parameters = pd.concat(tables, ignore_index=True)
    parameters["note"] = _alone(used, target, groups, tables, count)
    observed = (untreated + target) > 0
    has_data = observed.any(axis=1)
    influence, behind = (np.hstack([getattr(each, name) for each in found]) for name in ("influence", "behind"))
    note = cells.note
    if cohorts is None:
        shares: Shares = UnitShares(used.units[has_data], influence[has_data], behind[has_data])
    else:
        shares = _by_cohort(cohorts, cells, groups, influence, behind)
        note = _note(used, panel.units[panel.always_treated], target, [], count)
    return Result(
        estimator="imputation",
        parameters=parameters,
        estimate=np.concatenate([each.value for each in found]),
        shares=shares,
        n_obs=int(observed.sum(axis=1) @ count),
        n_parameters=None,
        note=note,
        distribution="normal",
    )


@dataclasses.dataclass(frozen=True)
class Imputed:
    """(units, periods) outcomes less what untreated cells predict, and the imputed ones, weighted, about the mean of
    those that count as alike."""

    residual: np.ndarray
    centred: np.ndarray


def imputed(cells: Cells, dose: np.ndarray, cohort: np.ndarray) -> Imputed:
    """Return the effects of ``cells``. (units, periods) ``dose``, and the number of the ``cohort`` whose units' effects
    in a period count as alike when the error is reckoned, -1 elsewhere. Raises nothing.
    """
    residual = _without_rounding(_residual(cells), cells)
    centred = residual - dose * _mean_effect(residual, cells.target, dose, cohort)
    return Imputed(residual, cells.target * np.where(np.abs(centred) <= ROUNDING * np.abs(residual), 0.0, centred))


@dataclasses.dataclass(frozen=True)
class Averages:
    """(groups,) averages, (units, groups) influence, and (units, groups) whether a unit's effects are in one."""

    value: np.ndarray
    influence: np.ndarray
    behind: np.ndarray


def averages(cells: Cells, effects: Imputed, group: np.ndarray, dose: np.ndarray, error_weights: str = "exact"
             ) -> Averages:
    """Return the averages of imputed effects by ``group``, in units of the outcome per unit of dose, with influence.

    (units, periods) ``group``: the number of each imputed cell's, from 0 on without a gap, else -1; and ``dose``.
    Raises nothing.
    """
    n_groups = int(group.max()) + 1
    size = _by_group(cells.target * dose, group, n_groups).sum(axis=0)
    value = _by_group(cells.target * effects.residual, group, n_groups).sum(axis=0) / size
    own = _by_group(effects.centred, group, n_groups) / size
    influence = own + _first_stage(cells, cells.untreated * effects.residual, group, size, error_weights)
    return Averages(value, influence, _by_group(cells.target, group, n_groups) > 0)


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells an imputation uses: weights where untreated, weights where imputed, outcome, 0 elsewhere.

    covariates is (units, periods, columns), 0 where a cell is not used.
    """

    panel: Panel
    outcome: np.ndarray
    covariates: np.ndarray
    untreated: np.ndarray
    target: np.ndarray
    note: str


def cells_of(panel: Panel, names: list[str]) -> Cells:
    """Return the cells that an imputation on the panel uses, with its covariates ``names``.

    Raises DidError as `estimate` does.
    """
    incomplete = np.zeros(panel.outcome.shape, dtype=bool)
    for name in names:
        incomplete |= ~np.isfinite(panel.covariates[name])
    if incomplete.any():
        panel = dataclasses.replace(panel, outcome=np.where(incomplete, np.nan, panel.outcome))
    weight = panel.observed_weight
    without = ((weight <= 0) | panel.treated).all(axis=1) & (weight > 0).any(axis=1)
    used = panel.keep(~without)
    weight = used.observed_weight
    untreated = np.where(used.treated, 0.0, weight)
    treated = np.where(used.treated, weight, 0.0)
    target = np.where(_linked(untreated), treated, 0.0)
    if not (target > 0).any():
        raise DidError("imputation: expected a treated unit-period with untreated observations of its unit and "
                       "of its period; found none; add never-treated or later-treated units, or earlier periods")
    covariates = np.zeros((*weight.shape, len(names)))
    for column, name in enumerate(names):
        covariates[:, :, column] = _less_unit_means(used.covariates[name], weight, untreated)
    outcome = _less_unit_means(used.outcome, weight, untreated)
    note = _note(used, panel.units[without], target, names, np.ones(used.n_units, dtype=int))
    cells = Cells(used, outcome, covariates, untreated, target, note)
    _refuse_collinear(cells, names)
    return cells


def _less_unit_means(values: np.ndarray, weight: np.ndarray, untreated: np.ndarray) -> np.ndarray:
    """Return values less their unit's untreated mean: only differences matter, and rounding stays small."""
    total = untreated.sum(axis=1)
    filled = np.where(weight > 0, values, 0.0)
    mean = (untreated * filled).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(weight > 0, filled - mean[:, None], 0.0)


def _refuse_collinear(cells: Cells, names: list[str]) -> None:
    gram = np.einsum("utk,ut,utl->kl", *_covariate_residual(cells, cells.untreated))
    raw = np.array([(cells.untreated * np.where(cells.untreated > 0, cells.panel.covariates[name], 0.0) ** 2).sum()
                    for name in names])
    kept = independent_columns(gram, ROUNDING**2 * raw)
    if not kept.all():
        raise DidError(f"imputation: covariate '{names[int(np.flatnonzero(~kept)[0])]}': expected variation over "
                       "time in untreated cells beyond unit and period effects and other covariates; found none; "
                       "leave it out")


def _covariate_residual(cells: Cells, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates less the effects imputed from cells of positive weight, that weight, and them again."""
    residual = np.empty_like(cells.covariates)
    for column in range(residual.shape[2]):
        residual[:, :, column] = _less_effects(cells.covariates[:, :, column], weight)
    return residual, weight, residual


def _less_effects(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (units, periods) values less unit and period effects fitted with ``weight``, in every cell."""
    weighted = weight * values
    unit, period = _solve(weight, weighted.sum(axis=1)[:, None], weighted.sum(axis=0)[:, None])
    return values - unit - period[:, 0][None, :]


def _residual(cells: Cells) -> np.ndarray:
    """Return (units, periods) outcomes less what the untreated cells predict."""
    residual = _less_effects(cells.outcome, cells.untreated)
    if not cells.covariates.shape[2]:
        return residual
    x, weight, _ = _covariate_residual(cells, cells.untreated)
    slope = np.linalg.solve(np.einsum("utk,ut,utl->kl", x, weight, x),
                            np.einsum("utk,ut,ut->k", x, weight, residual))
    return residual - x @ slope


def _note(used: Panel, without: pd.Index, target: np.ndarray, names: list[str], count: np.ndarray) -> str:
    """Return what was left out; rows of ``used`` are ``count`` (rows,) units each."""
    lost = used.treated & (used.observed_weight > 0) & (target <= 0)
    n_missing = int((used.observed_weight <= 0).sum())
    what = "no outcome, weight or covariate" if names else "no outcome or no weight"
    return join_notes(
        f"{n_missing} of {used.outcome.size} unit-periods have {what} and are left out"
        if n_missing else "",
        f"no untreated observation, left out: {listed(without)}" if len(without) else "",
        f"{int(lost.sum(axis=1) @ count)} treated unit-periods without a comparison are left out, in "
        f"{listed(used.periods[lost.any(axis=0)])}" if lost.any() else "",
    )


def _by_cohort(cohorts: CohortPanel, cells: Cells, groups: list[np.ndarray], influence: np.ndarray, behind: np.ndarray
               ) -> Shares:
    """Return the shares of units from ``cells`` whose units are the ``cohorts``; ``groups`` of the cells by estimand,
    ``influence`` and ``behind`` (cohorts, parameters) as `averages` gives them.

    With one weight for all its periods, a unit's residuals are its outcomes less their untreated mean, its own effects
    these less the cohort's, by squared weight, and what it adds to the first stage its untreated ones, by period.
    """
    untreated = cells.untreated > 0
    share = (untreated / untreated.sum(axis=1, keepdims=True))[:, :, None]
    own, first = [], []
    for group in groups:
        n_groups = int(group.max()) + 1
        size = _by_group(cells.target * cells.panel.dose[:, None], group, n_groups).sum(axis=0)
        by_unit, by_period = (_by_group(cells.target, group, n_groups, axis) / size for axis in (0, 1))
        own.append((group[:, :, None] == np.arange(n_groups)) / size)
        first.append(untreated[:, :, None] * _solve(cells.untreated, by_unit, by_period)[1])
    of_effects, of_first = (each - share * each.sum(axis=1, keepdims=True)
                            for each in (np.concatenate(own, axis=2), np.concatenate(first, axis=2)))
    cross = cohorts.moments.cross[:, 0]
    constant = influence / cohorts.moments.weight[:, None] - np.einsum(
        "ct,ctk->ck", cross[:, 1:] / cross[:, :1], of_effects)
    return cohorts.shares(of_effects - of_first, constant, behind)


def _linked(untreated: np.ndarray) -> np.ndarray:
    """Return (units, periods) True where unit and period lie in one connected part of the untreated cells."""
    links = csr_array(untreated > 0)
    n_units, n_periods = untreated.shape
    rows, columns = links.nonzero()
    graph = csr_array((np.ones(len(rows)), (rows, columns + n_units)), shape=(n_units + n_periods,) * 2)
    part = connected_components(graph, directed=False)[1]
    return part[:n_units, None] == part[None, n_units:]


def _solve(weight: np.ndarray, by_unit: np.ndarray, by_period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve (Z' diag(weight) Z) [a; b] = [by_unit; by_period], Z the unit and period dummies.

    weight (units, periods); right-hand sides and solutions (units, columns) and (periods, columns). The unit
    effects are substituted out, as in `within`; the generalised inverse picks one of the equivalent
    solutions in each connected part.
    """
    total = weight.sum(axis=1)
    share = weight / np.where(total > 0, total, 1.0)[:, None]
    system = np.diag(weight.sum(axis=0)) - weight.T @ share
    period = generalised_inverse(system) @ (by_period - share.T @ by_unit)
    return (by_unit - weight @ period) / np.where(total > 0, total, 1.0)[:, None], period


def _without_rounding(residual: np.ndarray, cells: Cells) -> np.ndarray:
    """Return residuals with those of a perfect first stage set to zero, so that no error comes of rounding."""
    first = cells.untreated > 0
    if root_sum_squares(residual[first]) <= ROUNDING * root_sum_squares(cells.panel.outcome[first]):
        return np.where(first, 0.0, residual)
    return residual


def _mean_effect(effect: np.ndarray, target: np.ndarray, dose: np.ndarray, cohort: np.ndarray) -> np.ndarray:
    """Return each cell's mean effect per dose in its cohort and period, weighted by squared weights.

    Of a cohort by date a period is an event time.
    """
    mean = np.zeros_like(effect)
    rows, columns = np.nonzero(cohort >= 0)
    if not len(rows):
        return mean
    _, code = np.unique(cohort[rows, columns] * effect.shape[1] + columns, return_inverse=True)
    own, squared = dose[rows, columns], target[rows, columns] ** 2
    size = np.bincount(code, squared * own**2)
    total = np.bincount(code, squared * own * effect[rows, columns])
    mean[rows, columns] = (total / np.where(size > 0, size, 1.0))[code]
    return mean


def _groups(panel: Panel, target: np.ndarray, estimand: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the parameters of an estimand and the (units, periods) number of each treated cell's, else -1."""
    shape = target.shape
    key = {
        "overall": np.zeros(shape, dtype=int),
        "event_time": panel.event_time,
        "cohort": np.broadcast_to(panel.treated_from[:, None], shape),
        "calendar": np.broadcast_to(np.arange(panel.n_periods)[None, :], shape),
    }[estimand]
    found = np.unique(key[target > 0])
    group = np.where(target > 0, np.searchsorted(found, key), -1)
    labels = {
        "overall": {},
        "event_time": {"event_time": found.tolist()},
        "cohort": {"cohort": list(panel.periods[found])} if estimand == "cohort" else {},
        "calendar": {"period": list(panel.periods[found])} if estimand == "calendar" else {},
    }[estimand]
    return parameter_table(estimand, **labels), group


def _by_group(values: np.ndarray, group: np.ndarray, n_groups: int, axis: int = 0) -> np.ndarray:
    """Return the (units, groups) sums of values over periods; with axis 1 the (periods, groups) over units."""
    rows, columns = np.nonzero(group >= 0)
    index = rows if axis == 0 else columns
    cell = index * n_groups + group[rows, columns]
    sums = np.bincount(cell, weights=values[rows, columns], minlength=values.shape[axis] * n_groups)
    return sums.reshape(values.shape[axis], n_groups)


def _first_stage(cells: Cells, scores: np.ndarray, group: np.ndarray, size: np.ndarray, error_weights: str
                 ) -> np.ndarray:
    """Return the (units, parameters) influence through the untreated cells: sum_t of v_it e_it.

    Covariates add -scores x M^-1 d: x what the effects leave of them, M their weighted squares over untreated
    cells and d their mean over an estimand's cells (theorem of Frisch, Waugh and Lovell).
    """
    squared = error_weights == "didimputation"
    target = cells.target**2 if squared else cells.target
    weight = cells.untreated**2 if squared else cells.untreated
    by_unit = _by_group(target, group, len(size)) / size
    by_period = _by_group(target, group, len(size), axis=1) / size
    unit, period = _solve(weight, by_unit, by_period)
    influence = -(scores @ period + scores.sum(axis=1)[:, None] * unit)
    # Residuals of a unit may cancel under its weights: what is left is rounding and no variation.
    size_of_terms = np.abs(scores) @ np.abs(period) + np.abs(scores).sum(axis=1)[:, None] * np.abs(unit)
    influence[np.abs(influence) <= ROUNDING * size_of_terms] = 0.0
    if cells.covariates.shape[2]:
        x, _, _ = _covariate_residual(cells, weight)
        shift = np.stack([_by_group(target * x[:, :, k], group, len(size)).sum(axis=0) / size
                          for k in range(x.shape[2])])
        squares = np.einsum("utk,ut,utl->kl", x, weight, x)
        influence -= np.einsum("utk,ut->uk", x, scores) @ np.linalg.solve(squares, shift)
    return influence


def _alone(panel: Panel, target: np.ndarray, groups: list[np.ndarray], tables: list[pd.DataFrame], count: np.ndarray
           ) -> list[str]:
    """Return a note per parameter that rests on units alone in their cohort in some period; a row is ``count`` (rows,)
    units."""
    alone = np.zeros(target.shape, dtype=bool)
    for start in np.unique(panel.treated_from[~panel.never_treated]):
        members = panel.treated_from == start
        present = target[members] > 0
        alone[members] = present & (count[members] @ present == 1)
    notes = []
    for group, table in zip(groups, tables, strict=True):
        every = count @ _by_group((target > 0).astype(float), group, len(table))
        single = _by_group(alone.astype(float), group, len(table)).sum(axis=0)
        notes += [
            f"{int(s)} of {int(n)} effects are of a unit alone in its cohort: standard error too small" if s else ""
            for s, n in zip(single, every, strict=True)
        ]
    return notes
