"""Schemas of the CSV files of the results: what a row is, and each column's title, meaning, unit and missing values.

The files made of a table between the stages take its columns from `did.store.tables.SCHEMAS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandera.pandas as pa

from did.project.specification import Specification
from did.store.columns import CODE, COLUMNS, COUNT, EFFECT, NEVER, TEXT, described
from did.store.tables import SCHEMAS

SIZES = "n_obs n_units n_treated n_clusters n_treated_clusters"
ERRORS = "std_error ci_low ci_high"
CHOICES = [name for name in Specification.model_fields if name != "families"]
for _name in CHOICES:
    COLUMNS.setdefault(_name, (Specification.model_fields[_name].description.rstrip("."), "choice", "none"))

# A table between the stages, written as CSV -> what it has besides.
_OF_TABLES = {"estimates": ["aggregation"], "diagnostics": ["aggregation", "item"], "area_audit": ["aggregation"],
              "weights": ["aggregation"],
              "adjusted_p_values": [], "reproduction": [], "headline": ["aggregation"],
              "calibration": ["aggregation"], "verdicts": [], "evidence": [], "evidence_items": []}
# Columns of the figures that are made of lines.
_LINE = {"unit": ("unit of the axis that the line is on", TEXT, NEVER),
         "group": ("heading that the line stands under", TEXT, NEVER),
         "kind": ("printed, ours, as_published (errors by unit), the kind of a check, or range", CODE, NEVER),
         "words": ("what the line says", TEXT, NEVER)}
# File or pattern -> what a row is, its columns in order, and what of them is not as in `did.store.columns`.
_FILES: dict[str, tuple[str, str, Mapping[str, tuple[str, str, str]]]] = {
    "tables/specifications.csv": (
        "an overall estimate under a specification", "indicator specification design choices n_choices sample "
                                                     "treatment estimator "
        f"cluster estimate {ERRORS} p_value {SIZES} claim value_agrees sign_agrees significance_agrees n_agrees "
        "number note is_synthetic", {}),
    "tables/ranking.csv": (
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
    "tables/choices.csv": (
        "how far one choice moves the estimate of a claim", "claim indicator estimator treatment sample choice value "
        "design difference smallest largest n_pairs is_synthetic", {
            "choice": ("choice that is changed", CODE, NEVER), "value": ("its value", TEXT, NEVER),
            "difference": ("mean change of the estimate", EFFECT, NEVER),
            "smallest": ("smallest change", EFFECT, NEVER), "largest": ("largest change", EFFECT, NEVER),
            "n_pairs": ("pairs of specifications that differ in this choice alone", COUNT, NEVER)}),
    "tables/data_dictionary.csv": (
        "a column of a CSV of the results", "file row column title meaning unit missing is_synthetic", {
            "row": ("what one row of the file is", TEXT, NEVER), "column": ("name of the column", TEXT, NEVER),
            "title": ("its name in words", TEXT, NEVER),
            "meaning": ("what it holds", TEXT, NEVER), "unit": ("its unit, or kind", TEXT, NEVER),
            "missing": ("what an empty cell means", TEXT, NEVER),
            "is_synthetic": ("the files of this run are made from made-up data", "True or False", NEVER)}),
    "tables/figures.csv: coefficients_*": (
        "a coefficient drawn", "treatment sample indicator cluster unit group kind words estimate ci_low ci_high "
        "smallest largest is_synthetic", _LINE),
    "tables/figures.csv: event_study_*": (
        "an effect at an event time, or their average", "indicator specification sample treatment estimator estimand "
        f"event_time cluster estimate {ERRORS} band_low band_high p_value {SIZES} state few_treated note "
        "published_value is_synthetic", {}),
    "tables/figures.csv: trends_*": (
        "a group's or a wave's mean in a period",
        "series sample line wave first_treated counts_as period mean n_units is_synthetic", {
            "series": ("observed, linear_trend (its fit by that model) or wave", CODE, NEVER),
            "sample": ("the evaluation's sample that the mean is of", CODE, "the row is of waves"),
            "line": ("treated or comparison: the lines of a pane", CODE, NEVER),
            "wave": ("wave; units of one wave with different dates are separate", COUNT, "units in no wave"),
            "first_treated": ("first treated period of the wave, or of all", "ISO period", "never, or none is known"),
            "counts_as": ("treated or comparison under the reported specification", CODE, "the row is of no wave"),
            "mean": ("mean outcome of its units", "unit of the outcome", "no figure in the period"),
            "n_units": ("units observed in the period", COUNT, NEVER)}),
    **dict.fromkeys(("tables/figures.csv: evidence_*", "tables/figures.csv: answer"), (
        "a line of the figure of the evidence", "target kind words estimate ci_low ci_high smallest largest "
        "is_synthetic", _LINE)),
    "tables/figures.csv: specification_*": (
        "an estimate under a specification, with its choices", f"place indicator specification sample treatment "
                                                               f"estimator cluster "
        f"estimate {ERRORS} p_value {SIZES} {' '.join(CHOICES)} same_as note published_value is_synthetic", {
            "place": ("place on the horizontal axis", COUNT, "not drawn"),
            "same_as": ("specification with the same settings that is drawn in its place", CODE, "none")}),
}


def _file(about: str, columns: Mapping[str, pa.Column]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(dict(columns), title=about)


# File or pattern of files in the results folder -> its schema.
RESULTS: dict[str, pa.DataFrameSchema] = {
    f"tables/{name}.csv": _file(SCHEMAS[name].title, SCHEMAS[name].columns | {
        each: described(each, pa.Column(), {}) for each in more})
    for name, more in _OF_TABLES.items()
} | {
    file: _file(about, {name: described(name, pa.Column(), own) for name in columns.split()})
    for file, (about, columns, own) in _FILES.items()
}
