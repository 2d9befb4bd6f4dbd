"""Inference that respects how few clusters were treated, as rows of the diagnostics table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import design_of, entry, estimate
from did.estimators.base import REFERENCE, Panel, Result
from did.inference.bias_reduced import leverages
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.wild import wild_bootstrap

CORRECTED = {"CR2": "bias_reduced_cr2", "CR3": "bias_reduced_cr3"}
BOOTSTRAPS = {"rademacher": "wild_bootstrap", "webb": "wild_bootstrap_webb"}


@tabled
def few_cluster_rows(panel: Panel, level: str, *, estimators: Sequence[str], options: dict[str, dict], draws: int,
                     seed: int, fitted: Mapping[str, Result] | None = None) -> list[dict]:
    """Return leverage-corrected errors and wild cluster bootstraps of each regression estimator at one cluster level.

    Diagnostics ``bias_reduced_cr2`` and ``_cr3`` (value the estimate; std_error, interval and p_value with
    Satterthwaite's df in df_denominator) and ``wild_bootstrap`` (null imposed, Rademacher) and ``wild_bootstrap_webb``
    (statistic t, p_value and interval from ``draws`` draws).
    Skipped with the reason where there is no such error. ``options`` maps an estimator to its keyword arguments,
    ``fitted`` to what it gave with them, where that is known. Raises whatever the estimators and `did.inference` do.
    """
    rows = []
    for estimator in estimators:
        if entry(estimator).design is None:
            row = {"estimator": estimator}
            rows += [skipped(diagnostic_row(name, panel, level) | row, "only for an estimator that is one regression")
                     for name in (*CORRECTED.values(), *BOOTSTRAPS.values())]
            continue
        model = design_of(estimator, panel, **options.get(estimator, {}))
        result = estimate(estimator, panel, **options.get(estimator, {})) if fitted is None else fitted[estimator]
        base = {"estimator": estimator,
                "n_obs": result.n_obs, "n_units": result.n_units, "n_treated": int(result.treated.any(axis=1).sum()),
                "n_treated_clusters": _n_treated(result, panel, level)}
        taken_apart = leverages(model, level)
        for kind, name in CORRECTED.items():
            found = taken_apart.rows(kind).iloc[0].to_dict()
            rows.append(_row(diagnostic_row(name, panel, level) | base, found, {
                "std_error": found["std_error"], "df_denominator": found["df"],
                "statistic": found["estimate"] / found["std_error"]}))
        drawn = wild_bootstrap.records(model, level, draws=draws, seed=seed, weights=list(BOOTSTRAPS), fitted=result)
        for name, found in zip(BOOTSTRAPS.values(), drawn, strict=True):
            rows.append(_row(diagnostic_row(name, panel, level) | base, found, {"statistic": found["t_statistic"]}))
    return rows


@tabled
def event_wild_rows(panel: Panel, level: str, *, bin_width: int, draws: int, seed: int,
                    fitted: Result | None = None) -> list[dict]:
    """Return the wild cluster bootstrap of every coefficient of the event study in bins of ``bin_width`` periods.

    Diagnostic ``wild_bootstrap_event``, with event_time and bin_width;
    skipped where the event study does not exist. ``fitted`` is that event study, where it is known. Columns as in
    `few_cluster_rows`.
    """
    try:
        model = design_of("event_study", panel, bin_width=bin_width)
        result = estimate("event_study", panel, bin_width=bin_width) if fitted is None else fitted
    except DidError as error:
        row = diagnostic_row("wild_bootstrap_event", panel, level) | {"estimator": "event_study"}
        return [skipped(row, str(error))]
    found = wild_bootstrap.records(model, level, draws=draws, seed=seed, fitted=result)
    times = result.parameters.loc[result.parameters["state"] != REFERENCE, "event_time"]
    rows = []
    for time, each in zip(times, found, strict=True):
        row = diagnostic_row("wild_bootstrap_event", panel, level) | {
            "estimator": "event_study", "n_obs": result.n_obs, "n_units": result.n_units,
            "event_time": time, "bin_width": bin_width}
        rows.append(_row(row, each, {"statistic": each["t_statistic"]}))
    return rows


def _row(row: dict, found: dict, more: dict) -> dict:
    """A row with what a method found; skipped where it found no p-value."""
    row = row | {"value": found["estimate"]}
    if not np.isfinite(found["p_value"]):
        return skipped(row, found["note"] or "no test")
    ends = {end: found[end] if np.isfinite(found[end]) else np.nan for end in ("ci_low", "ci_high")}
    return row | ends | more | {"p_value": found["p_value"], "n_clusters": found["n_clusters"],
                                "reason": found["note"]}


def _n_treated(result: Result, panel: Panel, level: str) -> int:
    labels = panel.clusters[level][panel.units.get_indexer(result.units)]
    return len(pd.unique(labels[result.treated.to_numpy().any(axis=1)]))
