"""What the report says of a family before its annex: the headline estimate in sentences, by fixed rules."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.estimators import entry
from did.report.content.facts import METHODS, PERIODS, Facts, estimator_name, having, only
from did.report.content.table import row_decimals
from did.words import count, interval, number, p_value, period_name, plural, singular

NONE_HOLDS = ": too far from 95%, as is every other method here"
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
DIRECTIONS = {"higher_better": " More is better.", "lower_better": " More is worse."}
DOSE_ASSUMES = (
    "An effect for each step of the dose supposes that every step has the same effect, and that {units} of high and "
    "low dose would have gone on alike. By dose, the untreated count as {units} of dose zero; among the treated only, "
    "none of the untreated enter.")


def headline_sentences(facts: Facts, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return what is said of a family's headline outcome, first treatment and sample: the effect, its margin of error,
    the trend before treatment. ``tables``: headline and diagnostics. Empty where the headline has no row."""
    row = only(tables["headline"], **facts.cell, estimator=facts.estimator)
    if row is None:
        return []
    return [_effect(row, facts), _margin(row, facts), *trend_sentences(tables["diagnostics"], facts)]


def _effect(row: pd.Series, facts: Facts) -> str:
    decimals = max(row_decimals(row.to_frame().T)[0] - 1, 0)
    # So many decimals that the number does not read as nothing.
    decimals = next((more for more in range(decimals, 6) if round(row["estimate"], more)), decimals)
    within = ("" if row["cluster"] == "unit" else
              f", in {count(row['n_treated_clusters'])} of {plural(int(row['n_clusters']), row['cluster'])},")
    return (f"From {period_name(facts.onset)} on, the outcome of the {count(row['n_treated'])} treated {facts.units}"
            f"{within} was {number(abs(row['estimate']), decimals)} {facts.effect_unit} "
            f"{'higher' if row['estimate'] >= 0 else 'lower'} "
            f"{entry(facts.estimator).words.whom.format(units=facts.units)} "
            f"({count(row['n_units'] - row['n_treated'])} of them). This is by {estimator_name(facts.estimator)}"
            f"{', as published' if facts.n_published else ''}.")


def _margin(row: pd.Series, facts: Facts) -> str:
    low, high, direction = row["ci_low"], row["ci_high"], DIRECTIONS.get(facts.direction, "")
    if pd.isna(low) or pd.isna(high):
        return f"No method gives it a margin of error: {row['note'] or 'none could be made'}."
    method = FOUND_BY.get(row["method"], METHODS.get(row["method"], row["method"])).format(**_groups(facts))
    coverage = (f"; how often such intervals are right could not be measured here ({row['note']})"
                if pd.isna(row["coverage"]) else f", which on these data was right {number(100 * row['coverage'], 1)}% "
                f"of the time where nothing was done{'' if row['holds'] else NONE_HOLDS}")
    so = ("It leaves out zero: the difference is unlikely to be chance alone." if low > 0 or high < 0 else
          "It includes zero: the difference could be chance.")
    span = interval(low, high, max(row_decimals(row.to_frame().T)[0] - 1, 0))
    return (f"The margin of error runs from {span} (95% interval, {p_value(row['p_value'])}), found by "
            f"{method}{coverage}. {so}{direction}")


def _groups(facts: Facts) -> dict[str, str]:
    """What the last level of clustering is called: many, and one."""
    level = list(facts.clusters)[-1]
    groups = facts.units if level == "unit" else f"{level}s"
    return {"groups": groups, "group": singular(groups)}


def trend_sentences(diagnostics: pd.DataFrame, facts: Facts) -> list[str]:
    """Return what the linear trend test of the headline outcome says; none without one."""
    tests = having(diagnostics, **facts.cell, diagnostic="linear_pretrend", status="done")
    level = next((level for level in reversed(facts.clusters) if tests["cluster"].eq(level).any()), None)
    if level is None:
        return []
    slope, by = tests.loc[tests["cluster"].eq(level)].iloc[0], facts.clusters[level]
    error = abs(slope["value"]) / slope["statistic"] ** 0.5 if slope["statistic"] > 0 else None
    decimals = row_decimals(pd.DataFrame({"estimate": [slope["value"]], "std_error": [error]}))[0]
    return [f"Before {period_name(facts.onset)} the treated {facts.units} moved away from the others by "
            f"{number(slope['value'], decimals, signed=True)} each {PERIODS[facts.frequency]} "
            f"({p_value(slope['p_value'])}, errors clustered {by}); difference-in-differences takes this to be none."]


def dose_sentences(facts: Facts) -> list[str]:
    """Return what must be known of the dose: when it was counted, who has most of it, what the effects suppose."""
    return [*filter(None, (facts.dose_counted, facts.largest_dose)), DOSE_ASSUMES.format(units=facts.units)]


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
