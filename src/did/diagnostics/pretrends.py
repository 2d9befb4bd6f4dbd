"""Tests of parallel trends before treatment: linear, and all leads jointly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import event_study
from did.estimators.base import ESTIMATED, Panel, Result
from did.estimators.within import Fit, two_way_fit
from did.inference.clustered import labels_of, rounding_error, rounding_of
from did.inference.joint_test import (
    FEW_TREATED,
    FEW_TREATED_CLUSTERS,
    diagnostic_row,
    f_test,
    refused_for_few,
    skipped,
    tabled,
)


@tabled
def pretrend_rows(panel: Panel, *, bin_width: int = 12) -> list[dict]:
    """Return the linear pre-trend test and the joint tests of leads, by period and by bins of ``bin_width``.

    Rows of the diagnostics table (`COLUMNS`; the caller adds indicator, specification, sample and is_synthetic),
    one per test and cluster level. With ``bin_width`` 1 the binned test is left out, being the same.
    """
    binned = joint_leads.records(panel, bin_width=bin_width) if bin_width > 1 else []
    return [*linear_pretrend.records(panel), *joint_leads.records(panel), *binned]


def trends_fit(panel: Panel) -> tuple[Fit, np.ndarray]:
    """Fit the two-way model augmented with linear trends of the treated, before and after their onset.

        Y_it = alpha_i + gamma_t + delta D_it + zeta_0 w_i 1[t < g_i] t + zeta_1 w_i 1[t >= g_i] t + e_it

    w_i the dose (1 for treated, 0 for never treated), D_it = w_i 1[t >= g_i] and t in periods: the augmented
    model of Stata's ``estat ptrends`` and ``estat trendplots`` (manual [CAUSAL] didregress postestimation,
    methods and formulas). Each unit's own onset parts before from after. Columns of the fit: delta,
    zeta_0, zeta_1. Returns the fit and the (units,) mask of units used: those treated from the first
    period have no trend before onset and are left out.
    """
    used = ~panel.always_treated
    kept = panel.keep(used)
    time = np.arange(kept.n_periods, dtype=float)[None, :]
    exposure = np.where(kept.never_treated, 0.0, kept.dose)[:, None]
    columns = [exposure * kept.treated, exposure * ~kept.treated * time, exposure * kept.treated * time]
    return two_way_fit(kept.outcome, np.stack(columns, axis=2), kept.observed_weight), used


@tabled
def linear_pretrend(panel: Panel) -> list[dict]:
    """Test that the outcome's linear trend before onset does not differ by treatment (``estat ptrends``).

    value is zeta_0 of `trends_fit`, the difference in slope in units of the outcome per period (and per unit
    of dose); statistic is its F with df 1 and clusters - 1. One row per cluster level, diagnostic
    ``linear_pretrend``, item such as ``binary, unit clusters``. status ``skipped`` with the reason where the
    slope is not identified (fewer than two periods before onset), there are fewer than two clusters, or
    nothing varies between clusters.
    """
    fit, used = trends_fit(panel)
    units = (panel.observed_weight[used] > 0).any(axis=1)
    influence = fit.influence[units, 1:2]
    n_parameters = int(fit.kept.sum()) + fit.n_periods
    rounding = rounding_error(panel.outcome[used][units], panel.dose[used][units, None])
    rows = []
    for level, every_label in panel.clusters.items():
        labels = every_label[used][units]
        row = diagnostic_row("linear_pretrend", panel, level, value=fit.coefficient[1])
        if not fit.identified[1]:
            rows.append(skipped(row, "fewer than two periods before onset: no trend to compare"))
            continue
        rows.append(f_test(row, fit.coefficient[1:2], influence, labels, rounding=rounding, n_obs=fit.n_obs,
                           n_parameters=n_parameters, what="slope"))
    return rows


@tabled
def joint_leads(panel: Panel, *, bin_width: int = 1) -> list[dict]:
    """Test that all leads of the event study are zero (Wald test from its influence functions).

    statistic is F = b' V^-1 b / q with df q, the number of leads but the reference, and clusters - 1; value
    is the mean of the leads in units of the outcome. One row per cluster level, diagnostic ``joint_leads``
    (or ``joint_leads_bin_<width>``). A row is ``skipped``, with the numbers in its reason, where V is of less
    than full rank (no generalised inverse is used), as it must be with no more clusters than leads; and where
    there are no more treated clusters than leads: V then holds the noise of the control group alone in some
    directions, and the test rejects nearly always though nothing is amiss (docs/methods.md). A done row's
    reason gives the rank and the numbers of leads and clusters.
    """
    result = _event_study(panel, bin_width)
    diagnostic = "joint_leads" if bin_width == 1 else f"joint_leads_bin_{bin_width}"
    rows = []
    for level in panel.clusters:
        if isinstance(result, str):
            rows.append(skipped(diagnostic_row(diagnostic, panel, level), result))
        else:
            rows.append(_joint_row(diagnostic_row(diagnostic, panel, level), result, panel, level))
    return rows


@tabled
def leads_of(result: Result, panel: Panel) -> list[dict]:
    """Test that all leads of any estimator's effects over event time are zero, by its influence functions.

    ``result`` has estimand ``event_time``, with the last period before treatment (and before the result's
    ``anticipation``, whose event times are no leads) as reference. Diagnostic ``joint_leads_<estimator>``;
    statistic, value and the reasons to skip as in `joint_leads`.
    """
    rows = []
    for level in panel.clusters:
        row = diagnostic_row(f"joint_leads_{result.estimator}", panel, level) | {"estimator": result.estimator}
        reference = -1 - result.anticipation
        times = result.parameters["event_time"].fillna(reference).to_numpy(dtype=int)
        other = times != reference
        kept = dataclasses.replace(
            result, parameters=result.parameters.loc[other].reset_index(drop=True), estimate=result.estimate[other],
            shares=result.shares.columns(other))
        if not (times < reference).any():
            rows.append(skipped(row, "no lead besides the reference"))
        else:
            rows.append(_joint_row(row, kept, panel, level))
    return rows


@tabled
def recommendation(tests: Sequence[dict], panel: Panel, published: str) -> list[dict]:
    """Return the estimator that the published rule would choose, as one row: a record, never a switch.

    The rule: difference-in-differences unless the linear trends before onset differ (`linear_pretrend`, first
    treatment, clustered by unit, p below 0.05), then the lagged dependent variable (section 22 of the report).
    ``tests`` are the records of `pretrend_rows`; ``published`` is the estimator that was reported. value is missing,
    the reason says which and why, and whether it is the one reported first.
    """
    row = diagnostic_row("recommendation", panel, "unit")
    test = next(each for each in tests if (each["diagnostic"], each["cluster"]) == ("linear_pretrend", "unit"))
    if test["status"] == "skipped":
        return [skipped(row, f"no linear trend test: {test['reason']}")]
    chosen = "ldv" if test["p_value"] < 0.05 else "did"
    used = "the estimator reported first" if chosen == published else f"reported first is {published}"
    reason = f"{chosen}: linear trends before onset {'differ' if chosen == 'ldv' else 'are not told apart'} (p = " \
             f"{test['p_value']:.3f} by unit); {used}"
    return [row | {"estimator": chosen, "p_value": test["p_value"], "reason": reason}]


def _event_study(panel: Panel, bin_width: int) -> Result | str:
    """The event study, or why there is none with a lead besides the reference."""
    if not panel.never_treated.any():
        return "no never-treated unit"
    members = (panel.observed_weight > 0) & ~(panel.never_treated | panel.always_treated)[:, None]
    bins = np.unique(np.floor_divide(panel.event_time, bin_width)[members])
    if -1 not in bins or not (bins < -1).any():
        return f"no lead besides the reference (bins of {bin_width} periods)"
    try:
        result = event_study.estimate(panel, bin_width=bin_width)
    except DidError as error:
        return str(error)
    identified = np.isfinite(result.estimate[(result.parameters["event_time"] < -1).to_numpy(dtype=bool)])
    return result if identified.any() else "no lead is identified"


def _joint_row(row: dict, result: Result, panel: Panel, level: str) -> dict:
    parameters, labels = result.parameters, labels_of(result, panel, level)
    identified = (parameters["state"] == ESTIMATED).to_numpy()
    leads = (parameters["event_time"] < -1 - result.anticipation).to_numpy(dtype=bool) & identified
    influence = result.influence.to_numpy()[:, leads]
    row["value"] = float(result.estimate[leads].mean())
    n_clusters = len(pd.unique(labels))
    n_treated = len(pd.unique(labels[result.treated.to_numpy().any(axis=1)]))
    tested = f_test(row, result.estimate[leads], influence, labels, rounding=rounding_of(result, panel)[leads],
                    n_obs=result.n_obs, n_parameters=result.n_parameters, what="leads")
    if tested["status"] == "skipped":
        return tested
    n_leads = int(leads.sum())
    if refusal := refused_for_few(n_treated, n_leads, "leads"):
        return skipped(row, refusal)
    few = FEW_TREATED_CLUSTERS if n_treated < FEW_TREATED * n_leads else ""
    return tested | {"caveat": few, "reason": f"rank {n_leads} for {n_leads} leads with {n_treated} treated of "
                                              f"{n_clusters} clusters"}
