"""The tables of what was estimated, as report, workbook and papers show them: one place says what each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from did.estimators import entry
from did.report.content.facts import PERIODS, Facts, having, mappings, short_name
from did.report.content.names import Names
from did.report.content.notes import item, records, said
from did.report.content.table import NOT_AVAILABLE, Column, Table, interval_of, row_decimals, side_by_side
from did.words import listed, number, period_name

CELL = ["indicator", "specification", "treatment", "sample", "estimator", "estimand"]
BY_CLUSTER = ["std_error", "ci_low", "ci_high", "p_value", "p_adjusted", "n_clusters", "n_treated_clusters"]
OUTCOME = [Column("family", "Family", in_text=False), Column("outcome", "Outcome")]
WHICH = [Column("estimator", "Estimator"), Column("treatment", "Treatment", explained="treatment"),
         Column("sample", "Sample", explained="sample")]
SPECIFICATION = Column("specification", "Specification", explained="specification")
UNIT = Column("effect_unit", "Unit of the effect")
ESTIMATE = Column("estimate", "Estimate", "signed", "unit of the row", "estimate", empty="[x]")
NOTE = Column("note", "Remarks")
HOW = [Column("method", "Method", explained="method", empty="[x]"),
       Column("coverage", "Measured coverage", "share", "share, 0 to 1", "coverage", empty="[x]")]
OBSERVATIONS = Column("n_obs", "Observations", "count", "number", "observations")
# Estimates that a table of overall effects has, and what each is an average over.
OVER = {"overall": "", "overall_cohort": ", average over cohorts", "overall_calendar": ", average over periods",
        "overall_event_time": ", average over times since onset"}
# Share of the total, or of the largest effect, that a gap may be; and the columns of what must add up.
IDENTITY_SHARE = 1e-6
IDENTITY = [Column("estimator", "Estimator"), Column("treatment", "Treatment"), Column("sample", "Sample"),
           Column("sum", "Sum of the effects", "signed"), Column("whole", "Must be", "signed"),
           Column("gap", "Gap", "signed"), Column("must", "Linear, so they must add up"),
           Column("holds", "They add up")]


def sizes(names: Names) -> list[Column]:
    """Columns of how many units an estimate rests on, and how many of them are treated."""
    return [Column(("n_units", "n_treated"), f"{names.areas.capitalize()} (treated)", "of", "number",
                   sheet=("Units", "Treated units"))]


def clusters_of(names: Names) -> list[Column]:
    """Columns of the clusters, by each level above the unit: clusters of units are the units."""
    return [Column((f"n_clusters_{level}", f"n_treated_clusters_{level}"), f"{names.clustered(level)} (treated)", "of",
                   "number", "few", sheet=(f"Clusters {by}", f"Treated clusters {by}"))
            for level, by in names.clusters.items() if level != "unit"]


def headline_table(headline: pd.DataFrame, names: Names, diagnostics: pd.DataFrame | None = None) -> Table:
    """Return a row per outcome, treatment and estimator: the estimate, its interval of measured coverage, the method,
    what it rests on, and the smallest effect that would be found; with ``diagnostics`` also as a share of the mean."""
    rows = headline.sort_values("estimator", key=lambda names_: names_.map(names.order).fillna(99), kind="stable")
    place = {name: at for at, name in enumerate(name for facts in names.families for name in facts.outcomes)}
    rows = rows.sort_values(["indicator", "treatment"], kind="stable", key=lambda column: column.map(
        place if column.name == "indicator" else {"binary": 0}).fillna(9))
    shown = names.named(rows).assign(holds=rows["holds"].map({True: "yes", False: "no"}))
    share = [] if diagnostics is None else [Column("share", "of the mean", "share", empty="[x]")]
    if share:
        shown = shown.assign(share=_shares(rows, diagnostics))
    level = rows["cluster"].iloc[0] if len(rows) else "system"
    columns = [*OUTCOME, *WHICH, UNIT, ESTIMATE, interval_of("", ""), *HOW,
               Column("holds", "Holds its level"),
               *(Column(name, heading, "share", "share, 0 to 1", in_text=False, empty="[x]") for name, heading in (
                   ("simulation_error", "Its simulation error"), ("coverage_least", "Least coverage of a scheme"),
                   ("coverage_most", "Most coverage of a scheme"))),
               Column("n_draws", "Placebo assignments", "count", "number", in_text=False),
               Column("minimum_detectable", "Smallest effect that would be found", "number", "unit of the row",
                      "detectable", empty="[x]"), *share,
               *sizes(names), Column(("n_clusters", "n_treated_clusters"), f"{names.clustered(level)} (treated)", "of",
                                     "number", "few", sheet=("Clusters", "Treated clusters")),
               Column("n_obs", "Observations", "count", "number", "observations", in_text=False), NOTE]
    return Table("headline", "Headline estimates, with intervals of measured coverage", columns, shown,
                 row_decimals(rows), about="One row per outcome, treatment and estimator, under the reported "
                                           "specification.", file="tables/headline.csv")


def _shares(rows: pd.DataFrame, diagnostics: pd.DataFrame) -> pd.Series:
    """The smallest effect as a share of the mean: that of the clustered one, in proportion."""
    keys, names = CELL[:-1], ["minimum_detectable_share", "minimum_detectable"]
    found = having(diagnostics, diagnostic=names, status="done").iloc[::-1]   # of several the first stays
    values = dict(zip(zip(*(found[name] for name in [*keys, "diagnostic"]), strict=True), found["value"], strict=True))
    cells = list(zip(*(rows[key] for key in keys), strict=True))
    share, effect = (pd.Series([values.get((*cell, name), np.nan) for cell in cells], rows.index, dtype=float)
                     for name in names)
    return (share * rows["minimum_detectable"] / effect).where(effect.ne(0))


def effects_table(estimates: pd.DataFrame, names: Names, headline: pd.DataFrame | None = None) -> Table:
    """Return a row per overall effect of ``estimates`` (rows of any specifications), clusterings side by side, behind
    the interval of ``headline`` where that table is given."""
    rows = estimates.loc[estimates["estimand"].isin(list(OVER))]
    wide = side_by_side(rows, CELL, clusters=names.clusters, by_cluster=BY_CLUSTER)
    wide = wide.sort_values("estimator", key=lambda each: each.map(names.order).fillna(99), kind="stable")
    wide = wide.sort_values(["indicator", "specification", "treatment", "sample"], kind="stable",
                            key=lambda each: each.map({code: at for at, code in enumerate(rows[each.name].unique())}))
    columns = [*OUTCOME, *WHICH, SPECIFICATION, UNIT, ESTIMATE]
    if headline is not None:
        leads = headline[[*CELL[:-1], "ci_low", "ci_high", "p_value", "method", "coverage"]]
        wide = wide.merge(leads, on=CELL[:-1], how="left", validate="many_to_one")
        columns += [replace(interval_of("", ""), heading="Headline 95% interval (p)"), *HOW]
    for level, by in names.clusters.items():
        columns += [Column(f"std_error_{level}", f"Standard error {by}", "number", "unit of the row", "clusters",
                           in_text=False), interval_of(f"_{level}", by),
                    Column(f"p_adjusted_{level}", f"p-value {by}, adjusted for many outcomes", "p", "0 to 1",
                           "adjusted", in_text=False)]
    shown = names.named(wide)
    shown["estimator"] += wide["estimand"].map(OVER)
    return Table("effects", "Effects on every outcome by every estimator",
                 [*columns, *sizes(names), *clusters_of(names), OBSERVATIONS, NOTE], shown,
                 row_decimals(wide, error=names.error), file="tables/estimates.csv")


def over_time_table(estimates: pd.DataFrame, names: Names, estimands: Sequence[str]) -> Table:
    """Return a row per effect by cohort, calendar period or time since onset, clusterings side by side. ``estimands``:
    beginnings of those that are shown, such as ``event_bin``."""
    rows = estimates.loc[estimates["estimand"].str.startswith(tuple(estimands))]
    keys = [*CELL, "cohort", "period", "event_time"]
    measured = [*BY_CLUSTER[:4], "band_low", "band_high", "n_clusters", "n_treated_clusters"]
    rows = rows.assign(cohort=rows["cohort"].fillna(""), period=rows["period"].fillna(""))
    wide = side_by_side(rows, keys, clusters=names.clusters, by_cluster=measured)
    shown = names.named(wide).assign(when=[_when(row, names) for row in mappings(wide)])
    columns = [*OUTCOME, Column("when", "When"), *WHICH, SPECIFICATION,
               Column("event_time", "Event time", "count", "periods", "event_time", in_text=False), UNIT, ESTIMATE]
    for level, by in names.clusters.items():
        columns += [Column(f"std_error_{level}", f"Standard error {by}", "number", "unit of the row", "clusters",
                           in_text=False), interval_of(f"_{level}", by),
                    Column((f"band_low_{level}", f"band_high_{level}"), f"Band of all event times {by}", "interval",
                           "unit of the row", "band", sheet=(f"Band of all event times {by}, lower end",
                                                             f"Band of all event times {by}, upper end"),
                           in_text=False)]
    return Table("over-time", "Effects by time since treatment", [*columns, *sizes(names), *clusters_of(names), NOTE],
                 shown, row_decimals(wide, error=names.error), file="tables/estimates.csv")


def _when(row: dict, names: Names) -> str:
    """``treated from June 2017``, ``in 2018`` or ``months 0 to 11 since onset``."""
    if row["cohort"]:
        return f"treated from {period_name(row['cohort'])}"
    if row["period"]:
        return f"in {period_name(row['period'])}"
    facts = next(facts for facts in names.families if row["indicator"] in facts.outcomes)
    width = int(row["estimand"].rpartition("_")[2]) if row["estimand"].startswith("event_bin") else 1
    first = int(row["event_time"]) * width
    span = number(first, 0) if width == 1 else f"{number(first, 0)} to {number(first + width - 1, 0)}"
    kept = " (reference)" if row["state"] == "reference" else ""
    return f"{PERIODS[facts.frequency]}{'s' if width > 1 else ''} {span} since onset{kept}"


def calendar_table(estimates: pd.DataFrame, names: Names) -> Table:
    """Return the plain mean of the effects by calendar period over each year, with the least and the largest of them;
    it has no interval, since the periods of a year are not independent of each other."""
    rows = estimates.loc[estimates["estimand"].eq("calendar") & estimates["cluster"].eq(next(iter(names.clusters)))]
    rows = rows.assign(year=rows["period"].str[:4])
    wide = rows.groupby([*CELL[:-1], "year"], sort=False).agg(
        estimate=("estimate", "mean"), smallest=("estimate", "min"), largest=("estimate", "max"),
        std_error=("std_error", "median"), n=("period", "size"), n_treated=("n_treated", "min"),
        most=("n_treated", "max")).reset_index()
    columns = [*OUTCOME, Column("year", "Year"), *WHICH, SPECIFICATION, Column("n", "Periods", "count"), UNIT,
               Column("estimate", "Mean effect", "signed"),
               Column(("smallest", "largest"), "Least to largest", "interval"),
               Column(("n_treated", "most"), f"Treated {names.areas}, least (most)", "of")]
    return Table("calendar", "Effects by calendar year", columns, names.named(wide), row_decimals(wide),
                 file="tables/estimates.csv")


def diagnostics_table(diagnostics: pd.DataFrame, names: Names) -> Table:
    """Return a row per diagnostic, those that were skipped with the reason."""
    rows = records(diagnostics)
    shown = names.named(diagnostics).assign(
        of=[item(row, treatment=False, clusters=names.clusters) for row in rows],
        diagnostic=diagnostics["diagnostic"].str.replace("_", " ").str.replace(
            "^.", lambda first: first[0].upper(), regex=True),
        test=[_test(row) for row in rows], reason=[said(row) for row in rows])
    skipped = diagnostics["status"].eq("skipped")
    measured = ["value", "std_error", "ci_low", "ci_high", "statistic", "df", "df_denominator", "p_value"]
    columns = [*OUTCOME, Column("diagnostic", "Diagnostic", explained="diagnostic"), Column("of", "Of"),
               Column("treatment", "Treatment"), Column("sample", "Sample", explained="sample"), SPECIFICATION,
               Column("status", "Done or skipped"), Column("value", "Value", "number", "as the diagnostic says"),
               Column("std_error", "Standard error", "number", "as value", in_text=False),
               Column(("ci_low", "ci_high"), "95% interval", "interval", "as value",
                      sheet=("95% interval, lower end", "95% interval, upper end")),
               Column("p_value", "p-value", "p", "0 to 1"), Column("test", "Test", in_text=True, sheet=("",)),
               *(Column(name, heading, "number", unit, in_text=False) for name, heading, unit in (
                   ("statistic", "Statistic", "as the diagnostic says"), ("df", "Degrees of freedom", "number"),
                   ("df_denominator", "Degrees of freedom below", "number"))), *sizes(names),
               Column(("n_clusters", "n_treated_clusters"), "Clusters (treated)", "of", "number",
                      sheet=("Clusters", "Treated clusters")), Column("reason", "Remarks or why skipped")]
    for name in [*measured, "n_units", "n_treated", "n_clusters", "n_treated_clusters"]:
        own = shown[name].astype(object)
        shown[name] = own.mask(own.isna() & skipped, NOT_AVAILABLE)
    return Table("diagnostics", "Diagnostics, those that were skipped included", columns,
                 shown[[name for column in columns for name in column.names]],
                 row_decimals(diagnostics, value="value"), about="One row per diagnostic and item.",
                 file="tables/diagnostics.csv")


def _test(row: dict) -> str:
    """``F(1, 148) = 5.31`` of a row with a statistic; "" without one."""
    if pd.isna(row["statistic"]) or row["status"] != "done":
        return ""
    if pd.isna(row["df_denominator"]) or pd.isna(row["df"]):
        return number(row["statistic"], 2)
    return f"F({row['df']:g}, {row['df_denominator']:g}) = {number(row['statistic'], 2)}"


def calibration_table(calibration: pd.DataFrame, names: Names) -> Table:
    """Return how often each method of inference errs on each outcome's own panel."""
    shown = names.named(calibration).assign(scheme=calibration["scheme"].str.replace("_", " "))
    columns = [*OUTCOME, *WHICH[:2], UNIT,
               Column("scheme", "Placebo assignments among"), Column("method", "Method of inference"),
               Column("n_draws", "Placebo assignments", "count", "number"),
               Column("rejected", "True null rejected at 5%", "count", "number"),
               Column("coverage", "Measured coverage", "share", "share, 0 to 1", "coverage", empty="[x]"),
               Column("simulation_error", "Its simulation error", "share", "share, 0 to 1", empty="[x]"),
               Column("mean_width", "Mean width of 95% intervals", "number", "unit of the row", empty="[x]"),
               Column("n_treated", "Treated units in an assignment", "count", "mean number", empty="[x]"),
               Column(("n_clusters", "n_treated_clusters"), "Clusters (treated)", "of", "number",
                      sheet=("Clusters", "Treated clusters"), empty="[x]"), Column("reason", "Why skipped")]
    return Table("calibration", "How often each method of inference errs on each outcome's own panel", columns, shown,
                 row_decimals(calibration, value="mean_width", error="mean_width"), file="tables/calibration.csv",
                 about="Where nothing was done, 95% intervals should hold zero in 0.95 of the assignments.")


def areas_table(area_audit: pd.DataFrame, names: Names) -> Table:
    """Return what became of each area that was not kept as it is."""
    rows = area_audit.loc[area_audit["fate"].ne("kept")]
    shown = names.named(rows).assign(fate=rows["fate"].str.replace("_", " "))
    columns = [*OUTCOME, Column("area_code", "Area code"), Column("area_name", "Area", empty="[x]"),
               Column("fate", "What became of it", explained="fate"), Column("unit", "Unit it is part of", unit="code"),
               Column("n_periods", "Periods with figures", "count", "number"),
               Column("total", "Total", "count", "count", "total"), Column("reason", "Why")]
    return Table("areas", "Areas of the sources that were merged or left out", columns, shown,
                 about="Areas kept as they are need no row.", file="tables/area_audit.csv")


def adjusted_table(adjusted: pd.DataFrame, names: Names) -> Table:
    """Return the p-values adjusted for the number of outcomes of a family."""
    shown = names.named(adjusted.assign(method=adjusted["p_method"])).assign(
        cluster=adjusted["cluster"].map(names.clusters))
    columns = [*OUTCOME, *WHICH, Column("cluster", "Clustered"), UNIT, ESTIMATE,
               Column("std_error", "Standard error", "number", "unit of the row", "clusters", in_text=False),
               Column("p_value", "p-value by clustered errors", "p", "0 to 1"),
               Column("p_tested", "p-value that is adjusted", "p", "0 to 1"),
               Column("method", "It is by", explained="method"),
               *(Column(name, heading, "p", "0 to 1", note, empty="[x]") for name, heading, note in (
                   ("p_size", "Measured share of true nulls rejected by it", ""), ("p_holm", "p-value by Holm", ""),
                   ("p_benjamini_hochberg", "p-value by Benjamini and Hochberg", ""),
                   ("p_romano_wolf", "p-value by Romano and Wolf", ""),
                   ("p_adjusted", "p-value to report", "adjusted"))),
               Column("n_tests", "Outcomes tested together", "count", "number")]
    return Table("many-tests", "p-values adjusted for the number of outcomes", columns, shown, row_decimals(adjusted),
                 about="Adjusted within a family, sample, treatment, estimator and clustering.",
                 file="tables/adjusted_p_values.csv")


def identity_tables(ours: pd.DataFrame, facts: Facts) -> list[Table]:
    """Return, where parts add up to a total or shares exhaust their base, whether the effects do, by every estimator,
    treatment and sample of ``ours`` (overall effects under the reported specification).

    Of an estimator linear in the outcome they must; they are said to if the gap is below a millionth of the total, or
    of the largest effect where they must add up to zero. Cells with a part that is not estimated are left out.
    """
    found = []
    for kind, parts, total in (("parts", list(facts.parts), facts.total), ("shares", list(facts.sum_to_zero), None)):
        if not parts:
            continue
        rows = having(ours, cluster=next(iter(facts.clusters)), indicator=[*parts, total])
        wide = rows.pivot_table(index=["estimator", "treatment", "sample"], columns="indicator", values="estimate",
                                sort=False)
        wide = wide.reindex(columns=[*parts, *([total] if total else [])]).dropna().reset_index()
        if wide.empty:
            continue
        whole = wide[total] if total else pd.Series(0.0, index=wide.index)
        size = whole.abs() if total else wide[parts].abs().max(axis=1)
        shown = pd.DataFrame({
            "estimator": wide["estimator"].map(short_name), "treatment": wide["treatment"].replace(facts.treatments),
            "sample": wide["sample"].replace(facts.samples), "sum": wide[parts].sum(axis=1), "whole": whole,
            "gap": wide[parts].sum(axis=1) - whole, "std_error": size / 100,
            "must": ["yes" if entry(name).is_additive else "no" for name in wide["estimator"]]})
        shown["holds"] = (shown["gap"].abs() <= IDENTITY_SHARE * size).map({True: "yes", False: "no"})
        names = listed(facts.outcomes.get(part, part) for part in parts)
        about = (f"Counts of {names} add up to those of {facts.outcomes[total]}." if total else
                 f"{names} are shares of one base and exhaust it: what one gains the others lose.")
        found.append(Table(f"identity-{facts.total}-{kind}", "Effects that must add up", IDENTITY, shown,
                           row_decimals(shown, value="sum"), notes=[about], file="tables/estimates.csv"))
    return found
