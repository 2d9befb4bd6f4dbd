"""The registry's files into the raw folder, each verified, with a manifest.

What lies in a source's folder:

- the files, under the registry's names, each put there by one rename after its checksum was verified;
- ``manifest.json``, written last, when every file is right: where each came from, when, and its checksum;
- ``NAME.new``, only when the publisher changed a file: the new edition, waiting to be accepted or deleted;
- ``.partial/``, only while a fetch is under way, after one that failed, or after `did supply` put in a part of the
  files: downloads to resume, and for each file already in place how it was obtained. No reader looks there; a fetch
  that ends well removes it.

One fetch at a time works on a source's folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from did.errors import DidError, listed
from did.fetch.folder import MANIFEST, Record, SourceFolder
from did.fetch.supply import ChangedEdition, Failure, Limits, Progress, Supplier, progress_bar, short
from did.project.data_mode import MODES, DataMode
from did.project.registry import RawFileEntry, Source
from did.store.provenance import sha256, write_sealed


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
    job = SourceFolder(source, folder, accept)
    entries = obtainable(source, folder, mode) if source.manual_download else source.files
    if not entries:
        raise DidError(f"{source.id}: no file is at hand; download them from {source.landing_page}, then: did supply "
                       f"{source.id} FILES..., which puts them into {folder} under the names of the registry")
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
    job: SourceFolder,
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
def _collected(problems: dict[str, DidError], entry: RawFileEntry, job: SourceFolder) -> Iterator[None]:
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


def _offline_problem(job: SourceFolder, entry: RawFileEntry) -> DidError:
    path = job.folder / entry.name
    came = f"a file with sha256 {short(sha256(path))} at {path}" if path.is_file() else f"nothing at {path}"
    remedy = "--offline forbids the network: run without it, use mirror:FOLDER, or put the file there"
    return job.worded(entry, came, remedy)


def _summary(source: Source, problems: dict[str, DidError]) -> DidError:
    """Return the first problem in the registry's order, with the names of the other files in trouble."""
    names = [entry.name for entry in source.files if entry.name in problems]
    first, rest = names[0], names[1:]
    if not rest:
        return problems[first]
    return DidError(f"{problems[first]} (and {len(rest)} more: {listed(rest, 8)})")
