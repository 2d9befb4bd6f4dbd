"""The page of one family of outcomes in Markdown, made from the tables of the stages by fixed wording rules.

Every number comes from the tables passed in, or is a printed fact passed in `Facts`; nothing is estimated here.
No result is called significant: estimate, interval, p-value and counts are given, and where zero lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import pandas as pd

from did.errors import DidError
from did.estimators import entry
from did.report.content.facts import (
    PERIODS,
    Facts,
    Front,
    estimator_name,
    few_treated_note,
    only,
    rests_on_few,
    select,
    tests_of,
)
from did.report.content.identities import additivity, sum_to_zero
from did.report.content.lead import how_to_read, leads
from did.report.content.notes import caveat
from did.report.content.staggered_text import dose_sentence, intensity_table, staggered_section
from did.report.content.summary_tables import (
    area_audit_table,
    beside_table,
    comparison_table,
    f_test_text,
    slope_text,
    specifications_table,
    trend_tests_table,
    years_table,
)
from did.words import (
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

# Share of true nulls that a test at 5% rejects if it is right.
NOMINAL = 0.05


def summary_markdown(
    *,
    facts: Facts,
    reproduction: pd.DataFrame,
    estimates: pd.DataFrame,
    diagnostics: pd.DataFrame,
    area_audit: pd.DataFrame,
    specifications: pd.DataFrame,
    headline: pd.DataFrame,
) -> str:
    """Return the page of one family as Markdown text, ending in one line break.

    ``reproduction`` holds one row per published claim and cluster level; ``estimates``, ``diagnostics``,
    ``area_audit``, ``specifications`` and ``headline`` are those tables; rows of indicators that are not in
    ``facts.outcomes`` are left aside.
    The specification of ``facts`` is reported; the named ``specifications`` are listed for the headline outcome.
    Without claims on the family the page has no comparison. If any row used is synthetic, the page begins by saying so.
    Texts from the tables are escaped, so that none can break the page.

    Raises DidError if the headline outcome has no estimate by the published estimator, or a table lacks the
    specification.
    """
    reproduction, estimates, diagnostics, area_audit, specifications, headline = (
        table[table["indicator"].isin(list(facts.outcomes))]
        for table in (reproduction, estimates, diagnostics, area_audit, specifications, headline))
    overall = estimates[estimates["estimand"].eq("overall") & estimates["cluster"].isin(list(facts.clusters))]
    ours = select(overall, specification=facts.specification)
    rows = reported(reproduction, facts)
    synthetic = any(bool(table["is_synthetic"].any())
                    for table in (reproduction, estimates, diagnostics, area_audit, specifications, headline))
    fates = area_audit_table(area_audit, facts)
    leading = leads(facts, estimates, diagnostics, headline)
    return rendered(
        "summary.md.j2",
        facts=facts,
        synthetic=synthetic,
        period=f"{period_name(facts.first)} to {period_name(facts.last)}",
        onset=period_name(facts.onset),
        leads=leading,
        how_to_read=how_to_read(leading),
        overview=overview(ours, facts),
        trend=trend_sentence(diagnostics, facts),
        answers=[answer(ours, facts, rows, treatment) for treatment in facts.treatments
                 if ((ours["treatment"] == treatment) & (ours["indicator"] == facts.total)).any()],
        cells=cells_sentence(rows, facts) if len(rows) else "",
        comparison=markdown_table(comparison_table(rows, facts), right=["Ours", "N"]) if len(rows) else "",
        agreement=agreement_sentence(rows, facts) if len(rows) else "",
        few=few_treated_note(ours["few_treated"], facts.units),
        few_words=few_treated_note([True], facts.units),
        alongside=markdown_table(beside_table(ours, facts)),
        specifications=specifications_table(specifications, facts),
        years=years_table(estimates, facts),
        staggered=staggered_section(estimates, rows, diagnostics, facts),
        intensity=intensity_table(ours, facts),
        dose=dose_sentence(facts),
        tests=markdown_table(trend_tests_table(diagnostics, facts)),
        notes=test_notes(diagnostics, facts),
        data_facts=data_facts(ours, facts),
        caveats=facts.caveats,
        area_audit=markdown_table(fates, right=["Areas", "Total"]),
        has_totals="Total" in fates,
        printed=printed_facts(rows, ours, facts),
        estimator=estimator_name(facts.estimator),
        other=estimator_name(facts.other_estimator),
        measure=facts.measure[:1].upper() + facts.measure[1:],
        direction=direction_sentence(facts),
        period_word=PERIODS[facts.frequency],
    )


def rendered(template: str, **values: object) -> str:
    """Return a page of the templates folder as text ending in one line break; the filter ``cell`` escapes."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("did.report", "templates"), trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False,
                                     keep_trailing_newline=True)
    environment.filters["cell"] = markdown_cell
    return environment.get_template(template).render(**values).rstrip("\n") + "\n"


def reported(reproduction: pd.DataFrame, facts: Facts | Front) -> pd.DataFrame:
    """Return the rows of the reported specification and cluster levels; DidError if there are claims but no such
    row."""
    rows = reproduction[reproduction["specification"].eq(facts.specification)
                        & reproduction["cluster"].isin(list(facts.clusters))]
    if rows.empty and len(reproduction):
        raise DidError(f"reproduction table: expected rows of specification '{facts.specification}'; found "
                       f"{listed(sorted(set(reproduction['specification'])))}; run the reproduce stage again")
    return rows


def direction_sentence(facts: Facts) -> str:
    """Return for which outcomes a positive effect is the better or the worse; "" if no direction is known."""
    groups: dict[str, list[str]] = {}
    for indicator, outcome in facts.outcomes.items():
        groups.setdefault(facts.directions.get(indicator, "none"), []).append(outcome)
    words = {"higher_better": "better", "lower_better": "worse"}
    if len(groups) == 1:
        word = words.get(next(iter(groups)))
        return f"A positive effect is the {word} outcome." if word else ""
    words["none"] = "neither"
    parts = [f"{words[key]} for {listed(groups[key])}" for key in words if key in groups]
    return f"A positive effect is {'; '.join(parts)}."


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

    Counted over both estimators, all treatments and all samples of the reported specification.
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
    rows = [only(diagnostics[diagnostics["specification"].eq(facts.specification)], indicator=facts.total,
                  sample=next(iter(facts.samples)), diagnostic="linear_pretrend",
                  treatment=next(iter(facts.treatments)), cluster=cluster) for cluster in facts.clusters]
    tests = [(row, name) for row, name in zip(rows, facts.clusters.values(), strict=True)
             if row is not None and row["status"] == "done"]
    if not tests:
        return ""
    slope = tests[0][0]
    named = [entry(name) for name in dict.fromkeys([facts.estimator, facts.other_estimator]) if name]
    other = "".join(f"; {each.running} assumes instead that {each.words.instead.format(units=facts.units)}"
                    for each in named if each.words.instead)
    return (f"Before {period_name(facts.onset)} the slope of the treated {facts.units} differed from that of the "
            f"comparison {facts.units} by {slope_text(slope)} {facts.effect_unit}, per {PERIODS[facts.frequency]} "
            f"({listed(f'{f_test_text(row)} clustered {name}' for row, name in tests)}). Difference-in-differences "
            f"assumes no such difference{other}.")


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
                       f"{sample}) under specification '{facts.specification}'; found none; run the fit stage for it")
    row = rows[0]
    claim = only(reproduction, **cell, estimator=facts.estimator, cluster=next(iter(facts.clusters)))
    value = None if claim is None or pd.isna(claim["published_value"]) else float(claim["published_value"])
    decimals = max(decimals_for(row["std_error"]), 0 if value is None else short_decimals(value))
    n_control = int(row["n_units"] - row["n_treated"])
    size = (f"{number(abs(row['estimate']), decimals)} {facts.effect_unit} "
            f"{'higher' if row['estimate'] >= 0 else 'lower'}")
    whom = entry(facts.estimator).words.whom.format(units=facts.units)
    head = (f"**{facts.treatments[treatment]} treatment, {facts.samples[sample]}.** From "
            f"{period_name(facts.onset)} on, the outcome of the {count(row['n_treated'])} treated {facts.units} was "
            f"{size}"
            f"{'' if treatment == 'binary' else f', for each {facts.dose},'} {whom} "
            f"({count(n_control)} comparison {facts.units}; {estimator_name(facts.estimator)}; "
            f"N = {count(row['n_obs'])}).")
    sentences = [head, f"{_intervals(rows, facts, decimals)}. {where_zero_lies(rows, facts)}"]
    if value is not None:
        inside = [facts.clusters[row["cluster"]] for row in rows if row["ci_low"] <= value <= row["ci_high"]]
        sentences.append(f"The report prints {number(value, short_decimals(value), signed=True)}: ours differs by "
                         f"{number(row['estimate'] - value, decimals, signed=True)}, and the printed value is "
                         + (f"inside the interval clustered {' and '.join(inside)}." if inside
                            else "outside the interval."))
    if rests_on_few(row["few_treated"]):
        sentences.append(f"The estimate {markdown_cell(row['note'])}.")
    others = [only(ours, **cell, estimator=facts.other_estimator, cluster=cluster) for cluster in facts.clusters]
    others = [other for other in others if other is not None and facts.other_estimator != facts.estimator]
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


def cells_sentence(rows: pd.DataFrame, facts: Facts | Front) -> str:
    """Return how many of the published cells have an interval that leaves out zero, raw and adjusted.

    Cells that could not be run are not counted.
    """
    rows = rows[rows["estimate"].notna()]
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
    if not parts:
        return ""
    return (f"Of the {rows['claim'].nunique()} published cells estimated here, our 95% interval leaves out zero, "
            f"{listed(parts)}.")


def agreement_sentence(rows: pd.DataFrame, facts: Facts | Front) -> str:
    """Return how many printed facts of each kind agree, errors clustered as published (the first level)."""
    rows = rows[rows["cluster"] == next(iter(facts.clusters))]
    parts = []
    for column, name in (("value", "values (to the digits printed)"), ("sign", "signs"),
                         ("significance", "statements of significance"), ("n", "numbers of observations")):
        stated = rows[rows[f"{column}_agrees"].isin(["yes", "no"])]
        if len(stated):
            parts.append(f"{int(stated[f'{column}_agrees'].eq('yes').sum())} of {len(stated)} {name}")
    sentences = []
    if parts:
        sentences.append(f"With errors clustered {next(iter(facts.clusters.values()))}, as published, we agree with "
                         f"{listed(parts)}.")
    nothing, lost = (int(rows["status"].eq(status).sum()) for status in ("not printed", "cannot run"))
    if nothing:
        sentences.append(f"Of {plural(nothing, 'cell')} the report states no value, sign or significance.")
    if lost:
        sentences.append(f"{plural(lost, 'cell')} cannot be run with the files at hand.")
    return " ".join(sentences)


def test_notes(diagnostics: pd.DataFrame, facts: Facts) -> list[str]:
    """Return why tests of the trends table were skipped, and the caveats of those done, with how many each concerns."""
    rows = diagnostics[
        diagnostics["specification"].eq(facts.specification)
        & diagnostics["diagnostic"].isin(list(tests_of(facts)))
        & diagnostics["treatment"].eq(next(iter(facts.treatments)))
    ]
    rows = rows.assign(why=[caveat(row) for row in rows.to_dict("records")])
    return [f"{tests_of(facts)[test]}, {plural(len(group), 'test')} {status}: {markdown_cell(why)}."
            for (test, status, why), group in rows[rows["why"] != ""].groupby(["diagnostic", "status", "why"])]


def data_facts(ours: pd.DataFrame, facts: Facts) -> str:
    """Return the size of the panel and of its post-onset part, from the estimates' own counts.

    The estimator on most rows uses the whole panel; another on fewer rows uses those from onset on.
    """
    cell = {"indicator": facts.total, "treatment": next(iter(facts.treatments)),
            "sample": next(iter(facts.samples)), "cluster": next(iter(facts.clusters))}
    rows = [only(ours, **cell, estimator=name)
            for name in dict.fromkeys([facts.estimator, facts.other_estimator])]
    rows = sorted((row for row in rows if row is not None), key=lambda row: row["n_obs"])
    whole = rows[-1]
    n_periods = pd.Period(facts.last).ordinal - pd.Period(facts.first).ordinal + 1
    n_later = pd.Period(facts.last).ordinal - pd.Period(facts.onset).ordinal + 1
    text = f"{count(whole['n_units'])} {facts.units} and {plural(n_periods, PERIODS[facts.frequency])}"
    if len(rows) > 1:
        cells = int(whole["n_units"]) * n_periods
        missing = cells - int(whole["n_obs"])
        text += f": {count(whole['n_obs'])} rows" + (", none missing" if not missing else
                                                    f" of {count(cells)}, {count(missing)} missing")
    text += f". {plural(n_later, PERIODS[facts.frequency])} from onset on"
    return text + (f", {count(rows[0]['n_obs'])} rows." if len(rows) > 1 else ".")


def printed_facts(reproduction: pd.DataFrame, ours: pd.DataFrame, facts: Facts) -> list[str]:
    """Return the facts a reader of the results must have, numbers from the tables, then those of ``context``."""
    lines = [] if reproduction.empty else claim_facts(reproduction, facts)
    if facts.parts:
        lines.append(additivity(ours, facts))
    if facts.sum_to_zero:
        lines.append(sum_to_zero(ours, facts))
    return lines + [markdown_cell(line) for line in facts.context]


def claim_facts(reproduction: pd.DataFrame, facts: Facts | Front) -> list[str]:
    """Return what must be known of the claims: how many are numbers, where they differ from the report's
    conclusion, and how many tests there are."""
    claims = reproduction.drop_duplicates("claim")
    printed = claims[claims["published_value"].notna()]
    here = "" if len(claims) == facts.n_published else f", {len(printed)} of the {len(claims)} here"
    named = f" ({listed(printed['claim'])})" if len(printed) else ""
    lines = [f"The report prints {facts.n_published_numbers} of its {facts.n_published} coefficients as numbers"
             f"{here}{named}. The rest can be compared on sign and significance only, or not at all."]
    bands = claims["published_significance"].fillna("").str.replace(" ", "")
    below = claims[bands.str.startswith("p<")]
    if facts.published_conclusion and len(below):
        cells = listed(f"{facts.outcomes.get(row.indicator, row.outcome)}, "
                       f"{facts.treatments.get(row.treatment, row.treatment).lower()}, "
                       f"{facts.samples.get(row.sample, row.sample)} "
                       f"(p < {row.published_significance.partition('<')[2].strip()})" for row in below.itertuples())
        lines.append(f"The report concludes \"{facts.published_conclusion}\", and prints otherwise for "
                     f"{plural(len(below), 'cell')}{'' if not here else ' here'}: {cells}.")
    lines += filter(None, [_by_chance(claims, facts)])
    if "p_holm" in reproduction:
        lines.append(
            "Holm-adjusted p-values stand alongside the raw ones"
            f"{' on the page of each family' if isinstance(facts, Front) else ''}, over the cells of one family, "
            "estimator and clustering. They rest on the p-value of the headline interval where an estimate has one, "
            "and otherwise on the clustered one, which may be too small.")
    return lines


def _by_chance(claims: pd.DataFrame, facts: Facts | Front) -> str:
    """How many tests reject though nothing is there: by the measured size of their methods, 5% where it is not known.

    ``claims``: one row per claim of the reproduction table. Those without a test of ours do not count; "" without any.
    """
    claims = claims[claims["p_tested"].notna()]
    if claims.empty:
        return ""
    tests, sizes = len(claims), claims["p_size"].dropna()
    chance = sizes.sum() + NOMINAL * (tests - len(sizes))
    how = (f"counting {NOMINAL:.0%} of each, since the size of none was measured" if sizes.empty else
           f"counting the measured size of the method for {len(sizes)} of them ({100 * sizes.mean():.1f}% on average)"
           + (f" and {NOMINAL:.0%} for the others, whose size was not measured" if len(sizes) < tests else ""))
    here = "" if tests == facts.n_published else f", {tests} of them here"
    return (f"The report makes {facts.n_published} tests{here}. If there were no effect at all, {chance:.1f} of ours "
            f"for {'them' if not here else 'these'} would fall below p = 0.05 by chance, {how}.")
