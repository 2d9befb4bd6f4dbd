"""Small made tables with an estimate and its alternatives, whose answers are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.inference.change import Change
from did.store import tables

SIZES = {"n_obs": 400, "n_units": 40, "n_treated": 12, "n_clusters": 10, "n_treated_clusters": 4}
OTHERS = ["Avon", "Bath, Bristol and beyond", "Camden"]


def row(schema: str, **values) -> dict:
    """A row of a table, with values that its columns allow where none are given."""
    empty = {"float64": np.nan, "int64": 0, "Int64": pd.NA, "bool": False}
    always = {"indicator": "waits", "sample": "full", "treatment": "binary", "specification": "default",
              "is_synthetic": True} | ({"state": "estimated"} if schema == "estimates" else {})
    columns = tables.SCHEMAS[schema].columns
    return {name: empty.get(str(column.dtype), "") for name, column in columns.items()} | always | values


def spans(value: float, half: float) -> dict:
    return {"std_error": half / 2, "ci_low": value - half, "ci_high": value + half, "p_value": 0.04}


def estimate(value, half, **values) -> list[dict]:
    """Rows of both cluster levels; by system the interval is twice as long."""
    return [row("estimates", estimand="overall", cohort=None, period=None, event_time=pd.NA, estimate=value,
                cluster=cluster, **spans(value, half * (1 + (cluster == "system"))), **SIZES | values)
            for cluster in ("unit", "system")]


def diagnostic(name, change, value, half, *, cluster="system", estimator="ldv", **values) -> dict:
    known = SIZES | {"status": "done"} | spans(value, half) | values
    return row("diagnostics", diagnostic=name, value=value, cluster=cluster, estimator=estimator,
               **change.columns() | known)


def without(name, label) -> Change:
    return Change("without_cluster", left_out=label, called=name)


def made_tables() -> dict[str, pd.DataFrame]:
    """An estimate of 10 that is 4 to 16 by area and -2 to 22 by system, and what was tried with it."""
    estimates = [*estimate(10.0, 6.0, estimator="ldv"), *estimate(12.0, 4.0, estimator="did"),
                 *estimate(9.0, 8.0, estimator="ldv", sample="wave_two_removed")]
    for name, value in (("did", 8.0), ("stacked", 1.0)):
        estimates += estimate(value, 5.0, estimator=name, specification="by_date")
    found = [diagnostic("bias_reduced_cr2", Change(), 10.0, 11.0, n_units=pd.NA, n_treated=pd.NA),
             diagnostic("wild_bootstrap", Change(), 10.0, 9.0, std_error=np.nan)]
    for cluster in ("unit", "system"):
        for name, lost, value in (("North", 8, 2.0), ("South", 3, 14.0), ("East", 1, 11.0)):
            found.append(diagnostic("leave_one_out", without(name, f"{name[0]}1"), value, 5.0, cluster=cluster,
                                    n_treated=12 - lost, n_units=40 - lost))
        found += [diagnostic("leave_one_out", without(name, name), 10.0 + place, 5.0, cluster=cluster)
                  for place, name in enumerate(OTHERS)]
        found += [diagnostic("drop_year", Change("without_year", left_out=year), 10.0, 5.0, cluster=cluster)
                  for year in ("2015", "2016")]
        found += [diagnostic("placebo_onset", Change("placebo_onset", period="2014"), -7.0, 5.0, cluster=cluster),
                  diagnostic("by_system", Change("one_cluster", part="N1", called="North"), 20.0, 3.0, cluster=cluster,
                             n_treated_clusters=1 if cluster == "system" else 4)]
    found.append(diagnostic("left_out", Change("without_group", left_out="reviewed"), np.nan, np.nan, status="skipped",
                            reason="none of its areas is in the panel", **dict.fromkeys(SIZES, pd.NA)))
    fitted = [(specification, design, choices, value) for specification, design, choices, value in (
        ("default", "one_at_a_time", "", 10.0), ("lags_last_12", "one_at_a_time", "lags=last_12", 6.0),
        ("window_short", "one_at_a_time", "window=short", 10.0),
        ("lags=last_12; window=short", "product", "lags=last_12; window=short", 5.0))]
    specifications = [
        row(
            "specifications",
            specification=specification,
            design=design,
            choices=choices,
            n_choices=choices.count("="),
            cluster=cluster,
            estimator="ldv",
            estimate=value,
            **spans(value, 6.0),
            **SIZES,
        )
        for specification, design, choices, value in fitted
        for cluster in ("unit", "system")
    ]
    frames = {"estimates": estimates, "diagnostics": found, "specifications": specifications}
    return {name: tables.check(name, pd.DataFrame(rows)) for name, rows in frames.items()}
