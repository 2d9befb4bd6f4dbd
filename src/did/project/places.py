"""The folders and tables that keys of an evaluation name, looked for before anything reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from did.errors import DidError, Mistakes, suggest_file
from did.project import yaml_files
from did.project.config import Evaluation


def check_folder(config: Path, evaluation: Evaluation, key: str) -> None:
    """Raise DidError unless a folder is where ``key`` of an evaluation says."""
    folder = Path(getattr(evaluation, key))
    if not folder.is_dir():
        raise DidError(f"{yaml_files.key(config, key)}: expected a folder; found {_found(folder)} at {folder}; correct "
                       "the name, or make the folder")


def check_reference(config: Path, evaluation: Evaluation, name: str, *location: str) -> None:
    """Raise DidError unless the reference table ``name``, which is written at ``location``, is there."""
    check_folder(config, evaluation, "reference")
    _check_table(yaml_files.key(config, *location), Path(evaluation.reference) / name)


def check_tables(config: Path, evaluation: Evaluation, mistakes: Mistakes) -> None:
    """Add a mistake for each table that a key names and that is not there."""
    for location, name in _tables(evaluation):
        with mistakes.collected():
            check_reference(config, evaluation, name, *location)
    if evaluation.published is not None:
        with mistakes.collected():
            _check_table(yaml_files.key(config, "published"), Path(evaluation.published))


def _tables(evaluation: Evaluation) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a table of the reference folder is named, and its name."""
    waves, robust = evaluation.waves, evaluation.robustness
    for key in ("table", "units"):
        if (name := getattr(waves, key)) is not None:
            yield ("waves", key), name
    by_geography = {("waves", key): getattr(waves, key) for key in ("membership", "partial_districts", "systems")}
    by_geography |= {("waves", "records", name): tables for name, tables in waves.records.items()}
    by_geography |= {("robustness", "terciles", name): tables for name, tables in robust.terciles.items()}
    by_geography |= {("robustness", "neighbours"): robust.neighbours}
    for location, tables in by_geography.items():
        for geography, name in tables.items():
            yield (*location, geography), name


def _check_table(where: str, path: Path) -> None:
    if not path.is_file():
        raise DidError(f"{where}: expected a CSV table; found {_found(path)} at {path}"
                       f"{suggest_file(path) or '; correct the name, or put the table there'}")


def _found(path: Path) -> str:
    return "a folder" if path.is_dir() else "a file" if path.exists() else "nothing"
