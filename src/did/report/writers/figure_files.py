"""Figures as files of the results: each picture once, and the numbers of all of them in one table."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import pandas as pd

from did.project.paths import Paths
from did.project.result_files import NUMBERS, table_file
from did.store.provenance import atomic
from did.store.result_csv import read_csv, write_csv


def publish(names: Iterable[str], paths: Paths) -> None:
    """Move the pictures of these figures from where they were drawn to the results; numbers and alternative texts
    stay, for the report. Raises FileNotFoundError for a figure that was not drawn."""
    for name in names:
        drawn = paths.drawn / f"{name}.svg"
        with atomic(paths.results / "figures" / f"{name}.svg") as part:
            shutil.copyfile(drawn, part)
        drawn.unlink()


def gather(names: Iterable[str], paths: Paths) -> None:
    """Write the numbers of these figures as one table: the figure, then every column that any of them has, digit for
    digit; a column that a figure has not is empty."""
    frames = [read_csv(paths.drawn / f"{name}.csv", dtype=str, keep_default_na=False).assign(figure=name)
              for name in names]
    frames = [frame.assign(is_synthetic=frame["is_synthetic"].eq("True")) for frame in frames]
    columns = dict.fromkeys(["figure", *(name for frame in frames for name in frame.columns)])
    write_csv(paths.results / table_file(NUMBERS), pd.concat(frames, ignore_index=True)[list(columns)])
