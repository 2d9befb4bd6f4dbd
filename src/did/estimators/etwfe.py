"""Extended two-way fixed effects: an effect per cohort and period, linear, or of counts or shares (Wooldridge)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, Result, join_notes, listed, parameter_table
from did.estimators.callaway_santanna import without_dose
from did.estimators.quasi_likelihood import FAMILIES, Family, Model, QuasiFit, Separated, by_parts, fit
from did.estimators.shares import UnitShares
from did.estimators.within import COLLINEAR, ROUNDING, independent_columns

EFFECTS = ("unit", "cohort")
WEIGHT_USES = ("weight", "exposure")
SCALES = ("outcome", "link")
# What averages are over, and the column of the parameters that tells them apart.
ESTIMANDS = {"overall": "", "event_time": "event_time", "cohort": "cohort", "calendar": "period"}


def estimate(
    panel: Panel,
    *,
    family: str = "linear",
    effects: str | None = None,
    weight_use: str = "weight",
    scale: str = "outcome",
    estimands: Sequence[str] = ("overall", "event_time"),
    covariates: Sequence[str] = (),
) -> Result:
    """Return average effects on the treated from one regression with an effect per cohort and treated period.

        h^-1(E Y_it) = a_i + gamma_t + sum over cohorts g, periods t >= g of tau_gt 1[i in g] + offset_it

    by quasi-maximum likelihood, h the identity (``linear``), the exponential (``poisson``, for counts and other
    outcomes of 0 or more) or the logistic function (``logit``, for outcomes from 0 to 1). The distribution may be
    another, since errors are clustered. Parallel trends are supposed on the scale of h^-1. ``effects``: a_i per
    ``unit`` (default) or per ``cohort``, never treated among them (default and only choice for ``logit``, where
    effects per unit are not estimated consistently in short panels). ``weight_use="exposure"`` makes the panel's
    weight the exposure of a ``poisson`` count, so offset_it = log weight_it, in place of a regression weight.

    An estimate is the mean over the treated cells of an estimand, by regression weight, of h(with) - h(without tau), in
    units of the outcome (``scale="outcome"``), or of tau itself (``"link"``: log ratios, log odds ratios).
    ``estimands`` are any of ``overall``, ``event_time`` (e >= 0), ``cohort`` and ``calendar``.

    ``covariates``, in Wooldridge's form: fixed in each unit; x enters by cohort, by period, and, less its cohort's
    mean, in each tau_gt. They are as given in errors, as are shares of cells.

    The influence of unit j on an estimate theta is u' sum_t z_jt w_jt (Y_jt - h(eta_jt)), u = H^-1 d theta / d
    (coefficients), H the expected second derivatives: the delta method. N counts cells, K coefficients, without the
    effects per unit.

    Left out, and named or counted in the note: cells without outcome, weight or exposure; units treated from the first
    period or, with effects per unit, without an untreated cell, or without any count above 0; periods in which nobody
    is untreated or, for counts, no untreated count is above 0; units without a covariate. A cohort and period without a
    count above 0 has an expected count of 0 with treatment; on the link scale it is left out.

    In a complete panel without weights and covariates ``linear`` equals `imputation`, and effects per unit those per
    cohort; for counts, exposure that changes over time parts these two. Sources: Wooldridge 2021, "Two-way fixed
    effects, the two-way Mundlak regression, and difference-in-differences estimators" (in print: Empirical Economics
    2025, doi 10.1007/s00181-025-02807-z), and 2023, Econometrics Journal 26:C31-C66; R ``etwfe`` and ``emfx``, whose
    results on ``mpdta`` these are.

    Raises DidError if the treatment is not binary; an option's word or covariate is unknown; ``unit`` effects are asked
    for with ``logit``; exposure without ``poisson`` or without weights; a count is below 0, or an outcome of ``logit``
    not from 0 to 1; a cohort has no count above 0 before treatment; outcomes are separated (a cohort before treatment,
    a cohort in a treated period, or all untreated units in a period have only 0 or only 1); a covariate varies within a
    unit; or no treated cell is left.

    >>> import pandas as pd
    >>> table = pd.DataFrame([(u, str(t), "Y", "2002" if u < 4 else None, (8 + u) * (t - 1998))
    ...                       for u in range(8) for t in range(2000, 2004)],
    ...                      columns=["unit", "period", "frequency", "cohort", "outcome"])
    >>> table.loc[(table["unit"] < 4) & (table["period"] >= "2002"), "outcome"] *= 2
    >>> found = estimate(Panel.from_frame(table, cluster_columns=[]), family="poisson", scale="link")
    >>> [float(value) for value in found.estimate.round(6)]  # log 2 in each
    [0.693147, 0.693147, 0.693147]
    """
    chosen = [estimands] if isinstance(estimands, str) else list(dict.fromkeys(estimands))
    for name, word, allowed in [("family", family, FAMILIES), ("weight_use", weight_use, WEIGHT_USES),
                                ("scale", scale, SCALES), *(("estimands", word, ESTIMANDS) for word in chosen or [""]),
                                *(("covariates", word, panel.covariates) for word in covariates)]:
        one_of(f"etwfe: {name}", word, allowed)
    effects = ("cohort" if family == "logit" else "unit") if effects is None else effects
    one_of("etwfe: effects", effects, EFFECTS)
    if family == "logit" and effects == "unit":
        raise DidError("etwfe: effects: expected cohort with family logit, whose effects per unit are not consistent "
                       "in short panels; found unit; choose effects cohort")
    if weight_use == "exposure" and (family != "poisson" or panel.weight is None):
        found = "no weights" if family == "poisson" else f"family {family}"
        raise DidError(f"etwfe: weight_use exposure: expected family poisson and a weight to be the exposure; found "
                       f"{found}; name a column of weights and family poisson, or leave weight_use out")
    dose = without_dose(panel, "etwfe")
    _refuse_values(panel, family)
    used, unit = (panel, 1.0) if family == "logit" else panel.scaled()
    cells = _cells(used, family, effects, weight_use, list(covariates))
    model, own = _model(cells, effects, [used.covariates[name][cells.rows].copy() for name in covariates])
    fitted = _fit(cells, family, effects, model)
    lost = cells.empty & (scale == "link")
    target = np.where(cells.treated & ~lost, cells.share, 0.0)
    tables, masks = _averages(cells, target, chosen)
    value, influence = _effects(FAMILIES[family], cells, model, fitted, own, [target * mask for mask in masks], scale)
    unit = 1.0 if scale == "link" and family != "linear" else unit
    n_kept = int(fitted.normal.kept.sum())
    sample = cells.panel
    return Result(
        estimator="etwfe",
        parameters=tables,
        estimate=value * unit,
        shares=UnitShares(sample.units, influence * unit,
                          np.stack([((target * mask) > 0).any(axis=1) for mask in masks], axis=1)),
        n_obs=int((cells.share > 0).sum()),
        n_parameters=n_kept + (1 if model.groups is None else model.groups.shape[1]),
        note=join_notes(
            f"{family}, effects by {effects}", "log of the weight as offset" if weight_use == "exposure" else "", dose,
            cells.note, _empty_note(cells, scale)),
    )


@dataclasses.dataclass(frozen=True)
class _Cells:
    """The sample: its panel, the rows of these units in the panel given, and (units, periods) arrays.

    outcome  0 where not used
    share    weight of a cell in averages; 0 where it is not used
    weight   weight in the regression: `share`, but 0 in ``empty`` cells
    offset   log exposure, 0 without one
    treated  True from treatment on
    empty    True in cells of a cohort and period without a count above 0
    """

    panel: Panel
    rows: np.ndarray
    outcome: np.ndarray
    share: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    treated: np.ndarray
    empty: np.ndarray
    note: str


def _refuse_values(panel: Panel, family: str) -> None:
    seen = np.where(panel.observed_weight > 0, panel.outcome, 0.5)
    wrong = {"linear": np.zeros_like(seen, dtype=bool), "poisson": seen < 0, "logit": (seen < 0) | (seen > 1)}[family]
    if wrong.any():
        unit, period = np.argwhere(wrong)[0]
        expected = "an outcome of 0 or more" if family == "poisson" else "an outcome from 0 to 1"
        raise DidError(f"etwfe: family {family}, unit {panel.units[unit]}, period {panel.periods[period]}: expected "
                       f"{expected}; found {panel.outcome[unit, period]:g}; fix the cell or choose family linear")


def _cells(panel: Panel, family: str, effects: str, weight_use: str, covariates: list[str]) -> _Cells:
    share = panel.observed_weight
    offset = np.zeros_like(share)
    if weight_use == "exposure":
        offset = np.log(np.where(share > 0, share, 1.0))
        share = (share > 0).astype(float)
    bare = np.zeros(panel.n_units, dtype=bool)
    for name in covariates:
        bare |= ~_fixed(panel, name, share)
    n_missing, treated = int((share <= 0).sum()), panel.treated
    outcome = np.where(share > 0, panel.outcome, 0.0)
    share = np.where(bare[:, None], 0.0, share)
    lone, never_above = np.zeros(panel.n_units, dtype=bool), np.zeros(panel.n_units, dtype=bool)
    nobody, none_above = np.zeros(panel.n_periods, dtype=bool), np.zeros(panel.n_periods, dtype=bool)
    if family == "poisson":
        _refuse_empty_cohorts(panel, np.where(treated, 0.0, share), outcome)
    for _ in range(panel.n_periods):  # what is left out may leave others without a comparison
        before = share
        untreated = np.where(treated, 0.0, share)
        nobody |= (share > 0).any(axis=0) & ~(untreated > 0).any(axis=0)
        if family == "poisson":
            none_above |= (untreated > 0).any(axis=0) & ~(untreated * outcome > 0).any(axis=0)
        if effects == "unit":
            lone |= (share > 0).any(axis=1) & ~(untreated > 0).any(axis=1)
            never_above |= (family == "poisson") & (share > 0).any(axis=1) & ~(share * outcome > 0).any(axis=1) & ~lone
        lone |= panel.always_treated
        share = np.where((lone | never_above)[:, None] | (nobody | none_above), 0.0, share)
        if (share > 0).sum() == (before > 0).sum():
            break
    rows = np.any(share > 0, axis=1)
    if not (treated & (share > 0)).any():
        raise DidError("etwfe: expected a treated unit-period with untreated observations of its unit and of its "
                       "period; found none; add never-treated or later-treated units, or earlier periods")
    empty = np.zeros_like(treated)
    for start in np.unique(panel.treated_from[rows & ~panel.never_treated]):
        members = panel.treated_from == start
        nothing = ~(share[members] * outcome[members] > 0).any(axis=0) & (family == "poisson")
        empty[members] = nothing & treated[members] & (share[members] > 0)
    note = join_notes(
        f"{n_missing} of {panel.outcome.size} unit-periods have no outcome or no weight and are left out"
        if n_missing else "",
        f"no {' or '.join(covariates)}, left out: {listed(panel.units[bare])}" if bare.any() else "",
        f"no untreated observation, left out: {listed(panel.units[lone])}" if lone.any() else "",
        f"no count above 0, left out: {listed(panel.units[never_above])}" if never_above.any() else "",
        f"nobody untreated, left out: {listed(panel.periods[nobody])}" if nobody.any() else "",
        f"no untreated count above 0, left out: {listed(panel.periods[none_above])}" if none_above.any() else "",
    )
    cells = _Cells(panel.keep(rows), rows, outcome[rows], share[rows], np.where(empty, 0.0, share)[rows], offset[rows],
                   treated[rows], empty[rows], note)
    if family == "logit":
        _refuse_separated(cells)
    return cells


def _fixed(panel: Panel, name: str, share: np.ndarray) -> np.ndarray:
    """Return (units,) whether a unit has the covariate; DidError if it varies in a unit."""
    values = np.where(share > 0, panel.covariates[name], np.nan)
    seen = np.isfinite(values)
    low, high = (part(np.where(seen, values, fill), axis=1) for part, fill in ((np.min, np.inf), (np.max, -np.inf)))
    varies = seen.any(axis=1) & (low < high)
    if varies.any():
        unit = int(np.flatnonzero(varies)[0])
        raise DidError(f"etwfe: covariate '{name}', unit {panel.units[unit]}: expected one value in every period, as "
                       f"of before treatment; found {low[unit]:g} to {high[unit]:g}; give its value before treatment")
    return np.any(seen, axis=1)


def _refuse_empty_cohorts(panel: Panel, untreated: np.ndarray, outcome: np.ndarray) -> None:
    for start in np.unique(panel.treated_from[~panel.never_treated & ~panel.always_treated]):
        members = panel.treated_from == start
        if (untreated[members] > 0).any() and not (untreated[members] * outcome[members] > 0).any():
            raise DidError(f"etwfe: family poisson, cohort {panel.periods[start]}: expected a count above 0 before "
                           f"treatment; found 0 in all {int((untreated[members] > 0).sum())} unit-periods of its "
                           f"{int(members.sum())} units, so that no ratio can be formed; leave the cohort out, or "
                           "choose family linear")


def _refuse_separated(cells: _Cells) -> None:
    """Raise DidError if a cohort or period has the same extreme outcome in all cells that its effect rests on."""
    panel = cells.panel
    untreated = (cells.share > 0) & ~cells.treated
    groups = [(f"cohort {panel.periods[start]} before treatment" if start < panel.n_periods else "the never treated",
               untreated & (panel.treated_from == start)[:, None]) for start in np.unique(panel.treated_from)]
    groups += [(f"untreated units in {panel.periods[t]}", untreated & (np.arange(panel.n_periods) == t))
               for t in np.flatnonzero(untreated.any(axis=0))]
    groups += [(f"cohort {panel.periods[start]} in {panel.periods[t]}",
                (cells.share > 0) & (panel.treated_from == start)[:, None] & (np.arange(panel.n_periods) == t))
               for start in np.unique(panel.treated_from[~panel.never_treated]) for t in range(start, panel.n_periods)]
    for name, group in groups:
        values = cells.outcome[group]
        for extreme in (0.0, 1.0):
            if len(values) and (values == extreme).all():
                raise DidError(f"etwfe: family logit, {name}: expected outcomes above 0 and below 1 among them; found "
                               f"{extreme:g} in all {len(values)} unit-periods, which separates them; choose family "
                               "linear, or pool periods or cohorts")


def _model(cells: _Cells, effects: str, covariates: list[np.ndarray]) -> tuple[Model, np.ndarray]:
    """Return the regressors, and (columns,) True for those of treatment: dummies of cohort and period, and these
    times covariates less their cohort's means."""
    panel = cells.panel
    x = [_centred(np.where(cells.share > 0, values, np.nan)) for values in covariates]
    periods = np.flatnonzero((cells.share > 0).any(axis=0))
    ones = np.ones(panel.n_units)
    columns = [(t, values, False) for values in [ones] for t in periods[1:]]
    starts = np.unique(panel.treated_from)
    member = {start: (panel.treated_from == start).astype(float) for start in starts}
    for values in [ones, *x]:
        if values is not ones:
            columns += [(t, values, False) for t in periods[1:]]
        for start in starts[starts < panel.n_periods]:
            seen = (cells.share * member[start][:, None]).sum(axis=1)
            own = ones if values is ones else _less_mean(values, seen)
            columns += [(t, own * member[start], True) for t in range(start, panel.n_periods)
                        if (cells.weight[:, t] * member[start] > 0).any()]
    groups = None
    if effects == "cohort":
        groups = np.stack([member[start] * values for values in [ones, *x] for start in starts], axis=1)
        gram = groups.T @ (cells.weight.sum(axis=1)[:, None] * groups)
        groups = groups[:, independent_columns(gram, COLLINEAR * np.diag(gram))]
    return (Model(groups, np.stack([values for _, values, _ in columns], axis=1), np.array([t for t, _, _ in columns])),
            np.array([own for _, _, own in columns]))


def _less_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (units,) values less their weighted mean; 0 where rounding is all that is left of units with a weight."""
    left = values - (weight * values).sum() / weight.sum()
    return left if np.abs(left[weight > 0]).max() > ROUNDING * np.abs(values).max() else np.zeros_like(left)


def _centred(values: np.ndarray) -> np.ndarray:
    """Return each unit's value less the mean over units: only differences matter, and rounding stays small."""
    own = np.nanmax(values, axis=1)
    return own - own.mean()


def _fit(cells: _Cells, family: str, effects: str, model: Model) -> QuasiFit:
    outcome, weight, offset = cells.outcome, cells.weight, cells.offset
    start = np.zeros_like(outcome)
    if family == "linear":
        # Less what the effects take up, so that rounding stays small.
        total = weight.sum(axis=1, keepdims=True) if effects == "unit" else weight.sum()
        level = (weight * outcome).sum(axis=1, keepdims=True) if effects == "unit" else (weight * outcome).sum()
        outcome = np.where(weight > 0, outcome - level / total, 0.0)
    elif family == "poisson":
        exposure = np.exp(offset)
        rate = (weight * outcome).sum() / (weight * exposure).sum()
        start = np.log((outcome + rate * exposure) / 2)
    else:
        start = np.log((outcome + 0.5) / (1.5 - outcome))
    try:
        return fit(FAMILIES[family], model, outcome, weight, offset, start)
    except Separated as error:
        unit, period = error.cell
        panel = cells.panel
        raise DidError(f"etwfe: family {family}, unit {panel.units[unit]}, period {panel.periods[period]}: expected a "
                       "finite estimate; found that the fit runs to an extreme there (separation: outcomes of a kind "
                       "that other cells tell exactly); leave out units or covariates, or choose family linear"
                       ) from None


def _averages(cells: _Cells, target: np.ndarray, chosen: list[str]) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Return the parameters, and for each the (units, periods) mask of its cells."""
    panel = cells.panel
    keys = {"overall": np.zeros_like(panel.event_time), "event_time": panel.event_time,
            "cohort": np.broadcast_to(panel.treated_from[:, None], target.shape),
            "calendar": np.broadcast_to(np.arange(panel.n_periods), target.shape)}
    tables, masks = [], []
    for name in chosen:
        found = np.unique(keys[name][target > 0])
        labels = {"overall": {}, "event_time": {"event_time": found.tolist()}}.get(
            name, {ESTIMANDS[name]: [] if name in ("overall", "event_time") else list(panel.periods[found])})
        tables.append(parameter_table(name, **labels))
        masks += [keys[name] == value for value in found]
    return pd.concat(tables, ignore_index=True), masks


def _effects(family: Family, cells: _Cells, model: Model, fitted: QuasiFit, own: np.ndarray,
             targets: list[np.ndarray], scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (parameters,) mean effects on the cells of each target, and (units, parameters) influence."""
    n_periods = cells.panel.n_periods
    without = cells.offset + model.predict(fitted.effects, np.where(own, 0.0, fitted.coefficients), n_periods)
    if scale == "link":
        effect, slope_with, slope_without = fitted.eta - without, np.ones_like(without), np.ones_like(without)
    else:
        effect = np.where(cells.empty, 0.0, family.mean(fitted.eta)) - family.mean(without)
        slope_with, slope_without = np.where(cells.empty, 0.0, family.slope(fitted.eta)), family.slope(without)
    value, influence = np.empty(len(targets)), np.empty((cells.panel.n_units, len(targets)))
    for place, target in enumerate(targets):
        share = target / target.sum()
        value[place] = (share * effect).sum()
        with_effects, with_columns = by_parts(model, share * slope_with)
        without_effects, without_columns = by_parts(model, share * slope_without)
        gradient = fitted.normal.solve(with_effects - without_effects,
                                       with_columns - np.where(own, 0.0, without_columns))
        influence[:, place] = (fitted.score * model.predict(*gradient, n_periods)).sum(axis=1)
    return value, influence


def _empty_note(cells: _Cells, scale: str) -> str:
    panel = cells.panel
    found = sorted({(panel.periods[panel.treated_from[unit]], panel.periods[t])
                    for unit, t in np.argwhere(cells.empty)})
    words = [f"{cohort} in {period}" for cohort, period in found]
    what = "left out of log ratios" if scale == "link" else "whose expected count with treatment is then 0"
    return f"cohorts without a count above 0 in a period, {what}: {listed(words)}" if words else ""
