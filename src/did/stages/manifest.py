"""Stage 10: the manifest of the run: checksums of everything that went in and came out, and what computed it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.fetch.availability import sources_of
from did.project import registry, result_files
from did.project.config import Evaluation
from did.project.paths import FAMILY_TABLES, TABLES, Paths
from did.readers import reference_tables
from did.store import seals
from did.store.provenance import read_sealed, sha256, together, write_sealed

RESULT_STAGES = ("draw", "family", "reproduce", "tabulate", "workbook", "workbench", "report")


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the manifest and return one line about the run. No times are in it: the same inputs and settings give the
    same bytes. Results that the manifest before it lists and this run does not make, of an indicator that was removed
    or whose files are gone, are deleted."""
    written = {str(paths.results / name) for name in result_files.every_file(evaluation, without)}
    indicators = [name for name in evaluation.indicators if name not in without]
    sources = sources_of(evaluation, without)
    raw = sorted(path for source in sources for path in paths.raw(source).glob("*")
                 if path.is_file() and path.name != "manifest.json")
    members = {"observations": sources, **dict.fromkeys(TABLES, indicators),
               **dict.fromkeys(FAMILY_TABLES, result_files.families(evaluation, without))}
    tables = {table: [getattr(paths, table)(name) for name in names] for table, names in members.items()}
    tables["reproduction"] = [paths.reproduction]
    drawn = [paths.drawn / f"{name}.{part}" for name in result_files.every_figure(evaluation, without)
             for part in ("csv", "txt")]
    made = [*(path for each in tables.values() for path in each), *map(paths.section, indicators),
            paths.published_section, *drawn]
    entries = [registry.load_named(name, evaluation.sources_folder) for name in sources]
    looked_into = [path for entry in entries for path in reference_tables(entry.reader, entry.options)]
    _remove_others(paths, written)
    write_sealed(paths.manifest, {
        "evaluation": evaluation.id,
        "is_synthetic": any(pd.read_parquet(path, columns=["is_synthetic"])["is_synthetic"].any().item()
                            for path in map(paths.estimates, indicators)),
        "settings": evaluation.model_dump(mode="json"),
        "versions": _versions(tables, paths),
        "inputs": {str(path): sha256(path) for path in [*raw, *result_files.settings_files(evaluation), *looked_into]},
        "tables": {str(path): sha256(path) for path in sorted(made) if path.is_file()},
        "results": {name: sha256(name) for name in sorted(written)},
    })
    return f"{len(written) + 1} files in {paths.results}/; read {paths.results / result_files.REPORT} first"


def _versions(tables: Mapping[str, Collection[Path]], paths: Paths) -> dict[str, dict[str, str]]:
    """Table, and stage that writes results -> the versions that made its files, which may not be those of this process:
    of tables as each says itself, of results as they were planned."""
    found = {table: together(seals.made_by(path) for path in made if path.is_file()) for table, made in tables.items()}
    for stage in RESULT_STAGES:
        planned = paths.modules / f"{stage}.json"
        if planned.is_file():
            found[stage] = json.loads(planned.read_text(encoding="utf-8"))["versions"]
    return found


def _remove_others(paths: Paths, written: Collection[str]) -> None:
    """Delete the results that an earlier run recorded and this one does not make. Other files may be the user's own:
    `did verify` names them."""
    try:
        earlier = read_sealed(paths.manifest)["results"] if paths.manifest.is_file() else {}
    except DidError:
        return   # a manifest that was changed says nothing to delete by; `did verify` names what is left over
    for name in {*earlier} - {*written}:
        path = Path(name)
        if path.is_relative_to(paths.results) and ".." not in path.parts:
            path.unlink(missing_ok=True)
