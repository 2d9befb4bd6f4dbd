"""The one-page summary in Markdown, made from the tables of the stages by fixed wording rules.

Every number comes from the tables passed in, or is a printed fact passed in `Facts`; nothing is estimated here.
No result is called significant: estimate, interval, p-value and counts are given, and where zero lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import pandas as pd

from did.errors import DidError
from did.outputs.facts import ESTIMATORS, TESTS, Facts, estimator_name, only, select
from did.outputs.summary_tables import (
    beside_table,
    comparison_table,
    f_test_text,
    lineage_table,
    readings_table,
    slope_text,
    trend_tests_table,
    years_table,
)
from did.outputs.text import (
    count,
    decimals_for,
    interval,
    listed,
    markdown_cell,
    markdown_table,
    number,
    p_value,
    period_name,
    plural,
    short_decimals,
)


def summary_markdown(
    *,
    facts: Facts,
    reproduction: pd.DataFrame,
    estimates: pd.DataFrame,
    diagnostics: pd.DataFrame,
    lineage: pd.DataFrame,
) -> str:
    """Return the summary page as Markdown text, ending in one line break.

    ``reproduction`` holds one row per published claim and cluster level; ``estimates``, ``diagnostics`` and
    ``lineage`` are those tables with the rows of all indicators. The reading of ``facts`` is reported; other
    readings in ``estimates`` are listed for the headline outcome. If any row of any table is synthetic, the page
    begins by saying so. Texts from the tables are escaped, so that none can break the page.

    Raises DidError if the headline outcome has no estimate by the published estimator, or a table lacks the
    reading.
    """
    overall = estimates[estimates["event_time"].isna() & estimates["cluster"].isin(list(facts.clusters))]
    ours = select(overall, reading=facts.reading)
    rows = _reported(reproduction, facts)
    synthetic = any(bool(table["is_synthetic"].any()) for table in (reproduction, estimates, diagnostics, lineage))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("did.outputs", "templates"), trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False,
                                     keep_trailing_newline=True)
    environment.filters["cell"] = markdown_cell
    text = environment.get_template("summary.md.j2").render(
        facts=facts,
        synthetic=synthetic,
        period=f"{period_name(facts.first)} to {period_name(facts.last)}",
        onset=period_name(facts.onset),
        overview=overview(ours, facts),
        trend=trend_sentence(diagnostics, facts),
        answers=[answer(ours, facts, rows, treatment) for treatment in facts.treatments
                 if ((ours["treatment"] == treatment) & (ours["indicator"] == facts.total)).any()],
        cells=cells_sentence(rows, facts),
        comparison=markdown_table(comparison_table(rows, facts), right=["Ours", "N"]),
        agreement=agreement_sentence(rows, facts),
        beside=markdown_table(beside_table(ours, facts)),
        readings=readings_table(overall, facts),
        years=years_table(estimates, facts),
        tests=markdown_table(trend_tests_table(diagnostics, facts)),
        notes=test_notes(diagnostics, facts),
        data_facts=data_facts(ours, facts),
        lineage=markdown_table(lineage_table(lineage, facts), right=["Areas", "Total"]),
        printed=printed_facts(rows, ours, facts),
        estimator=estimator_name(facts.estimator),
        other=estimator_name(facts.other_estimator),
        measure=facts.measure[:1].upper() + facts.measure[1:],
    )
    return text.rstrip("\n") + "\n"


def _reported(reproduction: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    rows = reproduction[reproduction["reading"].eq(facts.reading) & reproduction["cluster"].isin(list(facts.clusters))]
    if rows.empty:
        raise DidError(f"reproduction table: expected rows of reading '{facts.reading}'; found "
                       f"{listed(sorted(set(reproduction['reading'])))}; run the reproduce stage again")
    return rows


def where_zero_lies(rows: Sequence[pd.Series], facts: Facts) -> str:
    """Return a sentence saying, by clustering, whether the interval lies above or below zero or includes it."""
    places: dict[str, list[str]] = {}
    for row in rows:
        place = ("is not available" if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"])
                 else "lies above zero" if row["ci_low"] > 0 else "lies below zero" if row["ci_high"] < 0
                 else "includes zero")
        places.setdefault(place, []).append(facts.clusters[row["cluster"]])
    parts = [f"clustered {listed(names)} {'the interval' if first else 'it'} {place}"
             for first, (place, names) in zip([True, False, False, False], places.items(), strict=False)]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def overview(ours: pd.DataFrame, facts: Facts) -> str:
    """Return how many of the headline outcome's estimates are above zero, and how many intervals leave out zero.

    Counted over both estimators, all treatments and all samples of the reported reading.
    """
    rows = ours[ours["indicator"].eq(facts.total) & ours["estimator"].isin([facts.estimator, facts.other_estimator])
                & ours["treatment"].isin(list(facts.treatments)) & ours["sample"].isin(list(facts.samples))]
    points = rows[rows["cluster"] == next(iter(facts.clusters))]
    parts = []
    for cluster, name in facts.clusters.items():
        here = rows[rows["cluster"] == cluster]
        parts.append(f"clustered {name} in {int(((here['ci_low'] > 0) | (here['ci_high'] < 0)).sum())}")
    return (f"{facts.outcomes[facts.total]}: {int((points['estimate'] > 0).sum())} of {len(points)} estimates (by "
            f"estimator, treatment and sample) are above zero; the 95% interval leaves out zero, {listed(parts)}.")


def trend_sentence(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Return the headline outcome's linear trend test and what each estimator assumes; "" if there is no test."""
    rows = [only(diagnostics[diagnostics["reading"].eq(facts.reading)], indicator=facts.total,
                  sample=next(iter(facts.samples)), diagnostic="linear_pretrend",
                  item=f"{next(iter(facts.treatments))}, {cluster} clusters") for cluster in facts.clusters]
    tests = [(row, name) for row, name in zip(rows, facts.clusters.values(), strict=True)
             if row is not None and row["status"] == "done"]
    if not tests:
        return ""
    slope = tests[0][0]
    return (f"Before {period_name(facts.onset)} the slope of the treated {facts.units} differed from that of the "
            f"comparison {facts.units} by {slope_text(slope)} {facts.measure} per period "
            f"({listed(f'{f_test_text(row)} clustered {name}' for row, name in tests)}). Difference-in-differences "
            "assumes no such difference; a lagged dependent variable assumes instead that areas with the same past "
            "would have gone on alike, which cannot be tested with these data.")


def answer(ours: pd.DataFrame, facts: Facts, reproduction: pd.DataFrame, treatment: str) -> str:
    """Return the paragraph on the headline outcome for one treatment in the first sample.

    Estimate, both intervals, numbers of units and clusters, what it is compared with, where zero lies, what was
    printed, and the other estimator's figures.
    """
    sample = next(iter(facts.samples))
    cell = {"indicator": facts.total, "treatment": treatment, "sample": sample}
    rows = [only(ours, **cell, estimator=facts.estimator, cluster=cluster) for cluster in facts.clusters]
    rows = [row for row in rows if row is not None]
    if not rows:
        raise DidError(f"estimates table: expected a {facts.estimator} estimate of {facts.total} ({treatment}, "
                       f"{sample}) under reading '{facts.reading}'; found none; run the fit stage for it")
    row = rows[0]
    decimals = decimals_for(row["std_error"])
    n_control = int(row["n_units"] - row["n_treated"])
    size = f"{number(abs(row['estimate']), decimals)} {facts.measure} {'higher' if row['estimate'] >= 0 else 'lower'}"
    whom = ESTIMATORS.get(facts.estimator, ("", "than that of comparison {units}"))[1].format(units=facts.units)
    head = (f"**{facts.treatments[treatment]} treatment, {facts.samples[sample]}.** From "
            f"{period_name(facts.onset)} on, the outcome of the {count(row['n_treated'])} treated {facts.units} was "
            f"{size}"
            f"{'' if treatment == 'binary' else f', for each {facts.dose},'} {whom} "
            f"({count(n_control)} comparison {facts.units}; {estimator_name(facts.estimator)}; "
            f"N = {count(row['n_obs'])}).")
    sentences = [head, f"{_intervals(rows, facts, decimals)}. {where_zero_lies(rows, facts)}"]
    claim = only(reproduction, **cell, estimator=facts.estimator, cluster=next(iter(facts.clusters)))
    if claim is not None and pd.notna(claim["published_value"]):
        value = claim["published_value"]
        inside = [facts.clusters[row["cluster"]] for row in rows if row["ci_low"] <= value <= row["ci_high"]]
        sentences.append(f"The report prints {number(value, short_decimals(value), signed=True)}: ours differs by "
                         f"{number(row['estimate'] - value, decimals, signed=True)}, and the printed value is "
                         + (f"inside the interval clustered {' and '.join(inside)}." if inside
                            else "outside the interval."))
    others = [only(ours, **cell, estimator=facts.other_estimator, cluster=cluster) for cluster in facts.clusters]
    others = [other for other in others if other is not None]
    if others:
        decimals = decimals_for(others[0]["std_error"])
        sentences.append(f"By {estimator_name(facts.other_estimator)} the estimate is "
                         f"{number(others[0]['estimate'], decimals)}: {_intervals(others, facts, decimals)}. "
                         f"{where_zero_lies(others, facts)}")
    return " ".join(sentences)


def _intervals(rows: Sequence[pd.Series], facts: Facts, decimals: int) -> str:
    spans = [f"{interval(row['ci_low'], row['ci_high'], decimals)} ({p_value(row['p_value'])}) clustered "
             f"{facts.clusters[row['cluster']]} ({plural(int(row['n_clusters']), 'cluster')}, "
             f"{count(row['n_treated_clusters'])} treated)" for row in rows]
    return f"95% interval {listed(spans)}"


def cells_sentence(rows: pd.DataFrame, facts: Facts) -> str:
    """Return how many of the published cells have an interval that leaves out zero, raw and adjusted."""
    parts = []
    for cluster, name in facts.clusters.items():
        here = rows[rows["cluster"] == cluster]
        if here.empty:
            continue
        outside = int(((here["ci_low"] > 0) | (here["ci_high"] < 0)).sum())
        part = f"clustered {name} in {outside}"
        if "p_holm" in here:
            part += f" (adjusted p below 0.05 in {int((here['p_holm'] < 0.05).sum())})"
        parts.append(part)
    return (f"Of the {rows['claim'].nunique()} published cells, our 95% interval leaves out zero, "
            f"{listed(parts)}.")


def agreement_sentence(rows: pd.DataFrame, facts: Facts) -> str:
    """Return how many printed facts of each kind agree, errors clustered as published (the first level)."""
    rows = rows[rows["cluster"] == next(iter(facts.clusters))]
    parts = []
    for column, name in (("value", "values (to the digits printed)"), ("sign", "signs"),
                         ("significance", "statements of significance"), ("n", "numbers of observations")):
        stated = rows[rows[f"{column}_agrees"] != "not printed"]
        if len(stated):
            parts.append(f"{int(stated[f'{column}_agrees'].eq('yes').sum())} of {len(stated)} {name}")
    nothing = int(rows["status"].eq("not printed").sum())
    return (f"With errors clustered {next(iter(facts.clusters.values()))}, as published, we agree with "
            f"{listed(parts)}. Of {plural(nothing, 'cell')} the report states no value, sign or significance.")


def test_notes(diagnostics: pd.DataFrame, facts: Facts) -> list[str]:
    """Return why tests of the trends table were skipped, and the caveats of those done, with how many each concerns.

    A caveat is what follows the first semicolon of a done test's reason.
    """
    rows = diagnostics[diagnostics["reading"].eq(facts.reading) & diagnostics["diagnostic"].isin(list(TESTS))
                       & diagnostics["item"].str.startswith(f"{next(iter(facts.treatments))}, ")]
    rows = rows.assign(why=[row.reason if row.status == "skipped" else row.reason.partition("; ")[2]
                            for row in rows.itertuples()])
    return [f"{TESTS[test]}, {plural(len(group), 'test')} {status}: {markdown_cell(why)}."
            for (test, status, why), group in rows[rows["why"] != ""].groupby(["diagnostic", "status", "why"])]


def data_facts(ours: pd.DataFrame, facts: Facts) -> str:
    """Return the size of the panel and of its post-onset part, from the estimates' own counts."""
    sample, treatment = next(iter(facts.samples)), next(iter(facts.treatments))
    cell = {"indicator": facts.total, "treatment": treatment, "sample": sample,
            "cluster": next(iter(facts.clusters))}
    whole, later = (only(ours, **cell, estimator=name) for name in (facts.other_estimator, facts.estimator))
    n_periods = pd.Period(facts.last).ordinal - pd.Period(facts.first).ordinal + 1
    n_later = pd.Period(facts.last).ordinal - pd.Period(facts.onset).ordinal + 1
    row = later if whole is None else whole
    text = f"{count(row['n_units'])} {facts.units} and {plural(n_periods, 'period')}"
    if whole is not None:
        cells = int(whole["n_units"]) * n_periods
        missing = cells - int(whole["n_obs"])
        text += f": {count(whole['n_obs'])} rows" + (", none missing" if not missing else
                                                    f" of {count(cells)}, {count(missing)} missing")
    text += f". {plural(n_later, 'period')} from onset on"
    return text + (f", {count(later['n_obs'])} rows." if later is not None else ".")


def printed_facts(reproduction: pd.DataFrame, ours: pd.DataFrame, facts: Facts) -> list[str]:
    """Return the facts a reader of the results must have, numbers from the tables, then those of ``context``."""
    claims = reproduction.drop_duplicates("claim")
    printed = claims[claims["published_value"].notna()]
    lines = [f"The report prints {facts.n_published_numbers} of its {facts.n_published} coefficients as numbers, "
             f"{len(printed)} of the {len(claims)} here ({listed(printed['claim'])}). The rest can be compared on "
             "sign and significance only, or not at all."]
    bands = claims["published_significance"].fillna("").str.replace(" ", "")
    below = claims[bands.str.startswith("p<")]
    if facts.published_conclusion and len(below):
        cells = listed(f"{facts.outcomes.get(row.indicator, row.outcome)}, "
                       f"{facts.treatments.get(row.treatment, row.treatment).lower()} "
                       f"(p < {row.published_significance.partition('<')[2].strip()})" for row in below.itertuples())
        lines.append(f"The report concludes \"{facts.published_conclusion}\", and prints otherwise for "
                     f"{plural(len(below), 'cell')} here: {cells}.")
    if facts.parts:
        lines.append(additivity(ours, facts))
    chance = facts.n_published * 0.05
    lines.append(f"The report makes {facts.n_published} tests; {chance:.1f} of them would fall below p = 0.05 by "
                 "chance if there were no effect at all. Holm-adjusted p-values stand beside the raw ones above"
                 f"{', over the cells of one figure, estimator and clustering' if 'p_holm' in reproduction else ''}.")
    return lines + [markdown_cell(line) for line in facts.context]


def additivity(ours: pd.DataFrame, facts: Facts) -> str:
    """Return whether the parts' effects add up to the total's, by both estimators, over treatments and samples.

    Counts of the parts add up to the total's, so the coefficients of an estimator linear in the outcome must;
    they are said to add up if the gap is below a millionth of the total in every cell.
    """
    sentences = [f"Counts of {listed(facts.outcomes[part] for part in facts.parts)} add up to those of "
                 f"{facts.outcomes[facts.total]}."]
    first = ours[ours["cluster"] == next(iter(facts.clusters))]
    for estimator in (facts.other_estimator, facts.estimator):
        wide = first[first["estimator"] == estimator].pivot_table(
            index=["treatment", "sample"], columns="indicator", values="estimate", sort=False)
        needed = [facts.total, *facts.parts]
        if wide.empty or not set(needed) <= set(wide.columns):
            sentences.append(f"By {estimator_name(estimator)} the check was not possible: not every part is estimated.")
            continue
        wide = wide[needed].dropna()
        gap = (wide[facts.total] - wide[list(facts.parts)].sum(axis=1)).abs()
        row = wide.iloc[0]
        added = row[list(facts.parts)]
        shown = f"{' + '.join(number(value, 2) for value in added)} = {number(added.sum(), 2)}"
        holds = bool((gap <= 1e-6 * wide[facts.total].abs()).all())
        largest = "below a millionth of the total" if holds else number(gap.max(), 2)
        sentences.append(f"By {estimator_name(estimator)} the effects {'add' if holds else 'do not add'} up: "
                         f"{shown}, the total's is {number(row[facts.total], 2)} (largest gap of "
                         f"{plural(len(wide), 'cell')}: {largest}).")
    return " ".join(sentences)
