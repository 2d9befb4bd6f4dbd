"""The estimate under assumptions other than parallel trends: weighted comparisons, shrunken lags, counts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.diagnostics.estimate_rows import KEPT
from did.errors import DidError
from did.estimators import estimate, overall_of
from did.estimators.base import Panel, Result
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.synthetic_errors import synthetic_errors

DIAGNOSTIC = "other_assumptions"
# Of the draws of placebo assignments: those that synthetic_errors makes by itself.
SYNTHETIC, RIDGE, COUNTS = "synthetic_did", "ldv_ridge", "etwfe"


@tabled
def other_assumption_rows(panel: Panel, counts: Panel | None, *, lags: str = "all", seed: int = 20170601,
                          synthetic: Result | None = None) -> list[dict]:
    """Return the overall effect by estimators that take something other than parallel trends for granted.

    Rows of the diagnostics table, diagnostic ``other_assumptions``, value in units of the outcome with error, interval
    and counts, by variant:

    synthetic_units     `synthetic_did` of units; error and p by placebo assignments of whole clusters of the last level
    synthetic_clusters  the same of the means of these clusters in place of units
    shrunken_lags       `ldv_ridge` with ``lags``, at each cluster level
    counts_offset       `etwfe` by Poisson quasi-likelihood of ``counts``, whose weight is the exposure: the effect in
                        percent of what the rate would have been; statistic is z of the log ratio, std_error that of
                        the log ratio in percent

    Skipped, with the reason: what cannot be estimated, a dose (but for `ldv_ridge`), and counts that there are none of
    (``counts`` None). ``synthetic`` of `synthetic_result`, where that is known.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 12, {8: 10}, 50.0, seed=2, units_per_system=2)[0])
    >>> found = other_assumption_rows(data, None)
    >>> found.loc[found["status"].eq("done"), "value"].between(35, 65).tolist()
    [True, True, True, True]
    """
    level = list(panel.clusters)[-1]
    rows = [_synthetic(panel, "synthetic_units", level, "unit", seed, synthetic if level == "unit" else None)]
    if level != "unit":
        rows.append(_synthetic(panel, "synthetic_clusters", level, level, seed, synthetic))
    rows += _estimated(panel, "shrunken_lags", RIDGE, {"lags": lags})
    if counts is None:
        rows += [skipped(_row(panel, each, "counts_offset", COUNTS), "published without counts")
                 for each in panel.clusters]
    else:
        options = {"family": "poisson", "weight_use": "exposure", "scale": "link", "estimands": ["overall"]}
        rows += [_in_percent(row) for row in _estimated(counts, "counts_offset", COUNTS, options)]
    return rows


def synthetic_result(panel: Panel) -> Result | None:
    """Return the overall effect by `synthetic_did` of the clusters of the last level; None where it does not apply, as
    for a dose: `other_assumption_rows` has the reason. Raises nothing."""
    with contextlib.suppress(DidError):
        return estimate(SYNTHETIC, panel, estimands=["overall"], level=list(panel.clusters)[-1])
    return None


def donor_weights(panel: Panel, synthetic: Result | None) -> pd.DataFrame:
    """Return whom `synthetic_did` compares the treated with, from the `synthetic_result` of ``panel``: its weights of
    clusters of the last level and of periods.

    Columns level (the cluster level; ``unit`` where there is no other), cohort, kind (``unit`` or ``time``), label (of
    the cluster, or the ISO period) and weight, a share of 1 for each cohort and kind. No row without a result. Raises
    nothing.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 12, {8: 10}, 50.0, seed=2, units_per_system=2)[0])
    >>> found = donor_weights(data, synthetic_result(data))
    >>> found.groupby(["level", "kind"])["weight"].agg(["size", "sum"]).round(6).values.tolist()
    [[8.0, 1.0], [15.0, 1.0]]
    """
    found = None if synthetic is None else synthetic.weights
    if found is None:
        found = pd.DataFrame(columns=["cohort", "kind", "label", "weight"])
    return found.assign(level=list(panel.clusters)[-1])[["level", "cohort", "kind", "label", "weight"]].astype(
        {"weight": float, **dict.fromkeys(("level", "cohort", "kind", "label"), str)})


def _row(panel: Panel, level: str, variant: str, estimator: str) -> dict:
    return diagnostic_row(DIAGNOSTIC, panel, level) | Change(variant).columns() | {"estimator": estimator}


def _synthetic(panel: Panel, variant: str, level: str, of: str, seed: int, fitted: Result | None) -> dict:
    row = _row(panel, level, variant, SYNTHETIC)
    try:
        found = synthetic_errors(panel, "placebo", level=level, seed=seed,
                                 options={"estimands": ["overall"], "level": of}, fitted=fitted).iloc[0]
    except DidError as error:
        return skipped(row, str(error))
    if found["status"] == "skipped":
        return skipped(row, found["reason"])
    kept = ["std_error", "ci_low", "ci_high", "p_value", "n_units", "n_treated", "n_clusters", "n_treated_clusters"]
    return row | {name: found[name] for name in kept} | {
        "value": found["estimate"], "statistic": found["estimate"] / found["std_error"], "reason": found["note"]}


def _estimated(panel: Panel, variant: str, estimator: str, options: Mapping[str, object]) -> list[dict]:
    try:
        blocks = by_cluster(overall_of(estimate(estimator, panel, **options), panel), panel)
    except DidError as error:
        return [skipped(_row(panel, level, variant, estimator), str(error)) for level in panel.clusters]
    each = [{name: column[0] for name, column in block.items()} for block in blocks]
    return [_row(panel, own["cluster"], variant, estimator) | {name: own[name] for name in KEPT} | {
        "value": own["estimate"], "statistic": own["estimate"] / own["std_error"], "df_denominator": own["df"],
        "reason": own["note"]} for own in each]


def _in_percent(row: dict) -> dict:
    """A row of log ratios as changes in percent; one that was skipped as it is."""
    if row["status"] == "skipped":
        return row
    percent = {name: 100 * float(np.expm1(row[name])) for name in ("value", "ci_low", "ci_high")}
    return row | percent | {"std_error": 100 * row["std_error"]}
