"""Hostile input: every attack is refused with one line or made harmless.

`python tests/hostile_report.py` runs this file and writes what became of them into docs/reliability.md.
"""

from __future__ import annotations

import io
import os
import resource
import socket
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

import misbehaving_server as server_does
from did import readers
from did.errors import DidError
from did.fetch import fetch
from did.fetch.contents import describe
from did.fetch.guard import is_public
from did.fetch.mirror import read_index
from did.fetch.supply import Limits
from did.project.claims import CLAIM_COLUMNS, load_claims
from did.project.data_mode import DataMode
from did.project.loading import load_evaluation
from did.project.registry import RawFileEntry, Source, load_source
from did.readers import RawFile, workbook
from did.readers.csv_table import read_table
from did.readers.limits import DEFAULTS, MEANT, limit, refuse_bomb, refuse_large
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.readers.spreadsheet import number, read_csv, read_sheet, whole_number
from did.report.pages.report import TEMPLATES
from did.store.result_csv import csv_text
from did.words import markdown_cell
from fuzz_readers import *  # noqa: F403 - the fuzz tests run with these
from hostile_files import HARMLESS, TRIED, cell, refused, sheet, xlsx

ROOT = Path(__file__).resolve().parents[1]
BOTH = "<row r='1'>" + cell("A1", "code") + cell("B1", "value") + "</row>"
LIVE = DataMode("live")
QUICK = Limits(connect_seconds=2.0, read_seconds=0.4, total_seconds=0.8, attempts=1)


def harmless(kind: str, holds: bool) -> None:
    assert holds, kind
    TRIED[kind, HARMLESS] += 1


@pytest.fixture(autouse=True)
def little_memory():
    """No test may make this process or one it starts larger by a gigabyte and a half."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_600_000


# Workbooks


def _open(folder: Path, content: bytes, name: str = "book.xlsx") -> Callable[[], object]:
    path = folder / name
    path.write_bytes(content)
    return lambda: read_sheet(path, name, lambda found: True, "Data")


def _bomb(n_bytes: int) -> bytes:
    """Deflate data that unpacks to ``n_bytes`` spaces, made without ever holding them."""
    packer, piece = zlib.compressobj(9, zlib.DEFLATED, -15), b" " * 10_000_000
    return b"".join(packer.compress(piece) for _ in range(n_bytes // len(piece))) + packer.flush()


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_unopened(tmp_path):
    many = {f"xl/media/{n}.bin": b"\0" * 30_000_000 for n in range(15)}
    refused("Zip bombs", _open(tmp_path, xlsx(sheet(BOTH), **many)), "at most 400 MB unpacked", "DID_LIMIT_UNPACKED_MB")
    refused("Zip bombs", _open(tmp_path, xlsx(sheet(" " * 50_000_000 + BOTH))), "200 times its size")
    refused("Zip bombs", _open(tmp_path, xlsx(sheet(BOTH), **{"xl/sharedStrings.xml": "<a>" * 10_000_000})),
            "DID_LIMIT_UNPACKED_TIMES")


def test_a_zip_directory_that_lies_about_sizes_meets_the_limits_of_its_process(tmp_path, monkeypatch):
    """A part of 1 MB that says it unpacks to 1 kB and unpacks to 1 GB."""
    path = tmp_path / "book.xlsx"
    path.write_bytes(xlsx(sheet(BOTH)))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as packed:
        part = packed.getinfo("xl/worksheets/sheet1.xml")
    body = _bomb(1_000_000_000)
    start = part.header_offset + 30 + len(part.filename)
    head = bytearray(content[part.header_offset:start])
    head[18:26] = struct.pack("<II", len(body), 1000)
    directory = bytes(content[start + part.compress_size:])
    at = directory.rindex(b"PK\x01\x02")  # the sheet's entry is the last
    entry = bytearray(directory[at:])
    entry[20:28] = struct.pack("<II", len(body), 1000)
    end = entry.rindex(b"PK\x05\x06")
    offset = struct.unpack("<I", entry[end + 16:end + 20])[0]
    entry[end + 16:end + 20] = struct.pack("<I", offset + len(body) - part.compress_size)
    lying = bytes(content[:part.header_offset]) + bytes(head) + body + directory[:at] + bytes(entry)
    monkeypatch.setenv("DID_LIMIT_WORKBOOK_MEMORY_MB", "400")
    monkeypatch.setenv("DID_LIMIT_WORKBOOK_SECONDS", "3")
    refused("Zip bombs", _open(tmp_path, lying), "book.xlsx: expected")


def test_zips_within_zips_are_not_unpacked(tmp_path):
    """A bomb as a part of a workbook is left alone; a zip of zips is no workbook."""
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb", b" " * 300_000_000)
    inner = nested.getvalue()
    harmless("Zip bombs", len(_open(tmp_path, xlsx(sheet(BOTH), **{"xl/embeddings/inner.zip": inner}))().grid) > 0)
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(100):
            packed.writestr(f"{number}.zip", inner)
    refused("Zip bombs", _open(tmp_path, outer.getvalue()), "book.xlsx: expected")


ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(10))


@pytest.mark.parametrize("head", [
    f'<!DOCTYPE l [<!ENTITY a "lol">{ENTITIES}]>', '<!DOCTYPE l [<!ENTITY k SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE l [<!ENTITY k SYSTEM "http://127.0.0.1:9/">]>',
    '<!DOCTYPE l [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>', '<!DOCTYPE l [<!ENTITY k "&k;">]>'])
def test_entities_in_a_workbook_are_not_expanded(tmp_path, head):
    refused("XML bombs and entities", _open(tmp_path, xlsx(sheet(BOTH.replace("code", "&k;"), head=head))),
            "unrecognized entity")


def test_deep_xml_and_parts_outside_the_workbook(tmp_path):
    deep = sheet("<a>" * 500_000 + "x" + "</a>" * 500_000 + BOTH)
    harmless("XML bombs and entities", len(_open(tmp_path, xlsx(deep, **{"x.bin": os.urandom(200_000)}))().grid) == 1)
    outside = ('<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
               'Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
               'Target="{}"/></Relationships>')
    for target in ("../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/"):
        content = xlsx(sheet(BOTH), **{"xl/_rels/workbook.xml.rels": outside.format(target)})
        refused("Path traversal", _open(tmp_path, content))


@pytest.mark.parametrize("place", ["XFD1048576", "A1048576", "XFD300000", "ZZZZZZ4294967295", "A4294967296", "A0",
                                   "1", "", "\u0661"])
def test_a_cell_far_away_does_not_take_the_memory_of_the_sheet(tmp_path, place):
    rows = BOTH + f"<row r='9'>{cell(place, 'x')}</row>"
    try:
        grid = _open(tmp_path, xlsx(sheet(rows)))().grid
    except DidError:
        refused("Absurd dimensions", _open(tmp_path, xlsx(sheet(rows))))
    else:
        harmless("Absurd dimensions", len(grid) * len(grid[0]) <= limit("SHEET_CELLS"))


def test_a_dimension_that_claims_every_cell_is_ignored(tmp_path):
    content = xlsx(sheet(BOTH, dimension="A1:XFD1048576"))
    harmless("Absurd dimensions", _open(tmp_path, content)().grid == [["code", "value"]])


def test_old_workbooks_with_absurd_cells(tmp_path):
    import xlwt

    path = tmp_path / "book.xls"
    book = xlwt.Workbook()
    page = book.add_sheet("Data")
    page.write(0, 0, "code")
    page.write(65535, 255, 1.0)
    book.save(str(path))
    refused("Absurd dimensions", _open(tmp_path, path.read_bytes(), "book.xls"), "65,536 rows x 256 columns",
            "DID_LIMIT_SHEET_CELLS")
    # The number cell's record: kind, length, row, column; the column can say 65,535.
    content = path.read_bytes().replace(struct.pack("<HHHH", 0x203, 14, 65535, 255),
                                        struct.pack("<HHHH", 0x203, 14, 65535, 65535))
    content = content.replace(struct.pack("<HHHH", 0x27E, 10, 65535, 255),
                              struct.pack("<HHHH", 0x27E, 10, 65535, 65535))
    refused("Absurd dimensions", _open(tmp_path, content, "book.xls"))


def test_workbooks_share_a_process_until_one_breaks_it(tmp_path, monkeypatch):
    good, broken = tmp_path / "good.xlsx", tmp_path / "broken.xlsx"
    good.write_bytes(xlsx(sheet(BOTH)))
    broken.write_bytes(xlsx(sheet(BOTH + f"<row r='1048576'>{cell('XFD1048576', 'x')}</row>")))
    started, start = [], workbook._started
    monkeypatch.setattr(workbook, "_started", lambda: started.append(start()) or started[-1])

    def read(path: Path) -> bool:
        return read_sheet(path, path.name, lambda name: True, "Data").grid == [["code", "value"]]

    with workbook.one_process():
        assert read(good) and read(good) and len(started) == 1
        with pytest.raises(DidError, match="broken.xlsx"):
            read(broken)
        assert started[0].returncode is not None   # it is at an end, and the next workbook has another
        assert read(good) and len(started) == 2
        monkeypatch.setattr(workbook, "KEPT_CELLS", 1)
        assert read(good) and started[1].returncode is not None   # a large one may keep its memory
        assert read(good) and len(started) == 3
    assert all(process.returncode is not None for process in started)


def test_what_breaks_a_parser_has_no_outline_for_the_changed_edition(tmp_path):
    path = tmp_path / "new.xlsx"
    path.write_bytes(xlsx(sheet(BOTH + f"<row r='1048576'>{cell('XFD1048576', 'x')}</row>")))
    harmless("Absurd dimensions", describe(path) is None)


# Text


def _text(folder: Path, content: bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


WIDE_FILES = {
    "a million columns": (b"a" + b",a" * 1_000_000 + b"\n1\n", "DID_LIMIT_"),
    "20,000 columns": (b"a" + b",a" * 20_000 + b"\n1\n", "at most 16,384 columns"),
    "one line of 40 MB": (b"a," * 20_000_000, "ROW_CHARACTERS"),
    "one cell of 40 MB": (b"a" * 40_000_000, "ROW_CHARACTERS"),
    "a quoted cell of many lines": (b'"' + b"x\n" * 2_000_000, "expected"),
    "a row of many quoted line ends": (b'"\n",' * 2_000_000, "ROW_CHARACTERS"),
    "a cell of 20,000": (b"a,b\n" + b"x" * 20_000 + b",1\n", "at most 10,000 characters"),
}


@pytest.mark.parametrize("what", WIDE_FILES)
def test_lines_rows_and_cells_without_end(tmp_path, what):
    content, word = WIDE_FILES[what]
    path = _text(tmp_path, content)
    refused("Endless lines, rows and cells", lambda: read_csv(path, path.name), word)
    refused("Endless lines, rows and cells", lambda: read_table(path, {"a": "--outcome", "b": "--unit"}))
    for reader, options, period in (("gpps_practice_csv", {"reference": str(ROOT / "data/reference")}, "2017"),
                                    ("ons_mye", {}, None)):
        refused("Endless lines, rows and cells",
                lambda reader=reader, options=options, period=period: readers.read(
                    reader, "source", [RawFile(path, path.name, period)], options))


@pytest.mark.parametrize("content", [b'"', b'""', b",,,", b"\n,\n", b'"\n"', b" ", b"\xef\xbb\xbf", b"y,id,t,g"])
def test_files_with_next_to_nothing_in_them(tmp_path, content):
    path = _text(tmp_path, content)
    refused("Empty files", lambda: load(path, Columns("y", "id", "t", "g")))


def test_a_line_of_190_megabytes_and_a_file_over_the_limit(tmp_path):
    path = tmp_path / "table.csv"
    with open(path, "wb") as file:
        for _ in range(19):
            file.write(b"a," * 5_000_000)
    refused("Endless lines, rows and cells", lambda: read_csv(path, path.name), "ROW_CHARACTERS")
    os.truncate(path, 3_000_000_000)  # sparse: it takes no disk
    for read in (lambda: read_csv(path, path.name), lambda: read_table(path, {"a": "--unit"}),
                 lambda: read_sheet(path, path.name, bool, "Data"), lambda: load_claims(path, []),
                 lambda: readers.read("gpps_practice_csv", "s", [RawFile(path, path.name, "2017")],
                                      {"reference": str(ROOT / "data/reference")})):
        refused("Files over the limit", read, "at most 200 MB", "found 3,000 MB", "DID_LIMIT_FILE_MB")


def test_devices_pipes_folders_and_names_that_are_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        refused("Devices, pipes and folders", lambda path=path: read_csv(path, "it"), "expected a file; found a")
        refused("Devices, pipes and folders", lambda path=path: read_table(path, {"a": "--unit"}))
        refused("Devices, pipes and folders", lambda path=path: read_sheet(path, "it", bool, "Data"))
    refused("Devices, pipes and folders", lambda: refuse_large(Path("a\0b"), "a\0b"), "NUL")


BYTES = {
    "NUL": b"a,b\n1,\x002\n", "UTF-16": "a,b\n1,\u00e9\n".encode("utf-16"),
    "UTF-16 cut": "a,b\n1".encode("utf-16")[:-1], "UTF-32": "a,b\n1,2\n".encode("utf-32"),
    "lone surrogate": b"a,b\n1,\xed\xa0\x80\n", "overlong": b"a,b\n1,\xc0\xaf\n", "a web page": b"<html>",
    "two encodings": "a,b\n1,\u00e9\n".encode() + "2,\u00e9\n".encode("cp1252"), "gzip": b"\x1f\x8b\x08",
    "UTF-16 surrogate": b"\xff\xfea\x00\x00\xd8\n\x00",
}


@pytest.mark.parametrize("what", BYTES)
def test_text_in_no_or_two_encodings(tmp_path, what):
    path = _text(tmp_path, BYTES[what])
    for encoding in ("utf-8-sig", "utf-16", "idna", "punycode", "rot13", "no such", "a\0b"):
        try:
            rows = read_csv(path, path.name, encoding)[0]
        except DidError:
            refused("Encodings", lambda encoding=encoding: read_csv(path, path.name, encoding))
        else:
            harmless("Encodings", all(isinstance(word, str) for row in rows for word in row))
    refused("Encodings", lambda: load(path, Columns("a", "b", "t", "g")))


@pytest.mark.parametrize("text", ["1e999", "-1e999", "9" * 400, "9" * 5000, "nan", "inf", "\u0661", "1_0", "0x1"])
def test_numbers_that_are_none(text):
    with pytest.raises(ValueError):
        number(text)
    TRIED["Numbers and periods", "refused"] += 1


@pytest.mark.parametrize("count", [1e300, float("inf"), float("nan"), 2.0**60, -1, True])
def test_counts_that_are_none(count):
    with pytest.raises(ValueError):
        whole_number(count)
    TRIED["Numbers and periods", "refused"] += 1


def test_a_small_file_cannot_ask_for_a_huge_panel(tmp_path):
    path = tmp_path / "panel.csv"
    path.write_text("y,id,t,g\n" + "".join(f"1,u{n},{n},{n % 2}\n" for n in range(1, 20_001)))
    refused("Absurd dimensions", lambda: load(path, Columns("y", "id", "t", "g")), "20,000 units and 20,000 periods",
            "DID_LIMIT_PANEL_CELLS")
    path.write_text("y,id,t,g\n1,a,1,0\n1,a,999999999,0\n")
    refused("Absurd dimensions", lambda: load(path, Columns("y", "id", "t", "g")), "consecutive periods")


def test_limits_are_settings_with_a_meaning_and_their_mistakes_are_told(monkeypatch):
    assert DEFAULTS.keys() == MEANT.keys()
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for name, value in DEFAULTS.items():
        assert f"| `DID_LIMIT_{name}` | {value:,} | {MEANT[name]} |" in page
    for wrong in ("many", "-1", "0", "1e9", "9" * 30, "\u0661"):
        monkeypatch.setenv("DID_LIMIT_FILE_MB", wrong)
        refused("Settings of the limits", lambda: limit("FILE_MB"), "DID_LIMIT_FILE_MB: expected a whole number")
    monkeypatch.setenv("DID_LIMIT_FILE_MB", "500")
    assert limit("FILE_MB") == 500


# Config and registry


YAML = {
    "a Python object": "a: !!python/object/apply:os.system [exit]", "a Python name": "a: !!python/name:os.system",
    "a tag by another name": "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system", "!!int": "a: !!int x",
    "!!bool": "a: !!bool x", "!!timestamp": "a: !!timestamp x", "!!map": "a: !!map x", "!!float": "a: !!float x",
    "billion laughs": "a0: &a0 [l,l,l,l,l,l,l,l,l]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "an alias of itself": "a: &a [*a]", "a merge of itself": "a: &a {<<: *a}",
    "a chain of aliases": "x0: &x0 [1]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}]\n" for n in range(1, 3000)),
    "brackets 100,000 deep": "a: " + "[" * 100_000, "1,500 levels": "\n".join(" " * n + "a:" for n in range(1500)),
    "5,000 digits": "bytes: " + "9" * 5000, "hexadecimal": "bytes: 0x" + "f" * 500_000,
    "base 60": "bytes: 1" + ":59" * 600_000, "base 60 with a point": "bytes: 1" + ":59" * 100_000 + ".5",
    "NaN as key": ".nan: 1", "infinity as key": ".inf: 1", "null as key": "~: 1", "a number as key": "1: 2",
    "a list as key": "? [a]\n: 1", "a key twice": "a: 1\na: 2",
    "a surrogate": 'id: "\\ud800"', "NUL": "a: \0",
    "a control character": "a: \x07", "two documents": "a: 1\n---\nb: 2",
    "nothing": "", "3 MB": "a: " + "x" * 3_000_000,
}


@pytest.mark.parametrize("what", YAML)
def test_yaml_that_is_made_to_break_its_reader(tmp_path, what):
    path = _text(tmp_path, YAML[what].encode(), "x.yaml")
    refused("YAML", lambda: load_source(path), "x.yaml")
    refused("YAML", lambda: load_evaluation(path), "x.yaml")


def _registry(folder: Path, **file: object) -> Path:
    entry = {"name": "a.csv"} | file
    content = {"id": "example", "title": "T", "publisher": "P", "landing_page": "https://example.org/", "licence": "L",
               "reader": "tidy_csv", "files": [entry]}
    return _text(folder, yaml.safe_dump(content).encode(), "example.yaml")


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/b", "..", ".", "a\\b", "..\\x", "C:x", "a\0b", "~",
                                  "~/x", ".hidden", "a\nb", "manifest.json", "MANIFEST.JSON", "a.part", "a.new",
                                  "a\u202eb",
                                  "", "\\\\server\\share", "a/../../b", "%2e%2e", "$HOME", "`id`", "-rf", "a;b",
                                  1, None, ["a"]])
def test_names_in_the_registry_stay_in_their_folder(tmp_path, name):
    refused("Path traversal", lambda: load_source(_registry(tmp_path, name=name)), "name")


ADDRESSES = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.org/a",
    "gopher://x/",
    "data:text/csv,a",
    "//host/a",
    "javascript:alert(1)",
    "http:///a",
    "http://",
    "https://user:word@example.org/",
    "https://user@example.org/",
    "http://[::1",
    "http://a:99999/",
    "http://a:x/",
    "http://a:0/",
    "http://a b/",
    "http://a\\@b/",
    "http://a/\r\nX: y",
    "http://a/\u202e",
    "jar:http://a!/",
    "http:a",
    "a.csv",
    "",
    "https://a/" + "x" * 5000,
    1,
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_http_without_a_password(tmp_path, address):
    refused("Addresses", lambda: load_source(_registry(tmp_path, address=address)), "address")


# Mirrors


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "..\\x", "C:\\x", "C:x", "\\x", "a\0b", 
                                  "x" * 5000, "link/passwd", "loop", ""])
def test_paths_in_a_mirrors_index_stay_in_the_mirror(tmp_path, path):
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "index.csv").write_text(f'url,path,sha256\nhttps://example.org/a,"{path}",00\n')
    refused("Path traversal", lambda: read_index(tmp_path), "index.csv")


def test_a_file_that_a_mirror_links_to_elsewhere_is_not_taken(tmp_path):
    mirror = tmp_path / "mirror"
    (mirror / "example").mkdir(parents=True)
    (mirror / "index.csv").write_text("url,path,sha256\n")
    (mirror / "example" / "a.csv").symlink_to("/etc/passwd")
    refused("Path traversal", lambda: fetch(_source(), tmp_path / "raw", mode=DataMode("mirror", mirror)), "a.csv")


# Addresses and servers


def _source(address: str | None = None, trusted: tuple[str, ...] = ()) -> Source:
    return Source(id="example", title="T", publisher="P", landing_page="https://example.org/", licence="L",
                  reader="tidy_csv", trusted_hosts=list(trusted), files=[RawFileEntry(name="a.csv", address=address)])


@pytest.fixture
def server(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    with server_does.serving() as running:
        yield running


def _fetched(folder: Path, address: str, trusted: tuple[str, ...] = (), limits: Limits = QUICK) -> Callable[[], object]:
    return lambda: fetch(_source(address, trusted), folder, mode=LIVE, limits=limits)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "[::1]",
                                  "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254",
                                  "100.64.0.1", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
                                  "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255"])
def test_the_local_network_is_refused_unless_the_source_trusts_the_host(tmp_path, server, host):
    address = server.put("/a.csv", b"area,value\n1,2\n").replace("127.0.0.1", host)
    refused("Local network", _fetched(tmp_path / "raw", address), "local network", "trusted_hosts")
    assert not server.requests
    assert not (tmp_path / "raw" / "a.csv").exists()


def test_a_trusted_host_is_the_one_that_is_named_and_no_other(tmp_path, server):
    address = server.put("/a.csv", b"area,value\n1,2\n")
    harmless("Local network", "a.csv" in _fetched(tmp_path, address, ("127.0.0.1",))()["files"])
    refused("Local network", _fetched(tmp_path / "b", address.replace("127.0.0.1", "localhost"), ("127.0.0.1",)))


def test_a_name_that_resolves_to_the_local_network_is_refused(tmp_path, server, monkeypatch):
    real = socket.getaddrinfo
    answers = iter(["93.184.216.34", "127.0.0.1"])
    address = server.put("/a.csv", b"area,value\n1,2\n").replace("127.0.0.1", "data.example.org")
    # The name's owner first answers with a public address, then, for the connection, with a local one.
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **named: real(
        next(answers) if host == "data.example.org" else host, *more, **named))
    refused("Local network", _fetched(tmp_path, address), "data.example.org (127.0.0.1)")
    answers = iter(["10.1.2.3"])
    refused("Local network", _fetched(tmp_path, address), "data.example.org (10.1.2.3)")
    assert not server.requests


@pytest.mark.parametrize("target", ["http://localhost:{port}/b", "http://169.254.169.254/latest/",
                                    "//10.0.0.1/b",
                                    "file:///etc/passwd", "ftp://127.0.0.1/b", "http://[::1", "http://a:x/", "data:,a",
                                    "http://user:word@127.0.0.1:{port}/b", "javascript:1", "http://[::1]:{port}/b"])
def test_redirects_to_what_an_address_may_not_be(tmp_path, server, target):
    server.put("/b", b"area,value\n1,2\n")
    target = target.format(port=server.server_address[1])
    address = server.put("/a.csv", b"", server_does.redirect(target))
    refused("Redirects", _fetched(tmp_path, address, ("127.0.0.1",)))
    assert "/b" not in server.requests


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1"])
def test_the_public_internet_is_not_refused(address):
    harmless("Local network", is_public(address))


def _raw(*pieces: bytes, wait: float = 0.0) -> server_does.Behaviour:
    """Answer with bytes as they are, ``wait`` seconds between the pieces."""

    def behave(handler: server_does.Handler, body: bytes) -> None:
        handler.close_connection = True
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(wait)

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "headers a byte at a time": _raw(OK, *[b"X"] * 200, wait=0.05),
    "a header line after another": _raw(OK, *[b"X: y\r\n"] * 90, wait=0.05),
    "a body a byte at a time": _raw(OK + b"Content-Length: 500\r\n\r\n", *[b"x"] * 200, wait=0.05),
    "chunk lengths a byte at a time": _raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", *[b"0"] * 200, wait=0.05),
    "silence": server_does.silent(2.0),
    "a header of a megabyte": _raw(OK + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n"),
    "10,000 headers": _raw(OK + b"X: y\r\n" * 10_000 + b"\r\n"),
    "a length of 5,000 digits": _raw(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx"),
    "a superscript length": _raw(OK + b"Content-Length: \xb2\r\n\r\n<html>"),
    "a negative length": _raw(OK + b"Content-Length: -1\r\n\r\n<html>"),
    "no HTTP": _raw(b"SSH-2.0-x\r\n\r\n"), "NUL": _raw(b"\0" * 1000),
    "a wrong chunk": _raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "a gzip bomb": _raw(OK + b"Content-Encoding: gzip\r\n\r\n" + zlib.compress(b" " * 500_000_000, 9, 31)),
    "a wrong gzip": _raw(OK + b"Content-Encoding: gzip\r\n\r\nnot gzip"),
    "a superscript wait": server_does.status(503, Retry_After="\u00b2"),
    "a wait of ages": server_does.status(503, Retry_After="9" * 5000),
    "a wait until no date": server_does.status(503, Retry_After="Fri, 99 Foo 99999 99:99:99 +9999"),
    "a redirect to itself": server_does.redirect("/a.csv"),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_servers_that_never_end_or_answer_nonsense(tmp_path, server, what):
    address = server.put("/a.csv", b"", ANSWERS[what])
    quick = Limits(connect_seconds=2.0, read_seconds=0.4, total_seconds=0.8, attempts=2, backoff_seconds=0.01,
                   retry_after_cap_seconds=0.1, maximum_bytes=50_000_000)
    start = time.monotonic()
    refused("Servers", _fetched(tmp_path, address, ("127.0.0.1",), quick), "example: a.csv")
    assert time.monotonic() - start < 4
    assert not (tmp_path / "a.csv").exists()


def test_control_characters_of_a_reason_phrase_do_not_reach_the_terminal(tmp_path, server):
    address = server.put("/a.csv", b"", _raw(b"HTTP/1.1 404 \x1b[31mred\x9b\r\n\r\n"))
    line = refused("Servers", _fetched(tmp_path, address, ("127.0.0.1",)), "example: a.csv", "\\u001b[31mred\\u009b")
    assert line.isprintable()


def test_no_password_of_this_machine_is_sent(tmp_path, server, monkeypatch):
    netrc = _text(tmp_path, b"machine 127.0.0.1 login someone password secret\n", "netrc")
    monkeypatch.setenv("NETRC", str(netrc))
    _fetched(tmp_path / "raw", server.put("/a.csv", b"area,value\n1,2\n"), ("127.0.0.1",))()
    harmless("Passwords", all("Authorization" not in headers for headers in server.requests["/a.csv"]))


# Claims, and what comes out


def _claim(**cells: str) -> str:
    row = dict.fromkeys(CLAIM_COLUMNS, "") | {"claim": "A1", "indicator": "a", "estimator": "did", "unit": "days",
                                              "treatment": "binary", "sample": "full"} | cells
    return pd.DataFrame([row]).to_csv(index=False)


@pytest.mark.parametrize("cells", [{"value": word} for word in ("NaN", "sNaN", "Infinity", "1E+999999999",
                                   "1e-999999999",
                                   "\u0661", "9" * 30, "=1+1",
                                   "1_0")] + [
                         {"claim": "../x"}, {"claim": "a/b"}, {"claim": "=1"}, {"claim": "-\n"},
                         {"event_time": "\u00b2"},
                         {"event_time": "9" * 5000}, {"n_obs": "9" * 5000}, {"indicator": "x" * 9000}, {"sign": "<b>"}],
                         ids=str)
def test_claims_that_are_made_to_break_what_reads_them(tmp_path, cells):
    path = _text(tmp_path, _claim(**cells).encode(), "claims.csv")
    refused("Claims", lambda: load_claims(path, ["a"]), "claims.csv")


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "'=1",
                                  "=HYPERLINK(1)"])
def test_formulas_in_csv_files_are_text(text):
    line = csv_text(pd.DataFrame({"name": [text]})).split("\n", 1)[1]
    harmless("Formulas and markup in outputs", line.lstrip('"').startswith("'"))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</td><b>", "<!--",
                                  "<?x"])
def test_markup_in_titles_is_text_on_the_pages(text):
    import jinja2

    harmless("Formulas and markup in outputs", "<" not in markdown_cell(text))
    page = jinja2.Environment(autoescape=True).from_string("{{ title }}").render(title=text)
    harmless("Formulas and markup in outputs", "<" not in page)
    templates = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html.j2"))
    assert "autoescape false" not in templates


@pytest.mark.parametrize("text", ["a | b", "[a](javascript:alert(1))", "`x`", "**x**", "a\n\n# b", "![x](http://x/)"])
def test_markdown_in_titles_is_text_in_the_tables(text):
    shown = markdown_cell(text)
    harmless("Formulas and markup in outputs", "\n" not in shown and not any(
        mark in shown.replace("\\" + mark, "") for mark in "|[]`*"))


def test_a_zip_without_a_readable_list_of_parts_is_refused_and_what_is_no_zip_left_alone(tmp_path):
    path, other = tmp_path / "book.xlsx", tmp_path / "old.xls"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("xl/workbook.xml", "<workbook/>")
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(DidError, match="book: expected a workbook; found a zip file whose list of parts"):
        refuse_bomb(path, "book")
    other.write_bytes(b"\xd0\xcf\x11\xe0 no zip")
    for left_alone in (other, tmp_path / "gone.xlsx"):
        refuse_bomb(left_alone, "book")
