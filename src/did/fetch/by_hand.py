"""Files that people download by hand, put into a source's folder: recognised by what is in them, not by their names.

A file is whatever the browser or the publisher called it, alone, in a folder or in a zip file. The source's reader
reads it and finds which of the registry's files it is; a registered checksum settles it too. Nothing is put into place
before every file has been looked at, and each is put there by one rename.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from did import readers
from did.errors import DidError, Mistakes
from did.fetch import fetch
from did.fetch.contents import check_kind, kind
from did.fetch.folder import MANIFEST, SourceFolder, read_json
from did.fetch.supply import Failure, progress_bar, short
from did.project.data_mode import DataMode
from did.project.registry import RawFileEntry, Source
from did.readers.limits import read_unpacked, refuse_large
from did.store.provenance import atomic, sha256

# How deep a zip file may lie within zip files.
_DEPTH = 3
# What is within a zip file that is a workbook.
_WORKBOOK = {"[Content_Types].xml", "mimetype"}


@dataclass(frozen=True)
class Candidate:
    """A file that may be one of the source's: where it is, unpacked, and what the user calls it.

    ``is_named`` says that the user gave this very file; others came out of a folder or a zip file.
    """

    path: Path
    shown: str
    is_named: bool

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class Found:
    """A candidate that is the registry's file ``entry``, with its checksum."""

    entry: RawFileEntry
    candidate: Candidate
    digest: str


@dataclass
class Outcome:
    """What became of the files: those ``placed``, those ``skipped`` and why, lines about the ``refused``, how many of a
    folder or zip file were ``passed_over`` as no data files, and the registry's files still ``missing``."""

    placed: list[Found] = field(default_factory=list)
    skipped: list[tuple[Candidate, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    passed_over: int = 0
    missing: list[RawFileEntry] = field(default_factory=list)


def supply(source: Source, folder: str | Path, given: Sequence[str | Path], *, accept: bool = False) -> Outcome:
    """Put the files of ``source`` that are among those ``given`` into its ``folder``; say what became of each.

    ``given`` are files, zip files and folders, which are searched throughout. A file is taken if the source's reader
    reads it without complaint and finds the period of one of the registry's files (or its checksum is a registered
    one), and no other edition of that file is registered, in place, or given at the same time. ``accept`` takes another
    edition than the registered one, and puts one in the place of another. What is refused is in the outcome, a line
    each, and hinders no other file.

    Raises DidError for a source whose files are the user's own, and for a path that is not there.
    """
    if source.is_own:
        raise DidError(f"source {source.id}: expected one whose files a publisher has; found files of your own; put "
                       f"them at their paths, {source.files[0].path} first")
    folder, outcome, mistakes = Path(folder), Outcome(), Mistakes()
    with tempfile.TemporaryDirectory(prefix="did-") as scratch:
        candidates = list(_candidates(source, given, Path(scratch), outcome, mistakes))
        recognised: list[Found] = []
        with progress_bar(source.id, len(candidates), 0) as bar:
            for candidate in _once(candidates, outcome):
                with mistakes.collected():
                    recognised.append(_recognised(source, candidate))
                bar.finished(candidate.shown)
        job = SourceFolder(source, folder, accept)
        for found in _one_each(recognised, mistakes):
            with mistakes.collected():
                _put(job, found, outcome)
    outcome.missing = [entry for entry in source.files if not (folder / entry.name).is_file()]
    if outcome.placed and (source.manual_download or not outcome.missing):
        with mistakes.collected():
            fetch(source, folder, mode=DataMode("live"), offline=True)  # nothing is fetched: it writes the manifest
    outcome.refused = mistakes.lines
    return outcome


def _candidates(source: Source, given: Sequence[str | Path], scratch: Path, outcome: Outcome,
                mistakes: Mistakes) -> Iterator[Candidate]:
    """Yield every file that is given, those in folders and zip files among them, in the order of their names.

    Those that nobody named and whose ending no file of the source has are passed over, and counted.
    """
    endings = {Path(entry.name).suffix.lower() for entry in source.files}
    endings |= {".xls", ".xlsx"} if endings & {".xls", ".xlsx"} else set()
    for path in map(Path, given):
        if not path.exists():
            raise DidError(f"{path}: expected a file or folder; found none; correct the path")
        for file in sorted(_walk(path)) if path.is_dir() else [path]:
            with mistakes.collected():
                yield from _opened(Candidate(file, str(file), file == path), endings, scratch, outcome)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and the folders in it, but for hidden ones and links to folders."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(place) / name for name in files if not name.startswith("."))


def _opened(candidate: Candidate, endings: set[str], scratch: Path, outcome: Outcome,
            depth: int = 0) -> Iterator[Candidate]:
    """Yield a candidate, or those within it if it is a zip file and no workbook."""
    refuse_large(candidate.path, candidate.shown)
    packed = _members(candidate) if zipfile.is_zipfile(candidate.path) else []
    if not packed:
        if candidate.is_named or candidate.path.suffix.lower() in endings:
            yield candidate
        else:
            outcome.passed_over += 1
        return
    if depth == _DEPTH:
        raise DidError(f"{candidate.shown}: expected zip files at most {_DEPTH} deep; found one deeper; unpack it")
    with zipfile.ZipFile(candidate.path) as archive:
        for member in packed:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            shown = f"{candidate.shown}: {name}"
            if name.suffix.lower() not in {*endings, ".zip"}:
                outcome.passed_over += 1
                continue
            place = Path(tempfile.mkdtemp(dir=scratch)) / name.name
            place.write_bytes(_unpacked(archive, member, shown))
            yield from _opened(Candidate(place, shown, False), endings, scratch, outcome, depth + 1)


def _members(candidate: Candidate) -> list[zipfile.ZipInfo]:
    """Return the files in a zip file, in the order of their names; none for a workbook, which is one too."""
    try:
        with zipfile.ZipFile(candidate.path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DidError(f"{candidate.shown}: expected a zip file; found one that cannot be opened ({error}); download "
                       "it again") from error
    if _WORKBOOK & {info.filename for info in infos}:
        return []
    members = [info for info in infos if not info.is_dir() and not any(
        part.startswith((".", "__MACOSX")) for part in PurePosixPath(info.filename).parts)]
    if not members:
        raise DidError(f"{candidate.shown}: expected files in the zip file; found none; download it again")
    return sorted(members, key=lambda info: info.filename)


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, shown: str) -> bytes:
    try:
        with archive.open(member) as stream:
            return read_unpacked(stream, shown, member.compress_size)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, RuntimeError, NotImplementedError) as error:
        raise DidError(f"{shown}: expected a file that unpacks; found one that does not ({error}); download it again, "
                       "or unpack it yourself") from error


def _once(candidates: Sequence[Candidate], outcome: Outcome) -> Iterator[Candidate]:
    """Yield each file once, though it may be there under several names."""
    seen: dict[str, str] = {}
    for candidate in candidates:
        digest = sha256(candidate.path)
        if digest in seen:
            outcome.skipped.append((candidate, f"the same file as {seen[digest]}"))
            continue
        seen[digest] = candidate.shown
        yield candidate


def _recognised(source: Source, candidate: Candidate) -> Found:
    """Return which of the source's files a candidate is; DidError if it is none, or its reader refuses it."""
    digest = sha256(candidate.path)
    registered = next((entry for entry in source.files if entry.sha256 == digest), None)
    raw = readers.RawFile(candidate.path, candidate.shown, registered.period if registered else None)
    wrong = {"html": "a web page (HTML)", "empty": "an empty file"}.get(kind(candidate.path))
    if read_json(candidate.path.with_name(MANIFEST)).get("mode") == "demo":
        wrong = "demonstration data, which are made up"
    if wrong:
        raise DidError(f"{candidate.shown}: expected a data file of {source.publisher}; found {wrong}; download it "
                       f"from {source.landing_page}")
    periods = readers.periods_of(source.reader, source.id, raw, source.options)
    entry = registered or _entry_of(source, periods, candidate)
    try:
        check_kind(candidate.path, entry.name)
    except Failure as failure:
        raise DidError(f"{candidate.shown}: expected a file such as {entry.name}; found {failure.came}; download that "
                       "one") from None
    return Found(entry, candidate, digest)


def _entry_of(source: Source, periods: list[str], candidate: Candidate) -> RawFileEntry:
    """Return the registry's file of these periods: the one of a single period, else the one that has no period."""
    single = [entry for entry in source.files if entry.period is not None and [entry.period] == periods]
    several = [entry for entry in source.files if entry.period is None]
    if single:
        return single[0]
    if len(several) != 1:  # then only its name can tell
        several = [entry for entry in several if entry.name.casefold() == candidate.name.casefold()]
    if len(several) == 1:
        return several[0]
    known = sorted(entry.period for entry in source.files if entry.period is not None)
    expected = f"a file of {known[0]} to {known[-1]}" if known else f"one of {len(source.files)} files by name"
    covered = periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"
    raise DidError(f"{candidate.shown}: expected {expected}; found one of {covered}; leave it out, or add it to the "
                   f"source's file {source.id}.yaml")


def _one_each(recognised: Sequence[Found], mistakes: Mistakes) -> Iterator[Found]:
    """Yield one candidate for each of the registry's files; where several differ, none but the registered edition."""
    by_name: dict[str, list[Found]] = {}
    for found in recognised:
        by_name.setdefault(found.entry.name, []).append(found)
    for group in by_name.values():
        right = [found for found in group if found.digest == found.entry.sha256]
        if len(group) == 1 or right:
            yield (right or group)[0]
        for found in group if len(group) > 1 else []:
            if found in right:
                continue
            other = (right or [each for each in group if each is not found])[0]
            what = f" of {found.entry.period}" if found.entry.period else ""
            registered = ", which is the registered edition" if right else ""
            mistakes.lines.append(f"{found.candidate.shown}: expected one file{what}; found another with other "
                                  f"contents, {other.candidate.shown}{registered}; "
                                  f"{'leave this one out' if right else 'give the right one alone'}")


def _put(job: SourceFolder, found: Found, outcome: Outcome) -> None:
    """Copy a candidate to its place, unless it is there; DidError if another edition is registered or there."""
    entry, candidate = found.entry, found.candidate
    place = job.folder / entry.name
    there = sha256(place) if place.is_file() else None
    if there == found.digest:
        outcome.skipped.append((candidate, f"already at {place}"))
        return
    remedy = "leave it out, or run again with --accept if this edition is the one you want"
    if entry.sha256 not in (None, found.digest) and not job.accept:
        raise DidError(f"{candidate.shown}: expected the registered edition of {entry.name}, sha256 "
                       f"{short(entry.sha256)}; found {short(found.digest)}; {remedy}")
    if there is not None and entry.sha256 is None and not job.accept:
        raise DidError(f"{candidate.shown}: expected the file that is at {place}, sha256 {short(there)}; found another "
                       f"edition, {short(found.digest)}; {remedy}")
    job.work.mkdir(parents=True, exist_ok=True)
    with atomic(job.work / entry.name) as temporary:
        shutil.copyfile(candidate.path, temporary)
    whole = job.work / entry.name
    job.place(entry, whole, job.record(entry, whole, address=None, how="manual", at=None))
    outcome.placed.append(found)
