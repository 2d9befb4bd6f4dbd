"""One outcome's estimate and every alternative to it, taken from the tables of the stages: as rows, and counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.errors import DidError
from did.report.content.facts import Facts, averaged_by, having, mappings, only, own_dates_names, short_name
from did.report.content.table import Column, Table, row_decimals
from did.words import number, short_decimals

COLUMNS = ["group", "key", "estimator", "cluster", "estimate", "std_error", "ci_low", "ci_high"]
# Diagnostics of the same estimate -> what they are called.
FEW_CLUSTERS = {
    "bias_reduced_cr2": "CR2", "bias_reduced_cr3": "CR3", "jackknife": "Jackknife",
    "wild_bootstrap": "Wild bootstrap, Rademacher", "wild_bootstrap_webb": "Wild bootstrap, Webb",
    "randomisation": "Randomisation",
}
# Groups of alternatives -> their headings, in the order they are shown.
GROUPS = {
    "default": "Ours", **FEW_CLUSTERS, "staggered": "Each wave from its own date",
    "staggered_other": "Each wave from its own date, other dates or members", "one_at_a_time": "Other specifications",
    "product": "Other specifications, combined", "treated_systems": "Without one treated system",
    "other_systems": "Without one other system", "drop_year": "Without one year",
    "left_out": "Without other areas or periods", "other_controls": "Other controls",
    "placebo_onset": "Placebo onsets: nothing to find",
}
# Columns of the diagnostics table that tell changes of one kind apart.
KEY = ["variant", "left_out", "part", "part_of", "period"]
# Columns of each table that alternatives are made from: the fewer there are, the sooner rows are chosen.
CELL = ["treatment", "specification", "sample", *COLUMNS[2:]]
NEEDED = {"estimates": [*CELL, "estimand", "n_treated"], "specifications": [*CELL, "design"],
          "diagnostics": [*(name for name in CELL if name != "estimate"), "value", "status", "diagnostic", "n_treated",
                          *KEY]}


def alternatives(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row per alternative, estimator and cluster level of an outcome's estimate, in ``COLUMNS``.

    ``tables``: its estimates, diagnostics and specifications. The reported specification and sample and the first
    treatment of ``facts`` are reported, by the published estimator first; other specifications and samples are
    alternatives. ``group`` is a key of ``GROUPS``, and ``key`` tells the alternatives of a group apart. Estimates and
    intervals are in units of the outcome; what was skipped or not fitted has no row. Rows keep the order of the groups,
    of the estimators and of the tables.

    Raises DidError if the reported estimate by the first estimator is not there.
    """
    treatment, (sample, *others) = next(iter(facts.treatments)), facts.samples
    estimators = list(dict.fromkeys([facts.estimator, facts.other_estimator]))
    overall = having(tables["estimates"][NEEDED["estimates"]], treatment=treatment, estimand="overall")
    static = having(overall, specification=facts.specification, estimator=estimators)
    default = static[static["sample"].eq(sample)]
    if not default["estimator"].eq(estimators[0]).any():
        raise DidError(f"estimates table: expected a {estimators[0]} estimate of {facts.total} ({treatment}, "
                       f"{sample}) under specification '{facts.specification}'; found none; run the fit stage for it")
    tested = having(tables["diagnostics"][NEEDED["diagnostics"]], treatment=treatment,
                    specification=facts.specification, sample=sample, status="done")
    dated = overall[overall["specification"].ne(facts.specification) & overall["sample"].eq(sample)
                    & overall["estimator"].isin([*own_dates_names().keys() - averaged_by().keys()])]
    fitted = having(tables["specifications"][NEEDED["specifications"]], treatment=treatment, sample=sample,
                    estimator=estimators)
    fitted = fitted[fitted["specification"].ne(facts.specification)]
    # A system left out was treated if fewer treated units are left than before.
    is_treated = tested["n_treated"].astype("Float64").lt(float(default["n_treated"].max())).fillna(True)
    rows = pd.concat([part[COLUMNS] for part in (
        default.assign(group="default", key=""),
        tested.assign(estimate=tested["value"], key=list(map(" ".join, zip(*(tested[name] for name in KEY),
                                                                           strict=True))),
                      group=tested["diagnostic"].mask(tested["diagnostic"].eq("leave_one_out"), np.where(
                          is_treated, "treated_systems", "other_systems"))),
        # The first specification with several onsets apart from the others.
        dated.assign(key=dated["specification"], group=np.where(
            dated["specification"].eq(dated["specification"].iloc[0] if len(dated) else ""), "staggered",
            "staggered_other")),
        fitted.assign(group=fitted["design"], key=fitted["specification"]),
        static[static["sample"].isin(others)].assign(group="left_out", key=lambda each: each["sample"]))])
    order = {"group": list(GROUPS), "estimator": [*estimators, *rows["estimator"].unique()]}
    return rows[rows["estimate"].notna() & rows["group"].isin(list(GROUPS))].sort_values(
        ["group", "estimator"], key=lambda column: column.map(order[column.name].index), kind="stable",
        ignore_index=True)


def leaves_out_zero(rows: pd.DataFrame, sign: float = 0.0) -> pd.Series:
    """Return whether each 95% interval leaves out zero, on the side of ``sign`` if that is not 0. An interval that is
    not there leaves nothing out."""
    above, below = rows["ci_low"] > 0, rows["ci_high"] < 0
    return above if sign > 0 else below if sign < 0 else above | below


def counts_table(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> Table:
    """Return, per check and estimator: how many estimates there are, from where to where, and how many of their
    intervals leave out zero on the side of the number that is checked: what was printed or, if nothing was, ours."""
    rows = alternatives(facts, tables)
    rows = rows.loc[rows["cluster"].isin(list(facts.clusters))]
    claim = only(tables["reproduction"], **facts.cell, estimator=facts.estimator, estimand="overall",
                 cluster=next(iter(facts.clusters)))
    printed = None if claim is None or pd.isna(claim["published_value"]) else float(claim["published_value"])
    ours = rows.loc[rows["group"].eq("default") & rows["estimator"].eq(facts.estimator), "estimate"].iloc[0]
    sign = float(np.sign(ours if printed is None else printed))
    # Estimators for several onsets are alternatives themselves.
    rows = rows.assign(what=rows["group"].map(GROUPS), out=leaves_out_zero(rows, sign), by=rows["estimator"].map(
        short_name).mask(rows["group"].str.startswith("staggered"), "each"))
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in mappings(rows):
        groups.setdefault((row["what"], row["by"]), []).append(row)
    frame = pd.DataFrame([_counted(cell, own, facts) for cell, own in groups.items()])
    side = {1.0: "above zero", -1.0: "below zero"}.get(sign, "on one side of zero")
    columns = [Column("what", "Check"), Column("by", "By"), Column("n", "Estimates", "count"),
               Column(("smallest", "largest"), "From least to largest", "interval"),
               *(Column(level, f"Intervals wholly {side}, {by}") for level, by in facts.clusters.items())]
    checked = ("our own estimate, since no number was printed" if printed is None else
               f"the printed {number(printed, short_decimals(printed), signed=True)}")
    return Table("counts", "What the estimate rests on", columns, frame, row_decimals(frame, value="smallest"),
                 notes=[f"What is checked is {checked}. Of pretended onsets none should be found."],
                 file="tables/evidence_items.csv")


def _counted(cell: tuple[str, str], rows: list[dict], facts: Facts) -> dict[str, object]:
    """A line of the counts: what is checked and by what, from where to where, and how many leave out zero."""
    estimates, errors = ([row[name] for row in rows if row[name] is not None] for name in ("estimate", "std_error"))
    line: dict[str, object] = dict(zip(("what", "by"), cell, strict=True)) | {
        "smallest": min(estimates), "largest": max(estimates), "std_error": np.median(errors) if errors else np.nan,
        "n": len({(row["key"], row["estimator"]) for row in rows})}
    for level in facts.clusters:
        out = [row["out"] for row in rows if row["cluster"] == level]
        line[level] = f"{sum(out)} of {len(out)}" if out else None
    return line
