"""What a page says of the headline outcome with each wave treated from its own date, and of the dose, by fixed rules.

Every number is read from the tables. No result is called significant; what is said of agreement follows from where
intervals lie, and what is said of the time before treatment from p-values below `LEVEL`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from did.estimators import entries
from did.estimators.decomposition import ALREADY_TREATED_CONTROLS
from did.estimators.registry import TWO_WAY
from did.report.content.facts import (
    DAGGER,
    PERIODS,
    Facts,
    averaged_by,
    estimator_name,
    only,
    own_dates_names,
    rests_on_few,
)
from did.report.content.notes import caveat, change, few_treated, remarks
from did.report.content.summary_tables import f_test_text
from did.words import (
    count,
    decimals_for,
    interval,
    listed,
    markdown_cell,
    markdown_table,
    number,
    period_name,
    plural,
    short_decimals,
)

LEVEL = 0.05
INTENSITY = {"binary": "Binary: treated or not", "intensity": "Dose \N{MULTIPLICATION SIGN} post",
             "intensity_within_treated": "Dose, among the treated only"}
DOSE_ASSUMES = (
    "An effect for each step of the dose supposes that every step has the same effect, and that {units} of high and "
    "low dose would have gone on alike. Dose \N{MULTIPLICATION SIGN} post counts the untreated as {units} of dose "
    "zero; among the treated only, none of the untreated {units} enter.")


def staggered_section(estimates: pd.DataFrame, reproduction: pd.DataFrame, diagnostics: pd.DataFrame,
                      facts: Facts) -> dict[str, object]:
    """Return what the section on each wave's own date holds; its ``table`` is "" without such estimates.

    ``table`` and ``others`` are Markdown tables; ``waves`` and ``calendar`` map the estimators that give such effects
    to theirs; ``notes``, ``agreement``, ``before``, ``base`` and ``decomposition`` are sentences; ``is_mean`` says
    whether the calendar table holds means, ``few`` whether an estimate shown rests on few treated units.
    ``reproduction`` are the claims under the reported specification; ``estimates`` and ``diagnostics`` those tables.
    """
    rows = _first_cell(estimates, facts)
    own = rows[rows["specification"].eq(facts.staggered)]
    shown = own[own["estimand"].isin(["overall", "cohort", "calendar"])]
    return {
        "table": estimators_table(own, facts),
        "notes": estimator_notes(own),
        "agreement": agreement(own, reproduction, facts),
        "before": before_treatment(own, diagnostics, facts),
        "decomposition": decomposition_sentence(diagnostics, facts),
        "waves": _by_estimator(waves_table, own, facts),
        "calendar": _by_estimator(calendar_table, own, facts),
        "base": " ".join(filter(None, [base_sentence(own, facts), base_period_sentence(diagnostics, facts)])),
        "is_mean": facts.frequency != "Y",
        "others": other_specifications_table(rows, facts),
        "few": bool(shown["few_treated"].any()),
    }


def _first_cell(estimates: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Rows of the headline outcome, first treatment and sample, at the page's levels of clustering."""
    return estimates[estimates["indicator"].eq(facts.total) & estimates["cluster"].isin(list(facts.clusters))
                     & estimates["treatment"].eq(next(iter(facts.treatments)))
                     & estimates["sample"].eq(next(iter(facts.samples)))]


def effect_cells(rows: pd.DataFrame, facts: Facts, name: str = "Average effect") -> dict[str, str]:
    """Return the cells of one estimate: it (with the dagger where few are treated), each interval, the counts.

    ``rows`` holds the estimate once for every level of clustering; an empty frame gives no cells.
    """
    found = {cluster: only(rows, cluster=cluster) for cluster in facts.clusters}
    found = {cluster: row for cluster, row in found.items() if row is not None}
    if not found:
        return {}
    first = next(iter(found.values()))
    decimals = decimals_for(first["std_error"])
    few = DAGGER if any(rests_on_few(row["few_treated"]) for row in found.values()) else ""
    line = {name: number(first["estimate"], decimals) + few}
    line |= {f"95% {facts.clusters[cluster]}": interval(row["ci_low"], row["ci_high"], decimals)
             for cluster, row in found.items()}
    line[f"{facts.units.capitalize()} (treated)"] = f"{count(first['n_units'])} ({count(first['n_treated'])})"
    return line | {f"Treated {cluster}s": count(row["n_treated_clusters"])
                   for cluster, row in found.items() if cluster != "unit"}


def estimators_table(own: pd.DataFrame, facts: Facts) -> str:
    """Return the average effect by every staggered estimator as a Markdown table; "" if there is none."""
    overall = own[own["estimand"].eq("overall")]
    lines = [{"Estimator": name} | effect_cells(overall[overall["estimator"].eq(estimator)], facts)
             for estimator, name in own_dates_names().items() if overall["estimator"].eq(estimator).any()]
    return markdown_table(pd.DataFrame(lines), right=["Average effect"]) if lines else ""


def estimator_notes(own: pd.DataFrame) -> str:
    """Return what the estimates table notes on some averages and not on all, ``Stacked: mean of ...``; or ""."""
    overall = own[own["estimand"].eq("overall")]
    called = own_dates_names()
    notes = {called[name]: dict.fromkeys(part for row in group.to_dict("records") for part in remarks(row["note"])
                                         if part != few_treated(row))
             for name, group in overall.groupby("estimator") if name in called}
    own_notes = {name: [part for part in notes[name] if not all(part in others for others in notes.values())]
                 for name in called.values() if name in notes}
    return " ".join(f"{name}: {markdown_cell('; '.join(parts))}." for name, parts in own_notes.items() if parts)


def other_specifications_table(rows: pd.DataFrame, facts: Facts) -> str:
    """Return the averages under the other specifications with dates of their own, as a Markdown table; "" if none."""
    overall = rows[rows["estimand"].eq("overall") & rows["estimator"].isin(list(own_dates_names()))]
    robust = overall[~overall["estimator"].eq(TWO_WAY)]
    lines = [
        {"Specification": specification, "Estimator": name}
        | effect_cells(overall[overall["specification"].eq(specification) & overall["estimator"].eq(estimator)], facts)
        for specification in dict.fromkeys(robust["specification"])
        if specification not in (facts.staggered, facts.specification)
        for estimator, name in own_dates_names().items()
        if (overall["specification"].eq(specification) & overall["estimator"].eq(estimator)).any()
    ]
    return markdown_table(pd.DataFrame(lines), right=["Average effect"]) if lines else ""


def agreement(own: pd.DataFrame, reproduction: pd.DataFrame, facts: Facts) -> str:
    """Say whether the printed number, the two-way estimate and the others agree, by the last level of clustering.

    They agree if every interval holds the printed number (where there is one) and overlaps that of two-way fixed
    effects, all estimates lie on one side of zero, and the intervals all leave out zero or all hold it. What they do
    not agree on is named. "" with fewer than two estimates.
    """
    cluster, clustered = list(facts.clusters.items())[-1]
    overall = own[own["estimand"].eq("overall") & own["cluster"].eq(cluster) & own["estimate"].notna()]
    rows = {name: only(overall, estimator=name) for name in own_dates_names()}
    rows = {name: row for name, row in rows.items() if row is not None}
    if len(rows) < 2:
        return ""
    value = _published(reproduction, facts)
    found = [_beside_printed(rows, value, clustered, facts), _beside_two_way(rows), _signs(rows, value)]
    who = (["the printed number"] * (value is not None) + ["the two-way estimate"] * (TWO_WAY in rows)
           + ["the staggered ones"])
    differ = [on for _, failed in found for on in failed]
    verdict = f"do not all agree (on {listed(differ)})" if differ else "agree"
    return (f"{' '.join(sentence for sentence, _ in found if sentence)} **By these rules {listed(who)} {verdict}**; "
            "they are made from the same data, so that intervals which overlap do not show effects to be equal.")


def _beside_printed(rows: dict[str, pd.Series], value: float | None, clustered: str,
                    facts: Facts) -> tuple[str, list[str]]:
    """In how many intervals the printed number lies, and that they differ on it if not in all."""
    if value is None:
        return "The report prints no number for this cell." if facts.n_published else "", []
    outside = [name for name, row in rows.items() if not row["ci_low"] <= value <= row["ci_high"]]
    printed = number(value, short_decimals(value), signed=True)
    sentence = (f"The report prints {printed} ({estimator_name(facts.estimator)}, one date for all): it lies inside "
                f"the 95% interval clustered {clustered} of {_how_many(rows, outside)}.")
    return sentence, ["the printed number"] * bool(outside)


def _beside_two_way(rows: dict[str, pd.Series]) -> tuple[str, list[str]]:
    """The two-way estimate and the range of the others, and that they differ in size if an interval lies apart."""
    if TWO_WAY not in rows:
        return "", []
    two_way = rows[TWO_WAY]
    others = {name: row for name, row in rows.items() if name != TWO_WAY}
    apart = [name for name, row in others.items()
             if not (row["ci_low"] <= two_way["ci_high"] and two_way["ci_low"] <= row["ci_high"])]
    decimals, values = decimals_for(two_way["std_error"]), [row["estimate"] for row in others.values()]
    spread = (f"other {len(others)} estimates run from {interval(min(values), max(values), decimals)}"
              if len(others) > 1 else f"other estimate is {number(values[0], decimals)}")
    sentence = (f"{own_dates_names()[TWO_WAY]} give {number(two_way['estimate'], decimals)}; the {spread}, and the "
                f"interval of two-way fixed effects overlaps that of {_how_many(others, apart)}.")
    return sentence, ["size"] * bool(apart)


def _signs(rows: dict[str, pd.Series], value: float | None) -> tuple[str, list[str]]:
    """Where the estimates, the printed number and the intervals lie against zero, and on what of it they differ."""
    values = [row["estimate"] for row in rows.values()] + ([] if value is None else [value])
    above = sum(each > 0 for each in values)
    leave = sum(row["ci_low"] > 0 or row["ci_high"] < 0 for row in rows.values())
    counted = f"{len(rows)} estimates{'' if value is None else ' and the printed number'}"
    where = ("all lie above zero" if above == len(values) else "all lie below zero" if not above
             else f"{above} {'lies' if above == 1 else 'lie'} above zero and {len(values) - above} below")
    differ = ["sign"] * (above not in (0, len(values))) + ["leaving out zero"] * (leave not in (0, len(rows)))
    return f"Of the {counted}, {where}; the interval leaves out zero in {leave} of {len(rows)}.", differ


def _how_many(rows: dict[str, pd.Series], left_out: list[str]) -> str:
    """``all 5``, ``none of the 5``, ``3 of the 5 (not Imputation and Stacked)``, without an estimator's authors."""
    if not left_out:
        return f"all {len(rows)}"
    if len(left_out) == len(rows):
        return f"none of the {len(rows)}"
    names = listed(own_dates_names()[name].partition(" (")[0] for name in left_out)
    return f"{len(rows) - len(left_out)} of the {len(rows)} (not {names})"


def _published(reproduction: pd.DataFrame, facts: Facts) -> float | None:
    claim = only(reproduction, indicator=facts.total, treatment=next(iter(facts.treatments)),
                 sample=next(iter(facts.samples)), estimator=facts.estimator, cluster=next(iter(facts.clusters)))
    return None if claim is None or pd.isna(claim["published_value"]) else float(claim["published_value"])


def before_treatment(own: pd.DataFrame, diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Say what the periods before treatment show: imputation leads, linear trend, and differences by year.

    The tests counted are the imputation estimator's leads under the staggered specification and the linear trend test
    under the reported one, at every level of clustering. "" if there is no test and no lead.
    """
    rows = diagnostics[diagnostics["indicator"].eq(facts.total) & diagnostics["sample"].eq(next(iter(facts.samples)))]
    leads = _by_cluster(rows[rows["specification"].eq(facts.staggered)
                             & rows["diagnostic"].str.fullmatch(r"imputation_leads(_bin_\d+)?")], facts)
    slopes = _by_cluster(rows[rows["specification"].eq(facts.specification)
                              & rows["diagnostic"].eq("linear_pretrend")], facts)
    sentences = []
    if leads:
        sentences.append(f"The leads of the imputation estimator are all zero if treated and comparison {facts.units} "
                         f"moved alike before treatment. Their joint test: {_tests(leads)}.")
    if slopes:
        sentences.append(f"Linear trend test, with one date for all: {_tests(slopes)}.")
    yearly = _yearly_leads(own, facts)
    if yearly:
        sentences.append(yearly)
    if not sentences:
        return ""
    done = [row["p_value"] for row, _ in [*leads, *slopes] if row["status"] == "done"]
    cluster = list(facts.clusters)[-1]
    below = sum(p < LEVEL for p in done)
    if not done:
        sentences.append("None of these tests could be run, so the figure has to be read by eye.")
    elif below == len(done):
        sentences.append(f"**In all {plural(len(done), 'test')} p is below {LEVEL}: the treated {facts.units} did not "
                         "move as the others did before treatment**, and the estimates hold that movement as well as "
                         "any effect.")
    elif below:
        sentences.append(f"**In {below} of {plural(len(done), 'test')} p is below {LEVEL}: the treated {facts.units} "
                         "may not have moved as the others did before treatment**, and the estimates may hold that "
                         "movement as well as any effect.")
    else:
        sentences.append(f"**In none of {plural(len(done), 'test')} is p below {LEVEL}**; with few treated {cluster}s "
                         "a difference can pass such tests, so this does not show that there was none.")
    return " ".join(sentences)


def _by_cluster(rows: pd.DataFrame, facts: Facts) -> list[tuple[pd.Series, str]]:
    found = [(only(rows, treatment=next(iter(facts.treatments)), cluster=cluster), words)
             for cluster, words in facts.clusters.items()]
    return [(row, words) for row, words in found if row is not None]


def _tests(found: list[tuple[pd.Series, str]]) -> str:
    """``F(7, 41) = 6.20, p < 0.001 clustered by system (few treated clusters: rejects too often)``, one per level."""
    parts = []
    for row, words in found:
        why = caveat(row)
        parts.append(f"{f_test_text(row)} clustered {words}" + (f" ({markdown_cell(why)})" if why else ""))
    return "; ".join(parts)


def _yearly_leads(own: pd.DataFrame, facts: Facts) -> str:
    """Two-way differences by year before treatment, from the last of them; "" if they are not in the table."""
    cluster, clustered = list(facts.clusters.items())[-1]
    wanted = own["estimand"].eq("event_time") if facts.frequency == "Y" else own["estimand"].str.startswith("event_bin")
    two_way = [name for name, by in averaged_by().items() if by == TWO_WAY]
    rows = own[wanted & own["estimator"].isin(two_way) & own["cluster"].eq(cluster) & own["event_time"].lt(0)
               & own["std_error"].notna()]
    if rows.empty:
        return ""
    decimals = decimals_for(rows["std_error"].median())
    outside = int((rows["ci_low"].gt(0) | rows["ci_high"].lt(0)).sum())
    low, high = (number(rows["estimate"].agg(end), decimals, signed=True) for end in ("min", "max"))
    return (f"The two-way differences by year before treatment, from that of the last year, run from {low} to {high}; "
            f"the 95% interval clustered {clustered} leaves out zero in {outside} of {len(rows)}.")


def decomposition_sentence(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Say how much of the headline's two-way estimate comes from already-treated controls; "" if that is not known."""
    row = only(diagnostics, indicator=facts.total, specification=facts.staggered, diagnostic="decomposition",
               part=ALREADY_TREATED_CONTROLS)
    if row is None:
        return ""
    share = number(100 * row["value"], 1)
    return (f"Of the two-way estimate {share}% of the weight is on comparisons with units already "
            "treated (Goodman-Bacon), which effects that change over time can turn wrong.")


def base_sentence(own: pd.DataFrame, facts: Facts) -> str:
    """Say which averages are relative to all periods before treatment and which to the last one; "" if all are alike
    or only one kind is there."""
    there = set(own.loc[own["estimand"].eq("overall"), "estimator"])
    found = {base: [each.among_own_dates.partition(" (")[0] for name, each in entries().items()
                    if name in there and each.base == base] for base in ("all", "last")}
    if not all(found.values()):
        return ""
    everything, last = (_listed_names(found[base]) for base in ("all", "last"))
    return (f"The averages do not measure against the same periods: {everything} compare with all periods before "
            f"treatment, {last} with the last one before it. Where the treated moved before onset, they part.")


def base_period_sentence(diagnostics: pd.DataFrame, facts: Facts) -> str:
    """Say what the effect from the last period before treatment is from other bases; "" if that is not known."""
    rows = diagnostics[diagnostics["indicator"].eq(facts.total) & diagnostics["specification"].eq(facts.staggered)
                       & diagnostics["sample"].eq(next(iter(facts.samples)))
                       & diagnostics["treatment"].eq(next(iter(facts.treatments)))
                       & diagnostics["diagnostic"].eq("base_period") & diagnostics["status"].eq("done")]
    rows = rows[rows["cluster"].isin(["", list(facts.clusters)[-1]])]
    found = {row["variant"]: row for row in rows.to_dict("records")}
    if "base_last" not in found or "base_sign" not in found:
        return ""
    decimals, sign = decimals_for(found["base_last"]["std_error"]), found["base_sign"]
    each = [f"{number(found[variant]['value'], decimals)} {change(found[variant])}"
            for variant in ("base_last", "base_mean", "base_season") if variant in found]
    low, high = (found[variant]["value"] for variant in ("base_smallest", "base_largest"))
    called = own_dates_names().get(found["base_last"]["estimator"], found["base_last"]["estimator"])
    return (f"What hangs on the base, by {called}: {listed(each)}. From each of the {sign['n_tried']:.0f} "
            f"{PERIODS[facts.frequency]}s before treatment in turn the effect runs from {number(low, decimals)} to "
            f"{number(high, decimals)}, and {number(100 * sign['value'], 0)}% of them give the sign of the reported "
            "one; the bases' effects are correlated, so this range is no interval.")


def _listed_names(names: Sequence[str]) -> str:
    """Names of estimators within a sentence: those of authors, which hold an "and", last and with their capitals."""
    authors = [name for name in names if " and " in name]
    plain = [f"{name[:1].lower()}{name[1:]}" for name in names if name not in authors]
    if not authors:
        return listed(plain)
    *before, last = [*plain, *authors]
    return f"{', '.join(before)}, and {last}" if before else last


def _by_estimator(table: Callable[[pd.DataFrame, Facts], str], own: pd.DataFrame,
                  facts: Facts) -> dict[str, str]:
    """Each estimator, by what it is called, that gives such effects, with its table."""
    made = {called: table(own[own["estimator"].eq(name)], facts) for name, called in own_dates_names().items()}
    return {called: text for called, text in made.items() if text}


def waves_table(rows: pd.DataFrame, facts: Facts) -> str:
    """Return one estimator's effect by first treated period as a Markdown table; "" if there is none."""
    rows = rows[rows["estimand"].eq("cohort")]
    lines = [{"Treated from": period_name(cohort)} | effect_cells(group, facts)
             for cohort, group in rows.groupby("cohort", sort=True)]
    return markdown_table(pd.DataFrame(lines), right=["Average effect"]) if lines else ""


def calendar_table(rows: pd.DataFrame, facts: Facts) -> str:
    """Return one estimator's effect by calendar year as a Markdown table; "" if there is none.

    Figures by year are as in the estimates table. Of shorter periods it is the plain mean over the year's periods,
    with the least and the largest of them and no interval: that of a mean is not in the table.
    """
    rows = rows[rows["estimand"].eq("calendar")]
    lines = []
    if facts.frequency == "Y":
        lines = [{"Year": period} | effect_cells(group, facts) for period, group in rows.groupby("period", sort=True)]
        return markdown_table(pd.DataFrame(lines), right=["Average effect"]) if lines else ""
    rows = rows[rows["cluster"].eq(next(iter(facts.clusters)))]
    word = PERIODS[facts.frequency]
    for year, group in rows.groupby(rows["period"].str[:4], sort=True):
        decimals = decimals_for(group["std_error"].median())
        few = DAGGER if group["few_treated"].any() else ""
        lines.append({
            "Year": year, f"{word.capitalize()}s": count(len(group)),
            "Mean effect": number(group["estimate"].mean(), decimals) + few,
            f"Least to largest {word}": interval(group["estimate"].min(), group["estimate"].max(), decimals),
            f"Treated {facts.units}": "\N{EN DASH}".join(
                dict.fromkeys([count(group["n_treated"].min()), count(group["n_treated"].max())])),
        })
    return markdown_table(pd.DataFrame(lines), right=["Mean effect"]) if lines else ""


def intensity_table(ours: pd.DataFrame, facts: Facts) -> str:
    """Return the headline outcome by difference-in-differences, binary and by dose, as a Markdown table.

    One row per treatment of `INTENSITY` and sample that ``ours`` (the reported specification) has; "" without a dose.
    """
    rows = ours[ours["indicator"].eq(facts.total) & ours["estimator"].eq(TWO_WAY) & ours["estimand"].eq("overall")]
    lines = []
    for treatment, name in INTENSITY.items():
        for sample, words in facts.samples.items():
            here = rows[rows["treatment"].eq(treatment) & rows["sample"].eq(sample)]
            if len(here):
                per = "" if treatment == "binary" else f", for each {facts.dose}"
                lines.append({"Treatment": f"{name}{per}", "Sample": words} | effect_cells(here, facts, "Effect"))
    if not rows["treatment"].isin([name for name in INTENSITY if name != "binary"]).any():
        return ""
    return markdown_table(pd.DataFrame(lines), right=["Effect"])


def dose_sentence(facts: Facts) -> str:
    """Return what must be known of the dose: when it was counted, who has most of it, what the effects suppose."""
    sentences = [facts.dose_counted] if facts.dose_counted else []
    if facts.largest_dose is not None:
        most = facts.largest_dose
        share = number(100 * most.n_units / most.n_treated, 0)
        sentences.append(f"The largest dose ({number(most.dose, short_decimals(most.dose))}) is that of "
                         f"{listed(most.systems)}: {count(most.n_units)} of the {count(most.n_treated)} treated "
                         f"{facts.units} ({share}%), which weigh accordingly.")
    return markdown_cell(" ".join([*sentences, DOSE_ASSUMES.format(units=facts.units)]))
