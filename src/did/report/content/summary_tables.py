"""The tables of the summary pages, as frames of text made from the tables of the stages."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.estimators import entries
from did.estimators.base import REFERENCE
from did.report.content.facts import (
    DAGGER,
    PERIODS,
    Facts,
    Front,
    only,
    rests_on_few,
    select,
    short_name,
    tests_of,
)
from did.words import (
    count,
    decimals_for,
    interval,
    markdown_table,
    number,
    p_value,
    short_decimals,
)

# Units that others merged into are listed one by one up to this many.
MERGERS = 6


def comparison_table(rows: pd.DataFrame, facts: Facts | Front, *, whole: bool = True) -> pd.DataFrame:
    """Return one row of text per published claim: what was printed, ours by every clustering, what agrees.

    A claim that could not be run says so. Without ``whole`` the columns are fewer: no p-values, and the estimator
    instead of the number of observations.
    """
    lines = []
    for claim, group in rows.groupby("claim", sort=False):
        first = group.iloc[0]
        line = {"Cell": claim, "Outcome": facts.outcomes.get(first["indicator"], first["outcome"])}
        if not whole:
            line["By"] = short_name(first["estimator"])
        line |= {
            "Treatment, sample": f"{facts.treatments.get(first['treatment'], first['treatment'])}, "
                                 f"{facts.samples.get(first['sample'], first['sample'])}",
            "Printed": _printed(first),
            "Ours": "cannot run" if first["status"] == "cannot run" else _estimate(first),
        }
        for row in group.to_dict("records"):
            line[f"95% interval {facts.clusters[row['cluster']]}"] = _interval(row, whole)
        if whole:
            line["N"] = count(first["n_obs"]) if first["status"] != "cannot run" else ""
        line["Agrees"] = _agreement(group, facts)
        lines.append(line)
    return pd.DataFrame(lines)


def _estimate(row: pd.Series) -> str:
    return number(row["estimate"], _decimals(row)) + (DAGGER if rests_on_few(row["few_treated"]) else "")


def _decimals(row: Mapping) -> int:
    """Return the decimals of an estimate: by its standard error, and at least those of a printed value alongside it."""
    value = row.get("published_value")
    printed = 0 if value is None or pd.isna(value) else short_decimals(value)
    return max(decimals_for(row["std_error"]), printed)


def _interval(row: dict, whole: bool) -> str:
    """Return the interval of one estimate, and if ``whole`` its p-values; "" if it could not be run."""
    if row["status"] == "cannot run":
        return ""
    text = interval(row["ci_low"], row["ci_high"], _decimals(row))
    adjusted = f"; adjusted {p_value(row['p_holm'])}" if pd.notna(row.get("p_holm")) else ""
    return f"{text} ({p_value(row['p_value'])}{adjusted})" if whole else text


def _printed(row: pd.Series) -> str:
    if isinstance(row.get("as_printed"), str) and row["as_printed"]:
        return row["as_printed"]
    value = row["published_value"]
    parts = ["" if pd.isna(value) else number(value, short_decimals(value), signed=True),
             row["published_sign"] if pd.isna(value) else "", row["published_significance"]]
    return ", ".join(part for part in parts if isinstance(part, str) and part) or "not stated"


def _agreement(group: pd.DataFrame, facts: Facts) -> str:
    """Return ``value no; sign yes; significance yes by area, no by system; N yes``, of what was printed."""
    first, parts = group.iloc[0], []
    if first["status"] == "cannot run":
        return ""
    for column, name in (("value", "value"), ("sign", "sign"), ("significance", "significance"), ("n", "N")):
        verdicts = dict(zip(group["cluster"], group[f"{column}_agrees"], strict=True))
        if first[f"{column}_agrees"] not in ("yes", "no"):
            continue
        same = len(set(verdicts.values())) == 1
        said = first[f"{column}_agrees"] if same else ", ".join(
            f"{verdict} {facts.clusters[cluster]}" for cluster, verdict in verdicts.items())
        parts.append(f"{name} {said}")
    return "; ".join(parts) or "nothing printed"


def beside_table(ours: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return one row of text per outcome, treatment and sample: both estimators, every clustering."""
    lines = []
    for indicator, outcome in facts.outcomes.items():
        for treatment, treatment_name in facts.treatments.items():
            for sample, sample_name in facts.samples.items():
                line = {"Outcome": outcome, "Treatment, sample": f"{treatment_name}, {sample_name}"}
                for estimator in dict.fromkeys([facts.estimator, facts.other_estimator]):
                    for place, (cluster, name) in enumerate(facts.clusters.items()):
                        row = only(ours, indicator=indicator, treatment=treatment, sample=sample,
                                    estimator=estimator, cluster=cluster)
                        short = short_name(estimator)
                        decimals = decimals_for(None if row is None else row["std_error"])
                        if place == 0:
                            line[short] = "not estimated" if row is None else _estimate(row)
                        line[f"{short} 95% {name}"] = ("" if row is None
                                                       else interval(row["ci_low"], row["ci_high"], decimals))
                lines.append(line)
    return pd.DataFrame(lines)


def specifications_table(specifications: pd.DataFrame, facts: Facts) -> str:
    """Return the headline outcome under every named specification in the first sample, as a Markdown table; "" if
    one."""
    sample, cluster = next(iter(facts.samples)), next(iter(facts.clusters))
    here = specifications[specifications["indicator"].eq(facts.total) & specifications["sample"].eq(sample)
                    & specifications["estimator"].eq(facts.estimator) & specifications["cluster"].eq(cluster)
                    & specifications["design"].eq("one_at_a_time") & specifications["estimate"].notna()]
    if here["specification"].nunique() < 2:
        return ""
    lines = []
    for specification in dict.fromkeys([facts.specification, *here["specification"]]):
        line, sizes = {"Specification": specification}, {}
        for treatment, name in facts.treatments.items():
            row = only(here, specification=specification, treatment=treatment)
            decimals = decimals_for(None if row is None else row["std_error"])
            line[name] = "not estimated" if row is None else number(row["estimate"], decimals)
            line[f"{name}, 95% {facts.clusters[cluster]}"] = (
                "" if row is None else interval(row["ci_low"], row["ci_high"], decimals))
            if row is not None:
                treated = f"{count(row['n_units'])} ({count(row['n_treated'])})"
                sizes = {f"{facts.units.capitalize()} (treated)": treated, "N": count(row["n_obs"])}
        lines.append(line | sizes)
    return markdown_table(pd.DataFrame(lines), right=["N"])


def years_table(estimates: pd.DataFrame, facts: Facts) -> str:
    """Return the headline outcome's effects by year since onset as a Markdown table, by each estimator that gives them;
    "" if there is none.

    In bins of a year, or for figures by year as it is. First treatment and first sample; differences between
    treated and comparison units from that of the bin before onset.
    """
    rows = estimates[estimates["indicator"].eq(facts.total) & estimates["specification"].eq(facts.specification)
                     & estimates["sample"].eq(next(iter(facts.samples)))
                     & estimates["treatment"].eq(next(iter(facts.treatments)))]
    binned = rows[rows["estimand"].str.startswith("event_bin")]
    if binned.empty and facts.frequency == "Y":
        binned = rows[rows["estimand"].eq("event_time")]
    lines = []
    by = [name for name in entries() if binned["estimator"].eq(name).any()]
    cells = [(name, time, group) for name in by
             for time, group in binned[binned["estimator"].eq(name)].groupby("event_time", sort=True)]
    for name, time, group in cells:
        width = int(group["estimand"].iloc[0].rpartition("event_bin_")[2]) if facts.frequency != "Y" else 1
        span = number(time, 0) if width == 1 else f"{number(time * width, 0)} to {number((time + 1) * width - 1, 0)}"
        line = {"By": short_name(name)} if len(by) > 1 else {}
        line[f"{PERIODS[facts.frequency].capitalize()}s since onset"] = span
        for place, (cluster, clustered) in enumerate(facts.clusters.items()):
            row = only(group, cluster=cluster)
            if row is None:
                continue
            reference = row["state"] == REFERENCE
            decimals = decimals_for(row["std_error"])
            if place == 0:
                line["Difference"] = "0 (reference)" if reference else number(row["estimate"], decimals, signed=True)
            line[f"95% {clustered}"] = "" if reference else interval(row["ci_low"], row["ci_high"], decimals)
        lines.append(line)
    return markdown_table(pd.DataFrame(lines), right=["Difference"]) if lines else ""


def trend_tests_table(diagnostics: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return one row of text per outcome and sample: the difference in trend and every test, binary treatment.

    A test skipped for all of them has no column; `test_notes` says why it was.
    """
    rows = diagnostics[diagnostics["specification"].eq(facts.specification)]
    treatment = next(iter(facts.treatments))
    lines = []
    for indicator, outcome in facts.outcomes.items():
        for sample, sample_name in facts.samples.items():
            line = {"Outcome": outcome, "Sample": sample_name}
            for test, test_name in tests_of(facts).items():
                for place, (cluster, name) in enumerate(facts.clusters.items()):
                    row = only(rows, indicator=indicator, sample=sample, diagnostic=test,
                               treatment=treatment, cluster=cluster)
                    if row is None:
                        continue
                    if test == "linear_pretrend" and place == 0:
                        line["Difference in slope"] = slope_text(row)
                    line[f"{test_name}, {name}"] = f_test_text(row)
            lines.append(line)
    table = pd.DataFrame(lines).fillna("")
    if table.empty:
        return table
    return table.loc[:, ~table.isin(["skipped", ""]).all()]


def slope_text(row: pd.Series) -> str:
    """Return the difference in slope, with decimals by its standard error, |value| / sqrt(F)."""
    error = abs(row["value"]) / row["statistic"] ** 0.5 if row["status"] == "done" and row["statistic"] > 0 else None
    return number(row["value"], decimals_for(error), signed=True)


def f_test_text(row: pd.Series) -> str:
    """Return ``F(1, 148) = 5.31, p = 0.023`` for a row of the diagnostics table, or ``skipped``."""
    if row["status"] != "done":
        return "skipped"
    return f"F({row['df']:g}, {row['df_denominator']:g}) = {number(row['statistic'], 2)}, {p_value(row['p_value'])}"


def area_audit_table(area_audit: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return what became of the headline outcome's areas, one row of text per fate, unit merged into and reason.

    Names are listed for up to 12 areas, and units that others merged into for up to `MERGERS`; the area audit table
    has them all. DidError if the specification is not there.
    """
    rows = select(area_audit, indicator=facts.total, specification=facts.specification)
    unit = rows["unit"].where(rows["fate"].eq("merged")).fillna("")
    reason = rows["reason"].fillna("")
    n_units = unit[unit != ""].nunique()
    if n_units > MERGERS:
        merged = unit != ""
        unit = unit.mask(merged, f"{count(n_units)} areas")
        reason = reason.mask(merged, "Each with its reason in area_audit.csv")
    lines = []
    for (fate, into, why), group in rows.groupby([rows["fate"], unit, reason], sort=True):
        lines.append({
            "What became of it": f"merged into {into}" if into else fate.replace("_", " "),
            "Areas": count(len(group)),
            "Names": "; ".join(sorted(group["area_name"])) if len(group) <= 12 else "",
            "Total": number(group["total"].sum(min_count=1), 0),
            "Why": why,
        })
    table = pd.DataFrame(lines)
    # Rates have no totals; that of a row set aside would mean nothing.
    return table.drop(columns="Total") if rows.loc[rows["fate"] != "set_aside", "total"].isna().all() else table
