"""What estimators that take something other than parallel trends for granted give, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.report.content.facts import Facts, estimator_name
from did.words import decimals_for, interval, number, p_value

# Diagnostic and variant -> what is done, before the number.
SAID = {
    ("other_assumptions", "synthetic_units"):
        "Against the weighted mean of untreated {units}, and of the periods before, that moved as the treated did "
        "(synthetic difference-in-differences)",
    ("other_assumptions", "synthetic_clusters"): "The same with the mean of each cluster in place of {units}",
    ("other_assumptions", "shrunken_lags"):
        "Against {units} with much the same past, its many lags shrunk by as much as predicts best before onset",
    ("detrended", "detrended"):
        "With each unit's own line before onset taken out: what is left if those lines would have gone on",
    ("other_assumptions", "counts_offset"):
        "As counts with the population as offset, which compares ratios over time in place of differences",
}


def assumption_lines(rows: pd.DataFrame, facts: Facts) -> list[str]:
    """Return one sentence for each of the other assumptions, with its number, interval and p.

    ``rows`` are the diagnostics of the outcome under the reported specification, first sample and treatment. Of each
    the last cluster level of the evaluation; skipped ones say why. An assumption without a row is left out.
    """
    found = []
    for (diagnostic, variant), words in SAID.items():
        own = rows[rows["diagnostic"].eq(diagnostic) & rows["variant"].eq(variant)
                   & rows["cluster"].isin(list(facts.clusters))]
        if len(own):
            found.append(f"{words.format(units=facts.units)}: {_number(own.iloc[-1].to_dict(), facts)}.")
    return found + _sampling_lines(rows, facts)


def _sampling_lines(rows: pd.DataFrame, facts: Facts) -> list[str]:
    """How much of the error of each estimate is who was asked; nothing where the outcome is no survey's."""
    own = rows[rows["diagnostic"].eq("sampling_error") & rows["status"].eq("done")]
    return [f"Who happened to be asked alone gives the {estimator_name(row.estimator)} estimate an error of "
            f"{number(row.value, decimals_for(row.value))} or more, {number(100 * row.statistic, 0)}% of the variance "
            f"of its error by {facts.units}." for row in own.itertuples()]


def _number(row: Mapping, facts: Facts) -> str:
    if row["status"] == "skipped":
        return f"not estimated ({row['reason']})"
    decimals = decimals_for(row["std_error"])
    percent = "%" if row["variant"] == "counts_offset" else ""
    return (f"{number(row['value'], decimals)}{percent}, 95% interval "
            f"{interval(row['ci_low'], row['ci_high'], decimals)}{percent}, {p_value(row['p_value'])} "
            f"(clustered {facts.clusters[row['cluster']]})")
