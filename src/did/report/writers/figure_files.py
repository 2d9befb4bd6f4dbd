"""The numbers of all figures as one table of the results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from did.project.paths import Paths
from did.project.result_files import NUMBERS, table_file
from did.store.provenance import write_text


def gather(names: Iterable[str], paths: Paths) -> None:
    """Write the numbers of these figures as one table: the figure, then every column that any of them has, text for
    text; a column that a figure has not is empty."""
    found: dict[str, list[dict[str, str]]] = {}
    columns = {"figure": None}
    for name in names:
        with open(paths.drawn / f"{name}.csv", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            found[name] = list(reader)
            columns |= dict.fromkeys(reader.fieldnames or [])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"figure": name, **row} for name, rows in found.items() for row in rows)
    write_text(paths.results / table_file(NUMBERS), text.getvalue())
