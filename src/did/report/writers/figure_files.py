"""The numbers of all figures as one table of the results."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from did.project.paths import Paths
from did.project.result_files import NUMBERS, table_file
from did.store.provenance import write_text


def gather(names: Iterable[str], paths: Paths) -> None:
    """Write the numbers of these figures as one table: the figure, then every column that any of them has, text for
    text; a column that a figure has not is empty."""
    found = pd.concat([pd.read_csv(paths.drawn / f"{name}.csv", dtype=str, na_filter=False).assign(figure=name)
                       for name in names], ignore_index=True)
    columns = ["figure", *(column for column in found if column != "figure")]
    write_text(paths.results / table_file(NUMBERS), found[columns].to_csv(index=False, lineterminator="\n"))
