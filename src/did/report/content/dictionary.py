"""The data dictionary: every column of every CSV of the results, with its meaning, its unit and what missing means."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from did.project.config import Specification
from did.store.result_csv import write_csv
from did.words import markdown_table

NEVER = "never missing"
EFFECT = "unit of the effect: that of the outcome, percentage points for a percentage; per unit of dose for intensity"
NO_ERROR = "there is no standard error, or the row is the reference"
NOT_COMPUTED = "not part of this row, or skipped"
NOT_PRINTED = "not printed"
COUNT, CODE, TEXT, P, FACT = "number", "code", "text", "0 to 1", "yes, no, not printed or cannot run"
# Column -> meaning, unit, what missing means. An entry of TABLES says otherwise where a table does.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "indicator": ("outcome, the name of its file in config/indicators", CODE, NEVER),
    "outcome": ("what the outcome is called", TEXT, NEVER),
    "family": ("family of outcomes reported together", TEXT, NEVER),
    "specification": (
        "setting of what the published evaluation leaves open, as named in the evaluation file",
        CODE,
        NEVER,
    ),
    "sample": ("full, or wave_two_removed: without the wave that was treated next", CODE, NEVER),
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
        "p-value adjusted over the family of outcomes by Romano and Wolf",
        P,
        "not an overall effect under the reported specification",
    ),
    "p_holm": ("p-value adjusted by Holm", P, NO_ERROR),
    "p_benjamini_hochberg": ("p-value adjusted by Benjamini and Hochberg", P, NO_ERROR),
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
    "verdict": ("verdict on the finding", CODE, "no finding was published for the cell"),
    "reasons": ("codes of what differs, separated by semicolons", TEXT, "nothing differs"),
    "design": ("one_at_a_time: one choice changed; product: a combination", CODE, NEVER),
    "choices": ("choices that differ from the default, key=value; key=value", TEXT, "none: the default"),
    "n_choices": ("how many choices differ from the default", COUNT, NEVER),
    "area_code": ("code of the area in the source", CODE, NEVER),
    "area_name": ("name of the area", TEXT, "not named in the source"),
    "n_periods": ("periods in the window", COUNT, NEVER),
    "group": ("treated or control", CODE, NEVER),
    "file": ("file, or pattern of files, in the results folder", TEXT, NEVER),
}
SIZES = "n_obs n_units n_treated n_clusters n_treated_clusters"
ERRORS = "std_error ci_low ci_high"
CHOICES = [name for name in Specification.model_fields if name != "families"]
for _name in CHOICES:
    COLUMNS.setdefault(_name, (Specification.model_fields[_name].description.rstrip("."), "choice", "none"))
for _name in ("std_error", "ci_low", "ci_high", "p_value", "n_obs", "estimate"):
    _about, *_rest = COLUMNS[_name]
    COLUMNS[f"did_{_name}"] = (f"{_about}, by difference-in-differences", *_rest)
for _name in ("std_error", "ci_low", "ci_high", "p_value", "p_adjusted", "p_holm", "n_clusters", "n_treated_clusters",
              "significance_agrees", "verdict", "reasons"):
    _about, *_rest = COLUMNS[_name]
    COLUMNS |= {f"{_name}_unit": (f"{_about}; clustered by unit", *_rest),
                f"{_name}_system": (f"{_about}; clustered by system", *_rest)}


def _both(names: str) -> str:
    return " ".join(f"{name}_{cluster}" for cluster in ("unit", "system") for name in names.split())


# File or pattern -> what a row is, its columns in order, and entries that differ from COLUMNS.
TABLES: dict[str, tuple[str, str, Mapping[str, tuple[str, str, str]]]] = {
    "estimates.csv": (
        "an estimate", "indicator specification sample treatment estimator estimand cohort period event_time cluster "
        f"estimate {ERRORS} band_low band_high p_value p_adjusted {SIZES} n_parameters df note is_synthetic "
        "aggregation", {}),
    "diagnostics.csv": (
        "a test, an estimate under a changed panel, or the reason it was skipped (docs/tables.md says what value is)",
        f"indicator specification sample diagnostic item treatment estimator cluster value {ERRORS} statistic df "
        f"df_denominator p_value {SIZES} status reason is_synthetic aggregation", {
            "diagnostic": ("name of the diagnostic", CODE, NEVER),
            "item": ("treatment, estimator, variant and clustering that it is of", TEXT, NEVER),
            "value": ("what docs/tables.md says for the diagnostic", "as the diagnostic says", NOT_COMPUTED),
            "statistic": ("test statistic, or what docs/tables.md says", "as the diagnostic says", NOT_COMPUTED),
            "df": ("degrees of freedom of the test", COUNT, NOT_COMPUTED),
            "df_denominator": ("degrees of freedom below, of F or t", COUNT, NOT_COMPUTED),
            "treatment": ("as in estimates.csv", CODE, "of no treatment"),
            "p_value": ("p-value of the test", P, NOT_COMPUTED)}),
    "area_audit.csv": (
        "what became of an area of the sources", "indicator specification area_code area_name fate unit n_periods "
                                                 "total "
        "reason is_synthetic aggregation", {
            "fate": ("kept, merged, excluded, imputed or set_aside", CODE, NEVER),
            "unit": ("unit of the panel it is part of", CODE, "it is in none"),
            "n_periods": ("periods it has figures for", COUNT, NEVER),
            "total": ("sum of the outcome's counts over all periods", "count of the outcome",
                      "published without counts"),
            "reason": ("why", TEXT, "kept as it is")}),
    "adjusted_p_values.csv": (
        "an overall effect with p-values adjusted over its family", "family indicator sample treatment estimator "
        "cluster estimate std_error p_value p_holm p_benjamini_hochberg p_romano_wolf n_tests is_synthetic", {}),
    "reproduction.csv": (
        "a published finding alongside our estimate, once per clustering", "claim figure pane indicator outcome "
                                                                           "estimator "
        "treatment sample estimand cohort period event_time unit as_printed published_value rounding published_sign "
        "published_significance published_n published_n_panel not_comparable specification cluster estimate "
        f"{ERRORS} p_value p_holm {SIZES} difference value_agrees value_in_interval sign_agrees significance_agrees "
        "n_agrees status verdict reasons did_estimate did_std_error did_ci_low did_ci_high did_p_value did_n_obs note "
        "is_synthetic", {}),
    "specifications.csv": (
        "an overall estimate under a specification", "indicator specification design choices n_choices sample "
                                                     "treatment estimator "
        f"cluster estimate {ERRORS} p_value {SIZES} claim value_agrees sign_agrees significance_agrees n_agrees "
        "verdict note is_synthetic", {}),
    "ranking.csv": (
        "a specification of a family, by how many printed facts it satisfies", "family rank specification design "
                                                                               "choices n_choices "
        "is_default facts_satisfied facts_printed values signs bands ns not_satisfied is_synthetic", {
            "rank": ("place; equal numbers share it", COUNT, NEVER),
            "is_default": ("the specification reported", "True or False", NEVER),
            "facts_satisfied": ("printed facts satisfied", COUNT, NEVER),
            "facts_printed": ("printed facts that can be compared", COUNT, NEVER),
            "values": ("values satisfied", COUNT, NEVER), "signs": ("signs satisfied", COUNT, NEVER),
            "bands": ("bands of significance satisfied", COUNT, NEVER),
            "ns": ("numbers of observations satisfied", COUNT, NEVER),
            "not_satisfied": ("the other facts, as claim and fact", TEXT, "all are satisfied")}),
    "choices.csv": (
        "how far one choice moves the estimate of a claim", "claim indicator estimator treatment sample choice value "
        "design difference smallest largest n_pairs is_synthetic", {
            "choice": ("choice that is changed", CODE, NEVER), "value": ("its value", TEXT, NEVER),
            "difference": ("mean change of the estimate", EFFECT, NEVER),
            "smallest": ("smallest change", EFFECT, NEVER), "largest": ("largest change", EFFECT, NEVER),
            "n_pairs": ("pairs of specifications that differ in this choice alone", COUNT, NEVER)}),
    "data_dictionary.csv": (
        "a column of a CSV of the results", "file row column meaning unit missing is_synthetic", {
            "row": ("what one row of the file is", TEXT, NEVER), "column": ("name of the column", TEXT, NEVER),
            "meaning": ("what it holds", TEXT, NEVER), "unit": ("its unit, or kind", TEXT, NEVER),
            "missing": ("what an empty cell means", TEXT, NEVER),
            "is_synthetic": ("the files of this run are made from made-up data", "True or False", NEVER)}),
    "tables/effects_*.csv": (
        "an overall effect under the reported specification, both clusterings", "family indicator outcome treatment "
            "sample "
        "estimator estimate n_obs n_units n_treated "
        f"{_both(f'{ERRORS} p_value p_adjusted n_clusters n_treated_clusters')} note effect_unit is_synthetic", {}),
    "tables/reproduction.csv": (
        "a published finding alongside our estimate, both clusterings", "claim figure indicator outcome estimator "
        "treatment sample unit as_printed published_value published_sign published_significance published_n estimate "
        "n_obs n_units n_treated difference value_agrees sign_agrees n_agrees status "
        f"{_both(f'{ERRORS} p_value p_holm n_clusters significance_agrees verdict reasons')} note is_synthetic", {}),
    "figures/coefficients_*.csv": (
        "a coefficient drawn", f"indicator specification sample treatment estimator cluster estimate {ERRORS} band_low "
        f"band_high p_value {SIZES} note published_value is_synthetic", {}),
    "figures/event_study_*.csv": (
        "an effect at an event time", "indicator specification sample treatment estimator event_time cluster estimate "
        f"{ERRORS} band_low band_high p_value {SIZES} note is_synthetic", {}),
    "figures/estimators_*.csv": (
        "an effect at an event time, or their average, with waves by date", "indicator specification estimator "
                                                                            "estimand "
        f"event_time cluster estimate {ERRORS} band_low band_high published_value {SIZES} note is_synthetic", {}),
    "figures/trends_*.csv": (
        "a group's mean in a period", "period group observed_mean linear_trend n_units is_synthetic", {
            "observed_mean": ("mean outcome of the group", "unit of the outcome", "no figure in the period"),
            "linear_trend": ("its fit by the linear-trends model", "unit of the outcome", "no fit")}),
    "figures/series_*.csv": (
        "a wave's mean in a period", "period wave first_treated counts_as mean n_units is_synthetic", {
            "wave": ("wave; units of one wave with different dates are separate", COUNT, "units in no wave"),
            "first_treated": ("its first treated period", "ISO period", "never, or no date is known"),
            "counts_as": ("treated or comparison under the reported specification", CODE, NEVER),
            "mean": ("mean outcome of its units", "unit of the outcome", "no figure in the period"),
            "n_units": ("units observed in the period", COUNT, NEVER)}),
    "figures/robustness_*.csv": (
        "the headline effect in another way", "indicator group what estimator specification sample treatment cluster "
        f"estimate {ERRORS} p_value {SIZES} status note is_synthetic shown published_value", {
            "group": ("kind of alternative", CODE, NEVER), "what": ("the alternative", TEXT, "as reported"),
            "shown": ("whether and how the figure shows it", TEXT, NEVER)}),
    "figures/specification_*.csv": (
        "an estimate under a specification, with its choices", f"place indicator specification sample treatment "
                                                               f"estimator cluster "
        f"estimate {ERRORS} p_value {SIZES} {' '.join(CHOICES)} same_as note published_value is_synthetic", {
            "place": ("place on the horizontal axis", COUNT, "not drawn"),
            "same_as": ("specification with the same settings that is drawn in its place", CODE, "none")}),
    "figures/specifications_*.csv": (
        "a claim's estimate under a specification", f"claim indicator specification design choices sample treatment "
                                                    f"estimator "
        f"cluster estimate {ERRORS} p_value n_obs value_agrees sign_agrees significance_agrees n_agrees verdict "
        "published_value is_synthetic", {}),
    "figures/timing_*.csv": (
        "a unit of the panel", "unit unit_name system cohort n_periods n_figures is_synthetic", {
            "unit": ("code of the unit", CODE, NEVER), "unit_name": ("its name", TEXT, NEVER),
            "system": ("system it is part of", CODE, NEVER),
            "n_figures": ("periods it has a figure for", COUNT, NEVER)}),
    "figures/waves.csv": (
        "a system and when it became treated", "wave system name from_month <geography> is_synthetic", {
            "wave": ("wave of the record", COUNT, NEVER), "system": ("system", CODE, NEVER),
            "name": ("its name", TEXT, NEVER), "from_month": ("first treated month", "ISO month", NEVER),
            "<geography>": ("its areas of that geography, one column for each geography", COUNT, NEVER)}),
}


def described(file: str) -> dict[str, tuple[str, str, str]] | None:
    """Return column -> (meaning, unit, what missing means) of a CSV, named from the results folder; None if unknown."""
    for pattern, (_, columns, own) in TABLES.items():
        if fnmatch(file, pattern):
            return {name: own.get(name) or COLUMNS[name] for name in columns.split()}
    return None


def dictionary() -> pd.DataFrame:
    """Return one row of text per file (or pattern) and column: file, row, column, meaning, unit, missing."""
    return pd.DataFrame([(file, about, name, *entry) for file, (about, *_) in TABLES.items()
                         for name, entry in described(file).items()],
                        columns=["file", "row", "column", "meaning", "unit", "missing"])


def write(path: str | Path, *, is_synthetic: bool) -> None:
    """Write the dictionary to ``path`` as CSV."""
    write_csv(path, dictionary().assign(is_synthetic=is_synthetic))


def markdown() -> str:
    """Return the dictionary as docs/data_dictionary.md has it: a heading and a table per file."""
    parts = ["# Data dictionary", "Every column of every CSV in `results/`, as `results/data_dictionary.csv` has it. "
             "Made by `python -m did.report.content.dictionary > docs/data_dictionary.md`; a test keeps both true.",
             "Text that a spreadsheet may run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break, "
             "and is not a number or a sign alone) has an apostrophe before it in these files; "
             "`did.store.result_csv.read_csv` takes it off again. Numbers have every digit. Empty cells are "
             "missing values."]
    for file, rows in dictionary().groupby("file", sort=False):
        parts += [f"## {file}", f"One row is {rows['row'].iloc[0]}.",
                  markdown_table(rows[["column", "meaning", "unit", "missing"]])]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
