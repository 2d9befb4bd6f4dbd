"""Mirror mode: files copied from a folder that holds an ``index.csv`` of addresses, paths and checksums."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from did.errors import DidError, listed
from did.fetch.supply import ChangedEdition, Failure, Progress, Supplied, short
from did.project.registry import RawFileEntry
from did.readers.limits import csv_rows, refuse_large
from did.store.provenance import sha256

_COLUMNS = ("url", "path", "sha256")


@dataclass(frozen=True)
class IndexRow:
    """One row of ``index.csv``: where a file was published (None: not said), where it lies, its checksum."""

    url: str | None
    path: str
    sha256: str


def read_index(folder: Path) -> list[IndexRow]:
    """Return the rows of ``folder/index.csv`` (UTF-8; columns url, path, sha256, others ignored).

    Raises DidError when the index is missing, lacks a column, or names a path outside the folder.
    """
    index = folder / "index.csv"
    try:
        refuse_large(index, str(index))
        with open(index, encoding="utf-8-sig", newline="") as file:
            reader = csv_rows(str(index), file)
            _, found = next(reader, (0, []))
            for column in _COLUMNS:
                if column not in found:
                    wanted = ", ".join(_COLUMNS)
                    raise DidError(f"{index}: expected the columns {wanted}; found {listed(found, 40)}")
            cells = [dict(zip(found, row, strict=False)) for _, row in reader if row]
            rows = [IndexRow(row.get("url") or None, row.get("path", ""), row.get("sha256", "").lower())
                    for row in cells]
    except (FileNotFoundError, NotADirectoryError):
        raise DidError(
            f"{index}: a mirror is a folder with an index.csv (columns url, path, sha256); found none; "
            f"correct the folder after 'mirror:'"
        ) from None
    except OSError as error:
        raise DidError(f"{index}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DidError(f"{index}: expected a UTF-8 CSV file; {error}") from None
    for number, row in enumerate(rows, start=2):
        if not _inside(folder, row.path):
            raise DidError(
                f"{index}: row {number}: column path: expected a path inside the mirror; "
                f"found '{row.path[:200]}'; correct it"
            )
    return rows


def _inside(folder: Path, path: str) -> bool:
    """Say whether a relative path stays in the folder, as written and after symbolic links."""
    written, elsewhere = PurePosixPath(path), PureWindowsPath(path)  # a backslash is a folder on some systems
    if not 0 < len(path) <= 1000:
        return False
    if written.is_absolute() or elsewhere.anchor or ".." in (*written.parts, *elsewhere.parts):
        return False
    try:
        return (folder / path).resolve().is_relative_to(folder.resolve())
    except (ValueError, OSError, RuntimeError):  # a NUL, a name too long, links in a circle
        return False


class MirrorSupplier:
    """Files from a mirror: by checksum in the index, else by path, else from ``tidy`` alongside the mirror."""

    def __init__(self, source_id: str, folder: Path, progress: Progress) -> None:
        self._source_id = source_id
        self._folder = folder
        self._rows = read_index(folder)
        self._progress = progress

    def stop(self) -> None:
        """Do nothing: copying a file is short."""

    def supply(self, entry: RawFileEntry, work: Path, check: Callable[[Path], None]) -> Supplied:
        """Copy the file of ``entry`` into ``work`` and check it.

        Raises Failure when the mirror has no such file, when its content does not pass the check, and, where the
        registry has no checksum, when it is not the file that the mirror's index has the checksum of.
        """
        place, row = find(self._source_id, self._folder, self._rows, entry)
        self._check_index(entry, place, row)
        part = work / f"{entry.name}.part"
        shutil.copyfile(place, part)
        self._progress.received(part.stat().st_size)
        try:
            check(part)
        except ChangedEdition as changed:
            part.unlink()
            raise Failure(
                f"sha256 {short(changed.digest)} in {place}",
                "the mirror holds another edition or a damaged copy: replace it, or accept it (--accept)",
            ) from None
        except Failure as failure:
            part.unlink()
            raise Failure(f"{failure.came} in {place}", "replace the file in the mirror") from None
        return Supplied(part, row.url if row else None, "mirror")

    def _check_index(self, entry: RawFileEntry, place: Path, row: IndexRow | None) -> None:
        if entry.sha256 is None and row is not None and row.sha256 and row.sha256 != (digest := sha256(place)):
            raise Failure(f"sha256 {short(digest)} in {place}, where {self._folder / 'index.csv'} has "
                          f"{short(row.sha256)}", "the mirror holds another edition than its index says, or a damaged "
                          "copy: replace the file, or correct its row")


def find(source_id: str, folder: Path, rows: list[IndexRow],
         entry: RawFileEntry) -> tuple[Path, IndexRow | None]:
    """Return where the mirror keeps a file, and its row of the index, if it has one.

    Looked for by checksum in the index, by path, as a file put in by hand, and among the small tables kept in
    ``tidy`` alongside the mirror. Raises Failure if there is none.
    """
    path = f"{source_id}/{entry.name}"
    by_checksum = [row for row in rows if entry.sha256 and row.sha256 == entry.sha256]
    by_path = [row for row in rows if row.path == path]
    for row in by_checksum + by_path:
        if (folder / row.path).is_file():
            return folder / row.path, row
    alongside = folder.resolve().parent / "tidy" / entry.name
    loose = folder / path
    for place in (loose, alongside):
        if place.is_file() and (place == alongside or _inside(folder, path)):
            return place, None
    indexed = [row.path for row in by_checksum + by_path]
    came = f"a row for {indexed[0]} but no such file" if indexed else "neither a row nor a file"
    raise Failure(
        f"{came} in the mirror {folder} (nor {alongside})",
        f"put the file at {loose}, or add its row to index.csv",
    )


def lister(source_id: str, folder: Path) -> Callable[[RawFileEntry], bool]:
    """Return the question whether the mirror has a file of the source; raises DidError as `read_index`."""
    rows = read_index(folder)

    def has(entry: RawFileEntry) -> bool:
        try:
            find(source_id, folder, rows, entry)
        except Failure:
            return False
        return True

    return has


def edition(source_id: str, folder: Path, entry: RawFileEntry) -> tuple[Path, str] | None:
    """Return where the mirror keeps a file, and its checksum; None if it has none. DidError as `read_index`."""
    try:
        place, _ = find(source_id, folder, read_index(folder), entry)
    except Failure:
        return None
    return place, sha256(place)
