"""The report's tables over all outcomes: outcomes by estimators, every effect, and every published claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from did.report.content.facts import (
    METHODS,
    TREATMENTS,
    Facts,
    Front,
    averaged_by,
    only,
    own_dates_names,
    rests_on_few,
    short_name,
)
from did.report.content.summary_tables import comparison_table
from did.report.writers.html import Cell, Made, Table, bare_p, table_of
from did.words import count, decimals_for, interval, number

ESTIMATES = Made("estimates.csv", "tabulate")
NOT_ESTIMATED = "not estimated"


def outcomes_by_estimators(outcomes: Sequence[Facts], tables: Mapping[str, pd.DataFrame], *,
                           static: Sequence[str], staggered: Sequence[str]) -> Table:
    """Return one row per outcome: every estimator's effect, first treatment and sample: with the interval that
    leads, its method and measured coverage, then those of every clustering.

    ``outcomes`` are the facts of each outcome alone. ``static`` estimators are read under the specification reported,
    those of ``staggered`` under the specification that treats each wave from its own date.
    """
    columns = [(name, short_name(name), False) for name in static]
    columns += [(name, short_name(name), True)
                for name in staggered if name in own_dates_names() and name not in averaged_by()]
    rows = []
    for facts in outcomes:
        name, overall, headline = facts.outcomes[facts.total], tables["estimates"], tables["headline"]
        overall = overall[overall["indicator"].eq(facts.total)]
        cells = [Cell(Markup('<a href="#{}">{}</a>').format(facts.total, name), name), Cell(facts.effect_unit)]
        first = None
        for estimator, _, own_dates in columns:
            found = [only(overall, indicator=facts.total, estimator=estimator, cluster=cluster,
                          specification=facts.staggered if own_dates else facts.specification,
                          treatment=next(iter(facts.treatments)), sample=next(iter(facts.samples)))
                     for cluster in facts.clusters]
            leading = None if own_dates else only(
                headline, indicator=facts.total, estimator=estimator, treatment=next(iter(facts.treatments)),
                specification=facts.specification, sample=next(iter(facts.samples)))
            cells.append(_effect(found, facts, leading))
            first = first if own_dates or found[-1] is None else found[-1]
        cells.append(Cell("") if first is None else
                     Cell(f"{count(first['n_treated_clusters'])} of {count(first['n_clusters'])}",
                          float(first["n_treated_clusters"])))
        rows.append(cells)
    names = [f"{label}, by wave" if own_dates else label for _, label, own_dates in columns]
    system = list(outcomes[0].clusters)[-1]
    heads = ["Outcome", "Unit", *names, f"Treated {system}s"]
    spans = ", ".join(f"95% interval {name}" for name in outcomes[0].clusters.values())
    return Table("outcomes-by-estimators", f"Every outcome by every estimator: estimate, {spans}", heads, rows,
                 ESTIMATES, frozenset(heads[2:]), True)


def _effect(found: Sequence[pd.Series | None], facts: Facts, leading: pd.Series | None) -> Cell:
    """Estimate, the interval that leads where there is one, and one line per clustering."""
    rows = [row for row in found if row is not None and pd.notna(row["estimate"])]
    if not rows:
        return Cell(NOT_ESTIMATED)
    decimals = decimals_for(rows[0]["std_error"])
    lines = [Markup("<strong>{}</strong>").format(number(rows[0]["estimate"], decimals, signed=True))]
    if leading is not None and leading[["ci_low", "ci_high"]].notna().all():
        lines.append(Markup("<span class=interval><strong>{}</strong> by {}, coverage {}</span>").format(
            interval(leading["ci_low"], leading["ci_high"], decimals),
            METHODS[leading["method"]], "unknown" if pd.isna(leading["coverage"]) else f"{leading['coverage']:.1%}"))
    lines += [Markup("<span class=interval>{} {}</span>").format(interval(row["ci_low"], row["ci_high"], decimals),
                                                                 facts.clusters[row["cluster"]]) for row in rows]
    return Cell(Markup(" ").join(lines), float(rows[0]["estimate"]))


def every_effect(outcomes: Sequence[Facts], tables: Mapping[str, pd.DataFrame]) -> Table:
    """Return one row per overall effect under the specification reported and the one with each wave's own date."""
    estimates = tables["estimates"]
    rows, keys = [], []
    for facts in outcomes:
        here = estimates[estimates["indicator"].eq(facts.total)
                         & estimates["specification"].isin([facts.specification, facts.staggered])]
        cell = ["specification", "treatment", "sample", "estimator"]
        for (specification, treatment, sample, estimator), group in here.groupby(cell, sort=False):
            first = group.iloc[0]
            decimals = decimals_for(first["std_error"])
            line = {"Outcome": facts.outcomes[facts.total],
                    "Estimator": short_name(estimator),
                    "Treatment": TREATMENTS.get(treatment, treatment.replace("_", " ").capitalize()),
                    "Sample": facts.samples.get(sample, sample), "Specification": specification,
                    "Estimate": number(first["estimate"], decimals, signed=True)}
            for cluster, name in facts.clusters.items():
                row = only(group, cluster=cluster)
                line[f"95% {name}"] = "" if row is None else interval(row["ci_low"], row["ci_high"], decimals)
                line[f"p {name}"] = "" if row is None else bare_p(row["p_value"])
            line |= {f"Treated {facts.units}": count(first["n_treated"]), "N": count(first["n_obs"]),
                     "Note": "few treated" if rests_on_few(first["few_treated"]) else ""}
            rows.append(line)
            keys.append((first["estimate"], first["n_obs"]))
    frame = pd.DataFrame(rows)
    text = {"Outcome", "Estimator", "Treatment", "Sample", "Specification", "Note"}
    estimate, n = zip(*keys, strict=True)
    return table_of(frame, name="every-effect", caption="Every overall effect", made=ESTIMATES, filtered=True,
                    right=[column for column in frame.columns if column not in text],
                    keys={"Estimate": estimate, "N": n})


def claims_table(rows: pd.DataFrame, front: Front) -> Table:
    """Return one row per published claim: what was printed, ours by every clustering, whether the number comes out.

    ``rows``: reproduction table under the specification reported.
    """
    frame = comparison_table(rows, front, whole=False)
    words = {claim: dict(zip(group["cluster"], group["number"].str.replace("_", " "), strict=True))
                for claim, group in rows.groupby("claim", sort=False)}
    for cluster, name in front.clusters.items():
        frame[f"Number {name}"] = [words[claim].get(cluster, "") for claim in frame["Cell"]]
    keys = {"Ours": [rows.loc[rows["claim"].eq(claim), "estimate"].iloc[0] for claim in frame["Cell"]]}
    return table_of(frame, name="claims", caption="Every published claim alongside ours", filtered=True, keys=keys,
                    right=["Ours", *(column for column in frame.columns if column.startswith("95%"))],
                    made=Made("reproduction.csv", "reproduce"))
