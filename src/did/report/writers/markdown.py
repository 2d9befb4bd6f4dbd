"""The writer of Markdown: templates with a filter that escapes, and tables."""

from __future__ import annotations

import pandas as pd

from did.report.content.table import Table
from did.report.writers.html import environment
from did.words import markdown_cell, markdown_table


def markdown_of(template: str, **values: object) -> str:
    """Return a page of the templates folder as text ending in one line break; the filter ``cell`` escapes."""
    plain = environment().overlay(autoescape=False)
    plain.filters = plain.filters | {"cell": lambda text: markdown_cell(str(text))}
    return plain.get_template(template).render(**values).rstrip("\n") + "\n"


def table_text(table: Table) -> str:
    """Return a table as Markdown: its caption, the table and its notes, all text escaped."""
    columns = table.shown
    frame = pd.DataFrame(list(table.texts()), columns=[column.heading for column in columns])
    right = [column.heading for column in columns if column.is_numeric]
    parts = [f"## {markdown_cell(table.caption)}", markdown_table(frame, right=right), *map(markdown_cell, table.notes)]
    return "\n\n".join(parts)
