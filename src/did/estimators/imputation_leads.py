"""Leads of an imputation: differences before treatment, from untreated cells alone (Borusyak, Jaravel and Spiess)."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.errors import DidError
from did.estimators import event_study
from did.estimators.base import Panel, Result, join_notes, listed, scale_free


@scale_free
def estimate(panel: Panel, *, n_leads: int | None = None, bin_width: int = 1) -> Result:
    """Return differences between treated and control units before treatment, from untreated cells alone.

        Y_it = alpha_i + gamma_t + sum over leads e of delta_e dose_i 1[t - g_i = e] + e_it,    t < g_i

    so that effects of treatment cannot leak into them (Borusyak, Jaravel and Spiess 2024; R
    ``did_imputation(pretrends = )``). ``n_leads`` counts back from -1 and measures each against all earlier
    periods; None takes every lead, measured against -1, and keeps that row with the note ``reference``.
    ``bin_width`` above 1 pools event times as in `event_study`, and ``n_leads`` then counts bins.

    One parameter per lead, estimand ``event_time`` (or ``event_bin_<width>``), in units of the outcome per
    unit of dose. Units treated from the first period are left out and named. Influence and n_parameters are
    those of the regression, so the clustered error has its small-sample factor, as in R.

    Raises DidError if bin_width or n_leads is not a positive whole number, or no lead is left alongside its
    reference.
    """
    for name, number in (("bin_width", bin_width), ("n_leads", n_leads)):
        if not (number is None and name == "n_leads") and (not isinstance(number, int) or number < 1):
            raise DidError(f"imputation_leads: {name}: expected a whole number, 1 or more; found {number}")
    before = _untreated_part(panel)
    members = (before.observed_weight > 0) & ~before.never_treated[:, None]
    found = np.unique(np.floor_divide(before.event_time, bin_width)[members])
    reference = [-1] if n_leads is None else [int(e) for e in found if e < -n_leads]
    estimated = [e for e in found if e not in reference]
    if not estimated or not set(reference) & set(found.tolist()):
        wanted = "periods before the last" if n_leads is None else f"periods before the {n_leads} leads"
        raise DidError(f"imputation_leads: expected treated units observed in {wanted} and in the reference; "
                       f"found event times {listed(found) or 'none'} in bins of {bin_width}; add earlier "
                       "periods or ask for fewer leads")
    if before.never_treated.sum() == 0 and len(np.unique(before.treated_from)) == 1:
        raise DidError("imputation_leads: expected control units; found one cohort and none untreated; add "
                       "controls")
    fitted = event_study.estimate(before, bin_width=bin_width, reference=reference)
    shown = np.array([n_leads is None or e not in reference for e in fitted.parameters["event_time"]])
    against = "" if n_leads is None else "measured against all earlier periods"
    return dataclasses.replace(
        fitted,
        estimator="imputation_leads",
        parameters=fitted.parameters[shown].reset_index(drop=True),
        estimate=fitted.estimate[shown],
        shares=fitted.shares.columns(shown),
        note=join_notes("untreated observations only", against, _missing(panel), _always(panel)),
    )


def _untreated_part(panel: Panel) -> Panel:
    """Return the panel with weight 0 in treated cells, less units treated from the first period."""
    kept = panel.keep(~panel.always_treated) if panel.always_treated.any() else panel
    return dataclasses.replace(kept, weight=np.where(kept.treated, 0.0, kept.observed_weight))


def _missing(panel: Panel) -> str:
    n_missing = int(((panel.observed_weight <= 0) & ~panel.treated).sum())
    return f"{n_missing} untreated unit-periods have no outcome or no weight and are left out" if n_missing else ""


def _always(panel: Panel) -> str:
    always = panel.units[panel.always_treated]
    return f"treated from the first period, left out: {listed(always)}" if len(always) else ""
