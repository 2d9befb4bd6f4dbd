"""Stage 2: a source's files read into the observations table."""

from __future__ import annotations

from did import readers
from did.errors import DidError
from did.project import registry
from did.project.paths import Paths
from did.store import tables
from did.store.provenance import read_sealed, sha256


def run(source_name: str, *, sources_folder: str, paths: Paths) -> str:
    """Read every raw file of one source, write its observations table and return one line about it.

    Raises DidError for an unknown source, files that were not fetched, and everything a reader refuses.
    """
    source = registry.load_named(source_name, sources_folder)
    folder = paths.raw(source_name)
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise DidError(f"{folder}: expected fetched files with a manifest.json; found none; "
                       f"run: did fetch {source_name}")
    obtained = read_sealed(manifest)["files"]
    for name, entry in sorted(obtained.items()):
        if (folder / name).is_file() and sha256(folder / name) != entry["sha256"]:
            raise DidError(f"{folder / name}: expected the file that was fetched; found it changed since; run again: "
                           "did run fetches it again")
    files = [
        readers.RawFile(path=folder / name, name=name, period=entry.get("period"),
                        is_synthetic=source.synthetic or entry.get("how") == "demo")
        for name, entry in sorted(obtained.items())
    ]
    frame = readers.read(source.reader, source.id, files, source.options)
    tables.write("observations", frame, paths.observations(source_name))
    span = f"{frame['period'].min()} to {frame['period'].max()}"
    areas = frame["area_code"].nunique()
    return f"{source_name}: {len(files)} files, {len(frame):,} observations, {areas} areas, {span}"
