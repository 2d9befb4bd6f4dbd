"""Hostile files for the tests: workbooks made by hand, sound tables that Hypothesis spoils, and what was tried."""

from __future__ import annotations

import io
import time
import zipfile
from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st

from did.errors import DidError

# What was tried: (kind of attack, what became of it) -> how many. `hostile_report.py` writes it into the docs.
TRIED: Counter[tuple[str, str]] = Counter()
REFUSED, HARMLESS, READ = "refused", "made harmless", "read as what it is"
MOST_SECONDS = 10.0
MOST_CHARACTERS = 25_000

_PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/></Types>'),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>'),
    "xl/workbook.xml": (
        '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
        '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>'),
    "xl/_rels/workbook.xml.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>'),
}


def cell(place: str, text: str) -> str:
    """A cell of a sheet's XML with text in it."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def sheet(cells: str, *, head: str = "", dimension: str = "") -> str:
    """The XML of a sheet; ``head`` goes before it, ``cells`` are rows."""
    dimension = dimension and f'<dimension ref="{dimension}"/>'
    return (f'<?xml version="1.0"?>{head}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            f"{dimension}<sheetData>{cells}</sheetData></worksheet>")


def xlsx(page: str, **more: str | bytes) -> bytes:
    """The bytes of an .xlsx workbook with one sheet, Data, whose XML is ``page``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in (_PARTS | {"xl/worksheets/sheet1.xml": page} | more).items():
            packed.writestr(name, text)
    return stream.getvalue()


def refused(kind: str, call: Callable[[], object], *words: str) -> str:
    """Call, expect one DidError of one line that has ``words``, in seconds; count it and return the line."""
    start = time.monotonic()
    try:
        call()
    except DidError as error:
        text = str(error)
    else:
        raise AssertionError(f"{kind}: expected a refusal; nothing was raised")
    assert time.monotonic() - start < MOST_SECONDS, (kind, time.monotonic() - start)
    assert text.isprintable() and len(text) < MOST_CHARACTERS, (kind, len(text))
    for word in words:
        assert word in text, (word, text)
    TRIED[kind, REFUSED] += 1
    return text


def survived(kind: str, call: Callable[[], object]) -> None:
    """Call with a spoilt file: it is read, or refused with one line; nothing else, and in seconds."""
    start = time.monotonic()
    try:
        call()
        outcome = READ
    except DidError as error:
        outcome = REFUSED
        text = str(error)
        assert text.isprintable() and len(text) < MOST_CHARACTERS, (kind, len(text), text[:300])
    assert time.monotonic() - start < MOST_SECONDS, (kind, time.monotonic() - start)
    TRIED[kind, outcome] += 1


NASTY_CELLS = [
    "", " ", "0", "-1", "1e999", "-1e999", "1e300", "1e-400", "9" * 400, "nan", "inf", "-inf", "NaN", "0x10", "1_000",
    "1,234", "1,23", "1.2.3", "--1", "\u0661\u0662", "\u00b2", "\uff11", "=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)",
    "<script>alert(1)</script>", "<b>", "&lt;", "%s%n{}{0}", "$(id)", "`id`", "../../etc/passwd", "\u202e", "\u0000",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\u2028", "\ufeff", "x" * 200_000, '"', "'",
    '""', ",", ";", "\t", "\r", "\n", "2017-13", "0000-01", "9999-12", "99999", "2017-02-30", "0001", "2017/19",
    "2017 Q5", "2017Q0", "Jan-17", "1/1/1", "31/12/9999", "-2017", "True", "None", "null", "NA", "E92000001", "E" * 50,
    "2017-18 - 2016-17", "9999/00", "0000/01", "9223372036854775808", "1e18", "-0.0", "1e-9", "\x1b[31m",
]
NASTY_BYTES = [b"\x00", b"\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80",
               b"\r", b"\n", b"\r\r\n", b'"', b'""', b",", b",,,,,", b"\x1a", b"PK\x03\x04", b"<html>", b"\x85",
               b"\xe2\x80\xa8", b"\x0b", b"\x0c", b"\\", b"'", b";"]


@st.composite
def spoilt_table(draw: st.DrawFn, table: list[list[str]]) -> bytes:
    """A CSV file of ``table`` (its header first) with cells, rows, columns, bytes or its encoding spoilt."""
    rows = [list(row) for row in table]
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.integers(0, len(rows) - 1))
        place = draw(st.integers(0, max(len(rows[row]) - 1, 0)))
        what = draw(st.sampled_from(["cell", "cell", "text", "drop", "twice", "short", "long", "column", "swap"]))
        if what in ("cell", "text") and rows[row]:
            rows[row][place] = draw(st.sampled_from(NASTY_CELLS) if what == "cell" else st.text(max_size=12))
        elif what == "drop" and len(rows) > 1:
            del rows[row]
        elif what == "twice":
            rows.insert(row, list(rows[row]))
        elif what == "short" and rows[row]:
            del rows[row][place]
        elif what == "long":
            rows[row].insert(place, draw(st.sampled_from(NASTY_CELLS)))
        elif what == "column":
            word = draw(st.sampled_from(NASTY_CELLS))
            for line in rows[1:]:
                if place < len(line):
                    line[place] = word
        elif what == "swap":
            rows.reverse()
    quoted = draw(st.booleans())
    separator = draw(st.sampled_from([",", ",", ",", ";", "\t"]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    write = (lambda word: '"' + word.replace('"', '""') + '"') if quoted else (lambda word: word)
    text = end.join(separator.join(write(word) for word in row) for row in rows) + end
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"]))
    return _spoilt(draw, text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace"))


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """``content`` with some of its bytes changed, put in or left out."""
    for _ in range(draw(st.integers(1, 8))):
        content = _spoilt(draw, content, always=True)
    return content


def _spoilt(draw: st.DrawFn, content: bytes, *, always: bool = False) -> bytes:
    ways = ["flip", "put", "cut", "drop", "repeat"] if always else ["no", "no", "no", "put", "cut"]
    what = draw(st.sampled_from(ways))
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    if what == "flip":
        return content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1:]
    if what == "put":
        return content[:place] + draw(st.sampled_from(NASTY_BYTES)) + content[place:]
    if what == "cut":
        return content[:place]
    if what == "drop":
        return content[:place] + content[place + draw(st.integers(1, 512)):]
    if what == "repeat":
        return content[:place] + content[place:place + 64] * draw(st.integers(2, 50)) + content[place + 64:]
    return content
