"""Files of the user's own: copied into a source's folder in every data mode, with their checksum noted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from did.errors import DidError
from did.fetch.contents import check_kind
from did.fetch.supply import Failure, short
from did.project.registry import RawFileEntry, Source
from did.store.provenance import atomic, sha256, write_sealed


def copied(source: Source, folder: str | Path, *, accept: bool = False) -> dict[str, Any]:
    """Copy every file of a source whose entries have a ``path`` into ``folder``, and return the manifest.

    The manifest is that of `did.fetch.fetch`, with ``how`` own; it is written to ``folder/manifest.json``. ``accept``
    takes a file whose checksum is not the registered one and marks it accepted.

    Raises DidError for a file that is not there, is a folder, or is not what its name says, and for one that was
    changed since its checksum was registered.
    """
    folder = Path(folder)
    files = {entry.name: _one(source, entry, folder, accept) for entry in source.files}
    manifest = {"source": source.id, "mode": "own", "files": files}
    return write_sealed(folder / "manifest.json", manifest)


def _one(source: Source, entry: RawFileEntry, folder: Path, accept: bool) -> dict[str, Any]:
    path = Path(entry.path)
    where = f"{source.id}: {path}"
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise DidError(f"{where}: expected a file of your own; found {found}; put it there, or correct 'path' in the "
                       "source's file")
    try:
        check_kind(path, entry.name)
    except Failure as failure:
        raise DidError(f"{where}: expected a data file; found {failure.came}; save it as its ending says") from None
    digest = sha256(path)
    changed = entry.sha256 is not None and digest != entry.sha256
    if changed and not accept:
        raise DidError(f"{where}: expected the file with sha256 {short(entry.sha256)}; found {short(digest)}: it was "
                       "changed; if that is meant, run: did indicator check NAME --accept, which notes the new one")
    with atomic(folder / entry.name) as temporary:
        shutil.copyfile(path, temporary)
    return {"address": None, "retrieved_at": None, "bytes": path.stat().st_size, "sha256": digest,
            "expected_sha256": entry.sha256, "accepted": changed, "licence": source.licence, "how": "own",
            "period": entry.period}


def note_checksums(source: Source, place: str | Path) -> list[str]:
    """Write the checksums of the files as they are now into the source's YAML; return the names of those that changed.

    Comments and order stay: only the digits are replaced. Files without a checksum are left as they are.
    """
    place = Path(place)
    text, changed = place.read_text(encoding="utf-8"), []
    for entry in source.files:
        if entry.path and entry.sha256 and Path(entry.path).is_file() and sha256(entry.path) != entry.sha256:
            text = text.replace(entry.sha256, sha256(entry.path))
            changed.append(entry.name)
    if changed:
        with atomic(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return changed
