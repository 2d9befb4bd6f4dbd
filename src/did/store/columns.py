"""What every column of a table holds: its title, meaning and unit, and what a missing value means."""

from __future__ import annotations

from collections.abc import Mapping

import pandera.pandas as pa

NEVER = "never missing"
EFFECT = "unit of the effect: that of the outcome, percentage points for a percentage; per unit of dose for intensity"
NO_ERROR = "there is no standard error, or the row is the reference"
NOT_COMPUTED = "not part of this row, or skipped"
NOT_PRINTED = "not printed"
COUNT, CODE, TEXT, P, FACT = "number", "code", "text", "0 to 1", "yes, no, not printed or cannot run"
FLAG = "True or False"
SHARE, NOT_MEASURED = "share, 0 to 1", "it was not measured"
# Column -> meaning, unit, what missing means, wherever a table does not say otherwise.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "indicator": ("outcome, the name of its file in config/indicators", CODE, NEVER),
    "outcome": ("what the outcome is called", TEXT, NEVER),
    "family": ("family of outcomes reported together", TEXT, NEVER),
    "specification": (
        "setting of what the published evaluation leaves open, as named in the evaluation file",
        CODE,
        NEVER,
    ),
    "sample": ("which of the evaluation's named samples of units", CODE, NEVER),
    "treatment": ("binary, intensity (each unit of dose), or intensity_within_treated", CODE, NEVER),
    "estimator": ("estimator, named as in docs/methods.md", CODE, "the row is of no estimator"),
    "estimand": (
        "what is averaged: overall, over a cohort, a period or an event time, or a bin of event times",
        CODE,
        NEVER,
    ),
    "cohort": (
        "first treated period of a cohort",
        "ISO period",
        "not of one cohort; of a unit: not treated in the window",
    ),
    "period": ("calendar period", "ISO period", "not of one period"),
    "event_time": (
        "periods since the first treated one, which is 0; of a bin its place",
        COUNT,
        "not of one event time",
    ),
    "cluster": ("what standard errors are clustered by: unit or system", CODE, "the row has no clustering"),
    "estimate": ("estimated effect", EFFECT, "could not be estimated"),
    "effect_unit": ("unit of the effect", TEXT, NEVER),
    "std_error": ("clustered standard error of the estimate", EFFECT, NO_ERROR),
    "ci_low": ("lower end of the 95% interval", EFFECT, NO_ERROR),
    "ci_high": ("upper end of the 95% interval", EFFECT, NO_ERROR),
    "band_low": ("lower end of the 95% band over all event times, cohorts or periods at once", EFFECT, "no such band"),
    "band_high": ("upper end of that band", EFFECT, "no such band"),
    "p_value": ("two-sided p-value of no effect", P, NO_ERROR),
    "p_adjusted": (
        "p-value adjusted over the family of outcomes, by Holm where headline p-values are tested, otherwise by Romano "
        "and Wolf",
        P,
        "not an overall effect under the reported specification",
    ),
    "p_tested": (
        "p-value that is adjusted for many tests: of the headline interval where there is one, otherwise clustered",
        P,
        NO_ERROR,
    ),
    "p_method": ("method of inference that p_tested is by", CODE, "there is no p-value"),
    "p_size": ("share of true nulls that this method rejects at 5%, measured", SHARE, "not measured"),
    "p_holm": ("p_tested adjusted by Holm", P, NO_ERROR),
    "p_benjamini_hochberg": ("p_tested adjusted by Benjamini and Hochberg", P, NO_ERROR),
    "p_romano_wolf": ("p-value adjusted by Romano and Wolf", P, NO_ERROR),
    "n_tests": ("outcomes tested together", COUNT, NEVER),
    "n_obs": ("observations used, units times periods", COUNT, NOT_COMPUTED),
    "n_units": ("units used", COUNT, NOT_COMPUTED),
    "n_treated": ("treated units used", COUNT, NOT_COMPUTED),
    "n_clusters": ("clusters used", COUNT, NOT_COMPUTED),
    "n_treated_clusters": ("clusters with a treated unit", COUNT, NOT_COMPUTED),
    "n_parameters": ("parameters that the small-sample factor counts", COUNT, "the estimator has no such factor"),
    "df": ("degrees of freedom of the t distribution", COUNT, "normal distribution"),
    "note": ("remarks, separated by semicolons", TEXT, "none"),
    "state": ("estimated; reference: fixed at zero, what the others are measured from; or not_identified", CODE, NEVER),
    "few_treated": ("rests on fewer treated units than the minimum set for the outcome", FLAG, "of no estimate"),
    "minimum_treated": ("minimum number of treated units set for the outcome", COUNT, NEVER),
    "is_synthetic": ("made from made-up data", "True or False", NEVER),
    "aggregation": ("how areas of the outcome are combined: sum of counts, or population_weighted rates", CODE, NEVER),
    "status": ("done or skipped; of a claim: printed, not printed or cannot run", CODE, NEVER),
    "reason": ("remark, or why it was skipped", TEXT, "none"),
    "claim": ("name of the published finding, in config/published", CODE, "no finding was published for the cell"),
    "figure": ("figure of the publication", TEXT, NEVER),
    "pane": ("pane of that figure", TEXT, NEVER),
    "unit": ("unit of the effect, as printed", TEXT, NEVER),
    "as_printed": ("the finding as the publication has it", TEXT, NOT_PRINTED),
    "published_value": ("number printed for the effect", EFFECT, NOT_PRINTED),
    "rounding": ("how the printed number is qualified, as about", TEXT, "not qualified"),
    "published_sign": ("sign printed, + or -", CODE, NOT_PRINTED),
    "published_significance": ("significance printed, as a band of p-values", TEXT, NOT_PRINTED),
    "published_n": ("number of observations printed", COUNT, NOT_PRINTED),
    "published_n_panel": ("number of observations of the whole panel printed", COUNT, NOT_PRINTED),
    "not_comparable": ("why the sample behind the printed numbers cannot be rebuilt", TEXT, "it can"),
    "difference": ("our estimate less the printed value", EFFECT, NOT_PRINTED),
    "value_agrees": ("our estimate rounds to the printed value", FACT, "no finding was published for the cell"),
    "value_in_interval": ("the printed value lies inside our 95% interval", FACT, NEVER),
    "sign_agrees": ("our estimate has the printed sign", FACT, "no finding was published for the cell"),
    "significance_agrees": ("our p-value lies in the printed band", FACT, "no finding was published for the cell"),
    "n_agrees": ("our number of observations is the printed one", FACT, "no finding was published for the cell"),
    "number": ("whether the printed number comes out: exact, close, agrees, differs, not_printed or cannot_run", CODE,
               "no finding was published for the cell"),
    "target": ("what is judged: the name of the finding, or of the outcome where nothing was published", CODE, NEVER),
    "step": ("place on the ladder of questions, 0 to 5", COUNT, NEVER),
    "question": ("code of the question (docs/evidence.md)", CODE, NEVER),
    "rule": ("code of the rule that answers it (docs/evidence.md)", CODE, NEVER),
    "threshold": ("number the rule compares with, of the evaluation file", "as the rule says", "the rule has none"),
    "answer": ("yes, no or not_applicable", CODE, NEVER),
    "share": ("share the rule turns on: of placebo onsets as large, or of estimates that keep the interval", SHARE,
              NOT_COMPUTED),
    "sign_share": ("share of the estimates tried that have the sign of the headline", SHARE, NOT_COMPUTED),
    "n_met": ("how many of them meet the rule", COUNT, "the step is about one"),
    "source_table": ("table between the stages that the numbers are from", CODE, "there is none"),
    "source_rows": ("which of its rows: column=value, separated by semicolons", TEXT, "there is none"),
    "source_row": ("which of its rows: column=value, separated by semicolons", TEXT, NEVER),
    "place": ("place in order", COUNT, NEVER),
    "item": ("the columns that say what the row is of, in words", TEXT, NEVER),
    "kind": ("what kind of estimate it is, such as without_cluster", CODE, NEVER),
    "sign_kept": ("it has the sign of the headline", FLAG, "there is no estimate"),
    "interval_kept": ("its interval leaves out zero, or holds it, as that of the estimate it is compared with", FLAG,
                      "there is no interval"),
    **{f"answer_{step}": (f"answer of step {step} of the evidence: {about}", CODE, "it cannot run") for step, about in (
        (1, "same number"), (2, "told apart from zero"), (3, "trends do not explain it"),
        (4, "each wave from its own date"), (5, "it rests on no one thing"))},
    "rests_on": ("treated cluster without which the sign turns or zero comes inside", CODE, "none does"),
    "rests_on_called": ("what that cluster is called", TEXT, "none does"),
    "rests_on_estimate": ("estimate without it", EFFECT, "none does"),
    "second_difference": ("difference from a second program, as a share of the larger of our estimate and our standard "
                          "error", SHARE, "not checked"),
    "reasons": ("codes of what differs, separated by semicolons", TEXT, "nothing differs"),
    "design": ("one_at_a_time: one choice changed; product: a combination", CODE, NEVER),
    "choices": ("choices that differ from the default, key=value; key=value", TEXT, "none: the default"),
    "headline": ("the table headline has an interval for it whose coverage is measured", FLAG, NEVER),
    "lags": ("lags of the lagged-dependent-variable model", CODE, "the estimator has none"),
    "scheme": ("never_treated: onsets and doses given to clusters never treated in the window; before_onset: given to "
               "any, with placebo onsets before the first", CODE, NEVER),
    "method": ("method of inference", CODE, NEVER),
    "holds": ("its measured coverage is within the tolerance of 95% in every scheme; where none is, the method that "
              "errs least often stands", FLAG, NEVER),
    "n_draws": ("placebo assignments", COUNT, NEVER),
    "rejected": ("of them, how often the true null is rejected at 5%", COUNT, NEVER),
    "coverage": ("share of them in which the 95% interval holds a true zero", SHARE, NOT_MEASURED),
    "simulation_error": ("standard error of coverage from the number of draws, by reassignment also of those it is "
                         "held against", SHARE, NOT_MEASURED),
    "coverage_least": ("least coverage among the schemes", SHARE, NOT_MEASURED),
    "coverage_most": ("most coverage among the schemes", SHARE, NOT_MEASURED),
    "mean_width": ("mean width of the 95% intervals", EFFECT, NOT_MEASURED),
    "size_mismatch": ("mean difference in units between a placebo cluster and the treated one whose place it takes",
                      "units", NOT_MEASURED),
    "n_onsets": ("placebo onsets", COUNT, NOT_MEASURED),
    "n_choices": ("how many choices differ from the default", COUNT, NEVER),
    "area_code": ("code of the area in the source", CODE, NEVER),
    "area_name": ("name of the area", TEXT, "not named in the source"),
    "n_periods": ("periods in the window", COUNT, NEVER),
    "group": ("treated or control", CODE, NEVER),
    "variant": ("what was changed in the panel", CODE, "the panel as it is"),
    "left_out": ("what is left out: a cluster, a year, or a named group", CODE, "nothing by name"),
    "part": ("part of the units that is kept, kind of comparison, or which way it is made", CODE, "of no part"),
    "part_of": ("what the part is a third of", CODE, "of no third"),
    "called": ("what the cluster left out or kept is called", TEXT, "of no cluster"),
    "part_low": ("smallest dose of the part", "unit of the dose", "not a part by dose"),
    "part_high": ("largest dose of the part", "unit of the dose", "not a part by dose"),
    "n_left_out": ("units left out by name, or because their group is not known", COUNT, "not counted"),
    "n_left_out_treated": ("treated units among those left out by name", COUNT, "not counted"),
    "n_tried": ("onsets or base periods tried", COUNT, "not of several"),
    "n_apart": ("onsets tried whose windows share no period", COUNT, "not of several"),
    "condition": ("of a condition that is checked in the data: met, not_met or not_told_apart", CODE,
                  "the row is of no condition"),
    "bin_width": ("periods in a bin of event times", COUNT, "not of bins"),
    "bound_m": (
        "size of the deviation from parallel trends, M or Mbar",
        "as the diagnostic says",
        "no bound, or a breakdown value",
    ),
    "is_breakdown": ("the value is the largest deviation at which the interval leaves out zero", FLAG, NEVER),
    "caveat": ("few_treated_clusters: so few that the test rejects too often", CODE, "none"),
    "key": ("code that tells the alternatives of a group apart", CODE, "as reported"),
    "diagnostic": ("name of the diagnostic", CODE, NEVER),
    "smallest": ("smallest of the estimates tried", EFFECT, NOT_COMPUTED),
    "largest": ("largest of the estimates tried", EFFECT, NOT_COMPUTED),
    "statistic": ("test statistic, or what docs/tables.md says", "as the diagnostic says", NOT_COMPUTED),
    "df_denominator": ("degrees of freedom below, of F or t", COUNT, NOT_COMPUTED),
    "source": ("name of the source's file in config/sources", CODE, NEVER),
    "measure": ("what the source counts", CODE, NEVER),
    "frequency": ("pandas frequency of the period: M, Q or Y", CODE, NEVER),
    "area_type": ("kind of area, as the source has it", CODE, NEVER),
    "period_published": ("the period as published, where it is written in another way", TEXT, "as the period"),
    "not_compared": ("its figures were not compared in some periods, as one is missing", FLAG, NEVER),
    "numerator": ("count behind the rate", COUNT, "published without a count"),
    "denominator": ("population the rate is of", COUNT, "published without one"),
    "unit_name": ("name of the unit", TEXT, NEVER),
    "weight": ("population of the unit in the period", COUNT, "unweighted"),
    "system": ("system the unit is part of", CODE, NEVER),
    "wave": ("wave in which the unit's system was treated", COUNT, "in no wave"),
    "intensity": ("dose of treatment", "unit of the dose", NEVER),
    "exposure": ("share of residents inside a treated system", "0 to 1", NEVER),
    "denominator_status": ("ok, estimated or carried_forward from the nearest year", CODE, NEVER),
    "region": ("region of the unit", TEXT, NEVER),
    "fate": ("kept, merged, excluded, imputed or set_aside", CODE, NEVER),
    "total": ("sum of the outcome's counts over all periods", "count of the outcome", "published without counts"),
    "label": ("label of the cluster, or of what was changed", CODE, NEVER),
    "observed_mean": ("mean outcome of the group", "unit of the outcome", "no figure in the period"),
    "linear_trend": ("its fit by the linear-trends model", "unit of the outcome", "no fit"),
    "file": ("file, or pattern of files, in the results folder", TEXT, NEVER),
}
# Titles of columns whose name alone does not give one.
for _name in ("std_error", "ci_low", "ci_high", "p_value", "n_obs", "estimate"):
    _about, *_rest = COLUMNS[_name]
    COLUMNS[f"did_{_name}"] = (f"{_about}, by difference-in-differences", *_rest)

TITLES = {
    "std_error": "Standard error", "ci_low": "95% interval, lower end", "ci_high": "95% interval, upper end",
    "band_low": "95% band, lower end", "band_high": "95% band, upper end", "p_value": "p-value",
    "p_adjusted": "p-value, adjusted", "p_tested": "p-value, tested",
    "p_method": "Method of the p-value tested", "p_size": "Its measured size", "p_holm": "p-value, Holm",
    "p_romano_wolf": "p-value, Romano and Wolf",
    "p_benjamini_hochberg": "p-value, Benjamini and Hochberg", "n_tests": "Tests", "n_obs": "Observations",
    "n_units": "Units", "n_treated": "Treated units", "n_clusters": "Clusters", "ns": "Numbers of observations",
    "n_treated_clusters": "Treated clusters", "n_parameters": "Parameters", "n_choices": "Choices", "n_pairs": "Pairs",
    "n_periods": "Periods", "n_left_out": "Units left out", "n_left_out_treated": "Treated units left out",
    "n_tried": "Tried", "n_apart": "Apart",
    "df": "Degrees of freedom", "df_denominator": "Degrees of freedom, below", "bound_m": "Size of the deviation",
    "is_synthetic": "Synthetic", "is_breakdown": "Breakdown value", "is_default": "Reported", "key": "Alternative",
    "called": "Name of the cluster", "n_figures": "Periods with a figure", "n_agrees": "Number of observations agrees",
}


def title_of(name: str) -> str:
    """Return the title of a column, such as ``Treated units`` for ``n_treated``; that of its parts where it has none.

    >>> title_of("n_treated"), title_of("ci_low_unit"), title_of("event_time")
    ('Treated units', '95% interval, lower end, by unit', 'Event time')
    """
    if name in TITLES:
        return TITLES[name]
    for level in ("unit", "system"):
        stem = name.removesuffix(f"_{level}")
        if stem != name and stem in COLUMNS:
            return f"{title_of(stem)}, by {level}"
    if name.startswith("did_"):
        return f"{title_of(name.removeprefix('did_'))}, by difference-in-differences"
    return name.replace("_", " ").capitalize()


def described(name: str, column: pa.Column, own: Mapping[str, tuple[str, str, str]]) -> pa.Column:
    """Return ``column`` with its title, description, unit and what missing means, from ``own`` or else `COLUMNS`.

    KeyError for a column that nothing describes.
    """
    meaning, unit, missing = own.get(name) or COLUMNS[name]
    column.title, column.description = title_of(name), meaning
    column.metadata = {"unit": unit, "missing": missing}
    return column
