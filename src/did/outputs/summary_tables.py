"""The tables of the summary page, as frames of text made from the tables of the stages."""

from __future__ import annotations

import pandas as pd

from did.outputs.facts import ABBREVIATIONS, TESTS, Facts, only, select
from did.outputs.text import (
    count,
    decimals_for,
    interval,
    markdown_table,
    number,
    p_value,
    short_decimals,
)


def comparison_table(rows: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return one row of text per published claim: what was printed, ours by every clustering, what agrees."""
    lines = []
    for claim, group in rows.groupby("claim", sort=False):
        first = group.iloc[0]
        decimals = decimals_for(first["std_error"])
        line = {
            "Cell": claim,
            "Outcome": facts.outcomes.get(first["indicator"], first["outcome"]),
            "Treatment, sample": f"{facts.treatments.get(first['treatment'], first['treatment'])}, "
                                 f"{facts.samples.get(first['sample'], first['sample'])}",
            "Printed": _printed(first),
            "Ours": number(first["estimate"], decimals),
        }
        for row in group.to_dict("records"):
            name = facts.clusters[row["cluster"]]
            adjusted = f"; adjusted {p_value(row['p_holm'])}" if pd.notna(row.get("p_holm")) else ""
            line[f"95% interval {name}"] = (f"{interval(row['ci_low'], row['ci_high'], decimals)} "
                                            f"({p_value(row['p_value'])}{adjusted})")
        line["N"] = count(first["n_obs"])
        line["Agrees"] = _agreement(group, facts)
        lines.append(line)
    return pd.DataFrame(lines)


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
    for column, name in (("value", "value"), ("sign", "sign"), ("significance", "significance"), ("n", "N")):
        verdicts = dict(zip(group["cluster"], group[f"{column}_agrees"], strict=True))
        if first[f"{column}_agrees"] == "not printed":
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
                for estimator in (facts.estimator, facts.other_estimator):
                    for place, (cluster, name) in enumerate(facts.clusters.items()):
                        row = only(ours, indicator=indicator, treatment=treatment, sample=sample,
                                    estimator=estimator, cluster=cluster)
                        short = ABBREVIATIONS.get(estimator, estimator)
                        decimals = decimals_for(None if row is None else row["std_error"])
                        if place == 0:
                            line[short] = "not estimated" if row is None else number(row["estimate"], decimals)
                        line[f"{short} 95% {name}"] = ("" if row is None
                                                       else interval(row["ci_low"], row["ci_high"], decimals))
                lines.append(line)
    return pd.DataFrame(lines)


def readings_table(overall: pd.DataFrame, facts: Facts) -> str:
    """Return the headline outcome under every reading in the first sample, as a Markdown table; "" if one only."""
    sample, cluster = next(iter(facts.samples)), next(iter(facts.clusters))
    here = overall[overall["indicator"].eq(facts.total) & overall["sample"].eq(sample)
                   & overall["estimator"].eq(facts.estimator) & overall["cluster"].eq(cluster)]
    if here["reading"].nunique() < 2:
        return ""
    lines = []
    for reading in dict.fromkeys([facts.reading, *here["reading"]]):
        line, sizes = {"Reading": reading}, {}
        for treatment, name in facts.treatments.items():
            row = only(here, reading=reading, treatment=treatment)
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
    """Return the headline outcome's event study in bins of a year as a Markdown table; "" if there is none.

    First treatment and first sample; differences between treated and comparison units from that of the bin
    before onset.
    """
    rows = estimates[estimates["indicator"].eq(facts.total) & estimates["reading"].eq(facts.reading)
                     & estimates["estimand"].str.startswith("event_bin")
                     & estimates["sample"].eq(next(iter(facts.samples)))
                     & estimates["treatment"].eq(next(iter(facts.treatments)))]
    lines = []
    for time, group in rows.groupby("event_time", sort=True):
        width = int(group["estimand"].iloc[0].rsplit("_", 1)[1])
        line = {"Periods since onset": f"{number(time * width, 0)} to {number((time + 1) * width - 1, 0)}"}
        for place, (cluster, name) in enumerate(facts.clusters.items()):
            row = only(group, cluster=cluster)
            if row is None:
                continue
            reference = str(row["note"]).startswith("reference")
            decimals = decimals_for(row["std_error"])
            if place == 0:
                line["Difference"] = "0 (reference)" if reference else number(row["estimate"], decimals, signed=True)
            line[f"95% {name}"] = "" if reference else interval(row["ci_low"], row["ci_high"], decimals)
        lines.append(line)
    return markdown_table(pd.DataFrame(lines), right=["Difference"]) if lines else ""


def trend_tests_table(diagnostics: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return one row of text per outcome and sample: the difference in trend and every test, binary treatment.

    A test skipped for all of them has no column; `test_notes` says why it was.
    """
    rows = diagnostics[diagnostics["reading"].eq(facts.reading)]
    treatment = next(iter(facts.treatments))
    lines = []
    for indicator, outcome in facts.outcomes.items():
        for sample, sample_name in facts.samples.items():
            line = {"Outcome": outcome, "Sample": sample_name}
            for test, test_name in TESTS.items():
                for place, (cluster, name) in enumerate(facts.clusters.items()):
                    row = only(rows, indicator=indicator, sample=sample, diagnostic=test,
                                item=f"{treatment}, {cluster} clusters")
                    if row is None:
                        continue
                    if test == "linear_pretrend" and place == 0:
                        line["Difference in slope"] = slope_text(row)
                    line[f"{test_name}, {name}"] = f_test_text(row)
            lines.append(line)
    table = pd.DataFrame(lines).fillna("")
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


def lineage_table(lineage: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return what became of the headline outcome's areas, one row of text per fate, unit merged into and reason.

    Names are listed for up to 12 areas; the lineage table has them all. DidError if the reading is not there.
    """
    rows = select(lineage, indicator=facts.total, reading=facts.reading)
    keys = [rows["fate"], rows["unit"].where(rows["fate"].eq("merged")).fillna(""), rows["reason"].fillna("")]
    lines = []
    for (fate, unit, reason), group in rows.groupby(keys, sort=True):
        lines.append({
            "What became of it": f"merged into {unit}" if unit else fate.replace("_", " "),
            "Areas": count(len(group)),
            "Names": "; ".join(sorted(group["area_name"])) if len(group) <= 12 else "",
            "Total": number(group["total"].sum(min_count=1), 0),
            "Why": reason,
        })
    return pd.DataFrame(lines)
