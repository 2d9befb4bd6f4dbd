"""Difference-in-differences by two-way fixed effects, binary or by dose."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Panel, Result, join_notes, listed, parameter_table
from did.estimators.within import two_way_fit


def estimate(panel: Panel) -> Result:
    """Return the coefficient of treatment in a regression with unit and period effects.

        Y_it = alpha_i + gamma_t + delta D_it + e_it,    D_it = dose_i x 1[t >= first treated period of i]

    with the panel's weights. One parameter, estimand ``overall``, in units of the outcome (binary) or of the
    outcome per unit of dose (intensity). Cells without an outcome are left out and counted in the note;
    units treated from the first period stay in, where they inform the period effects only. With several
    cohorts delta is the two-way weighted average of effects, whose weights may be negative (Goodman-Bacon
    2021, Journal of Econometrics 225:254-277); with one cohort it is the effect on the treated under
    parallel trends. Published as Stata ``xtdidregress``; equals ``feols(y ~ D | unit + period)``.

    Raises DidError if treatment does not vary over the observed cells once the effects are taken out.
    """
    regressor = np.where(panel.treated, panel.dose[:, None], 0.0)
    fit = two_way_fit(panel.outcome, regressor[:, :, None], panel.observed_weight)
    if not fit.kept[0]:
        raise DidError("did: expected treatment to vary within units and periods; found no variation among "
                       f"the {fit.n_obs} observed cells; check that treated and control units have outcomes "
                       "before and after onset")
    used = (panel.observed_weight > 0).any(axis=1)
    behind = (~panel.never_treated)[used]
    return Result(
        estimator="did",
        parameters=parameter_table("overall"),
        estimate=fit.coefficient,
        influence=pd.DataFrame(fit.influence[used], index=panel.units[used]),
        treated=pd.DataFrame(behind[:, None], index=panel.units[used]),
        n_obs=fit.n_obs,
        n_parameters=1 + fit.n_periods,
        note=join_notes(left_out(panel), _always_treated(panel)),
    )


def left_out(panel: Panel) -> str:
    """Return the note on cells a regression leaves out, empty if the panel is complete."""
    n_missing = int((panel.observed_weight <= 0).sum())
    empty = panel.units[(panel.observed_weight <= 0).all(axis=1)]
    return join_notes(
        f"{n_missing} of {panel.outcome.size} unit-periods have no outcome or no weight and are left out"
        if n_missing else "",
        f"no outcome at all: {listed(empty)}" if len(empty) else "",
    )


def _always_treated(panel: Panel) -> str:
    always = panel.units[panel.always_treated]
    return f"treated from the first period, for period effects only: {listed(always)}" if len(always) else ""
