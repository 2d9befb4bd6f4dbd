"""The registry's files into the raw folder, each verified, with a manifest.

What lies in a source's folder:

- the files, under the registry's names, each put there by one rename after its checksum was verified;
- ``manifest.json``, written last, when every file is right: where each came from, when, and its checksum;
- ``NAME.new``, only when the publisher changed a file: the new edition, waiting to be accepted or deleted;
- ``.partial/``, only while a fetch is under way or after one that failed: downloads to resume, and for each
  file already in place how it was obtained. No reader looks there; a fetch that ends well removes it.

One fetch at a time works on a source's folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from did.errors import DidError, listed, suggest
from did.fetch.contents import check_kind, describe, differences, outline
from did.fetch.supply import ChangedEdition, Failure, Limits, Progress, Supplier, progress_bar, short
from did.project.registry import RawFileEntry, Source
from did.store.provenance import is_sealed, sha256, write_json, write_sealed

MANIFEST = "manifest.json"
WORKING_FOLDER = ".partial"
MODES = ("demo", "mirror:FOLDER", "live")
DEMO = Path("config/demo.yaml")

Record = dict[str, Any]


@dataclass(frozen=True)
class DataMode:
    """Where files come from: ``kind`` is demo, mirror or live; ``folder`` is the mirror's folder, or the settings of
    the demo, else None."""

    kind: str
    folder: Path | None = None


def parse_mode(text: str) -> DataMode:
    """Return the DataMode that ``demo`` (or ``demo:SETTINGS.yaml``), ``mirror:FOLDER`` or ``live`` stands for.

    Raises DidError, listing the accepted forms, for anything else and for a mirror without a folder.
    """
    kind, colon, rest = str(text).strip().partition(":")
    if kind == "mirror" and rest.strip():
        return DataMode("mirror", Path(rest.strip()).expanduser())
    if kind == "live" and not colon:
        return DataMode("live")
    if kind == "demo" and (rest.strip() or not colon):
        return DataMode("demo", Path(rest.strip()) if colon else DEMO)
    hint = "; name the folder after 'mirror:'" if kind == "mirror" else suggest(kind, ["demo", "mirror", "live"])
    raise DidError(f"data mode: expected one of {', '.join(MODES)}; found '{text}'{hint}")


def fetch(
    source: Source,
    folder: str | Path,
    *,
    mode: DataMode,
    offline: bool = False,
    accept: bool = False,
    refresh: bool = False,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Bring every file of ``source`` into ``folder``, verified, and return the manifest.

    ``folder`` is the source's own folder, ``data/raw/<source id>``. Files that are there with the right
    checksum are kept with their manifest entries; only missing or damaged ones are fetched (all of them if
    ``refresh``). All are tried before any error is raised. ``offline`` opens no socket: a mirror is still
    read, a live source must be there already. ``accept`` takes whole files of the right kind whose checksum
    is not the registered one (a waiting ``NAME.new`` first) and marks them accepted in the manifest; the
    registry is not touched. ``progress`` None shows a bar if standard error is a terminal.

    The manifest is ``{"source": id, "mode": kind, "files": {name: {address, retrieved_at (UTC, ISO 8601, to
    the second; None if not known, as for a file put in by hand), bytes, sha256, expected_sha256,
    accepted, licence, how (mirror, live or manual), period}}}``, also written to ``folder/manifest.json``
    unless its files are unchanged.

    Raises DidError, naming the source, the first file in trouble, what was expected, what came and what to
    do, and the names of others in trouble, when: the mirror's index is missing or names a path outside the
    mirror; a file is missing from the mirror, or has another checksum there; a download fails in a way that
    retries do not fix; a web page or another kind of file comes in its place; the publisher's file has
    changed (both editions are then kept, the new one as ``NAME.new``); a file has no address and is not in
    the folder; ``offline`` is set and a file is missing or damaged; a file cannot be written.
    """
    folder = Path(folder)
    if source.is_own:
        from did.fetch.own_files import copied

        return copied(source, folder, accept=accept)
    if mode.kind == "demo":
        return _make_up(source, folder, mode)
    job = _Job(source, folder, accept)
    entries = obtainable(source, folder, mode) if source.manual_download else source.files
    if not entries:
        raise DidError(f"{source.id}: no file is at hand; download them from {source.landing_page}, put them into "
                       f"{folder} under the names of the registry ({source.files[0].name}, ...) and run again")
    records: dict[str, Record] = {}
    problems: dict[str, DidError] = {}
    wanted: list[RawFileEntry] = []
    for entry in entries:
        with _collected(problems, entry, job):
            manual_download = mode.kind == "live" and entry.address is None and entry.archive is None
            record = job.promoted(entry) or (None if refresh and not manual_download else job.kept(entry))
            if record is not None and job.is_outdated(entry, record, mode):
                record = None
            if record is not None:
                records[entry.name] = record
            elif offline and mode.kind == "live":
                raise _offline_problem(job, entry)
            elif manual_download:
                records[entry.name] = job.manual_download(entry)
            else:
                wanted.append(entry)

    size = sum(entry.bytes or 0 for entry in wanted)
    given = contextlib.nullcontext(progress) if progress is not None else None
    with given or progress_bar(source.id, len(wanted), size) as watcher:
        if wanted:
            limits = limits or Limits()
            supplier = _supplier(source, mode, limits, watcher)
            _obtain_all(job, wanted, supplier, limits.threads, watcher, records, problems)
    if problems:
        raise _summary(source, problems)
    manifest = {
        "source": source.id,
        "mode": mode.kind,
        "files": {entry.name: records[entry.name] for entry in entries},
    }
    return job.finish(manifest)


def obtainable(source: Source, folder: str | Path, mode: DataMode) -> list[RawFileEntry]:
    """Return the files of a source that are at hand, or that the mode can look for, without opening a socket.

    In demo mode all; otherwise those in ``folder``, those that the mirror has, and in live mode those with an
    address. Raises DidError for a mirror without an index.
    """
    if mode.kind == "demo":
        return list(source.files)

    def has_address(entry: RawFileEntry) -> bool:
        return entry.address is not None or entry.archive is not None

    has = has_address
    if mode.kind == "mirror":
        from did.fetch.mirror import lister

        has = lister(source.id, mode.folder)
    return [entry for entry in source.files if (Path(folder) / entry.name).is_file() or has(entry)]


def _make_up(source: Source, folder: Path, mode: DataMode) -> dict[str, Any]:
    """Write every file of the source as demonstration data, and their manifest. Always all: it takes seconds, and a
    file of other settings is never left among them."""
    from did.simulate import write_source
    from did.simulate.truth import load_demo

    paths = write_source(source, folder, load_demo(mode.folder))
    manifest = {"source": source.id, "mode": "demo", "files": {
        entry.name: {"address": None, "retrieved_at": None, "bytes": path.stat().st_size, "sha256": sha256(path),
                     "expected_sha256": None, "accepted": False, "licence": "made up: not a publisher's file",
                     "how": "demo", "period": entry.period}
        for entry, path in zip(source.files, paths, strict=True)}}
    return write_sealed(folder / MANIFEST, manifest)


def _supplier(source: Source, mode: DataMode, limits: Limits, progress: Progress) -> Supplier:
    """Return what supplies the files in this mode; a further mode is a further branch here."""
    if mode.kind == "mirror" and mode.folder is not None:
        from did.fetch.mirror import MirrorSupplier

        return MirrorSupplier(source.id, mode.folder, progress)
    if mode.kind == "live":
        from did.fetch.live import LiveSupplier

        return LiveSupplier(limits, progress, source.trusted_hosts)
    raise DidError(f"data mode: expected one of {', '.join(MODES)}; found '{mode.kind}'")


def _obtain_all(
    job: _Job,
    wanted: list[RawFileEntry],
    supplier: Supplier,
    threads: int,
    progress: Progress,
    records: dict[str, Record],
    problems: dict[str, DidError],
) -> None:
    """Obtain every wanted file in parallel; fill ``records`` and ``problems`` by file name."""

    def one(entry: RawFileEntry) -> None:
        with _collected(problems, entry, job):
            records[entry.name] = job.obtain(entry, supplier)
        progress.finished(entry.name)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        futures = [pool.submit(one, entry) for entry in wanted]
        try:
            for future in futures:
                future.result()
        except BaseException:  # an interrupt, or a fault of ours: let the other downloads stop first
            supplier.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextlib.contextmanager
def _collected(problems: dict[str, DidError], entry: RawFileEntry, job: _Job) -> Iterator[None]:
    """Keep what goes wrong with one file, worded for the user, so that the others are still tried."""
    try:
        yield
    except DidError as error:
        problems[entry.name] = error
    except ChangedEdition as changed:
        problems[entry.name] = job.keep_both(entry, changed)
    except Failure as failure:
        problems[entry.name] = job.problem(entry, failure)
    except OSError as error:
        place = error.filename or job.folder / entry.name
        problems[entry.name] = DidError(f"{job.source.id}: {entry.name}: {place}: {error.strerror or error}")


class _Job:
    """One source's folder during a fetch: what is known of its files, and how they are put there."""

    def __init__(self, source: Source, folder: Path, accept: bool) -> None:
        self.source = source
        self.folder = folder
        self.accept = accept
        self.work = folder / WORKING_FOLDER
        _remove_links(self.work)
        # One whose seal is broken says nothing: the files are verified against the registry alone.
        earlier = _read_json(folder / MANIFEST)
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
        return self._record(entry, path, address=known.get("address"), how=how, at=at)

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
        remedy = f"get it from {self.source.landing_page}, put it at {path} and run again"
        if entry.note:
            remedy += f" (registry's note: {entry.note})"
        if not path.is_file():
            raise Failure("no address in the registry and no such file", remedy)
        check_kind(path, entry.name)
        if not self.accept:
            remedy += "; or run with --accept if this edition is the one you want"
            came = f"a file at {path} with sha256 {short(sha256(path))} ({path.stat().st_size:,} bytes)"
            raise Failure(came, remedy)
        return self._record(entry, path, address=None, how="manual", at=None)

    def promoted(self, entry: RawFileEntry) -> Record | None:
        """If accepting and a ``NAME.new`` waits, put it in place and return its entry, else None."""
        waiting = self.folder / f"{entry.name}.new"
        if not self.accept or not waiting.is_file():
            return None
        check_kind(waiting, entry.name)
        address = _read_json(self.work / f"{waiting.name}.json").get("address", entry.address)
        came_at = _utc(waiting.stat().st_mtime)
        record = self._record(entry, waiting, address=address, how="live", at=came_at)
        self._place(entry, waiting, record)
        return record

    def obtain(self, entry: RawFileEntry, supplier: Supplier) -> Record:
        """Get one file from the supplier, verify it, put it in place and return its manifest entry."""
        self.work.mkdir(parents=True, exist_ok=True)
        supplied = supplier.supply(entry, self.work, self._checker(entry))
        how, address = supplied.how, supplied.address
        record = self._record(entry, supplied.path, address=address, how=how, at=_utc(time.time()))
        self._place(entry, supplied.path, record)
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
        return self._worded(entry, came, remedy)

    def problem(self, entry: RawFileEntry, failure: Failure) -> DidError:
        """Return the error for a file that could not be obtained."""
        remedy = failure.remedy or (
            f"look for its new address on {self.source.landing_page} and correct the registry"
        )
        manual_download = f", or put the file at {self.folder / entry.name} and run again"
        return self._worded(
            entry,
            failure.came,
            remedy + ("" if "put the file" in remedy or str(self.folder) in remedy else manual_download),
        )

    def _worded(self, entry: RawFileEntry, came: str, remedy: str) -> DidError:
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

    def _place(self, entry: RawFileEntry, whole: Path, record: Record) -> None:
        """Move a whole file to its name. The record goes first, so a run killed between the two knows it."""
        write_json(self.work / f"{entry.name}.record.json", record)
        os.replace(whole, self.folder / entry.name)

    def _expected(self, entry: RawFileEntry) -> str | None:
        """Return the checksum that the file should have: where none is registered, that of the edition in use."""
        return entry.sha256 or self._files.get(entry.name, {}).get("sha256")

    def _known(self, name: str, digest: str) -> Record:
        """Return how the file with this checksum was obtained: by an unfinished run, else by the manifest."""
        for record in (_read_json(self.work / f"{name}.record.json"), self._files.get(name, {})):
            if record.get("sha256") == digest:
                return record
        return {}

    def _record(
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


def _offline_problem(job: _Job, entry: RawFileEntry) -> DidError:
    path = job.folder / entry.name
    came = f"a file with sha256 {short(sha256(path))} at {path}" if path.is_file() else f"nothing at {path}"
    remedy = "--offline forbids the network: run without it, use mirror:FOLDER, or put the file there"
    return job._worded(entry, came, remedy)


def _summary(source: Source, problems: dict[str, DidError]) -> DidError:
    """Return the first problem in the registry's order, with the names of the other files in trouble."""
    names = [entry.name for entry in source.files if entry.name in problems]
    first, rest = names[0], names[1:]
    if not rest:
        return problems[first]
    return DidError(f"{problems[first]} (and {len(rest)} more: {listed(rest, 8)})")


def _read_json(path: Path) -> dict[str, Any]:
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
