"""Stage 1: a source's files into ``data/raw/<source>``, verified."""

from __future__ import annotations

from did import fetch
from did.project import registry
from did.project.data_mode import DataMode
from did.project.paths import Paths


def run(source_name: str, *, sources_folder: str, mode: DataMode, offline: bool, accept: bool,
        paths: Paths) -> str:
    """Fetch the files of one source and return one line that says how many there are.

    Raises DidError for an unknown source and for every failure that did.fetch describes.
    """
    source = registry.load_named(source_name, sources_folder)
    manifest = fetch.fetch(source, paths.raw(source_name), mode=mode, offline=offline,
                           accept=accept)
    size = sum(entry["bytes"] for entry in manifest["files"].values())
    how = {entry["how"] for entry in manifest["files"].values()}
    what = "SYNTHETIC" if source.synthetic or "demo" in how else "own" if "own" in how else "verified"
    return f"{source_name}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, {what}"


