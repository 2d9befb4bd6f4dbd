"""The page "Is it real?" of one family in Markdown, made from the tables of the stages by fixed wording rules.

An estimate survives a check if its 95% interval there leaves out zero on the side of the number that is checked: what
was printed for the headline outcome or, where nothing was, the reported estimate. Nothing is called significant, and
no check is preferred: every one has its number alongside it.
"""

from __future__ import annotations

import pandas as pd

from did.report.content.assumption_text import assumption_lines
from did.report.content.facts import PERIODS, Facts, estimator_name, only
from did.report.content.notes import CAVEATS, CONDITIONS
from did.report.content.robustness_rows import FEW_CLUSTERS, alternatives, leaves_out_zero
from did.report.content.robustness_tables import (
    bounds_table,
    counts_table,
    decimals_of,
    detectable_table,
    kept,
    listed_groups,
    named,
    outcomes_table,
    parts_table,
    skipped_lines,
)
from did.report.pages.summary import rendered, trend_sentence
from did.words import (
    count,
    decimals_for,
    interval,
    listed,
    markdown_cell,
    number,
    p_value,
    plural,
    short_decimals,
    singular,
)

# Methods of bounds -> what no deviation means, and what a deviation is measured in.
DEVIATIONS = {
    "relative_magnitudes": ("even if trends are parallel", "times the largest deviation before onset"),
    "smoothness": ("even if a difference in trends only goes on in a straight line",
                   "units of the outcome of change in slope"),
}
LEADS = ("joint_leads", "imputation_leads", "group_time_pretest")


def robustness_markdown(*, facts: Facts, reproduction: pd.DataFrame, estimates: pd.DataFrame,
                        diagnostics: pd.DataFrame, specifications: pd.DataFrame, headline: pd.DataFrame) -> str:
    """Return the page of one family as Markdown text, ending in one line break.

    The tables are those of the stages, of any indicators; the page is about the headline outcome of ``facts``, binary
    treatment and first sample, and has one table on every outcome of the family. If any row used is synthetic the
    page begins by saying so. Texts from the tables are escaped. Raises DidError if the headline outcome has no estimate
    by the published estimator.
    """
    reproduction, estimates, diagnostics, specifications = (
        table[table["indicator"].isin(list(facts.outcomes))]
        for table in (reproduction, estimates, diagnostics, specifications))
    rows = alternatives(
        indicator=facts.total,
        estimates=estimates,
        diagnostics=diagnostics,
        specifications=specifications,
        specification=facts.specification,
        estimators=list(dict.fromkeys([facts.estimator, facts.other_estimator])),
        samples=list(facts.samples),
        treatment=next(iter(facts.treatments)),
    )
    rows = rows[rows["cluster"].isin(list(facts.clusters))]
    published = printed(reproduction, facts)
    sign = published if published else rows.loc[rows["estimator"].eq(facts.estimator), "estimate"].iloc[0]
    about = diagnostics[diagnostics["indicator"].eq(facts.total)]
    sample = next(iter(facts.samples))
    own = about[about["specification"].eq(facts.specification) & about["sample"].eq(sample)]
    leading = headline[headline["indicator"].eq(facts.total) & headline["specification"].eq(facts.specification)
                       & headline["sample"].eq(sample)]
    binary = own[own["treatment"].eq(next(iter(facts.treatments)))]
    return rendered(
        "robustness.md.j2",
        facts=facts,
        outcome=facts.outcomes[facts.total],
        synthetic=any(bool(table["is_synthetic"].any()) for table in (estimates, diagnostics, specifications)),
        treatment=next(iter(facts.treatments.values())).lower(),
        sample=next(iter(facts.samples.values())),
        estimator=estimator_name(facts.estimator),
        checked=checked(rows, facts, published),
        side=side(sign),
        answers=answers(rows, facts, sign),
        bounds_said=bounds_sentences(binary, facts, sign),
        counts=counts_table(rows, facts, sign),
        groups=listed_groups(rows, facts),
        trend=trend_sentence(diagnostics, facts),
        pretrends=pretrend_lines(about, facts),
        assumptions=[markdown_cell(line) for line in assumption_lines(binary, facts)],
        bounds=bounds_table(binary, facts),
        detectable=detectable_table(own, leading, facts),
        parts=parts_table(diagnostics, facts),
        outcomes=outcomes_table(estimates, diagnostics, facts),
        skipped=skipped_lines(diagnostics, specifications, facts),
    )


def printed(reproduction: pd.DataFrame, facts: Facts) -> float | None:
    """Return the number printed for the headline outcome by the published estimator, None if there is none."""
    claim = only(
        reproduction,
        indicator=facts.total,
        treatment=next(iter(facts.treatments)),
        specification=facts.specification,
        sample=next(iter(facts.samples)),
        estimator=facts.estimator,
        estimand="overall",
        cluster=next(iter(facts.clusters)),
    )
    return None if claim is None or pd.isna(claim["published_value"]) else float(claim["published_value"])


def side(sign: float) -> str:
    """Return where an interval has to lie for the number that is checked."""
    return "above zero" if sign > 0 else "below zero" if sign < 0 else "on one side of zero"


def checked(rows: pd.DataFrame, facts: Facts, published: float | None) -> str:
    """Return which number is checked, and the reported estimate alongside it."""
    row = rows[rows["group"].eq("default") & rows["estimator"].eq(facts.estimator)].iloc[0]
    ours = f"{number(row['estimate'], decimals_for(row['std_error']))} {facts.effect_unit}"
    by = f"by {estimator_name(facts.estimator)}"
    if published is None:
        return f"No number was printed for this outcome: the estimate checked here is ours, {ours} {by}."
    return (f"What is checked is the printed {number(published, short_decimals(published), signed=True)}; ours is "
            f"{ours} {by}.")


def told(row: pd.Series, facts: Facts, sign: float) -> str:
    """Return one estimate with everything that belongs to it, and whether it survives."""
    decimals = decimals_of(row)
    if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]):
        verdict = "has no interval"
    else:
        verdict = "survives" if bool(leaves_out_zero(row.to_frame().T, sign).iloc[0]) else "does not survive"
    clusters = f"{facts.clusters[row['cluster']]} ({plural(int(row['n_clusters']), 'cluster')}"
    return (f"{named(row['estimator'], row['group'])} {number(row['estimate'], decimals)}, 95% interval "
            f"{interval(row['ci_low'], row['ci_high'], decimals)} ({p_value(row['p_value'])}) clustered {clusters}, "
            f"{count(row['n_treated_clusters'])} treated; {count(row['n_units'])} {facts.units}, "
            f"{count(row['n_treated'])} treated): {verdict}")


def answers(rows: pd.DataFrame, facts: Facts, sign: float) -> list[tuple[str, str]]:
    """Return (check, what came of it) for every check that was made, in a fixed order.

    ``rows`` as from ``alternatives``; ``sign`` says on which side of zero an interval has to lie.
    """
    done = rows[rows["status"].eq("done")]
    found = []
    for level, words in facts.clusters.items():
        own = done[done["group"].eq("default") & done["cluster"].eq(level)]
        found.append((f"Clustered {words}", _each(own, facts, sign)))
    for key, what in FEW_CLUSTERS.items():
        found.append((what, _each(done[done["group"].eq("few_clusters") & done["key"].eq(key)], facts, sign)))
    ours = done[done["estimator"].eq(facts.estimator)]
    systems = ours[ours["group"].eq("treated_systems")]
    found.append(("Without one treated system", _several(systems, facts, sign) + _of_note(systems, ours, facts, sign)))
    others = ours[ours["group"].eq("other_systems")]
    found.append(("Without one other system", _several(others, facts, sign) + _mover(others, ours, facts, sign)))
    years = ours[ours["group"].eq("years")]
    found.append(("Without one year", _several(years, facts, sign) + _mover(years, ours, facts, sign)))
    last = list(facts.clusters)[-1]
    for group in ("left_out", "controls"):
        for what, part in ours[ours["group"].eq(group)].groupby("what", sort=False):
            found.append((f"{what[:1].upper()}{what[1:]}", _each(part, facts, sign)))
    for name, group in (("Other specifications", "specifications"), ("Other specifications, combined", "combinations")):
        found.append((name, _several(ours[ours["group"].eq(group)], facts, sign)))
    staggered = done[done["group"].eq("staggered")]
    each = [f" {told(row, facts, sign)}." for _, row in staggered[staggered["cluster"].eq(last)].iterrows()]
    found.append(("Each wave from its own date", _several(staggered, facts, sign, "estimators") + "".join(each)))
    placebo = done[done["group"].eq("placebo")]
    found.append(("Placebo onsets", " ".join(
        _several(placebo[placebo["estimator"].eq(name)], facts, 0.0, "placebo onsets",
                 "intervals that leave out zero, where there is nothing to find")
        for name in dict.fromkeys([facts.estimator, facts.other_estimator]))))
    return [(check, markdown_cell(text.strip())) for check, text in found if text.strip()]


def _each(rows: pd.DataFrame, facts: Facts, sign: float) -> str:
    """Every row in words, the published estimator first."""
    ordered = rows.sort_values("estimator", key=lambda names: names.ne(facts.estimator), kind="stable")
    return " ".join(f"{told(row, facts, sign)}." for _, row in ordered.iterrows())


def _several(rows: pd.DataFrame, facts: Facts, sign: float, what: str = "estimates", verb: str = "survive") -> str:
    """``8 estimates by LDV, 23.2 to 69.4; 7 of 8 survive clustered by area, 4 of 8 by system.``"""
    if rows.empty:
        return ""
    decimals = decimals_for(rows["std_error"].median())
    n = len(rows.drop_duplicates(["what", "estimator"]))
    by = f" by {named(rows['estimator'].iloc[0])}" if rows["estimator"].nunique() == 1 else ""
    parts = [f"{kept(rows[rows['cluster'].eq(level)], sign)} clustered {words}"
             for level, words in facts.clusters.items() if rows["cluster"].eq(level).any()]
    low, high = rows["estimate"].min(), rows["estimate"].max()
    size = interval(low, high, decimals) if high > low else number(low, decimals)
    return f"{n} {singular(what) if n == 1 else what}{by}, {size}; {verb}: {listed(parts)}."


def _mover(rows: pd.DataFrame, ours: pd.DataFrame, facts: Facts, sign: float) -> str:
    """The row that moves the reported estimate most, clustered by the last level."""
    last = rows[rows["cluster"].eq(list(facts.clusters)[-1])]
    if last.empty:
        return ""
    reported = ours.loc[ours["group"].eq("default"), "estimate"].iloc[0]
    row = last.loc[(last["estimate"] - reported).abs().idxmax()]
    return f" The estimate moves most {row['what']}: {told(row, facts, sign)}."


def _of_note(systems: pd.DataFrame, ours: pd.DataFrame, facts: Facts, sign: float) -> str:
    """The treated system that moves the estimate most, and the one with most treated units."""
    text = _mover(systems, ours, facts, sign)
    last = systems[systems["cluster"].eq(list(facts.clusters)[-1])]
    if last.empty:
        return text
    row = last.loc[last["n_treated"].astype(int).idxmin()]
    everyone = int(ours.loc[ours["group"].eq("default"), "n_treated"].iloc[0])
    return (f"{text} Most treated {facts.units} ({everyone - int(row['n_treated'])} of {everyone}) are lost "
            f"{row['what']}: {told(row, facts, sign)}.")


def pretrend_lines(diagnostics: pd.DataFrame, facts: Facts) -> list[str]:
    """Return what the tests before onset say, one line each: leads, equivalence, power, wild bootstrap, the rule."""
    sample, treatment = next(iter(facts.samples)), next(iter(facts.treatments))
    own = diagnostics[diagnostics["sample"].eq(sample) & diagnostics["treatment"].eq(treatment)]
    found = [*_joint_lines(own, facts), *_equivalence_lines(own, facts), *_power_lines(own, facts)]
    wild = own[own["diagnostic"].eq("wild_bootstrap_event") & own["status"].eq("done")]
    if len(wild):
        before, after = wild[wild["event_time"] < 0], wild[wild["event_time"] >= 0]
        found.append(f"Event study, wild bootstrap by {wild['cluster'].iloc[0]}: the intervals of "
                     f"{kept(before, 0.0) or 'no'} coefficients before onset leave out zero, and of "
                     f"{kept(after, 0.0) or 'no'} from onset on.")
    for row in own[own["diagnostic"].eq("recommendation")].to_dict("records"):
        found.append(f"A rule for choosing an estimator by this test, recorded and never a switch: {row['reason']}.")
    found += _bracket_lines(own, facts)
    return [markdown_cell(line) for line in found]


def _bracket_lines(own: pd.DataFrame, facts: Facts) -> list[str]:
    """Whether the two estimators bracket the effect, at the last cluster level that has an answer."""
    rows = own[own["diagnostic"].eq("bracketing") & own["status"].eq("done")]
    rows = rows[rows["cluster"].isin(list(facts.clusters))]
    rows = rows[rows["cluster"].eq(rows["cluster"].iloc[-1])] if len(rows) else rows
    parts = {variant: part.iloc[0] for variant, part in rows.groupby("variant") if variant != "bracket_slope_third"}
    if set(parts) != {"bracket_slope", "bracket_order", "bracket"}:
        return []
    slope, order, both = parts["bracket_slope"], parts["bracket_order"], parts["bracket"]
    return [f"Do difference-in-differences and the lagged dependent variable bracket the effect? Outcomes after onset "
            f"must rise by less than one for one with those before: {CONDITIONS[slope['condition']]} (slope "
            f"{number(slope['value'], 2)}, {interval(slope['ci_low'], slope['ci_high'], 2)}). The treated must lie on "
            f"one side before onset: {CONDITIONS[order['condition']]}. Both together, and the slope within thirds: "
            f"{CONDITIONS[both['condition']]} (clustered {facts.clusters[slope['cluster']]})."]


def _joint_lines(own: pd.DataFrame, facts: Facts) -> list[str]:
    """One line per joint test of leads that was made, by cluster level."""
    lines = []
    tests = own[own["diagnostic"].str.startswith(LEADS) & own["status"].eq("done")]
    for name, rows in tests.groupby("diagnostic", sort=False):
        parts = [f"{_statistic(row)}, {p_value(row['p_value'])} clustered {facts.clusters[row['cluster']]}"
                 f"{_few(row['caveat'])}" for row in rows.to_dict("records") if row["cluster"] in facts.clusters]
        lines.append(f"All leads are zero ({name.replace('_', ' ')}): {listed(parts)}.")
    return lines


def _statistic(row: dict) -> str:
    if pd.isna(row["df_denominator"]):
        return f"statistic {number(row['statistic'], 2)}"
    return f"F({row['df']:g}, {row['df_denominator']:g}) = {number(row['statistic'], 2)}"


def _few(code: str) -> str:
    """What a diagnostic says of its few treated clusters."""
    return f" ({CAVEATS[code]})" if code else ""


def _values(own: pd.DataFrame, start: str, cluster: str) -> float | None:
    """The value of the diagnostic of this name, with or without an ending for bins; None if it was not made."""
    rows = own[own["diagnostic"].str.fullmatch(rf"{start}(_bin_\d+)?") & own["cluster"].eq(cluster)
               & own["status"].eq("done")]
    return None if rows.empty else float(rows["value"].iloc[0])


def _equivalence_lines(own: pd.DataFrame, facts: Facts) -> list[str]:
    lines = []
    for level, words in facts.clusters.items():
        largest, margin = (_values(own, name, level) for name in ("leads_maximum", "equivalence_smallest_margin"))
        if largest is None or margin is None:
            continue
        effect = own[own["diagnostic"].str.startswith("equivalence_effect") & own["cluster"].eq(level)
                     & own["status"].eq("done")]
        decimals = decimals_for(margin / 10)
        text = (f"Equivalence, clustered {words}: the largest lead is {number(largest, decimals)} {facts.effect_unit}; "
                f"{number(margin, decimals)} is the smallest margin within which all leads are shown to lie")
        for row in effect.to_dict("records"):
            text += (f"; within the size of the event study's average effect, {number(abs(row['value']), decimals)}: "
                     f"{p_value(row['p_value'])}")
        lines.append(f"{text}.")
    return lines


def _power_lines(own: pd.DataFrame, facts: Facts) -> list[str]:
    """What slope a test of the leads would find with 50% and 80% probability, and the bias it would let through."""
    lines = []
    for level, words in facts.clusters.items():
        parts = []
        for power in (50, 80):
            slope, bias, passed = (_values(own, f"pretest_{kind}_{power}", level)
                                   for kind in ("slope", "bias", "bias_passed"))
            if slope is None:
                continue
            let = f", {number(passed, decimals_for(passed / 10))} if the test is passed" if passed else ""
            through = "" if bias is None else (f", which alone would give an average effect of "
                                               f"{number(bias, decimals_for(abs(bias) / 10))}{let}")
            parts.append(f"with {power}% probability a slope of {number(slope, decimals_for(abs(slope) / 10))} "
                         f"{facts.effect_unit}, per {PERIODS[facts.frequency]}{through}")
        size = _values(own, "pretest_size", level)
        if parts:
            lines.append(f"Power of a test that no lead is 1.96 errors from zero, clustered {words}: it finds "
                         f"{'; '.join(parts)}." + ("" if size is None else
                                                   f" Without any trend it finds one in {100 * size:.0f}% of samples."))
    return lines


def bounds_sentences(own: pd.DataFrame, facts: Facts, sign: float) -> list[str]:
    """Return, per method and target, the interval without a deviation, where it lies, and up to which deviation.

    ``own`` are the diagnostics of the headline outcome, reported specification, first sample and treatment; ``sign`` is
    the side that is checked. With one effect after onset the average is the first period, and is said once.
    """
    lines = []
    for method, (none, scale) in DEVIATIONS.items():
        rows = own[own["diagnostic"].eq(f"sensitivity_{method}") & own["status"].eq("done")]
        done: list[dict] = []
        for target, name in (("average", "average from onset"), ("first", "first period")):
            said: dict[str, list[str]] = {}
            for level, words in facts.clusters.items():
                here = rows[rows["target"].eq(target) & rows["cluster"].eq(level)]
                row, broken = only(here, is_breakdown=False, bound_m=0.0), only(here, is_breakdown=True)
                if row is not None and broken is not None:
                    said.setdefault(_where(row, broken["value"], none, scale, sign), []).append(
                        f"{interval(row['ci_low'], row['ci_high'], decimals_of(row))} clustered {words}{_of(row)}")
            if said not in done:
                done.append(said)
                lines += [f"{method.replace('_', ' ').capitalize()}, {name}: the 95% interval {verdict} "
                          f"({listed(spans)})." for verdict, spans in said.items()]
    return lines


def _where(row: pd.Series, breakdown: float, none: str, scale: str, sign: float) -> str:
    """Where an interval without a deviation lies, and up to which deviation it does."""
    if row["ci_low"] <= 0 <= row["ci_high"]:
        return f"includes zero {none}"
    above = row["ci_low"] > 0
    how_far = "at every size tried" if pd.isna(breakdown) else f"up to {breakdown:.3g} {scale}"
    other = " (not the side that is checked)" if sign and above != (sign > 0) else ""
    return f"lies {'above' if above else 'below'} zero{other} {none}, and leaves it out {how_far}"


def _of(row: pd.Series) -> str:
    """On how many clusters a bound rests, as its row says: ``, 8 treated of 42 clusters``."""
    if pd.isna(row["n_clusters"]):
        return ""
    return f", {row['n_treated_clusters']:.0f} treated of {row['n_clusters']:.0f} clusters"
