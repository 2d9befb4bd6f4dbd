"""Small tables of a made-up run, with numbers a reader can check by hand, for the tests of tables and workbook."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from did.inference.joint_test import BLANK
from did.report.content.facts import Facts, Front
from did.store.tables import SCHEMAS, check

FACTS = Facts(
    estimator="ldv", other_estimator="did",
    title="Delays & <waits>", total="days", measure="days per 100,000",
    outcomes={"days": "Days_100% {all} & more", "share": "=SUM(A1) share"}, effects={"share": "percentage points"},
    dose="extra partner", first="2011-04", last="2020-02", onset="2017-06", n_published=1, n_published_numbers=1,
    staggered="by_date",
    sources=["Counts: A publisher, OGL-3.0, https://example.org/a_long/address#1"])
FRONT = Front(title="A made-up evaluation", question="Did delays change?", place="England", onset="2017-06",
              families={"waits": FACTS}, n_published=1, n_published_numbers=1, citation="A report, 2022.")


def tables(synthetic: bool = True) -> dict[str, pd.DataFrame]:
    """The tables that paper tables and workbook are made from; the effect of cell number i is 10 + i, its errors are 2
    by unit and 4 by system."""
    return {
        "estimates": _estimates(synthetic),
        "reproduction": _reproduction(synthetic),
        "diagnostics": _diagnostics(synthetic),
        "area_audit": _area_audit(synthetic),
        "adjusted_p_values": _many(synthetic),
        "headline": _headline(synthetic),
        "calibration": _calibration(synthetic),
    }


def _estimates(synthetic: bool) -> pd.DataFrame:
    cells = itertools.product(FACTS.outcomes, ("binary", "intensity"), ("full", "wave_two_removed"), ("did", "ldv"))
    rows = [_row(*cell, "overall", 10.0 + place, cluster, synthetic) for place, cell in enumerate(cells)
            for cluster in ("unit", "system")]
    for cluster, time in itertools.product(("unit", "system"), (-1, 0)):
        more = {"event_time": time, "state": "reference" if time < 0 else "estimated"}
        gone = dict.fromkeys(("std_error", "ci_low", "ci_high", "p_value")) if time < 0 else {}
        rows.append(_row("days", "binary", "full", "event_study", "event_time", time + 1.0, cluster, synthetic)
                    | more | gone)
        rows.append(_row("days", "binary", "full", "callaway_santanna", "overall", 3.0, cluster, synthetic)
                    | {"specification": "by_date", "estimand": "overall" if time else "overall_cohort"})
    frame = pd.DataFrame(rows).reindex(columns=list(SCHEMAS["estimates"].columns))
    return check("estimates", frame.astype({"event_time": "Int64"}))


def _row(indicator, treatment, sample, estimator, estimand, value, cluster, synthetic) -> dict:
    error = 2.0 if cluster == "unit" else 4.0
    note = "one treated cluster by system: its standard error is too small to rely on" if cluster == "system" else ""
    return dict(indicator=indicator, specification="default", sample=sample, treatment=treatment, estimator=estimator,
                estimand=estimand, cluster=cluster, estimate=value, std_error=error, ci_low=value - 2 * error,
                ci_high=value + 2 * error, p_value=0.0004, p_adjusted=np.nan, n_obs=15943, n_units=149, n_treated=30,
                n_clusters=149 if cluster == "unit" else 42, n_treated_clusters=30 if cluster == "unit" else 1,
                n_parameters=108, df=41.0, state="estimated", few_treated=False,
                minimum_treated=1, headline=estimator == "ldv", note=note,
                is_synthetic=synthetic)



def _headline(synthetic: bool) -> pd.DataFrame:
    """By the wild bootstrap, from 4 to 19; by dose no method gives an interval."""
    base = dict(
        indicator="days",
        specification="default",
        sample="full",
        treatment="binary",
        estimator="ldv",
        lags="all",
        cluster="system",
        estimate=11.0,
        ci_low=4.0,
        ci_high=19.0,
        p_value=0.012,
        minimum_detectable=10.7,
        method="wild_bootstrap",
        holds=True,
        coverage=0.944,
        simulation_error=0.005,
        coverage_least=0.93,
        coverage_most=0.958,
        n_draws=1998,
        n_obs=4917,
        n_units=149,
        n_treated=30,
        n_clusters=42,
        n_treated_clusters=8,
        note="",
        is_synthetic=synthetic,
    )
    gone = dict.fromkeys(("ci_low", "ci_high", "p_value", "minimum_detectable", "coverage", "simulation_error",
                          "coverage_least", "coverage_most"))
    rows = [base, base | gone | dict(treatment="intensity", method="", holds=False, n_draws=0, note="too few systems")]
    return check("headline", pd.DataFrame(rows)[list(SCHEMAS["headline"].columns)])


def _calibration(synthetic: bool) -> pd.DataFrame:
    base = dict(
        indicator="days",
        specification="default",
        sample="full",
        treatment="binary",
        estimator="ldv",
        lags="all",
        cluster="system",
        scheme="never_treated",
        method="wild_bootstrap",
        n_draws=999,
        rejected=56,
        coverage=0.944,
        simulation_error=0.0073,
        mean_width=31.5,
        n_clusters=34,
        n_treated_clusters=8,
        n_treated=29.2,
        size_mismatch=0.7,
        n_onsets=1,
        status="done",
        reason="",
        is_synthetic=synthetic,
    )
    gone = dict.fromkeys(("coverage", "simulation_error", "mean_width", "n_clusters", "n_treated_clusters", "n_treated",
                          "size_mismatch", "n_onsets"))
    rows = [base, base | gone | dict(scheme="before_onset", n_draws=0, rejected=0, status="skipped",
                                     reason="expected three years before the first onset")]
    return check("calibration", pd.DataFrame(rows)[list(SCHEMAS["calibration"].columns)])


def _reproduction(synthetic: bool) -> pd.DataFrame:
    rows = []
    for cluster in ("unit", "system"):
        own = _row("days", "binary", "full", "ldv", "overall", 11.0, cluster, synthetic)
        rows.append(own | dict(
            claim="D1", figure="6", outcome="Days", unit="days per 100,000", as_printed="+40, p < 0.01",
            published_value=40.0, published_sign="+", published_significance="p<0.01", published_n=4917,
            difference=-29.0, value_agrees="no", sign_agrees="yes", significance_agrees="yes", n_agrees="no",
            status="printed", number="differs", reasons="value_differs", p_tested=0.0004,
            p_method="clustered", p_size=np.nan, p_holm=0.0004))
    return pd.DataFrame(rows).reindex(columns=list(SCHEMAS["reproduction"].columns))


def _diagnostics(synthetic: bool) -> pd.DataFrame:
    base = BLANK | dict(indicator="days", specification="default", sample="full", treatment="binary", cluster="unit",
                        is_synthetic=synthetic)
    rows = [base | dict(diagnostic="linear_pretrend", value=-0.5, statistic=3.8, df=1.0, df_denominator=148.0,
                        p_value=0.053, status="done", reason=""),
            base | dict(diagnostic="joint_leads", status="skipped", reason="@rank 40 for 73 leads")]
    return check("diagnostics", pd.DataFrame(rows).reindex(columns=list(SCHEMAS["diagnostics"].columns)))


def _area_audit(synthetic: bool) -> pd.DataFrame:
    rows = [("E1", "Bournemouth", "merged", "E1+E2", 97, 500.0, "reorganised in 2019"),
            ("E3", "Isles of Scilly", "excluded", None, 0, np.nan, "no counts"),
            ("E4", "Kent", "kept", "E4", 97, 10.0, "same boundary")]
    frame = pd.DataFrame(rows, columns=["area_code", "area_name", "fate", "unit", "n_periods", "total", "reason"])
    frame = frame.assign(indicator="days", specification="default", not_compared=False, is_synthetic=synthetic)
    return check("area_audit", frame[list(SCHEMAS["area_audit"].columns)])


def _many(synthetic: bool) -> pd.DataFrame:
    own = _row("days", "binary", "full", "did", "overall", 10.0, "unit", synthetic)
    columns = ["indicator", "sample", "treatment", "estimator", "cluster", "estimate", "std_error", "p_value"]
    return pd.DataFrame([{name: own[name] for name in columns}]).assign(
        family="days", p_tested=own["p_value"], p_method="clustered", p_size=np.nan, p_holm=0.0008,
        p_benjamini_hochberg=0.0008, p_romano_wolf=0.001, p_adjusted=0.001, n_tests=2,
        is_synthetic=synthetic)[list(SCHEMAS["adjusted_p_values"].columns)]
