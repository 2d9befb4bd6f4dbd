"""The CSV files of the results: what a row is, each column's title, meaning, unit and missing values, as schemas; and
the data dictionary, made of them and nothing else.

The files made of a table between the stages take its columns from `did.store.tables.SCHEMAS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pandera.pandas as pa

from did.project.specification import Specification
from did.store.columns import CODE, COLUMNS, COUNT, EFFECT, NEVER, TEXT, described
from did.store.tables import SCHEMAS
from did.words import markdown_table

SIZES = "n_obs n_units n_treated n_clusters n_treated_clusters"
ERRORS = "std_error ci_low ci_high"
OTHERS = "the row is of another figure, or of nothing that has it"
CHOICES = [name for name in Specification.model_fields if name != "families"]
for _name in CHOICES:
    COLUMNS.setdefault(_name, (Specification.model_fields[_name].description.rstrip("."), "choice", "none"))

# A table between the stages, written as CSV -> what it has besides.
_OF_TABLES = {"estimates": ["aggregation"], "diagnostics": ["aggregation", "item"], "area_audit": ["aggregation"],
              "weights": ["aggregation"], "adjusted_p_values": [], "reproduction": [], "headline": ["aggregation"],
              "calibration": ["aggregation"], "verdicts": [], "evidence": [], "evidence_items": []}
# Columns of the numbers behind figures.
_DRAWN = f"""figure target kind words estimate ci_low ci_high smallest largest treatment sample indicator cluster unit
    group specification estimator estimand event_time std_error band_low band_high p_value {SIZES} state few_treated
    note published_value series line wave first_treated counts_as period mean place {' '.join(CHOICES)} same_as
    is_synthetic"""
# File -> what a row is, its columns in order, and what of them is not as in `did.store.columns`.
_FILES: dict[str, tuple[str, str, Mapping[str, tuple[str, str, str]]]] = {
    "specifications": (
        "an overall estimate under a specification",
        "indicator specification design choices n_choices sample treatment estimator cluster estimate "
        f"{ERRORS} p_value {SIZES} claim value_agrees sign_agrees significance_agrees n_agrees number note "
        "is_synthetic", {}),
    "ranking": (
        "a specification of a family, by how many printed facts it satisfies",
        "family rank specification design choices n_choices is_default facts_satisfied facts_printed values signs "
        "bands ns not_satisfied is_synthetic", {
            "rank": ("place; equal numbers share it", COUNT, NEVER),
            "is_default": ("the specification reported", "True or False", NEVER),
            "facts_satisfied": ("printed facts satisfied", COUNT, NEVER),
            "facts_printed": ("printed facts that can be compared", COUNT, NEVER),
            "values": ("values satisfied", COUNT, NEVER), "signs": ("signs satisfied", COUNT, NEVER),
            "bands": ("bands of significance satisfied", COUNT, NEVER),
            "ns": ("numbers of observations satisfied", COUNT, NEVER),
            "not_satisfied": ("the other facts, as claim and fact", TEXT, "all are satisfied")}),
    "choices": (
        "how far one choice moves the estimate of a claim", "claim indicator estimator treatment sample choice value "
        "design difference smallest largest n_pairs is_synthetic", {
            "choice": ("choice that is changed", CODE, NEVER), "value": ("its value", TEXT, NEVER),
            "difference": ("mean change of the estimate", EFFECT, NEVER),
            "smallest": ("smallest change", EFFECT, NEVER), "largest": ("largest change", EFFECT, NEVER),
            "n_pairs": ("pairs of specifications that differ in this choice alone", COUNT, NEVER)}),
    "data_dictionary": (
        "a column of a CSV of the results", "file row column title meaning unit missing is_synthetic", {
            "row": ("what one row of the file is", TEXT, NEVER), "column": ("name of the column", TEXT, NEVER),
            "title": ("its name in words", TEXT, NEVER), "meaning": ("what it holds", TEXT, NEVER),
            "unit": ("its unit, or kind", TEXT, NEVER), "missing": ("what an empty cell means", TEXT, NEVER),
            "is_synthetic": ("the files of this run are made from made-up data", "True or False", NEVER)}),
    "figures": (
        "a line, an effect, a mean or a specification that a figure draws", _DRAWN, {
            name: (*each[:2], OTHERS) for name, each in (COLUMNS | {
            "figure": ("name of the figure, that of its file in the folder figures", CODE),
            "kind": ("of a line: printed, ours, as_published (errors by unit), the kind of a check, or range", CODE),
            "words": ("what a line says", TEXT), "unit": ("unit of the axis that a line is on", TEXT),
            "group": ("heading that a line stands under", TEXT),
            "series": ("of a mean: observed, linear_trend (its fit by that model) or wave", CODE),
            "line": ("of a mean: treated or comparison, the lines of a pane", CODE),
            "wave": ("wave that a mean is of; units of one wave with different dates are separate", COUNT),
            "first_treated": ("first treated period of that wave, or of all", "ISO period"),
            "counts_as": ("of a wave: treated or comparison under the reported specification", CODE),
            "mean": ("mean outcome of n_units units in the period", "unit of the outcome"),
            "place": ("place of a specification on the horizontal axis", COUNT),
            "same_as": ("specification with the same settings that is drawn in its place", CODE)}).items()}),
}


# File in the results folder -> its schema.
RESULTS: dict[str, pa.DataFrameSchema] = {
    f"tables/{name}.csv": pa.DataFrameSchema(SCHEMAS[name].columns | {
        each: described(each, pa.Column(), {}) for each in more}, title=SCHEMAS[name].title)
    for name, more in _OF_TABLES.items()
} | {
    f"tables/{file}.csv": pa.DataFrameSchema({
        name: described(name, pa.Column(), own) for name in columns.split()}, title=about)
    for file, (about, columns, own) in _FILES.items()
}


def dictionary() -> pd.DataFrame:
    """Return one row of text per file and column: file, row, column, title, meaning, unit, missing."""
    return pd.DataFrame([{"file": file, "row": schema.title, "column": name, "title": column.title,
                          "meaning": column.description, **column.metadata}
                         for file, schema in RESULTS.items() for name, column in schema.columns.items()])


def markdown() -> str:
    """Return the dictionary as docs/data_dictionary.md has it: a heading and a table per file."""
    parts = ["# Data dictionary", "Every column of every CSV in `results/tables/`, as `data_dictionary.csv` there has "
             "it. Made by `python -m did.report.content.dictionary > docs/data_dictionary.md`; a test keeps both true.",
             "Text that a spreadsheet may run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break, "
             "and is not a number or a sign alone) has an apostrophe before it in these files; "
             "`did.store.result_csv.read_csv` takes it off again. Numbers have every digit. Empty cells are "
             "missing values.",
             "`tables/figures.csv` holds the numbers behind all figures, one after the other: its column `figure` "
             "names the figure, and columns that a figure has not are empty."]
    for file, rows in dictionary().groupby("file", sort=False):
        parts += [f"## {file}", f"One row is {rows['row'].iloc[0]}.",
                  markdown_table(rows[["column", "title", "meaning", "unit", "missing"]])]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
