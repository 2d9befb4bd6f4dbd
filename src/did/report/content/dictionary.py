"""The data dictionary: every column of every CSV of the results, made from their schemas and nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from did.report.content.result_schemas import RESULTS
from did.store.result_csv import write_csv
from did.words import markdown_table


def dictionary() -> pd.DataFrame:
    """Return one row of text per file and column: file, row, column, title, meaning, unit,
    missing."""
    return pd.DataFrame([{"file": file, "row": schema.title, "column": name, "title": column.title,
                          "meaning": column.description, **column.metadata}
                         for file, schema in RESULTS.items() for name, column in schema.columns.items()])


def write(path: str | Path, *, is_synthetic: bool) -> None:
    """Write the dictionary to ``path`` as CSV."""
    write_csv(path, dictionary().assign(is_synthetic=is_synthetic))


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
