"""Re-hash inputs and results against the manifest of the run that made them."""

from __future__ import annotations

from pathlib import Path

from did.errors import DidError
from did.paths import Paths
from did.provenance import read_sealed, sha256


def run(*, paths: Paths) -> str:
    """Hash every input, table and result named in ``results/manifest.json`` again and return one line.

    Raises DidError for a missing or changed manifest, and for a file that is missing or whose checksum differs: the
    first is named in full, the others counted.
    """
    manifest = paths.results / "manifest.json"
    if not manifest.is_file():
        raise DidError(f"{manifest}: expected the manifest of a run; found none; run: did run")
    recorded = read_sealed(manifest)
    files = {**recorded["inputs"], **recorded["tables"], **recorded["results"]}
    wrong = []
    for name, expected in files.items():
        path = Path(name)
        found = sha256(path) if path.is_file() else "no file"
        if found != expected:
            wrong.append(f"{name}: expected sha256 {expected}; found {found}")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DidError(f"{wrong[0]}{more}; run again to make it anew")
    return f"{len(files)} files are as recorded"
