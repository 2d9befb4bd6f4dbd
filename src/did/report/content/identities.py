"""Checks of effects that must add up, because the outcomes do."""

from __future__ import annotations

import pandas as pd

from did.estimators import entry
from did.report.content.facts import Facts, short_name
from did.report.content.table import Column, Table, row_decimals
from did.words import listed

SHARE = 1e-6
COLUMNS = [Column("estimator", "Estimator"), Column("treatment", "Treatment"), Column("sample", "Sample"),
           Column("sum", "Sum of the effects", "signed"), Column("whole", "Must be", "signed"),
           Column("gap", "Gap", "signed"), Column("must", "Linear, so they must add up"),
           Column("holds", "They add up")]


def identity_tables(ours: pd.DataFrame, facts: Facts) -> list[Table]:
    """Return, where parts add up to a total or shares exhaust their base, whether the effects do, by every estimator,
    treatment and sample of ``ours`` (overall effects under the reported specification).

    Of an estimator linear in the outcome they must; they are said to if the gap is below a millionth of the total, or
    of the largest effect where they must add up to zero. Cells with a part that is not estimated are left out.
    """
    found = []
    for kind, parts, total in (("parts", list(facts.parts), facts.total), ("shares", list(facts.sum_to_zero), None)):
        rows = ours.loc[ours["cluster"].eq(next(iter(facts.clusters))) & ours["indicator"].isin([*parts, total])]
        wide = rows.pivot_table(index=["estimator", "treatment", "sample"], columns="indicator", values="estimate",
                                sort=False)
        wide = wide.reindex(columns=[*parts, *([total] if total else [])]).dropna().reset_index()
        if not parts or wide.empty:
            continue
        whole = wide[total] if total else pd.Series(0.0, index=wide.index)
        size = whole.abs() if total else wide[parts].abs().max(axis=1)
        shown = pd.DataFrame({
            "estimator": wide["estimator"].map(short_name), "treatment": wide["treatment"].replace(facts.treatments),
            "sample": wide["sample"].replace(facts.samples), "sum": wide[parts].sum(axis=1), "whole": whole,
            "gap": wide[parts].sum(axis=1) - whole, "std_error": size / 100,
            "must": ["yes" if entry(name).is_additive else "no" for name in wide["estimator"]]})
        shown["holds"] = (shown["gap"].abs() <= SHARE * size).map({True: "yes", False: "no"})
        names = listed(facts.outcomes.get(part, part) for part in parts)
        about = (f"Counts of {names} add up to those of {facts.outcomes[total]}." if total else
                 f"{names} are shares of one base and exhaust it: what one gains the others lose.")
        found.append(Table(f"identity-{facts.total}-{kind}", "Effects that must add up", COLUMNS, shown,
                           row_decimals(shown, value="sum"), notes=[about], file="tables/estimates.csv"))
    return found
