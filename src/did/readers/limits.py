"""Limits on what is read from files that others wrote: their defaults, in one place, and the checks that use them.

Each can be changed by an environment variable, which every error that a limit raises names: ``DID_LIMIT_FILE_MB=500``.
Those of downloads are in `did.fetch.supply.Limits`, those of config files in `did.project.yaml_files`.
"""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from did.errors import DidError

DEFAULTS = {
    "FILE_MB": 200,             # any file that is read whole
    "COLUMNS": 16_384,          # of a table; what a sheet of Excel has
    "CELL_CHARACTERS": 10_000,
    "ROW_CHARACTERS": 2_000_000,
    "UNPACKED_MB": 400,         # a workbook's parts together, or a compressed CSV file, unpacked
    "UNPACKED_TIMES": 200,      # so many times its packed size, if it is more than 20 MB unpacked
    "SHEET_CELLS": 5_000_000,   # from A1 to the last cell in use
    "PANEL_CELLS": 50_000_000,  # units times periods
    "WORKBOOK_MEMORY_MB": 1_500,
    "WORKBOOK_SECONDS": 120,
}
MEANT = {
    "FILE_MB": "size of a file that is read whole, in MB",
    "COLUMNS": "columns of a table",
    "CELL_CHARACTERS": "characters of a cell of a CSV file",
    "ROW_CHARACTERS": "characters of a row of a CSV file",
    "UNPACKED_MB": "a workbook's parts together, or a compressed CSV file, unpacked, in MB",
    "UNPACKED_TIMES": "unpacked size over packed size, where it is more than 20 MB unpacked",
    "SHEET_CELLS": "cells of a sheet, from A1 to the last one in use",
    "PANEL_CELLS": "units times periods of a panel",
    "WORKBOOK_MEMORY_MB": "memory in which a workbook is read, in MB (where the system can limit it)",
    "WORKBOOK_SECONDS": "processor time in which a workbook is read, in seconds",
}
_COMPRESSED = {"gzip": b"\x1f\x8b", "zip": b"PK\x03\x04", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00",
               "zstd": b"\x28\xb5\x2f\xfd", "7-Zip": b"7z\xbc\xaf\x27\x1c"}
# Below this a high ratio does no harm: a sheet of one repeated row packs well.
_SMALL_BYTES = 20_000_000


def limit(name: str) -> int:
    """Return the limit ``name`` (a key of DEFAULTS): the environment's ``DID_LIMIT_name``, else the default.

    Raises DidError if the variable is not a whole number above 0.
    """
    text = os.environ.get(f"DID_LIMIT_{name}", "").strip()
    if not text:
        return DEFAULTS[name]
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0):
        raise DidError(f"environment variable DID_LIMIT_{name}: expected a whole number above 0 ({MEANT[name]}); found "
                       f"'{text[:60]}'; correct or remove it")
    return int(text)


def beyond(at: str, name: str, expected: str, found: str, remedy: str) -> DidError:
    """Return the error of a file beyond the limit ``name``, which says how to raise it."""
    return DidError(f"{at}: expected {expected}; found {found}; {remedy}, or set DID_LIMIT_{name} higher if the file "
                    "is right")


def refuse_large(path: Path, name: str) -> None:
    """Raise DidError for a folder, a device or pipe, and a file too large to be read into a small machine's memory.

    A file that is not there is left to the reader. ``name`` is the file's name in the message.
    """
    path = Path(path)
    if "\0" in str(path):
        raise DidError(f"{name!r}: expected the path of a file; found a NUL character in it; correct it")
    if path.is_dir():
        raise DidError(f"{name}: expected a file; found a folder; name the file in it")
    if path.exists() and not path.is_file():
        raise DidError(f"{name}: expected a file; found a device or pipe; name a file")
    size = path.stat().st_size if path.is_file() else 0
    if size > limit("FILE_MB") * 1e6:
        raise beyond(name, "FILE_MB", f"at most {limit('FILE_MB')} MB", f"{size / 1e6:,.0f} MB", "keep only the "
                     "columns, areas and periods that are needed, or sum it to areas, and save it again")


def csv_rows(name: str, file: TextIO, **options: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of an open CSV file, each with the number of the line it ends on; ``options`` are csv.reader's.

    Raises DidError at a row, of which no more is read, with too many characters, and at one with more cells than a
    sheet has or a cell too long. ``csv.Error`` is left to the caller, who knows what the file should be.
    """
    most, columns, characters = limit("ROW_CHARACTERS"), limit("COLUMNS"), limit("CELL_CHARACTERS")
    number = n_read = 0

    def lines() -> Iterator[str]:
        nonlocal number, n_read
        while line := file.readline(most + 1):
            number += 1
            n_read += len(line)  # since the row began: a quoted cell may have many lines
            if n_read > most:
                raise beyond(f"{name}, row {number}", "ROW_CHARACTERS", f"a row of at most {most:,} characters", "more",
                             "check the line ends and the quotes")
            yield line

    for row in csv.reader(lines(), **options):
        n_read = 0
        if len(row) > columns:
            raise beyond(f"{name}, row {number}", "COLUMNS", f"at most {columns:,} columns", f"{len(row):,}",
                         "keep the columns that are needed")
        if max(map(len, row), default=0) > characters:
            raise beyond(f"{name}, row {number}", "CELL_CHARACTERS", f"cells of at most {characters:,} characters",
                         "a longer one", "check the quotes")
        yield number, row


def compression(start: bytes) -> str | None:
    """Return how a file that begins with the bytes ``start`` is compressed, None if it is not; zip is workbooks too."""
    return next((name for name, sign in _COMPRESSED.items() if start.startswith(sign)), None)


def refuse_compressed(path: Path, name: str) -> None:
    """Raise DidError for a file, if it is there, that has to be unpacked before it is read."""
    if not Path(path).is_file():
        return
    with open(path, "rb") as file:
        how = compression(file.read(8))
    if how is not None:
        raise DidError(f"{name}: expected a CSV file; found one compressed by {how}; unpack it and name what was in it")


def read_unpacked(stream: BinaryIO, name: str, size: int) -> bytes:
    """Return what a compressed file of ``size`` bytes unpacks to, from a ``stream`` that unpacks it.

    Raises DidError, after no more than that is unpacked, beyond the limits UNPACKED_MB and UNPACKED_TIMES.
    """
    most, ratio = limit("UNPACKED_MB") * 1_000_000, limit("UNPACKED_TIMES")
    allowed = min(most, max(_SMALL_BYTES, size * ratio))
    content = stream.read(allowed + 1)
    if len(content) <= allowed:
        return content
    if allowed == most:
        raise beyond(name, "UNPACKED_MB", f"a file of at most {limit('UNPACKED_MB')} MB unpacked", "more", "keep only "
                     "the columns and periods that are needed")
    raise beyond(name, "UNPACKED_TIMES", f"a file that unpacks to at most {ratio} times its size", "more",
                 "check what it is")


def refuse_bomb(path: Path, name: str) -> None:
    """Raise DidError for a zip file (.xlsx, .ods) that unpacks to far more than it is, or whose list of parts cannot be
    read; files of other kinds, such as .xls, and files that are not there are left alone.

    The sizes are those of the zip's directory. One that lies is caught when it is read, in a process with limits on
    memory and time (`did.readers.workbook`).
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DidError(f"{name}: expected a workbook; found a zip file whose list of parts cannot be read ({error}); "
                       "fetch it again") from error
    unpacked, size = sum(part.file_size for part in parts), max(Path(path).stat().st_size, 1)
    if unpacked > limit("UNPACKED_MB") * 1e6:
        raise beyond(name, "UNPACKED_MB", f"a workbook of at most {limit('UNPACKED_MB')} MB unpacked",
                     f"{unpacked / 1e6:,.0f} MB in a file of {size / 1e6:,.1f} MB", "fetch it again")
    if unpacked > _SMALL_BYTES and unpacked > size * limit("UNPACKED_TIMES"):
        raise beyond(name, "UNPACKED_TIMES", f"a workbook that unpacks to at most {limit('UNPACKED_TIMES')} times its "
                     "size", f"{unpacked / size:,.0f} times ({unpacked / 1e6:,.0f} MB)", "fetch it again")
