"""The recorded verdicts of a run, so that a change that moves one is seen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.readers.reference import read_reference
from did.store.result_csv import write_csv

COLUMNS = ["target", "number", "verdict"]
FOLDER = Path("tests/baselines")
NONE = "none"


def baseline_path(evaluation: str, mode_kind: str, folder: Path = FOLDER) -> Path:
    """Where the verdicts of an evaluation (its id) in a data mode (demo, mirror or live) are recorded."""
    return folder / f"{evaluation}-{mode_kind}.csv"


def changes(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return what differs between the ``table`` of verdicts and those recorded at ``path``.

    Columns target, old, new, in which both words of a verdict stand, that for the number and that for the claim;
    ``none`` for a target that only one of the two has, and for all if there is no file yet. Raises DidError for a file
    that is not such a table.
    """
    new = _words(table)
    old = _words(read_reference(path, COLUMNS, ["target"])) if path.is_file() else pd.Series(dtype=str)
    rows = [(key, old.get(key, NONE), new.get(key, NONE)) for key in dict.fromkeys([*new.index, *old.index])]
    found = pd.DataFrame(rows, columns=["target", "old", "new"])
    return found.loc[found["old"] != found["new"]].reset_index(drop=True)


def lines(changed: pd.DataFrame) -> list[str]:
    """Return one line for each changed verdict: ``D1: close, not_shown -> differs, not_shown``."""
    return [f"{row.target}: {row.old} -> {row.new}" for row in changed.itertuples()]


def _words(table: pd.DataFrame) -> pd.Series:
    """Both words of each target."""
    return (table["number"] + ", " + table["verdict"]).set_axis(table["target"])


def check(table: pd.DataFrame, path: Path) -> None:
    """Raise DidError, naming every verdict that is not the recorded one, or if none are recorded."""
    if not path.is_file():
        raise DidError(f"{path}: expected recorded verdicts to compare with; found no file; `did reproduce "
                       "--renew-baseline` records those of this run")
    changed = lines(changes(table, path))
    if changed:
        raise DidError(f"{path}: expected the recorded verdicts; found {len(changed)} changed: {'; '.join(changed)}; "
                       "fix what moved them, or record the new ones by `did reproduce --renew-baseline`")


def renew(table: pd.DataFrame, path: Path) -> None:
    """Record the verdicts of ``table`` at ``path``."""
    write_csv(path, table[COLUMNS])
