"""Difference-in-differences by two-way fixed effects, binary or by dose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from did.errors import DidError
from did.estimators.base import Panel, Result, join_notes, listed, parameter_table, scale_free
from did.estimators.cohort_shares import CohortShares
from did.estimators.design import Design, covariate_columns, left_out, refuse_collinear
from did.estimators.moments import Rows, rows_by_cohort
from did.estimators.parts import Parts
from did.estimators.shares import UnitShares
from did.estimators.within import ROUNDING


def design(panel: Panel, *, covariates: Sequence[str] = ()) -> Design:
    """Return the regression that `estimate` fits: ``treatment``, then the ``covariates``, with two-way effects.

    Outcome, weight and columns are (units, periods) over all units of the panel, in their own units of measure; the
    column of treatment is the dose from onset on. Cells that lack the outcome or a covariate have weight 0.

    Raises DidError if a covariate is unknown or is explained by unit and period effects.
    """
    controls, weight = covariate_columns(panel, covariates, "did")
    treatment = np.where(panel.treated, panel.dose[:, None], 0.0)
    return Design(panel.outcome, np.concatenate([treatment[:, :, None], controls], axis=2),
                  ("treatment", *covariates), (0,), weight, "two_way", panel.units, panel.clusters)


@scale_free
def estimate(panel: Panel, *, covariates: Sequence[str] = ()) -> Result:
    """Return the coefficient of treatment in a regression with unit and period effects.

        Y_it = alpha_i + gamma_t + delta D_it + X_it beta + e_it,   D_it = dose_i x 1[t >= first treated period of i]

    with the panel's weights; X are the panel's ``covariates`` named, if any. One parameter, estimand ``overall``, in
    units of the outcome (binary) or of the outcome per unit of dose (intensity). Cells without an outcome, or without
    a covariate, are left out and counted in the note; units treated from the first period stay in, where they inform
    the period effects only. With several cohorts delta is the two-way weighted average of effects, whose weights may
    be negative (Goodman-Bacon 2021, Journal of Econometrics 225:254-277); with one cohort it is the effect on the
    treated under parallel trends. A covariate that treatment changes takes part of the effect with it. Published as
    Stata ``xtdidregress``; equals ``feols(y ~ D + x | unit + period)``, which drops the covariates refused here.

    Raises DidError if treatment does not vary over the observed cells once the effects are taken out, a covariate is
    unknown, or a covariate has no coefficient because unit and period effects, treatment or the covariates before it
    explain it.
    """
    # A period that no unit has takes no part.
    seen = np.arange(panel.n_periods) if panel.is_complete else np.flatnonzero(np.isfinite(panel.outcome).any(axis=0))
    if not covariates and (rows := _rows(panel, seen)) is not None:
        return _from_moments(panel, rows, seen)
    model = design(panel, covariates=covariates)
    fit = model.fit()
    if not fit.kept[0]:
        raise _flat(fit.n_obs)
    refuse_collinear(covariates, fit.kept[1:], "did")
    used = (model.weight > 0).any(axis=1)
    behind = (~panel.never_treated)[used]
    return Result(
        estimator="did",
        parameters=parameter_table("overall"),
        estimate=fit.coefficient[:1],
        shares=UnitShares(panel.units[used], fit.influence[used, :1], behind[:, None]),
        n_obs=fit.n_obs,
        n_parameters=1 + len(covariates) + fit.n_periods,
        note=join_notes(left_out(panel, model.weight, covariates), _always_treated(panel)),
    )


def repeated(panel: Panel, outcomes: np.ndarray, *, covariates: Sequence[str] = ()) -> np.ndarray | None:
    """Return the (outcomes, 1) coefficients that `estimate` gives for each of (outcomes, units, periods) in place of
    the panel's own, missing where these are: treatment, the effects taken out, is the same for all.

    None with covariates, and for numbers of no ordinary size. Raises DidError as `estimate`.
    """
    if covariates or panel.scaled()[0] is not panel:
        return None
    model = design(panel)
    treatment = model.without_effects(model.regressors[:, :, 0])
    squares = float((model.weight * treatment**2).sum())
    if not squares > ROUNDING**2 * float((model.weight * model.regressors[:, :, 0] ** 2).sum()):
        raise _flat(int((model.weight > 0).sum()))
    lever = (model.weight * treatment / squares).ravel()
    used = lever != 0
    return outcomes.reshape(len(outcomes), -1)[:, used] @ lever[used, None]


def parts(panel: Panel, kept: np.ndarray, *, covariates: Sequence[str] = ()) -> Parts | None:
    """Return what `estimate` finds on each part of the panel, the units in a column of ``kept`` (units, parts): from
    means of cohorts as there, of all parts together.

    None with covariates, where the outcomes by cohort do not say all, with units treated from the first period, and for
    numbers of no ordinary size. Parts without variation of treatment are not found. Raises nothing.
    """
    every = np.arange(panel.n_periods)
    rows = None if covariates or panel.always_treated.any() or panel.scaled()[0] is not panel else _rows(panel, every)
    if rows is None:
        return None
    own = np.ones(panel.n_units) if rows.weight is None else rows.weight
    outcome = panel.outcome - panel.outcome.mean(axis=1, keepdims=True)
    weight = np.stack([own[places] @ kept[places] for places in rows.places], axis=1)[:, :, None]
    mean = np.stack([(own[places, None] * kept[places]).T @ outcome[places] for places in rows.places], axis=1)
    mean /= np.where(weight > 0, weight, 1.0)
    treatment = _treatment(panel, rows)
    free = treatment - treatment.mean(axis=1, keepdims=True)
    total = np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    varied = free - (weight * free).sum(axis=1, keepdims=True) / total
    squares = (weight * varied**2).sum(axis=(1, 2))
    found = squares > ROUNDING**2 * (weight * treatment**2).sum(axis=(1, 2))
    slopes = varied / np.where(found, squares, 1.0)[:, None, None]
    means = mean - mean.mean(axis=2, keepdims=True)
    means -= (weight * means).sum(axis=1, keepdims=True) / total
    estimate = (weight * slopes * means).sum(axis=(1, 2))
    constant = ((means - estimate[:, None, None] * varied - mean) * slopes).sum(axis=2)
    influence = np.empty(kept.shape)
    for cohort, places in enumerate(rows.places):
        influence[places] = own[places, None] * (outcome[places] @ slopes[:, cohort].T + constant[:, cohort])
    return Parts(kept, found, estimate, np.where(kept, influence, 0.0), kept.sum(axis=0) * panel.n_periods,
                 1 + panel.n_periods, [""] * kept.shape[1])


def _rows(panel: Panel, seen: np.ndarray) -> Rows | None:
    """Return the outcomes of the periods ``seen`` by cohort; None where these do not say all: some are missing, weights
    change over time, or units of a cohort differ in dose."""
    outcome, weight = panel.outcome, panel.weight
    if len(seen) < panel.n_periods:
        outcome, weight = outcome[:, seen], None if weight is None else weight[:, seen]
        if len(seen) < 2 or not np.isfinite(outcome).all():
            return None
    elif not panel.is_complete:
        return None
    if weight is not None and not (weight > 0).all():
        return None
    rows = rows_by_cohort(outcome, np.clip(panel.treated_from, 0, panel.n_periods), weight)
    return rows if rows is not None and (panel.dose == _of_first(panel.dose, rows)[rows.cohort]).all() else None


def _of_first(values: np.ndarray, rows: Rows) -> np.ndarray:
    """Return (cohorts,) what (units,) ``values`` hold for a cohort's first unit."""
    return values[[places[0] for places in rows.places]]


def _treatment(panel: Panel, rows: Rows) -> np.ndarray:
    """Return (cohorts, periods) the dose from onset on."""
    first = _of_first(panel.treated_from, rows)
    return np.where(np.arange(panel.n_periods) >= first[:, None], _of_first(panel.dose, rows)[:, None], 0.0)


def _from_moments(panel: Panel, rows: Rows, seen: np.ndarray) -> Result:
    """Return what `estimate` does, from the moments of cohorts: the regression is then one of their means."""
    moments = rows.moments()
    treatment = _treatment(panel, rows)[:, seen]
    weight = moments.weight[:, None]
    varied = _without_effects(treatment, weight)
    squares = float((weight * varied**2).sum())
    if not squares > ROUNDING**2 * float((weight * treatment**2).sum()):
        raise _flat(rows.outcome.size)
    slopes = varied / squares
    means = _without_effects(moments.mean, weight)
    coefficient = float((weight * slopes * means).sum())
    constant = ((means - coefficient * varied) * slopes).sum(axis=1)
    shares = CohortShares(panel.units, moments, rows, None, slopes[:, :, None], constant[:, None],
                          ~_of_first(panel.never_treated, rows)[:, None])
    lacking = "" if len(seen) == panel.n_periods else left_out(panel, panel.observed_weight)
    return Result("did", parameter_table("overall"), np.array([coefficient]), shares, rows.outcome.size,
                  1 + len(seen), join_notes(lacking, _always_treated(panel)))


def _without_effects(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (cohorts, periods) ``values`` less cohort and period effects; ``weight`` (cohorts, 1) stays the same over
    time, so that means are the effects."""
    free = values - values.mean(axis=1, keepdims=True)
    return free - (weight * free).sum(axis=0) / weight.sum()


def _flat(n_obs: int) -> DidError:
    return DidError("did: expected treatment to vary within units and periods; found no variation among "
                    f"the {n_obs} observed cells; check that treated and control units have outcomes before and after "
                    "onset")


def _always_treated(panel: Panel) -> str:
    always = panel.units[panel.always_treated]
    return f"treated from the first period, for period effects only: {listed(always)}" if len(always) else ""
