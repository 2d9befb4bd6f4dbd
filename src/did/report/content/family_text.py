"""What the report says of a family before its annex: the headline estimate in sentences, by fixed rules."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.estimators import entry
from did.report.content.facts import METHODS, PERIODS, Facts, estimator_name, only
from did.report.content.table import row_decimals
from did.words import count, interval, listed, number, p_value, period_name, plural, short_decimals, singular

EFFECT = ("From {onset} on, the outcome of the {treated} treated {units}{within} was {size} {unit} {way} {whom} "
          "({others} of them). This is by {estimator}{published}.")
MARGIN = "The margin of error runs from {span} (95% interval, {p}), found by {method}{coverage}. {so}{direction}"
COVERAGE = ", which on these data was right {share}% of the time where nothing was done"
NONE_HOLDS = ": too far from 95%, as is every other method here"
UNKNOWN = "; how often such intervals are right could not be measured here ({why})"
# Method of inference -> how it finds the margin; others by their names.
FOUND_BY = {
    "wild_bootstrap": "drawing the data again by whole {groups} (wild cluster bootstrap)",
    "CR2": "errors clustered by {group} and corrected for few {groups} (CR2)",
    "CR3": "errors clustered by {group} and corrected for few {groups} (CR3)",
    "randomisation": "giving the treatment to other {groups} (randomisation)",
    "randomisation_estimate": "giving the treatment to other {groups} (randomisation)",
    "randomisation_near": "giving the treatment to other {groups} of similar size (randomisation)",
    "jackknife": "leaving out one {group} at a time (jackknife)",
}
HOLDS_ZERO = "It includes zero: the difference could be chance."
LEAVES_OUT = "It leaves out zero: the difference is unlikely to be chance alone."
NO_MARGIN = "No method gives it a margin of error: {why}."
TREND = ("Before {onset} the treated {units} moved away from the others by {slope} each {period} ({p}, errors "
         "clustered {by}); difference-in-differences takes this to be none.")
DIRECTIONS = {"higher_better": " More is better.", "lower_better": " More is worse."}
DOSE = ("The largest dose ({dose}) is that of {systems}: {n} of the {all} treated {units} ({share}%), which weigh "
        "accordingly.")
DOSE_ASSUMES = (
    "An effect for each step of the dose supposes that every step has the same effect, and that {units} of high and "
    "low dose would have gone on alike. By dose, the untreated count as {units} of dose zero; among the treated only, "
    "none of the untreated enter.")


def headline_sentences(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return what is said of a family's headline outcome, first treatment and sample: the effect, its margin of error,
    the trend before treatment. ``tables``: headline and diagnostics. Empty where the headline has no row."""
    cell = {"indicator": facts.total, "specification": facts.specification, "sample": next(iter(facts.samples)),
            "treatment": next(iter(facts.treatments))}
    row = only(tables["headline"], **cell, estimator=facts.estimator)
    if row is None:
        return []
    return [_effect(row, facts), _margin(row, facts), *trend_sentences(tables["diagnostics"], facts)]


def _effect(row: pd.Series, facts: Facts) -> str:
    decimals = max(row_decimals(row.to_frame().T)[0] - 1, 0)
    # So many decimals that the number does not read as nothing.
    decimals = next((more for more in range(decimals, 6) if round(row["estimate"], more)), decimals)
    within = ("" if row["cluster"] == "unit" else
              f", in {count(row['n_treated_clusters'])} of {plural(int(row['n_clusters']), row['cluster'])},")
    return EFFECT.format(
        onset=period_name(facts.onset), treated=count(row["n_treated"]), units=facts.units, within=within,
        size=number(abs(row["estimate"]), decimals), unit=facts.effect_unit,
        way="higher" if row["estimate"] >= 0 else "lower",
        whom=entry(facts.estimator).words.whom.format(units=facts.units),
        others=count(row["n_units"] - row["n_treated"]), estimator=estimator_name(facts.estimator),
        published=", as published" if facts.n_published else "")


def _margin(row: pd.Series, facts: Facts) -> str:
    if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]):
        return NO_MARGIN.format(why=row["note"] or "none could be made")
    known = COVERAGE.format(share=number(100 * row["coverage"], 1)) + ("" if row["holds"] else NONE_HOLDS)
    return MARGIN.format(
        span=interval(row["ci_low"], row["ci_high"], max(row_decimals(row.to_frame().T)[0] - 1, 0)),
        p=p_value(row["p_value"]), coverage=UNKNOWN.format(why=row["note"]) if pd.isna(row["coverage"]) else known,
        method=FOUND_BY.get(row["method"], METHODS.get(row["method"], row["method"])).format(**_groups(facts)),
        so=LEAVES_OUT if row["ci_low"] > 0 or row["ci_high"] < 0 else HOLDS_ZERO,
        direction=DIRECTIONS.get(facts.directions.get(facts.total, ""), ""))


def _groups(facts: Facts) -> dict[str, str]:
    """What the last level of clustering is called: many, and one."""
    level = list(facts.clusters)[-1]
    groups = facts.units if level == "unit" else f"{level}s"
    return {"groups": groups, "group": singular(groups)}


def trend_sentences(diagnostics: pd.DataFrame, facts: Facts) -> list[str]:
    """Return what the linear trend test of the headline outcome says; none without one."""
    cell = {"indicator": facts.total, "specification": facts.specification, "sample": next(iter(facts.samples)),
            "treatment": next(iter(facts.treatments)), "diagnostic": "linear_pretrend"}
    rows = [(only(diagnostics, **cell, cluster=cluster), by) for cluster, by in facts.clusters.items()]
    tests = [(row, by) for row, by in rows if row is not None and row["status"] == "done"]
    if not tests:
        return []
    slope, by = tests[-1]
    error = abs(slope["value"]) / slope["statistic"] ** 0.5 if slope["statistic"] > 0 else None
    decimals = row_decimals(pd.DataFrame({"estimate": [slope["value"]], "std_error": [error]}))[0]
    return [TREND.format(onset=period_name(facts.onset), units=facts.units, p=p_value(slope["p_value"]), by=by,
                         slope=number(slope["value"], decimals, signed=True), period=PERIODS[facts.frequency])]


def dose_sentences(facts: Facts) -> list[str]:
    """Return what must be known of the dose: when it was counted, who has most of it, what the effects suppose."""
    found = [facts.dose_counted] if facts.dose_counted else []
    if facts.largest_dose is not None:
        most = facts.largest_dose
        found.append(DOSE.format(
            dose=number(most.dose, short_decimals(most.dose)), systems=listed(most.systems), n=count(most.n_units),
            all=count(most.n_treated), units=facts.units, share=number(100 * most.n_units / most.n_treated, 0)))
    return [*found, DOSE_ASSUMES.format(units=facts.units)]


def terms(facts: Facts, *, published: bool) -> list[tuple[str, str]]:
    """Return the words that a reader meets in the report, each with what it means."""
    level = list(facts.clusters)[-1]
    named = [entry(name) for name in dict.fromkeys([facts.estimator, facts.other_estimator]) if name]
    values = {"estimators": "; ".join(f"{each.short}: {each.running}" for each in named), "units": facts.units,
              "unit": singular(facts.units), "dose": facts.dose, **_groups(facts)}
    found = {
        "Treated": "The {units} that the evaluation counts as changed; the others are the comparison.",
        "Binary, intensity": "Binary compares treated with untreated {units}; intensity gives the difference for each "
                             "{dose}.",
        "Estimate": "The difference between treated and comparison {units} after the change, with differences before "
                    "it taken into account. Plus is more. {estimators}.",
        "Margin of error": "A 95% interval: what it includes cannot be ruled out. Where it includes zero, the "
                           "difference could be chance, which does not show that there was no effect. p is how often "
                           "chance alone gives a difference as large.",
        "Method": "How the margin is found. A bootstrap draws the data again by whole {groups}; randomisation gives "
                  "the treatment to others and sees how large a difference comes of it; CR2 and CR3 correct clustered "
                  "errors for few {groups}; the jackknife leaves out one at a time.",
        "Measured coverage": "How often the margin of error was right when {groups} where nothing was done were taken "
                             "as treated in place of the treated ones. It should be close to 95%.",
        "Clustered by": "Errors clustered by {group} allow for {units} of one {group} that move together; clustered by "
                        "{unit} they take {units} as independent, which with few treated {groups} promises too much."
        if level != "unit" else "Errors allow for months or years of one {unit} that move together.",
        "The figures": "A circle is an estimate and the bar through it its margin of error; the thick blue bar is our "
                       "headline. A filled circle is told apart from no change, a hollow one is not. A thick grey bar "
                       "spans several estimates" + ("; the diamond is the printed number." if published else "."),
    }
    if len(facts.treatments) < 2:
        del found["Binary, intensity"]
    return [(word, text.format_map(values)) for word, text in found.items()]
