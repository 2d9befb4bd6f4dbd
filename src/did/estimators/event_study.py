"""Event study by dynamic two-way fixed effects: one coefficient for every lead and lag."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from did.errors import DidError
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
from did.estimators.cohort_panel import by_cohort
from did.estimators.design import Design, covariate_columns, left_out, refuse_collinear
from did.estimators.indicator_fit import indicator_fit
from did.estimators.shares import Shares, UnitShares
from did.estimators.within import Fit


@dataclasses.dataclass(frozen=True)
class _Leads:
    """The panel without units treated from the first period, and what of it each event time rests on.

    bins (units, periods) event times, in bins; exposed (units, periods) cells of treated units that are used;
    event_times all bins that occur; estimated those that are not a reference; controls (units, periods, covariates);
    weight (units, periods) 0 where a cell is left out.
    """

    panel: Panel
    bins: np.ndarray
    exposed: np.ndarray
    event_times: np.ndarray
    estimated: np.ndarray
    controls: np.ndarray
    weight: np.ndarray


def design(
    panel: Panel, *, bin_width: int = 1, reference: int | Sequence[int] = -1, covariates: Sequence[str] = ()
) -> Design:
    """Return the regression that `estimate` fits: a column per event time or bin, then ``covariates``, two-way effects.

    Arrays are over the units not treated from the first period, in their own units of measure; the columns of event
    times are named ``event_time -8`` (or ``event_bin_<width> -1``), hold the dose, and are all wanted. Cells that lack
    the outcome or a covariate have weight 0. Raises DidError as `estimate`, but for collinear covariates.
    """
    leads = _leads_of(panel, bin_width, reference, covariates)
    used = leads.panel
    columns = (leads.bins[:, :, None] == leads.estimated) & ~used.never_treated[:, None, None]
    columns = np.concatenate([columns * used.dose[:, None, None], leads.controls], axis=2)
    names = (*(f"{_estimand(bin_width)} {e}" for e in leads.estimated), *covariates)
    return Design(used.outcome, columns, names, tuple(range(len(leads.estimated))), leads.weight, "two_way",
                  used.units, used.clusters)


@scale_free
def estimate(
    panel: Panel, *, bin_width: int = 1, reference: int | Sequence[int] = -1, covariates: Sequence[str] = ()
) -> Result:
    """Return the path of effects over event time e = t - g, relative to the reference period.

        Y_it = alpha_i + gamma_t + sum over e not in reference of delta_e dose_i 1[t - g_i = e] + X_it beta + e_it

    X are the panel's ``covariates`` named, if any. All leads and lags are in, none is pooled at the ends.
    Never-treated units have every indicator 0, as in ``fixest::feols(y ~ i(rel, ref = -1) + x | unit + period)``
    (which drops the covariates refused here). Units treated from the first period have no reference period: they are
    left out and named in the note. ``bin_width`` above 1 pools event times into bins of that many periods (bin b holds
    event times b x width to (b + 1) x width - 1, so bin -1 ends just before treatment; the outermost bins may be
    incomplete), and ``reference`` then counts bins.

    One parameter per event time, estimand ``event_time`` (or ``event_bin_<width>``), in units of the outcome
    per unit of dose. Reference rows have estimate 0, influence 0 and note ``reference``. Cells without an
    outcome, or without a covariate, are left out and counted in the note. An event time that gaps leave tied to others
    is NaN and noted, and so are those others. With several cohorts a coefficient may mix effects of other event times
    (Sun and Abraham 2021, Journal of Econometrics 225:175-199).

    Raises DidError if bin_width is not a positive whole number, a reference is not among the event times, no
    treated unit has a period before treatment, or (with a single reference) no never-treated unit has
    outcomes, since a linear trend in event time is then not identified; if no event time can be told from the
    reference, as where controls have no outcome there; if a covariate is unknown, or has no coefficient because unit
    and period effects, the event times or the covariates before it explain it.
    """
    leads = _leads_of(panel, bin_width, reference, covariates)
    # Where a cohort's units differ in their outcomes only, the regression is that of the cohorts.
    cohorts = None if covariates else by_cohort(leads.panel)
    if cohorts is not None:
        leads = _leads_of(cohorts.panel, bin_width, reference, ())
    used_panel, exposed, event_times = leads.panel, leads.exposed, leads.event_times
    if covariates:
        fit = design(panel, bin_width=bin_width, reference=reference, covariates=covariates).fit()
        refuse_collinear(covariates, fit.kept[len(leads.estimated):], "event_study")
    else:
        fit = _indicators(leads)
    if len(leads.estimated) and not fit.identified[:len(leads.estimated)].any():
        found = listed(sorted({int(e) for e in event_times} - {int(e) for e in leads.estimated}))
        raise DidError(f"event_study: expected event times that can be told from unit and period effects and from the "
                       f"reference {found}; found none; check that treated and never-treated units have outcomes in "
                       "the same periods, the reference among them")
    has_data = leads.weight.any(axis=1)
    position = {e: column for column, e in enumerate(leads.estimated)}
    value, influence = np.zeros(len(event_times)), np.zeros((fit.n_units, len(event_times)))
    states, notes = [], []
    for row, e in enumerate(event_times):
        column = position.get(e)
        if column is not None:
            value[row], influence[:, row] = fit.coefficient[column], fit.influence[has_data, column]
        states.append(REFERENCE if column is None else ESTIMATED if fit.identified[column] else NOT_IDENTIFIED)
        notes.append(join_notes(
            "collinear with the others" if states[-1] == NOT_IDENTIFIED else "",
            _span(used_panel, exposed, leads.bins == e) if bin_width > 1 else "",
        ))
    behind = np.stack([(exposed & (leads.bins == e)).any(axis=1)[has_data] for e in event_times], axis=1)
    if cohorts is None:
        shares: Shares = UnitShares(used_panel.units[has_data], influence, behind)
        n_obs = fit.n_obs
    else:
        slopes = np.zeros((*leads.bins.shape, len(event_times)))
        slopes[:, :, np.isin(event_times, leads.estimated)] = _slopes(leads, fit)
        shares = cohorts.shares(slopes, influence / cohorts.moments.weight[:, None], behind)
        n_obs = cohorts.rows.outcome.size
    return Result(
        estimator="event_study",
        parameters=parameter_table(_estimand(bin_width), event_time=[int(e) for e in event_times], state=states,
                                   note=notes),
        estimate=value,
        shares=shares,
        n_obs=n_obs,
        n_parameters=int(fit.kept.sum()) + fit.n_periods,
        note=join_notes(left_out(used_panel, leads.weight, covariates), _left_out_units(panel)),
    )


def _indicators(leads: _Leads) -> Fit:
    """The fit of `design` without covariates; each cell has one event time, so no column need be written out."""
    at = np.searchsorted(leads.estimated, leads.bins).clip(0, len(leads.estimated) - 1)
    found = (leads.estimated[at] == leads.bins) & ~leads.panel.never_treated[:, None]
    dose = np.broadcast_to(leads.panel.dose[:, None], leads.bins.shape)
    return indicator_fit(leads.panel.outcome, np.where(found, at, -1), dose, leads.weight, len(leads.estimated))


def _slopes(leads: _Leads, fit: Fit) -> np.ndarray:
    """Return (cohorts, periods, event times) what a unit of a cohort adds by each outcome, per unit of its weight. The
    columns less the effects sum to 0 over the periods, so that the unit's own mean does not count."""
    columns = (leads.bins[:, :, None] == leads.estimated) & ~leads.panel.never_treated[:, None, None]
    free = columns[:, :, fit.kept] * leads.panel.dose[:, None, None]
    weight = leads.weight[:, :1, None]   # the same over time, so that means are the effects
    free -= free.mean(axis=1, keepdims=True)
    free -= (weight * free).sum(axis=0) / weight.sum()
    cells = free.reshape(-1, free.shape[2])
    slopes = np.zeros(columns.shape)
    slopes[:, :, fit.kept] = free @ np.linalg.inv(cells.T @ (weight * free).reshape(cells.shape))
    slopes[:, :, ~fit.identified] = 0.0
    return slopes


def _leads_of(panel: Panel, bin_width: int, reference: int | Sequence[int], covariates: Sequence[str]) -> _Leads:
    """Check the options and return what the event times rest on."""
    if not isinstance(bin_width, int) or bin_width < 1:
        raise DidError("event_study: bin_width: expected a whole number of periods, 1 or more; found "
                       f"{bin_width}")
    references = [reference] if isinstance(reference, int) else list(reference)
    always = panel.always_treated
    used_panel = panel.keep(~always) if always.any() else panel
    treated = ~used_panel.never_treated
    if not treated.any():
        raise DidError("event_study: expected a treated unit with a period before treatment; found none; "
                       "add earlier periods")
    controls, weight = covariate_columns(used_panel, covariates, "event_study")
    if not (weight > 0)[~treated].any() and len(references) < 2:
        found = ("every unit treated in the window" if treated.all() else
                 f"no {'outcome' if panel.weight is None else 'outcome or no weight'} of any")
        raise DidError(f"event_study: expected never-treated units with outcomes; found {found}, "
                       "where leads and lags are identified only up to a linear trend; add never-treated "
                       "units or name a second reference period")
    bins = np.floor_divide(used_panel.event_time, bin_width)
    exposed = (weight > 0) & treated[:, None]
    if not exposed.any():
        raise DidError("event_study: expected a treated unit with an outcome and all covariates in some period; found "
                       "none; check their values")
    event_times = np.unique(bins[exposed])
    for wanted in references:
        if wanted not in event_times:
            raise DidError(f"event_study: reference: expected one of the event times {event_times.min()} to "
                           f"{event_times.max()} with observed outcomes; found {wanted}; choose another")
    estimated = np.array([e for e in event_times if e not in references])
    return _Leads(used_panel, bins, exposed, event_times, estimated, controls, weight)


def _estimand(bin_width: int) -> str:
    return "event_time" if bin_width == 1 else f"event_bin_{bin_width}"


def _span(panel: Panel, exposed: np.ndarray, members: np.ndarray) -> str:
    times = panel.event_time[exposed & members]
    return f"event times {times.min()} to {times.max()}"


def _left_out_units(panel: Panel) -> str:
    always = panel.units[panel.always_treated]
    return f"treated from the first period, left out: {listed(always)}" if len(always) else ""
