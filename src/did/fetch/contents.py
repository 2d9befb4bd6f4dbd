"""Look into a file that came: is it the kind of file we expected, and in what does it differ from another."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from did.errors import DidError, listed
from did.fetch.supply import Failure
from did.readers.limits import csv_rows

OLE2 = bytes.fromhex("d0cf11e0a1b11ae1")
ZIP = b"PK"

# The kinds of content that a file name's ending allows; other endings allow any kind but a web page.
_ALLOWED = {
    ".xls": ("ole2", "zip"),
    ".xlsx": ("zip",),
    ".xlsm": ("zip",),
    ".ods": ("zip",),
    ".zip": ("zip",),
    ".csv": ("text",),
    ".txt": ("text",),
}
_WORDS = {
    "ole2": "an Excel 97-2003 workbook",
    "zip": "a zip file or an .xlsx workbook",
    "text": "plain text",
    "html": "a web page (HTML)",
    "xml": "an XML document",
    "binary": "some other binary file",
    "empty": "an empty file",
}


@dataclass(frozen=True)
class Shape:
    """The outline of a file: rows and columns by sheet (a CSV is one unnamed sheet), and a CSV's header."""

    size: int
    sheets: dict[str, tuple[int, int]]
    header: tuple[str, ...] = ()


def kind(path: Path) -> str:
    """Return what the first bytes of a file say it is: ole2, zip, html, xml, text, binary or empty."""
    with open(path, "rb") as file:
        start = file.read(2048)
    if not start:
        return "empty"
    if start.startswith(OLE2):
        return "ole2"
    if start.startswith(ZIP):
        return "zip"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):  # no table starts so; pages often leave out their doctype
        return "xml" if text.startswith(b"<?xml") and b"<html" not in text else "html"
    return "binary" if b"\0" in start else "text"


def check_kind(path: Path, name: str) -> None:
    """Raise Failure unless the content of ``path`` is of a kind that the file name ``name`` allows.

    An HTML page is never allowed: publishers answer a moved file with a page and status 200.
    """
    found = kind(path)
    allowed = _ALLOWED.get(Path(name).suffix.lower(), ("ole2", "zip", "text", "xml", "binary"))
    if found not in allowed:
        raise Failure(f"{_WORDS[found]} in place of {_wanted(name)}")


def describe(path: Path) -> Shape | None:
    """Return the outline of a workbook or a CSV file, or None if it cannot be opened as either."""
    size = path.stat().st_size
    found = kind(path)
    if found in ("ole2", "zip"):
        from did.readers.workbook import opened

        try:
            with opened(path, path.name) as book:
                return Shape(size, {name: _extent(book.last_cell(name)) for name in book.names})
        except DidError:  # damaged, or made to break its reader: it has no outline
            return None
    if found != "text":
        return None
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv_rows(path.name, file)
            _, first = next(rows, (0, []))
            header = tuple(first)
            return Shape(size, {"": (1 + sum(1 for _ in rows), len(header))}, header)
    except (csv.Error, DidError):
        return None


def _extent(last: tuple[int, int] | None) -> tuple[int, int]:
    """Return rows and columns up to the last cell in use, whose position counts from 0 (None: no cell)."""
    return (last[0] + 1, last[1] + 1) if last is not None else (0, 0)


def outline(shape: Shape | None) -> str:
    """Return the outline in words, such as ``3 sheets: England (16 rows x 12 columns), ...``."""
    if shape is None:
        return "it cannot be opened as a workbook or CSV file"
    if shape.header:
        rows, columns = shape.sheets[""]
        return f"{rows} rows x {columns} columns: {listed(shape.header, 8)}"
    parts = [f"{name} ({rows} rows x {columns} columns)" for name, (rows, columns) in shape.sheets.items()]
    return f"{len(parts)} sheet{'s' if len(parts) != 1 else ''}: {listed(parts, 8)}"


def differences(old: Path, new: Path) -> str:
    """Return in words how two editions of a file differ: bytes, sheets, columns, rows."""
    before, after = describe(old), describe(new)
    found = [f"bytes {old.stat().st_size:,} -> {new.stat().st_size:,}"]
    if before is None or after is None:
        which = "the old" if before is None else "the new"
        found.append(f"{which} one cannot be opened as a workbook or CSV file")
        return ", ".join(found)
    for name in before.sheets:
        if name not in after.sheets:
            found.append(f"sheet '{name}' gone")
    for name, (rows, columns) in after.sheets.items():
        where = f" of sheet '{name}'" if name else ""
        if name not in before.sheets:
            found.append(f"sheet '{name}' new")
            continue
        old_rows, old_columns = before.sheets[name]
        if rows != old_rows:
            found.append(f"rows{where} {old_rows} -> {rows}")
        if columns != old_columns:
            found.append(f"columns{where} {old_columns} -> {columns}")
    gone = [column for column in before.header if column not in after.header]
    added = [column for column in after.header if column not in before.header]
    found += [f"columns gone: {listed(gone, 8)}"] if gone else []
    found += [f"columns new: {listed(added, 8)}"] if added else []
    if len(found) == 1:
        found.append("same sheets, rows and columns, so cell values or the file's wrapping differ")
    return ", ".join(found)


def _wanted(name: str) -> str:
    wanted = _ALLOWED.get(Path(name).suffix.lower())
    return "the data file" if wanted is None else "a workbook" if "ole2" in wanted else _WORDS[wanted[0]]
