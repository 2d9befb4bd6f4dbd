"""Re-hash inputs and results against the manifest of the run that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from did.errors import DidError, listed
from did.project.paths import Paths
from did.store.provenance import read_sealed, sha256


def run(*, paths: Paths) -> str:
    """Hash every input, table and result named in the manifest of the results again and return one line.

    Raises DidError for a missing or changed manifest, for a file that is missing or whose checksum differs (the first
    is named in full, the others counted), and for files among the results that are not of the run.
    """
    if not paths.manifest.is_file():
        raise DidError(f"{paths.manifest}: expected the manifest of a run; found none; run: did run")
    recorded = read_sealed(paths.manifest)
    files = {**recorded["inputs"], **recorded["tables"], **recorded["results"]}
    wrong = []
    for name, expected in files.items():
        path = Path(name)
        found = sha256(path) if path.is_file() else "no file"
        if found != expected:
            wrong.append(f"{name}: expected sha256 {expected}; found {found}")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DidError(f"{wrong[0]}{more}; {paths.manifest} has recorded it: run again to make it again")
    others = _others(paths, recorded["results"])
    if others:
        raise DidError(f"{paths.results}: expected the files of the run alone; found also {listed(others)}: no "
                       "part of it, of an earlier run perhaps; move or delete what you do not need")
    return f"{paths.results}: {len(files)} files are as recorded"


def _others(paths: Paths, results: Mapping[str, str]) -> list[str]:
    """Files alongside the ``results`` of a run, in the folders it writes to; hidden ones and those that an open office
    program keeps are left out, and folders within are those of other evaluations."""
    there = {path for folder in {paths.results, *(Path(name).parent for name in results)}
             for path in folder.glob("[!.~]*") if path.is_file()}
    return sorted(str(path.relative_to(paths.results)) for path in there - {*map(Path, results), paths.manifest})
