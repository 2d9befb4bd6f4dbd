"""Lagged dependent variable regression: outcomes after onset on treatment and the outcomes before it."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd

from did.errors import DidError, suggest
from did.estimators.base import (
    PERIODS_PER_YEAR,
    Panel,
    Result,
    join_notes,
    listed,
    parameter_table,
    scale_free,
    unit_of,
)
from did.estimators.design import Design
from did.estimators.parts import Parts
from did.estimators.shares import UnitShares, root_sum_squares
from did.estimators.unit_means import UnitMeans, unit_means
from did.estimators.within import ROUNDING

LAGS = ("all", "last_N", "yearly_means")
# What earlier columns must leave of a column's sum of squares to be well clear of collinear.
CLEAR = 1e-8
# What units left out must leave of every direction of the columns for coefficients without them to be near these.
ALONE = 1e-4


def design(panel: Panel, *, lags: str = "all") -> Design:
    """Return the regression that `estimate` fits: a column per lag, then ``treatment`` (wanted), with period effects.

    Arrays are over the units used, (units, periods after onset), in units of the outcome and of dose. Where treatment
    and weight do not change after onset they are (units, 1): the units' means, which have the same coefficient and
    influence. Raises DidError as `estimate`, but for lags that explain treatment.
    """
    return lagged(panel, lags).design


@scale_free
def estimate(panel: Panel, *, lags: str = "all") -> Result:
    """Return the effect of treatment given the path of outcomes before onset.

        Y_it = gamma_t + delta D_it + sum over s of theta_s Y_is + e_it,    t from onset on, s before onset

    (O'Neill et al. 2016, Health Services and Outcomes Research Methodology 16:1-21, the lagged dependent
    variable model). The vector of lags is fixed: the same pre-onset outcomes, with the same coefficients
    theta, in every period t; gamma_t are period effects. It supposes that treated and control units with the
    same pre-onset outcomes would have had the same outcomes later, where `did` supposes parallel trends.

    Onset is the earliest cohort's. D_it = dose_i x 1[t >= first treated period of i], so a later cohort
    counts as untreated until its own onset and its lags still end before the common one.

    ``lags``: ``all`` pre-onset periods; ``last_N`` (``last_24``, ``last_12``) the N periods before onset;
    ``yearly_means`` the means of whole years counted back from onset (12 months, 4 quarters or 1 year each;
    the oldest periods that do not fill a year are left out and counted in the note).

    One parameter, estimand ``overall``, in units of the outcome per unit of dose. A unit that lacks a lag it
    needs, or an outcome after onset, is dropped and named in the note, as are units treated from the first
    period; a period without any outcome is left out, of the lags if ``all`` are asked for. K of the
    small-sample factor is 1 + lags + periods after onset. Where treatment does not change from onset on, the note gives
    the degrees of freedom and leverage of the regression of unit means that this is (`did.estimators.unit_means`).

    Raises DidError if ``lags`` is not one of the above or asks for more periods than there are, if there are
    not more units than coefficients on unit-level variables, if dropping units leaves no treated or no
    control unit, or if the lags explain treatment completely.
    """
    data = lagged(panel, lags)
    model, used, n_post, n_lags = data.design, data.used, data.n_post, len(data.design.names) - 1
    fit = model.fit()
    if not fit.kept[-1]:
        raise DidError(f"ldv: expected treatment to vary given the {n_lags} lags; found that they "
                       f"explain it completely for {used.n_units} units; use fewer lags")
    n_collinear = int((~fit.kept[:-1]).sum())
    n_obs, n_parameters = used.n_units * n_post, int(fit.kept.sum()) + n_post
    means = unit_means(model, fit)
    behind = ~used.never_treated
    return Result(
        estimator="ldv",
        parameters=parameter_table("overall"),
        estimate=fit.coefficient[-1:],
        shares=UnitShares(used.units, fit.influence[:, -1:], behind[:, None]),
        n_obs=n_obs,
        n_parameters=n_parameters,
        note=join_notes(
            data.lag_note,
            f"{n_collinear} lags collinear with the others are dropped" if n_collinear else "",
            data.sample_note,
            "" if means is None else means.sentence(n_obs, n_parameters),
        ),
    )


def repeated(panel: Panel, outcomes: np.ndarray, *, lags: str = "all") -> np.ndarray | None:
    """Return the (outcomes, 1) coefficients that `estimate` gives for each of (outcomes, units, periods) in place of
    the panel's own, missing where these are.

    None unless the regression is one of unit means and no lag is near collinear with others, and for numbers of no
    ordinary size. Raises DidError as `estimate`.
    """
    data = lagged(panel, lags)
    model, used, n_outcomes = data.design, data.used, len(outcomes)
    if model.outcome.shape[1] != 1 or panel.scaled()[0] is not panel:
        return None
    chosen = outcomes[:, panel.units.get_indexer(used.units)]
    stacked = dataclasses.replace(used, outcome=chosen.reshape(-1, panel.n_periods))
    before = lag_matrix(stacked, data.onset, lags)[0].reshape(n_outcomes, used.n_units, -1)
    seen = data.onset + np.flatnonzero(np.isfinite(used.outcome[:, data.onset:]).all(axis=0))
    treatment = np.broadcast_to(model.regressors[:, 0, -1], (n_outcomes, used.n_units))[:, :, None]
    columns = np.concatenate([before, treatment, chosen[:, :, seen].mean(axis=2, keepdims=True)], axis=2)
    weight = model.weight[:, 0]
    for _ in range(2):
        columns -= (weight / weight.sum() @ columns)[:, None, :]
    columns *= np.sqrt(weight)[:, None]
    # The last column of the triangle holds the outcome in terms of the others, of which treatment is the last.
    triangle = np.asarray(np.linalg.qr(columns, mode="r"))
    pivots = np.abs(np.diagonal(triangle, axis1=1, axis2=2))[:, :-1]
    if not (pivots**2 > CLEAR * np.square(columns[:, :, :-1]).sum(axis=1)).all():
        return None
    return triangle[:, -2, -1:] / triangle[:, -2, -2:-1]


def parts(panel: Panel, kept: np.ndarray, *, lags: str = "all") -> Parts | None:
    """Return what `estimate` finds on each part of the panel, the units in a column of ``kept`` (units, parts): the
    regression of all units, less what those left out add to it (Belsley, Kuh and Welsch 1980, Regression Diagnostics,
    section 2.1, for groups of rows).

    None unless the regression is one of unit means, every unit is in it and no lag is near collinear with others, and
    for numbers of no ordinary size. A part is not found where it begins at another onset, has too few units, none of a
    kind, or no coefficients without the units left out. Raises DidError as `estimate` does of the whole panel.
    """
    data = lagged(panel, lags)
    model, used = data.design, data.used
    if model.outcome.shape[1] != 1 or data.sample_note or panel.scaled()[0] is not panel:
        return None
    root, outcome = np.sqrt(model.weight[:, 0]), model.outcome[:, 0]
    columns = model.without_effects(model.regressors)[:, 0] * root[:, None]
    ours, triangle = np.linalg.qr(columns)
    if not (np.diag(triangle) ** 2 > CLEAR * np.square(columns).sum(axis=0)).all():
        return None
    basis = np.column_stack([root / np.linalg.norm(root), ours])
    hat = basis @ basis.T
    centred = model.without_effects(model.outcome)[:, 0] * root
    residual = centred - hat @ centred
    lever = ours[:, -1] / triangle[-1, -1]   # the coefficient of treatment is its product with the outcomes
    n_parts, n_lags = kept.shape[1], columns.shape[1] - 1
    never, first = used.never_treated, np.where(kept, used.treated_from[:, None], used.n_periods).min(axis=0)
    found = (first == data.onset) & (kept & never[:, None]).any(axis=0) & (kept.sum(axis=0) > n_lags + 2)
    estimate, influence, note = np.full(n_parts, np.nan), np.zeros(kept.shape), [""] * n_parts
    n_obs, n_parameters = kept.sum(axis=0) * data.n_post, n_lags + 1 + data.n_post
    for part in np.flatnonzero(found).tolist():
        stays, gone = np.flatnonzero(kept[:, part]), np.flatnonzero(~kept[:, part])
        across = hat[np.ix_(stays, gone)]
        own = np.eye(len(gone)) - hat[np.ix_(gone, gone)]
        if len(gone) and np.linalg.eigvalsh(own)[0] < ALONE:
            found[part] = False
            continue
        moved = np.linalg.solve(own, np.column_stack([residual[gone], lever[gone], across.T]))
        left = residual[stays] + across @ moved[:, 0]
        if root_sum_squares(left) <= ROUNDING * root_sum_squares(outcome[stays]):
            found[part] = False
            continue
        estimate[part] = lever @ centred - lever[gone] @ moved[:, 0]
        influence[stays, part] = (lever[stays] + across @ moved[:, 1]) * left
        leverage = np.diag(hat)[stays] + np.einsum("sg,gs->s", across, moved[:, 2:])
        means = UnitMeans(np.clip(leverage, 0.0, 1.0), len(stays) - n_lags - 2)
        note[part] = join_notes(data.lag_note, means.sentence(int(n_obs[part]), n_parameters))
    return Parts(kept, found, estimate, influence, n_obs, n_parameters, note)


def doses(panel: Panel, dose: np.ndarray, *, lags: str = "all") -> Parts | None:
    """Return what `estimate` finds with each of several treatments in place of the panel's own, the units' doses in a
    column of ``dose`` (units, treatments), 0 for those never treated, all from the panel's onset on. The regression on
    the lags is made once: a treatment's coefficient is that of what they leave of it (Lovell 1963, Journal of the
    American Statistical Association 58:993-1010).

    None unless the regression is one of unit means, every unit is in it and no lag is near collinear with others, and
    for numbers of no ordinary size. A treatment that the lags nearly explain, or that leaves no residual, is not found.
    Raises DidError as `estimate` does of the panel's own.
    """
    data = lagged(panel, lags)
    model, outcome = data.design, data.design.outcome
    if outcome.shape[1] != 1 or data.sample_note or panel.scaled()[0] is not panel or unit_of(dose) != 1:
        return None
    root = np.sqrt(model.weight)
    columns = model.without_effects(model.regressors[:, :, :-1])[:, 0] * root
    ours, triangle = np.linalg.qr(columns)
    if not (np.diag(triangle) ** 2 > CLEAR * np.square(columns).sum(axis=0)).all():
        return None
    left = model.without_effects(np.column_stack([dose, outcome])[:, None])[:, 0] * root
    for _ in range(2):   # the second round takes out the rounding of the first
        left = left - ours @ (ours.T @ left)
    treatment, square = left[:, :-1], np.square(left[:, :-1]).sum(axis=0)
    found = square > CLEAR * np.square(dose * root).sum(axis=0)
    square = np.where(found, square, 1.0)
    estimate = left[:, -1] @ treatment / square
    residual = left[:, -1:] - treatment * estimate
    found &= root_sum_squares(residual, axis=0) > ROUNDING * root_sum_squares(outcome)
    leverage = root**2 / np.square(root).sum() + np.square(ours).sum(axis=1, keepdims=True) + treatment**2 / square
    n_units, n_lags = columns.shape
    n_obs, n_parameters = n_units * data.n_post, n_lags + 1 + data.n_post
    return Parts(
        kept=np.ones(dose.shape, dtype=bool), found=found, estimate=estimate, influence=treatment * residual / square,
        n_obs=np.full(len(found), n_obs), n_parameters=n_parameters, dose=dose, note=[
            join_notes(data.lag_note, UnitMeans(each, n_units - n_lags - 2).sentence(n_obs, n_parameters))
            for each in np.clip(leverage, 0.0, 1.0).T])


@dataclasses.dataclass(frozen=True)
class Lagged:
    """Outcomes from onset on, with treatment and the outcomes before onset as regressors.

    design       the regression: a column per lag, then treatment, with period effects
    used         the panel of the units it has
    onset        position of the earliest cohort's first treated period
    n_post       periods after onset
    lag_note     which lags they are
    sample_note  which units are left out, and what becomes of later cohorts
    """

    design: Design
    used: Panel
    onset: int
    n_post: int
    lag_note: str
    sample_note: str


def lagged(panel: Panel, lags: str, *, estimator: str = "ldv", few_lags: bool = True) -> Lagged:
    """Return what the ``estimator`` regresses on what, over units with every lag and every outcome after onset.

    Raises DidError, beginning with its name, as `estimate` does, but for lags that explain treatment; with ``few_lags``
    also if there are not more units than coefficients.
    """
    candidates = panel.keep(~panel.always_treated)
    onset = int(candidates.treated_from.min())
    before, names, lag_note = lag_matrix(candidates, onset, lags, estimator)
    # A period that no unit has is left out of the study, and not a reason to drop every unit.
    post = onset + np.flatnonzero((candidates.observed_weight[:, onset:] > 0).any(axis=0))
    if not len(post):
        raise DidError(f"{estimator}: expected outcomes from onset {candidates.periods[onset]} on; found none; end the "
                       "window later")
    after, weight = candidates.outcome[:, post], candidates.observed_weight[:, post]
    complete = np.isfinite(before).all(axis=1) & (weight > 0).all(axis=1)
    _refuse_one_side(candidates, complete, estimator)
    if few_lags:
        _refuse_thin(int(complete.sum()), before.shape[1])
    used, after, before, weight = candidates.keep(complete), after[complete], before[complete], weight[complete]

    n_post = after.shape[1]
    treatment = np.where(used.treated[:, post], used.dose[:, None], 0.0)
    if (treatment == treatment[:, :1]).all() and (weight == weight[:, :1]).all():
        # Every regressor is fixed over the post period: the pooled fit is that of the units' means, each with the
        # weight of its periods, to the last digit of algebra and some thirty times faster.
        after, treatment = after.mean(axis=1, keepdims=True), treatment[:, :1]
        weight = weight.sum(axis=1, keepdims=True)
    repeated = np.broadcast_to(before[:, None, :], (*after.shape, before.shape[1]))
    columns = np.concatenate([repeated, treatment[:, :, None]], axis=2)
    model = Design(after, columns, (*names, "treatment"), (before.shape[1],), weight, "period", used.units,
                   used.clusters)
    sample_note = join_notes(
        _dropped("without a needed lag or an outcome after onset", candidates.units[~complete]),
        _dropped("treated from the first period", panel.units[panel.always_treated]),
        "onset is the earliest cohort's; later cohorts count as untreated until their own"
        if len(np.unique(used.treated_from[~used.never_treated])) > 1 else "")
    return Lagged(model, used, onset, n_post, lag_note, sample_note)


def lag_matrix(panel: Panel, onset: int, lags: str, estimator: str = "ldv") -> tuple[np.ndarray, list[str], str]:
    """Return the (units, lags) matrix of pre-onset outcomes, oldest first, their names, and a note on them.

    Raises DidError, beginning with ``estimator``, for unknown ``lags`` and for more than there are.
    """
    before = panel.outcome[:, :onset]
    names = [f"outcome {period}" for period in panel.periods[:onset]]
    span = f"{panel.periods[0]} to {panel.periods[onset - 1]}"
    if lags == "all":
        seen = np.isfinite(before).any(axis=0)
        without = f"without {listed(panel.periods[:onset][~seen])}, which no unit has"
        return before[:, seen], [name for name, has_data in zip(names, seen, strict=True) if has_data], join_notes(
            f"lags: all {int(seen.sum())} periods, {span}", "" if seen.all() else without)
    if lags == "yearly_means":
        length = PERIODS_PER_YEAR[panel.frequency]
        n_years, spare = divmod(onset, length)
        if not n_years:
            raise DidError(f"{estimator}: lags 'yearly_means': expected at least {length} periods before onset "
                           f"{panel.periods[onset]}; found {onset}; use 'all'")
        means = before[:, spare:].reshape(len(before), n_years, length).mean(axis=2)
        years = [f"mean outcome {panel.periods[first]} to {panel.periods[first + length - 1]}"
                 for first in range(spare, onset, length)]
        return means, years, join_notes(f"lags: means of {n_years} years to {panel.periods[onset - 1]}",
                                        f"the {spare} oldest periods fill no year and are left out" if spare else "")
    number = re.fullmatch(r"last_([1-9][0-9]*)", str(lags))
    if not number:
        raise DidError(f"{estimator}: lags: expected one of {', '.join(LAGS)} (such as last_24); found '{lags}'"
                       f"{suggest(lags, ['all', 'last_24', 'last_12', 'yearly_means'])}")
    n_lags = int(number.group(1))
    if n_lags > onset:
        raise DidError(f"{estimator}: lags '{lags}': expected at most the {onset} periods before onset "
                       f"{panel.periods[onset]} ({span}); found {n_lags}; use 'all' or fewer")
    note = f"lags: last {n_lags} periods before {panel.periods[onset]}"
    return before[:, onset - n_lags:], names[onset - n_lags:], note


def _refuse_one_side(panel: Panel, complete: np.ndarray, estimator: str) -> None:
    never = panel.never_treated[complete]
    if never.all() or len(np.unique(panel.treated_from[complete])) < 2:
        kind = "treated" if never.all() else "control"
        raise DidError(f"{estimator}: expected {kind} units with every lag and every outcome after onset; found none "
                       f"({int((~complete).sum())} of {panel.n_units} units are incomplete); use fewer lags")


def _refuse_thin(n_units: int, n_lags: int) -> None:
    if n_units <= n_lags + 2:
        raise DidError(f"ldv: expected more units than the {n_lags + 2} coefficients of unit-level variables "
                       f"(treatment, {n_lags} lags, constant); found {n_units} complete units; use fewer "
                       "lags, such as 'last_12' or 'yearly_means', or ldv_ridge")


def _dropped(why: str, units: pd.Index) -> str:
    return f"{len(units)} units {why} are dropped: {listed(units)}" if len(units) else ""
