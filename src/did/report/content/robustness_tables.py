"""The tables of the page on robustness, as Markdown made from the tables of the stages; "" where there is nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from did.report.content.facts import CLUSTERS, METHODS, Facts, only, own_dates_names, short_name
from did.report.content.notes import item
from did.report.content.robustness_rows import FEW_CLUSTERS, GROUPS, PARTS, about_parts, leaves_out_zero
from did.words import count, decimals_for, interval, listed, markdown_table, number, p_value

# Groups that are listed row by row; the others are in words, in the table of counts, and in the figure's numbers.
LISTED = ("staggered", "treated_systems", "years", "left_out", "controls", "placebo")
BOUNDS = {"original": "As estimated", "relative_magnitudes": "Relative magnitudes", "smoothness": "Smoothness"}
TARGETS = {"first": "first period", "average": "average from onset"}
# Tests whose only result is a p-value, in the columns of the table of all outcomes.
P_VALUES = {"bias_reduced_cr2": "CR2", "jackknife": "jackknife", "wild_bootstrap": "wild bootstrap",
            "randomisation": "randomisation"}


def named(estimator: str, group: str = "") -> str:
    """Return the short name of an estimator; in a staggered group two-way fixed effects are called so."""
    if group.startswith("staggered"):
        return own_dates_names().get(estimator, estimator).partition(" (")[0]
    return short_name(estimator)


def decimals_of(row: pd.Series | dict) -> int:
    """Return the decimals for an estimate: by its error or, where there is none, by its interval's length.

    Up to three more are given where an end of the interval would else read as zero and hide its side.
    """
    error = row["std_error"]
    decimals = decimals_for((row["ci_high"] - row["ci_low"]) / 4 if pd.isna(error) else error)
    ends = [abs(row[end]) for end in ("ci_low", "ci_high") if pd.notna(row[end]) and row[end] != 0]
    return next((more for more in range(decimals, decimals + 3) if all(round(end, more) for end in ends)),
                decimals + 3)


def with_p(row: pd.Series | None, decimals: int, *, p: bool = True) -> str:
    """Return ``10.8 to 72.0 (p = 0.008)``; "" without a row."""
    if row is None:
        return ""
    text = interval(row["ci_low"], row["ci_high"], decimals)
    return f"{text} ({p_value(row['p_value'])})" if p else text


def kept(rows: pd.DataFrame, sign: float) -> str:
    """Return ``3 of 8``: how many intervals leave out zero on the side of ``sign``; "" without rows."""
    return f"{int(leaves_out_zero(rows, sign).sum())} of {len(rows)}" if len(rows) else ""


def counts_table(rows: pd.DataFrame, facts: Facts, sign: float) -> str:
    """Return, per check and estimator, the estimates and how many intervals leave out zero on the side of ``sign``.

    ``rows`` as from ``alternatives``. Placebo onsets are not in it: there, nothing should be found.
    """
    done = rows[rows["status"].eq("done") & ~rows["group"].eq("placebo")]
    estimators = list(dict.fromkeys([facts.estimator, facts.other_estimator]))
    lines = []
    for group in done["group"].unique():
        here = done[done["group"].eq(group)]
        split = FEW_CLUSTERS if group == "few_clusters" else {"": ""}
        for key, what in split.items():
            part = here[here["key"].eq(key)] if key else here
            # Estimators for several onsets are alternatives themselves.
            own = [("", part)] if group.startswith("staggered") else [
                (name, part[part["estimator"].eq(name)]) for name in estimators]
            for name, each in own:
                if each.empty:
                    continue
                decimals = decimals_of(each.iloc[0])
                low, high = (number(value, decimals) for value in each["estimate"].agg(["min", "max"]))
                lines.append({"Check": what or GROUPS[group], "By": named(name) if name else "each",
                              "Estimate": low if low == high else f"{low} to {high}"}
                             | {f"Clustered {words}": kept(each[each["cluster"].eq(level)], sign)
                                for level, words in facts.clusters.items()})
    return markdown_table(pd.DataFrame(lines), right=["Estimate"])


def group_table(rows: pd.DataFrame, facts: Facts) -> str:
    """Return one row of text per alternative and estimator of one group: estimate, intervals, p-values, counts."""
    rows = rows[rows["status"].eq("done")]
    if rows.empty:
        return ""
    last = list(facts.clusters)[-1]
    lines = []
    for (_, estimator), part in rows.groupby(["key", "estimator"], sort=False):
        levels = {row["cluster"]: row for row in part.to_dict("records")}
        row = levels.get(last, part.iloc[0])
        what = row["what"]
        decimals = max(map(decimals_of, levels.values()))
        line = {"What": f"{what[:1].upper()}{what[1:]}", "By": named(estimator, row["group"]),
                "Estimate": number(row["estimate"], decimals)}
        line |= {f"95% interval {words}": with_p(levels.get(level), decimals)
                 for level, words in facts.clusters.items() if level in set(rows["cluster"])}
        lines.append(line | {
            f"{facts.units.capitalize()} (treated)": f"{count(row['n_units'])} ({count(row['n_treated'])})",
            f"{last.capitalize()}s (treated)": f"{count(row['n_clusters'])} ({count(row['n_treated_clusters'])})"})
    return markdown_table(pd.DataFrame(lines), right=["Estimate"])


def parts_table(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Return the effects of parts of the treated: by system, wave, and terciles of intensity and deprivation."""
    rows = about_parts(diagnostics, indicator=facts.total, specification=facts.specification,
                       sample=next(iter(facts.samples)))
    rows = rows.assign(what=rows["group"].map(PARTS) + ": " + rows["what"])
    # By a single treated cluster there is no error to speak of: the interval by unit is the one shown.
    lone = rows["status"].eq("done") & rows["n_treated_clusters"].eq(1)
    rows.loc[lone, ["ci_low", "ci_high", "p_value"]] = float("nan")
    return group_table(rows, facts).replace("not available (p not available)", "one treated cluster")


def bounds_table(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Return the bounds under trends that are not parallel, by method, target and size of the deviation."""
    rows = diagnostics[diagnostics["diagnostic"].str.startswith("sensitivity_") & diagnostics["status"].eq("done")]
    lines: dict[tuple, dict] = {}
    for row in rows.to_dict("records"):
        method = row["diagnostic"].removeprefix("sensitivity_")
        size = "" if row["is_breakdown"] else f"{row['bound_m']:.4g}"
        line = lines.setdefault((row["target"], method, row["is_breakdown"], size), {
            "Effect": TARGETS.get(row["target"], row["target"]), "Deviation": BOUNDS.get(method, method),
            "Size": "" if method == "original" else "breakdown" if row["is_breakdown"] else f"M = {size}"})
        if row["is_breakdown"]:
            text = "none tried" if pd.isna(row["value"]) else f"{row['value']:.3g}"
        else:
            text = interval(row["ci_low"], row["ci_high"], 2 if abs(row["ci_high"] - row["ci_low"]) < 10 else 1)
        line[f"Clustered {facts.clusters.get(row['cluster'], row['cluster'])}"] = text
    order = sorted(lines, key=lambda key: (list(TARGETS).index(key[0]) if key[0] in TARGETS else 9,
                                           list(BOUNDS).index(key[1]) if key[1] in BOUNDS else 9, key[2]))
    return markdown_table(pd.DataFrame([lines[key] for key in order]).fillna("")) if lines else ""


def detectable_table(diagnostics: pd.DataFrame, headline: pd.DataFrame, facts: Facts) -> str:
    """Return the minimum detectable effect of every treatment and estimator, and its share of the mean: first by the
    method of the headline interval, where it has both ends, with its measured coverage; then by clustered errors.

    ``diagnostics`` and ``headline``: rows of these tables on one outcome, specification and sample.
    """
    keys = ["treatment", "estimator", "cluster"]
    found = {name: diagnostics[diagnostics["diagnostic"].eq(name) & diagnostics["status"].eq("done")]
             .set_index(keys, drop=False) for name in ("minimum_detectable", "minimum_detectable_share")}
    shares = found["minimum_detectable_share"]["value"]
    lines, led = [], set()
    for key, row in found["minimum_detectable"].iterrows():
        leading = only(headline, treatment=row["treatment"], estimator=row["estimator"])
        if leading is not None and pd.notna(leading["minimum_detectable"]) and key[:2] not in led:
            # What a share is of does not depend on the method: the clustered effect's share, in proportion.
            effect, share = leading["minimum_detectable"], shares.get(key)
            led.add(key[:2])
            lines.append(_detectable_line(leading, effect, facts, by=METHODS.get(leading["method"], leading["method"]),
                                          share=None if share is None else share * effect / row["value"]))
        lines.append(_detectable_line(row, row["value"], facts, share=shares.get(key),
                                      by=f"clustered {facts.clusters.get(row['cluster'], row['cluster'])}"))
    return markdown_table(pd.DataFrame(lines), right=["Smallest effect", "Share of the mean"]) if lines else ""


def _detectable_line(row: pd.Series, effect: float, facts: Facts, *, by: str, share: float | None) -> dict[str, str]:
    coverage = row.get("coverage")
    return {
        "Treatment": facts.treatments.get(row["treatment"], row["treatment"]), "By": named(row["estimator"]),
        "Inference": by,
        "Measured coverage": "" if coverage is None or pd.isna(coverage) else f"{100 * coverage:.1f}%",
        "Smallest effect": number(effect, decimals_for(effect / 2.8)),
        "Share of the mean": "" if share is None or pd.isna(share) else f"{100 * share:.1f}%",
        f"{facts.units.capitalize()} (treated)": f"{count(row['n_units'])} ({count(row['n_treated'])})",
        "Clusters (treated)": f"{count(row['n_clusters'])} ({count(row['n_treated_clusters'])})"}


def outcomes_table(estimates: pd.DataFrame, diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Return the p-values of every outcome and estimator by every way to get them, as reported."""
    treatment, sample = next(iter(facts.treatments)), next(iter(facts.samples))
    keys = {"specification": facts.specification, "sample": sample, "treatment": treatment}
    estimates, diagnostics = (table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]
                              for table in (estimates, diagnostics))
    overall = estimates[estimates["estimand"].eq("overall")]
    lines = []
    for indicator, outcome in facts.outcomes.items():
        for estimator in dict.fromkeys([facts.estimator, facts.other_estimator]):
            own = overall[overall["indicator"].eq(indicator) & overall["estimator"].eq(estimator)]
            if own.empty:
                continue
            levels = {row["cluster"]: row for row in own.to_dict("records")}
            tests = diagnostics[diagnostics["indicator"].eq(indicator) & diagnostics["estimator"].eq(estimator)]
            decimals = max(map(decimals_of, levels.values()))
            line = {"Outcome": outcome, "By": named(estimator), "Estimate": number(own["estimate"].iloc[0], decimals)}
            for level, words in facts.clusters.items():
                line[f"95% interval {words}"] = with_p(levels.get(level), decimals)
            for name, words in P_VALUES.items():
                p = tests.loc[tests["diagnostic"].eq(name) & tests["status"].eq("done"), "p_value"]
                line[words[:1].upper() + words[1:]] = p_value(p.iloc[0]).removeprefix("p ").removeprefix("= ") if len(
                    p) else "skipped"
            row = own.iloc[-1]
            lines.append(line | {
                f"{facts.units.capitalize()} (treated)": f"{count(row['n_units'])} ({count(row['n_treated'])})",
                "Clusters (treated)": listed(f"{count(each['n_clusters'])} ({count(each['n_treated_clusters'])})"
                                             for each in levels.values())})
    return markdown_table(pd.DataFrame(lines), right=["Estimate"])


def skipped_lines(diagnostics: pd.DataFrame, specifications: pd.DataFrame, facts: Facts) -> list[tuple[str, str]]:
    """Return (check, what of it was skipped, for which outcomes, and why), one per kind of check and reason."""
    lost = diagnostics[diagnostics["status"].eq("skipped")]
    lost = lost[["indicator", "diagnostic", "reason"]].assign(of=[_changed(row) for row in lost.to_dict("records")])
    unfitted = specifications.loc[specifications["estimate"].isna(), ["indicator", "specification", "note"]].rename(
        columns={"specification": "of", "note": "reason"}).assign(diagnostic="specification")
    lost = pd.concat([lost, unfitted], ignore_index=True)
    # Months and years that a reason lists one by one would fill a page.
    lost["reason"] = lost["reason"].fillna("").map(_short)
    lines = []
    for (diagnostic, reason), rows in lost.groupby(["diagnostic", "reason"], sort=True):
        names = [facts.outcomes.get(name, name) for name in facts.outcomes if name in set(rows["indicator"])]
        whose = "all outcomes" if len(names) == len(facts.outcomes) > 1 else listed(names)
        items = listed(dict.fromkeys(rows["of"]), at_most=3)
        lines.append((diagnostic, f"{items}; {whose}: {reason}"))
    return lines


def _short(text: str, longest: int = 240) -> str:
    return text if len(text) <= longest else f"{text[:longest].rsplit(' ', 1)[0]} ..."


def _changed(row: dict) -> str:
    """What a row is of, without its cluster level, and without its estimator where something was changed."""
    return item(row | {"estimator": ""} if row["variant"] else row, clusters=dict.fromkeys(CLUSTERS, ""))


def listed_groups(rows: pd.DataFrame, facts: Facts) -> Sequence[tuple[str, str]]:
    """Return (heading, table) of every group that is listed row by row and has rows."""
    return [(GROUPS[group], table) for group in LISTED
            if (table := group_table(rows[rows["group"].eq(group)], facts))]
