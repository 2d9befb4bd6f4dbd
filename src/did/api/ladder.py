"""The questions of the evidence about one panel: the tables that they are answered from, and the answers."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.api.findings import Findings
from did.api.fit import Fit
from did.estimators.base import Panel
from did.evidence import compare, judge, targets
from did.evidence.second_opinion import PROGRAMS, second_opinion
from did.inference.calibration import Settings
from did.inference.few_clusters import MOST, can_be_measured, measured
from did.inference.headline import Measured, methods_by_rule
from did.inference.joint_test import COLUMNS
from did.inference.names import METHODS
from did.project.claims import CLAIM_COLUMNS, OPTIONAL_COLUMNS

if TYPE_CHECKING:
    from did.api.evidence import Evidence

# What a panel is called in the keys of the stages' tables.
ONE, FULL = "-", "full"
# The target that is the printed number.
PRINTED = "printed"
# Checks whose rows are those of the diagnostics table.
DIAGNOSTICS = ("detrended", "own_dates", "placebo_in_time", "leave_one_out")
# Cells of a panel, units times periods, up to which a second program is asked, and every method of every estimator.
MOST_CELLS = 200_000


@dataclasses.dataclass(frozen=True)
class Ladder:
    """The answers to the questions: the tables evidence, evidence_items and verdicts of a run (docs/evidence.md), of
    the leading estimate (target: the outcome) and of the printed number (target: ``printed``), if there is one."""

    evidence: pd.DataFrame
    items: pd.DataFrame
    verdicts: pd.DataFrame


def measured_methods(fit: Fit) -> dict[str, Measured]:
    """Method of inference -> what was measured of it on the panel, at the fit's level; none where that takes minutes,
    and for clusters two ways."""
    if fit.level not in fit.question.panel.clusters:
        return {}
    question = fit.question.at(fit.level)
    if not can_be_measured(question) or len(set(question.panel.clusters[question.level])) > MOST:
        return {}
    table = measured(question)
    if table is None:
        return {}
    settings = Settings(order=METHODS, confidence=fit.asked.confidence)
    return {each.method: each for each in methods_by_rule(table, settings) if each.n_draws}


def keys(found: Evidence) -> dict[str, object]:
    """The columns that name the panel in the stages' tables."""
    return {"indicator": found.panel.outcome, "specification": ONE, "sample": FULL, "is_synthetic": False}


def tables(found: Evidence) -> dict[str, pd.DataFrame]:
    """Return the tables headline, diagnostics and second_opinion of a panel, with the keys of a run's tables."""
    parts = [found.findings[name].frame for name in DIAGNOSTICS if name in found.findings]
    diagnostics = pd.concat([part.reindex(columns=COLUMNS) for part in parts]) if parts else pd.DataFrame(
        columns=COLUMNS)
    return {"headline": pd.DataFrame([_headline(fit, found) for fit in found.judged.values()]),
            "diagnostics": diagnostics.assign(**keys(found)), "second_opinion": _second_opinion(found)}


def _headline(fit: Fit, found: Evidence) -> dict[str, object]:
    """The row of an estimate with the interval that leads."""
    row = fit.rows.iloc[0].to_dict()
    own = measured_methods(fit).get(row["inference"])
    finite = {end: row[end] if np.isfinite(row[end]) else np.nan for end in ("ci_low", "ci_high")}
    return row | finite | keys(found) | {
        "treatment": fit.panel.data.treatment, "method": "" if np.isnan(row["p_value"]) else row["inference"],
        "coverage": own.coverage if own else np.nan, "holds": bool(own and (own.holds or own.may_hold))}


def _second_opinion(found: Evidence) -> pd.DataFrame:
    """The judged estimates by a second program; empty where there is none, or none is installed."""
    data = found.panel.data
    if data.weight is not None or data.covariates or data.outcome.size > MOST_CELLS:
        return pd.DataFrame()
    parts = [second_opinion(_long(data), fit.rows, dose="dose", lags=str(fit.options.get("lags", "all")))
             for name, fit in found.judged.items() if name in PROGRAMS and find_spec(PROGRAMS[name])]
    return pd.concat(parts).assign(**keys(found), treatment=data.treatment) if parts else pd.DataFrame()


def _long(data: Panel) -> pd.DataFrame:
    """A panel as rows of the panel table: unit, period, frequency, outcome, cohort and dose."""
    n_units, n_periods = data.outcome.shape
    labels = np.array([*data.periods, None], dtype=object)
    return pd.DataFrame({
        "unit": np.repeat(np.asarray(data.units, dtype=object), n_periods), "frequency": data.frequency,
        "period": np.tile(np.asarray(data.periods, dtype=object), n_units), "outcome": data.outcome.ravel(),
        "cohort": np.repeat(labels[np.clip(data.treated_from, 0, n_periods)], n_periods),
        "dose": np.repeat(data.dose, n_periods)})


def climbed(found: Evidence) -> Ladder:
    """Return the answers to every question, from `tables`. Nothing is estimated here."""
    frames = tables(found)
    data, none = found.panel.data, pd.DataFrame(columns=["claim", "number"])
    lead = {"estimator": found.headline.estimator}
    asked = targets(none, frames["headline"], lead)
    name = found.published[1] if found.published else ""
    if name in found.judged:
        row = found.judged[name].rows.iloc[0]
        estimates = pd.DataFrame([row.to_dict() | keys(found) | {
            "treatment": data.treatment, "few_treated": False, "estimand": "overall"}])
        comparison = compare(_claim(found), estimates, ONE)
        asked = [*targets(comparison, frames["headline"].iloc[:0], lead), *asked]
    several = len(np.unique(data.treated_from[~data.never_treated & ~data.always_treated])) > 1
    return Ladder(*judge(asked, frames, staggered=ONE if several else ""))


def _claim(found: Evidence) -> pd.DataFrame:
    """The printed number as a row of the claims."""
    assert found.published is not None
    text, name = found.published
    own = {"claim": PRINTED, "indicator": found.panel.outcome, "outcome": found.panel.outcome, "estimator": name,
           "treatment": found.panel.data.treatment, "sample": FULL, "value": text, "estimand": "overall",
           "sign": "-" if float(text) < 0 else "+" if float(text) > 0 else "", "as_printed": text}
    return pd.DataFrame([dict.fromkeys([*CLAIM_COLUMNS, *OPTIONAL_COLUMNS], "") | own])


def without_clusters(found: dict[str, Findings]) -> pd.DataFrame:
    """The rows of the check that leaves out each cluster, those that could be estimated."""
    rows = found["leave_one_out"].frame if "leave_one_out" in found else pd.DataFrame(columns=COLUMNS)
    return rows.loc[rows["status"].eq("done")]
