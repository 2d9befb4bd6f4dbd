"""Published claims beside the estimates that correspond to them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd
from statsmodels.stats.multitest import multipletests

from did.errors import DidError, suggest
from did.reference import read_reference

CLAIM_COLUMNS = ["claim", "figure", "pane", "indicator", "outcome", "estimator", "treatment", "sample", "value",
                 "unit", "sign", "significance", "n_obs", "as_printed"]
COUNTS = ["published_n", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "did_n_obs"]
TABLE_COLUMNS = [
    "claim", "figure", "pane", "indicator", "outcome", "estimator", "treatment", "sample", "unit", "as_printed",
    "published_value", "published_sign", "published_significance", "published_n", "reading", "cluster", "estimate",
    "std_error", "ci_low", "ci_high", "p_value", "p_holm", "n_obs", "n_units", "n_treated", "n_clusters",
    "n_treated_clusters", "difference", "value_agrees", "value_in_interval", "sign_agrees", "significance_agrees",
    "n_agrees", "status", "did_estimate", "did_std_error", "did_ci_low", "did_ci_high", "did_p_value", "did_n_obs",
    "note", "is_synthetic",
]
BANDS = {"p<0.01": lambda p: p < 0.01, "p<0.05": lambda p: p < 0.05, "not significant": lambda p: p >= 0.05}


def load_claims(path: str | Path, indicators: list[str]) -> pd.DataFrame:
    """Read a table of published claims: one row per printed (or unprinted) cell, all columns as text.

    A fact that was never printed is an empty cell. Raises DidError for a missing column, a claim listed
    twice, an indicator that is not evaluated, a value that is not a number or has no unit, an unknown sign
    or an unknown significance band.
    """
    claims = read_reference(path, CLAIM_COLUMNS, ["claim"])
    for row in claims.itertuples():
        where = f"{path}: claim {row.claim}"
        if row.indicator not in indicators:
            raise DidError(f"{where}: indicator '{row.indicator}' is not in the evaluation; expected one of "
                           f"{', '.join(indicators)}{suggest(row.indicator, indicators)}")
        if row.significance not in ("", *BANDS):
            raise DidError(f"{where}: significance must be empty or one of {', '.join(BANDS)}; "
                           f"found '{row.significance}'{suggest(row.significance, BANDS)}")
        if row.sign not in ("", "+", "-"):
            raise DidError(f"{where}: sign must be empty, + or -; found '{row.sign}'")
        if row.value and not row.unit:
            raise DidError(f"{where}: the value {row.value} needs a unit; fill the column 'unit'")
        for column in ("value", "n_obs"):
            text = getattr(row, column)
            try:
                if text:
                    Decimal(text)
            except InvalidOperation as error:
                raise DidError(f"{where}: {column} must be empty or a number; found '{text}'") from error
    return claims


def rounds_to(estimate: float, printed: str) -> bool:
    """Does ``estimate``, rounded to the decimals that ``printed`` shows, equal it?"""
    exact = Decimal(printed)
    return round(Decimal(repr(float(estimate))), -exact.as_tuple().exponent) == exact


def compare(claims: pd.DataFrame, estimates: pd.DataFrame, reading: str,
            reasons: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Set each claim beside our estimate under one reading: one row per claim and level of clustering.

    ``claims`` as from load_claims; ``estimates`` the estimates table. Agreement on value (rounds to the
    printed digits), sign, significance band and number of observations is ``yes``, ``no`` or
    ``not printed``; ``cannot run`` for claims on the indicators of ``reasons`` (indicator -> why it is not
    available), whose estimates are missing. ``p_holm`` adjusts over the claims of one figure, estimator and
    clustering (Holm 1979). The columns that begin with ``did_`` repeat the cell by difference-in-differences.

    Raises DidError if a claim has no estimate, naming it.
    """
    ours = estimates.loc[(estimates["reading"] == reading) & (estimates["estimand"] == "overall")]
    key = ["indicator", "estimator", "treatment", "sample"]
    did = (ours.loc[ours["estimator"] == "did"]
           .set_index(["indicator", "treatment", "sample", "cluster"])
           [["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs"]].add_prefix("did_"))
    rows = []
    cells = dict(iter(ours.groupby(key)))
    clusters = list(dict.fromkeys(ours["cluster"]))
    synthetic = bool(estimates["is_synthetic"].any())
    for claim in claims.itertuples():
        if claim.indicator in (reasons or {}):
            rows += [_missing(claim, reading, cluster, reasons[claim.indicator], synthetic) for cluster in clusters]
            continue
        cell = cells.get(tuple(getattr(claim, name) for name in key))
        if cell is None:
            raise DidError(f"claim {claim.claim}: no estimate of {claim.indicator} by {claim.estimator}, "
                           f"{claim.treatment}, {claim.sample} under reading {reading}; add them to the evaluation")
        rows += [_row(claim, estimate, did) for estimate in cell.itertuples()]
    table = pd.DataFrame(rows).reindex(columns=TABLE_COLUMNS)
    table = table.astype(dict.fromkeys(COUNTS, "Int64"))
    table["p_holm"] = (table.groupby(["figure", "estimator", "cluster"])["p_value"]
                       .transform(_holm))
    return table


def _holm(p: pd.Series) -> pd.Series:
    """Holm-adjusted p-values of those that are there."""
    adjusted = p.copy()
    if p.notna().any():
        adjusted[p.notna()] = multipletests(p.dropna(), method="holm")[1]
    return adjusted


def _printed(claim) -> dict:
    """What the claim says, as columns."""
    return {
        "claim": claim.claim, "figure": claim.figure, "pane": claim.pane, "indicator": claim.indicator,
        "outcome": claim.outcome, "estimator": claim.estimator, "treatment": claim.treatment,
        "sample": claim.sample, "unit": claim.unit, "published_value": float(claim.value) if claim.value else None,
        "published_sign": claim.sign, "published_significance": claim.significance,
        "published_n": int(claim.n_obs) if claim.n_obs else None, "as_printed": claim.as_printed,
    }


def _missing(claim, reading: str, cluster: str, reason: str, synthetic: bool) -> dict:
    agree = dict.fromkeys(["value_agrees", "value_in_interval", "sign_agrees", "significance_agrees", "n_agrees"],
                          "cannot run")
    return _printed(claim) | {"reading": reading, "cluster": cluster, **agree, "status": "cannot run", "note": reason,
                              "is_synthetic": synthetic}


def _row(claim, estimate, did: pd.DataFrame) -> dict:
    value = float(claim.value) if claim.value else None
    printed = any([claim.value, claim.sign, claim.significance])
    beside = did.loc[(claim.indicator, claim.treatment, claim.sample, estimate.cluster)]
    return _printed(claim) | {
        "reading": estimate.reading, "cluster": estimate.cluster, "estimate": estimate.estimate,
        "std_error": estimate.std_error, "ci_low": estimate.ci_low, "ci_high": estimate.ci_high,
        "p_value": estimate.p_value, "n_obs": estimate.n_obs, "n_units": estimate.n_units,
        "n_treated": estimate.n_treated, "n_clusters": estimate.n_clusters,
        "n_treated_clusters": estimate.n_treated_clusters,
        "difference": estimate.estimate - value if value is not None else None,
        "value_agrees": _agrees(claim.value, lambda: rounds_to(estimate.estimate, claim.value)),
        "value_in_interval": _agrees(claim.value, lambda: estimate.ci_low <= value <= estimate.ci_high),
        "sign_agrees": _agrees(claim.sign, lambda: (estimate.estimate > 0) == (claim.sign == "+")),
        "significance_agrees": _agrees(claim.significance, lambda: BANDS[claim.significance](estimate.p_value)),
        "n_agrees": _agrees(claim.n_obs, lambda: estimate.n_obs == int(claim.n_obs)),
        "status": "printed" if printed else "not printed",
        **beside.to_dict(), "note": estimate.note, "is_synthetic": estimate.is_synthetic,
    }


def _agrees(printed: str, test) -> str:
    if not printed:
        return "not printed"
    return "yes" if test() else "no"
