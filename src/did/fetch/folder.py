"""One source's folder: what is known of its files, and how they are put there."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from did.errors import DidError
from did.fetch.contents import check_kind, describe, differences, outline
from did.fetch.supply import ChangedEdition, Failure, Supplier, short
from did.project.registry import RawFileEntry, Source
from did.store.provenance import is_sealed, sha256, write_json, write_sealed

if TYPE_CHECKING:
    from did.project.data_mode import DataMode

MANIFEST = "manifest.json"
WORKING_FOLDER = ".partial"

Record = dict[str, Any]


class SourceFolder:
    """A source's folder while files are put into it, by a fetch or by hand."""

    def __init__(self, source: Source, folder: Path, accept: bool) -> None:
        self.source = source
        self.folder = folder
        self.accept = accept
        self.work = folder / WORKING_FOLDER
        _remove_links(self.work)
        # One whose seal is broken says nothing: the files are verified against the registry alone.
        earlier = read_json(folder / MANIFEST)
        self.earlier = earlier if "seal" not in earlier or is_sealed(earlier) else {}
        self._files = _section(self.earlier, "files")

    def kept(self, entry: RawFileEntry) -> Record | None:
        """Return the manifest entry of a file that is there and verified, else None."""
        path = self.folder / entry.name
        if not path.is_file():
            return None
        digest = sha256(path)
        known = self._known(entry.name, digest)
        accepted = (
            known.get("accepted") is True
            and known.get("expected_sha256") == entry.sha256
            and entry.sha256 is not None
        )
        recorded = known or self._files.get(entry.name, {})
        if entry.sha256 is None:
            # Nothing is registered: a recorded checksum stands in for it, and a file put in by hand is taken.
            if recorded.get("sha256", digest) != digest:
                return None
            check_kind(path, entry.name)
        elif digest != entry.sha256 and not accepted:
            return None
        how, at = known.get("how", "manual"), known.get("retrieved_at")
        return self.record(entry, path, address=known.get("address"), how=how, at=at)

    def is_outdated(self, entry: RawFileEntry, record: Record, mode: DataMode) -> bool:
        """Say whether a mirror holds another edition than the file at hand, of a file without a registered checksum.

        Raises Failure in that case unless accepting: neither edition is known to be the right one.
        """
        if mode.kind != "mirror" or entry.sha256 is not None:
            return False
        from did.fetch.mirror import edition

        held = edition(self.source.id, mode.folder, entry)
        if held is None or held[1] == record["sha256"]:
            return False
        if not self.accept:
            raise Failure(f"another edition, sha256 {short(held[1])}, in {held[0]}",
                          "run with --accept to take the mirror's; to keep the file at hand, write its sha256 "
                          f"{record['sha256']} in the registry")
        return True

    def manual_download(self, entry: RawFileEntry) -> Record:
        """Return the entry of a file without address that a person put in, or raise the problem."""
        path = self.folder / entry.name
        remedy = f"get it from {self.source.landing_page}, then: did supply {self.source.id} FILE"
        if entry.note:
            remedy += f" (registry's note: {entry.note})"
        if not path.is_file():
            raise Failure("no address in the registry and no such file", remedy)
        check_kind(path, entry.name)
        if not self.accept:
            remedy += "; or run again with --accept if this edition is the one you want"
            came = f"a file at {path} with sha256 {short(sha256(path))} ({path.stat().st_size:,} bytes)"
            raise Failure(came, remedy)
        return self.record(entry, path, address=None, how="manual", at=None)

    def promoted(self, entry: RawFileEntry) -> Record | None:
        """If accepting and a ``NAME.new`` waits, put it in place and return its entry, else None."""
        waiting = self.folder / f"{entry.name}.new"
        if not self.accept or not waiting.is_file():
            return None
        check_kind(waiting, entry.name)
        address = read_json(self.work / f"{waiting.name}.json").get("address", entry.address)
        came_at = _utc(waiting.stat().st_mtime)
        record = self.record(entry, waiting, address=address, how="live", at=came_at)
        self.place(entry, waiting, record)
        return record

    def obtain(self, entry: RawFileEntry, supplier: Supplier) -> Record:
        """Get one file from the supplier, verify it, put it in place and return its manifest entry."""
        self.work.mkdir(parents=True, exist_ok=True)
        supplied = supplier.supply(entry, self.work, self._checker(entry))
        how, address = supplied.how, supplied.address
        record = self.record(entry, supplied.path, address=address, how=how, at=_utc(time.time()))
        self.place(entry, supplied.path, record)
        return record

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest unless its files are unchanged, tidy up, and return it as it stands."""
        if {"seal", *manifest} <= {*self.earlier} and self.earlier["source"] == manifest["source"] and (
                self._files == manifest["files"]):
            manifest = self.earlier
        else:
            manifest = write_sealed(self.folder / MANIFEST, manifest)
        shutil.rmtree(self.work, ignore_errors=True)
        for left in self.folder.glob(f".{MANIFEST}.*.part"):  # of a run killed while it wrote the manifest
            left.unlink(missing_ok=True)
        return manifest

    def keep_both(self, entry: RawFileEntry, changed: ChangedEdition) -> DidError:
        """Keep the publisher's new edition as ``NAME.new`` and return the error that says what changed."""
        path, waiting = self.folder / entry.name, self.folder / f"{entry.name}.new"
        write_json(self.work / f"{waiting.name}.json", {"address": changed.address})
        os.replace(changed.path, waiting)
        if path.is_file():
            what = f"changes: {differences(path, waiting)}; both are kept, the new one as {waiting}"
        else:
            registered = f"{entry.bytes:,}" if entry.bytes else "unknown"
            size = f"{registered} -> {waiting.stat().st_size:,}"
            what = f"bytes {size}, {outline(describe(waiting))}; kept as {waiting}"
        remedy = "look at it, then run with --accept to take it or delete it"
        if entry.note:
            remedy += f" (registry's note: {entry.note})"
        came = f"{changed.came} from {changed.address}: the publisher's file changed; {what}"
        return self.worded(entry, came, remedy)

    def problem(self, entry: RawFileEntry, failure: Failure) -> DidError:
        """Return the error for a file that could not be obtained."""
        remedy = failure.remedy or (
            f"look for its new address on {self.source.landing_page} and correct the registry"
        )
        by_hand = f", or download it by hand, then: did supply {self.source.id} FILE"
        return self.worded(
            entry,
            failure.came,
            remedy + ("" if "put the file" in remedy or "did supply" in remedy else by_hand),
        )

    def worded(self, entry: RawFileEntry, came: str, remedy: str) -> DidError:
        size = f" ({entry.bytes:,} bytes)" if entry.bytes else ""
        expected = self._expected(entry)
        wanted = f"a file with sha256 {short(expected)}{size}" if expected else "a data file"
        return DidError(f"{self.source.id}: {entry.name}: expected {wanted}; came: {came}; {remedy}")

    def _checker(self, entry: RawFileEntry) -> Callable[[Path], None]:
        """Return the check of a supplied file: the registered or recorded checksum, and the kind of file."""
        expected = self._expected(entry)

        def check(path: Path) -> None:
            digest = sha256(path)
            if entry.sha256 is not None and digest == entry.sha256:
                return
            check_kind(path, entry.name)
            if expected not in (None, digest) and not self.accept:
                raise ChangedEdition(path, digest)

        return check

    def place(self, entry: RawFileEntry, whole: Path, record: Record) -> None:
        """Move a whole file to its name. The record goes first, so a run killed between the two knows it."""
        write_json(self.work / f"{entry.name}.record.json", record)
        os.replace(whole, self.folder / entry.name)

    def _expected(self, entry: RawFileEntry) -> str | None:
        """Return the checksum that the file should have: where none is registered, that of the edition in use."""
        return entry.sha256 or self._files.get(entry.name, {}).get("sha256")

    def _known(self, name: str, digest: str) -> Record:
        """Return how the file with this checksum was obtained: by an unfinished run, else by the manifest."""
        for record in (read_json(self.work / f"{name}.record.json"), self._files.get(name, {})):
            if record.get("sha256") == digest:
                return record
        return {}

    def record(
        self, entry: RawFileEntry, path: Path, *, address: str | None, how: str, at: str | None
    ) -> Record:
        digest = sha256(path)
        return {
            "address": address,
            "retrieved_at": at,
            "bytes": path.stat().st_size,
            "sha256": digest,
            "expected_sha256": entry.sha256,
            "accepted": entry.sha256 is not None and digest != entry.sha256,
            "licence": self.source.licence,
            "how": how,
            "period": entry.period,
        }


def _remove_links(work: Path) -> None:
    """Delete a link in the place of the working folder, and links in it: fetching makes none and follows none."""
    for path in [work] if work.is_symlink() else list(work.glob("*")):
        if path.is_symlink():
            path.unlink()


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file of ours; an absent or damaged one is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _section(content: dict[str, Any], key: str) -> dict[str, Record]:
    """Return the mapping of mappings under ``key``; anything else in it counts as absent."""
    section = content.get(key)
    return {k: v for k, v in section.items() if isinstance(v, dict)} if isinstance(section, dict) else {}


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
