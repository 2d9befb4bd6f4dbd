"""Joint test of the imputation estimator's leads: on untreated observations only."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import imputation_leads as leads
from did.estimators.base import ESTIMATED, Panel, Result
from did.inference.clustered import labels_of, rounding_of
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
def imputation_leads(panel: Panel, *, n_leads: int | None = None, bin_width: int = 1) -> list[dict]:
    """Test that all leads of `did.estimators.imputation_leads` are zero, by an F test at each cluster level.

    ``n_leads`` and ``bin_width`` as there: few leads against all earlier periods give the test its power and
    its size. Rows of the diagnostics table (`joint_test.COLUMNS`), diagnostic ``imputation_leads``
    (``imputation_leads_<n_leads>``, ``..._bin_<width>``): value is the mean lead in units of the outcome,
    statistic F = b' V^-1 b / q with q and clusters - 1 degrees of freedom, q the number of leads. A row is
    ``skipped`` with its reason where no lead is identified, V has not full rank, or there are no more treated
    clusters than leads (`pretrends.joint_leads` has why). Outcomes after treatment do not enter, so that
    effects cannot pass for pre-trends (Borusyak, Jaravel and Spiess 2024, Review of Economic Studies
    91:3253-3285).

    Raises DidError if n_leads or bin_width is not a positive whole number.
    """
    diagnostic = "imputation_leads" + ("" if n_leads is None else f"_{n_leads}")
    diagnostic += "" if bin_width == 1 else f"_bin_{bin_width}"
    for name, number in (("n_leads", n_leads), ("bin_width", bin_width)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise DidError(f"imputation_leads: {name}: expected a whole number, 1 or more; found {number}")
    try:
        result = leads.estimate(panel, n_leads=n_leads, bin_width=bin_width)
    except DidError as error:
        rows = [skipped(diagnostic_row(diagnostic, panel, level), str(error)) for level in panel.clusters]
        return rows
    identified = (result.parameters["state"] == ESTIMATED).to_numpy()
    estimate, influence = result.estimate[identified], result.influence.to_numpy()[:, identified]
    rounding, rows = rounding_of(result, panel)[identified], []
    for level in panel.clusters:
        labels = labels_of(result, panel, level)
        row = diagnostic_row(diagnostic, panel, level, value=float(estimate.mean()) if len(estimate) else np.nan)
        rows.append(_tested(row, result, estimate, influence, labels, rounding))
    return rows


def _tested(row: dict, result: Result, estimate: np.ndarray, influence: np.ndarray, labels: np.ndarray,
            rounding: np.ndarray) -> dict:
    n_clusters, n_leads = len(pd.unique(labels)), len(estimate)
    n_treated = len(pd.unique(labels[result.treated.to_numpy().any(axis=1)]))
    if not n_leads:
        return skipped(row, "no lead is identified")
    tested = f_test(row, estimate, influence, labels, rounding=rounding, n_obs=result.n_obs,
                    n_parameters=result.n_parameters, what="leads")
    if tested["status"] == "skipped":
        return tested
    if refusal := refused_for_few(n_treated, n_leads, "leads"):
        return skipped(row, refusal)
    few = FEW_TREATED_CLUSTERS if n_treated < FEW_TREATED * n_leads else ""
    return tested | {"caveat": few, "reason": f"rank {n_leads} for {n_leads} leads with {n_treated} treated of "
                                              f"{n_clusters} clusters"}
