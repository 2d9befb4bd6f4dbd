"""What the report's annex has on one outcome: its evidence, its estimates and every check, as tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from did.report.content import result_tables
from did.report.content.evidence_words import evidence_table
from did.report.content.facts import PERIODS, Facts, having, short_name
from did.report.content.names import Names
from did.report.content.robustness_rows import counts_table
from did.report.content.table import Table, text_table
from did.words import count, period_name, plural

# Heading -> beginnings of the names of its diagnostics; each goes where the longest of them fits.
TOPICS = {
    "Other ways to make the interval": ("bias_reduced", "jackknife", "wild_bootstrap", "randomisation"),
    "Something left out": ("leave_one_out", "drop_year", "left_out"),
    "Other comparisons and other assumptions": ("other_", "detrended", "own_dates", "bracketing", "spillover"),
    "Pretended onsets, where there is nothing to find": ("placebo",),
    "Before treatment": ("linear_pretrend", "joint_leads", "group_time_pretest", "imputation_leads", "reassigned",
                         "leads_", "equivalence", "pretest", "wild_bootstrap_event", "recommendation"),
    "If trends were not parallel": ("sensitivity",),
    "Parts of the treated": ("by_",),
    "What could have been found": ("minimum_detectable",),
    "Who happened to be asked": ("sampling",),
    "What the estimators compare": ("decomposition", "base_period"),
}
OTHERS = "Other diagnostics"
# Fates of areas in the order they are said, and their words.
FATES = {"kept": "kept", "merged": "merged", "excluded": "left out", "imputed": "imputed",
         "set_aside": "set aside (totals and residents of elsewhere)"}
# Weights of a kind that have a row each.
HEAVIEST = 15
# Units that others merged into are listed one by one up to this many, names of areas up to that many.
MERGERS, NAMED = 6, 12


def outcome_tables(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, list[Table]]]:
    """Return the annex's tables on the outcome of ``facts``, by heading; empty ones are left out. ``tables`` are its
    rows of the stages' tables by their names; ``reproduction`` those of its claims."""
    names = Names([facts])
    estimates = tables["estimates"].loc[tables["estimates"]["cluster"].isin(list(facts.clusters))]
    by_time = estimates.loc[estimates["specification"].isin([facts.specification, facts.staggered])
                            if facts.frequency == "Y" else estimates["estimand"].str.startswith("event_bin")]
    over_time = result_tables.over_time_table(by_time, names, ["event_time" if facts.frequency == "Y" else "event_bin"])
    by_cohort = result_tables.over_time_table(estimates, names, ["cohort"])
    found = [
        ("The estimate", [result_tables.headline_table(tables["headline"], names, tables["diagnostics"]),
                          result_tables.effects_table(estimates, names), counts_table(facts, tables)]),
        ("Over time", [over_time, replace(by_cohort, caption="Effects by when treated"),
                       result_tables.calendar_table(estimates, names)]),
        *diagnostics_by_topic(tables["diagnostics"], names),
        ("Whom synthetic difference-in-differences compares with", [weights_table(tables["weights"])])]
    made = [(heading, [_own(table, f"{heading}-{place}", facts) for place, table in enumerate(each) if table])
            for heading, each in found]
    return [(heading, each) for heading, each in made if each]


def _own(table: Table, place: str, facts: Facts) -> Table:
    """The table under a name of this outcome, without what is the same in all its rows."""
    unit = f"In {facts.effect_unit}" + (f"; by intensity, per {facts.dose}" if "intensity" in facts.treatments else "")
    columns = [column for column in table.columns if column.heading not in ("Unit of the effect", "Outcome")]
    own = replace(table, columns=columns, notes=[f"{unit}.", *table.notes])
    slim = own if table.name == "counts" else own.slim(keep={"Estimate", "Diagnostic"})
    slim = slim.footnoted("Remarks").footnoted("Remarks or why skipped")
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{table.name}-{facts.total}-{place}".lower())
    return replace(slim, name=name, about="", caption=f"{facts.outcomes[facts.total]}: {slim.caption}")


def diagnostics_by_topic(diagnostics: pd.DataFrame, names: Names) -> list[tuple[str, list[Table]]]:
    """Return every diagnostic that is done by topic, and those that were skipped with how many share a reason."""
    done = diagnostics["status"].eq("done")
    whole = result_tables.diagnostics_table(diagnostics.loc[done], names)
    places: dict[str, list[int]] = {}
    for place, name in enumerate(diagnostics.loc[done, "diagnostic"]):
        places.setdefault(_topic(name), []).append(place)
    found = [(heading, [replace(whole.only(places[heading]), caption=heading)]) for heading in [*TOPICS, OTHERS]
             if heading in places]
    skipped = diagnostics.loc[~done]
    lines = [{"Diagnostic": name.replace("_", " ").capitalize(), "How many": len(rows), "Why": reason}
             for (name, reason), rows in skipped.groupby(["diagnostic", "reason"], sort=False)]
    return [*found, ("Not done, and why", [text_table("skipped", "Diagnostics that were skipped", lines,
                                                      file="tables/diagnostics.csv")])]


@functools.cache
def _topic(name: str) -> str:
    fits = {len(start): heading for heading, starts in TOPICS.items() for start in starts if name.startswith(start)}
    return fits[max(fits)] if fits else OTHERS


def weights_table(weights: pd.DataFrame) -> Table:
    """Return the largest weights of each cohort's donors and of its periods before treatment, and the others of a kind
    together; weights of nothing are counted among the others."""
    lines = []
    for (cohort, kind), rows in weights.groupby(["cohort", "kind"], sort=False):
        rows = rows.sort_values("weight", ascending=False, kind="stable").set_index("label")
        shares = rows["weight"].head(HEAVIEST).to_dict()
        if more := len(rows) - HEAVIEST if len(rows) > HEAVIEST else 0:
            shares[f"{more} others"] = rows["weight"].iloc[HEAVIEST:].sum()
        lines += [{"Treated from": period_name(cohort), "What": "period" if kind == "time" else rows["level"].iloc[0],
                   "Name": name, "Weight": f"{100 * share:.1f}%"} for name, share in shares.items()]
    return text_table("weights", "Weights of the comparison", lines, file="tables/weights.csv")


def evidence_tables(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """Return target -> a table of every question with its answer, for each of the outcome's verdicts."""
    found = {}
    for row in tables["verdicts"].loc[tables["verdicts"]["verdict"].ne("cannot_run")].to_dict("records"):
        cell = [facts.treatments.get(row["treatment"], row["treatment"]).lower(),
                facts.samples.get(row["sample"], row["sample"]), short_name(row["estimator"])]
        name = f"{row['target']}: " if row["claim"] else ""
        found[row["target"]] = replace(
            evidence_table(tables["evidence"], row), name=f"evidence-{facts.total}-{row['target']}",
            caption=f"{facts.outcomes[facts.total]}. {name}{', '.join(cell)}: {row['verdict'].replace('_', ' ')}",
            file="tables/evidence.csv")
    return found


def panel_sentence(estimates: pd.DataFrame, facts: Facts) -> str:
    """Return the size of the panel, how much of it is missing, and how much of it is after the onset."""
    rows = having(estimates, **facts.cell, estimand="overall", cluster=next(iter(facts.clusters)),
                  estimator=[facts.estimator, facts.other_estimator])
    if rows.empty:
        return ""
    whole = rows.sort_values("n_obs", kind="stable").iloc[-1]
    first, last, onset = (pd.Period(each).ordinal for each in (facts.first, facts.last, facts.onset))
    missing = int(whole["n_units"]) * (last - first + 1) - int(whole["n_obs"])
    lost = f", {count(missing)} missing" if missing > 0 and len(rows) > 1 else ""
    return (f"The panel has {count(whole['n_units'])} {facts.units} and "
            f"{plural(last - first + 1, PERIODS[facts.frequency])}, {count(last - onset + 1)} of them from the onset "
            f"on: {count(whole['n_obs'])} figures{lost}.")


def fates(area_audit: pd.DataFrame, facts: Facts) -> list[tuple[str, int]]:
    """Return how many areas of the publishers' files had each fate under the specification reported."""
    rows = having(area_audit, indicator=facts.total, specification=facts.specification)
    counted = rows["fate"].value_counts()
    return [(words, int(counted[fate])) for fate, words in FATES.items() if fate in counted]


def area_audit_table(area_audit: pd.DataFrame, facts: Facts) -> Table:
    """Return what became of the outcome's areas, a row per fate, unit merged into and reason."""
    rows = having(area_audit, indicator=facts.total, specification=facts.specification)
    unit = rows["unit"].where(rows["fate"].eq("merged")).fillna("")
    reason = rows["reason"].fillna("")
    if (n_units := unit[unit.ne("")].nunique()) > MERGERS:
        merged = unit.ne("")
        unit = unit.mask(merged, f"{count(n_units)} areas")
        reason = reason.mask(merged, "Each with its reason in area_audit.csv")
    lines = []
    for (fate, into, why), group in rows.groupby([rows["fate"], unit, reason], sort=True):
        lines.append({
            "What became of it": f"merged into {into}" if into else fate.replace("_", " "), "Areas": len(group),
            "Names": "; ".join(sorted(group["area_name"])) if len(group) <= NAMED else "",
            "Total": group["total"].sum(min_count=1), "Why": why})
    # Rates have no totals; that of a row set aside would mean nothing.
    if rows.loc[rows["fate"].ne("set_aside"), "total"].isna().all():
        lines = [{key: value for key, value in line.items() if key != "Total"} for line in lines]
    return text_table(f"area_audit-{facts.total}", f"{facts.outcomes[facts.total]}: what became of each area in the "
                      "publishers' files", lines, file="tables/area_audit.csv")
