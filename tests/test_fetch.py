"""Fetching: from a mirror, over HTTP from a server that behaves and misbehaves, offline, and after a kill."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import xlwt
import yaml

import misbehaving_server as server_does
from did.errors import DidError
from did.fetch import fetch, obtainable
from did.fetch.supply import Limits, progress_bar
from did.project.data_mode import DataMode, parse_mode
from did.project.registry import RawFileEntry, Source, load_source
from misbehaving_server import Server

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "config" / "sources"
SHARED = ROOT.parent / "shared"
MIRROR = SHARED / "mirror"
LIVE = DataMode("live")
QUICK = Limits(
    connect_seconds=2.0,
    read_seconds=0.4,
    total_seconds=1.0,
    attempts=3,
    backoff_seconds=0.01,
    backoff_cap_seconds=0.05,
    retry_after_cap_seconds=0.2,
)
needs_mirror = pytest.mark.skipif(
    not MIRROR.exists(), reason="the publishers' files are not alongside the checkout"
)

A = b"area,value\n" + b"".join(b"E%08d,%d\n" % (number, number) for number in range(4000))
B = b"area,value\nE06000001,2\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with server_does.serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "example"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _entry(name: str, body: bytes | None, **more: object) -> RawFileEntry:
    known = {} if body is None else {"sha256": _digest(body), "bytes": len(body)}
    return RawFileEntry(**({"name": name} | known | more))


def _source(*entries: RawFileEntry) -> Source:
    return Source(
        id="example",
        title="An example",
        publisher="A publisher",
        landing_page="https://example.org/page",
        licence="OGL-3.0",
        reader="tidy_csv",
        trusted_hosts=["127.0.0.1"],
        files=list(entries),
    )


def _book(**sheets: int) -> bytes:
    """Return an .xls workbook with the given number of rows on each sheet."""
    import io

    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for row in range(rows):
            sheet.write(row, 0, row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _message(source: Source, folder: Path, **options: object) -> str:
    """Fetch, expect one error, and return its one line; no wrong file may stand under a registry name."""
    with pytest.raises(DidError) as caught:
        fetch(source, folder, **({"mode": LIVE, "limits": QUICK} | options))
    text = str(caught.value)
    assert "\n" not in text and text.startswith("example: ")
    for entry in source.files:
        path = folder / entry.name
        assert not path.exists() or entry.sha256 in (None, _digest(path.read_bytes()))
    assert not list(folder.glob("*.part")) and not list(folder.glob(".*.part"))
    assert not (folder / "manifest.json").exists()
    return text


# Modes


def test_the_accepted_modes() -> None:
    assert parse_mode("live") == DataMode("live")
    assert parse_mode("mirror:some/folder") == DataMode("mirror", Path("some/folder"))
    assert parse_mode("mirror:C:/some folder") == DataMode("mirror", Path("C:/some folder"))


@pytest.mark.parametrize("text", ["", "mirror", "mirror:", "live:x", "mirrors:x", "demo:", "/some/folder"])
def test_another_mode_lists_the_accepted_ones(text: str) -> None:
    with pytest.raises(DidError, match=r"--data: expected one of demo, mirror:FOLDER, live; found"):
        parse_mode(text)


# Live: what ends well


def test_files_come_with_a_manifest(server: Server, folder: Path) -> None:
    source = _source(
        _entry("a.csv", A, period="2017-06", address=server.put("/a", A)),
        _entry("b.csv", B, address=server.put("/b", B)),
    )
    manifest = fetch(source, folder, mode=LIVE, limits=QUICK)
    assert _visible(folder) == ["a.csv", "b.csv", "manifest.json"]
    assert [path.name for path in folder.glob(".*")] == []
    assert (folder / "a.csv").read_bytes() == A
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    record = manifest["files"]["a.csv"]
    assert datetime.fromisoformat(record.pop("retrieved_at")).utcoffset().total_seconds() == 0
    assert record == {
        "address": f"http://{server.host}/a",
        "bytes": len(A),
        "sha256": _digest(A),
        "expected_sha256": _digest(A),
        "accepted": False,
        "licence": "OGL-3.0",
        "how": "live",
        "period": "2017-06",
    }
    assert (manifest["source"], manifest["mode"]) == ("example", "live")


@pytest.mark.parametrize(
    "behaviours",
    [
        [server_does.status(500), server_does.well],
        [server_does.status(503), server_does.status(502), server_does.well],
        [server_does.truncated(0.5), server_does.well],
        [server_does.truncated(0.5, validator=False), server_does.well],
        [server_does.truncated(0.0), server_does.well],
        [server_does.cut_without_length(0.5), server_does.well],
        [server_does.reset, server_does.well],
        [server_does.silent(1.0), server_does.well],
        [server_does.slow(0.2, 1), server_does.well],
        [server_does.redirect("/elsewhere")],
        [server_does.other(B), server_does.well],
    ],
    ids=[
        "500",
        "503-502",
        "truncated",
        "truncated-no-tag",
        "nothing-sent",
        "cut",
        "reset",
        "silent",
        "slow",
        "redirect",
        "spoilt",
    ],
)
def test_a_fault_that_passes_ends_well(server: Server, folder: Path, behaviours: list) -> None:
    server.put("/elsewhere", A)
    source = _source(_entry("a.csv", A, address=server.put("/a", A, *behaviours)))
    manifest = fetch(source, folder, mode=LIVE, limits=QUICK)
    assert (folder / "a.csv").read_bytes() == A
    assert manifest["files"]["a.csv"]["how"] == "live"
    assert _visible(folder) == ["a.csv", "manifest.json"] and not (folder / ".partial").exists()


def test_retry_after_is_honoured_up_to_the_cap(server: Server, folder: Path) -> None:
    address = server.put(
        "/a",
        A,
        server_does.status(429, Retry_After="0"),
        server_does.status(429, Retry_After="3600"),
        server_does.well,
    )
    # A back-off of a minute would show: only Retry-After and its cap of 0.2 s can make this quick.
    limits = Limits(attempts=3, backoff_seconds=60, backoff_cap_seconds=60, retry_after_cap_seconds=0.2)
    start = time.monotonic()
    fetch(_source(_entry("a.csv", A, address=address)), folder, mode=LIVE, limits=limits)
    assert 0.2 <= time.monotonic() - start < 10
    assert len(server.requests["/a"]) == 3


def test_retry_after_may_be_a_date(server: Server, folder: Path) -> None:
    past = server_does.status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    limits = Limits(attempts=2, backoff_seconds=60, backoff_cap_seconds=60)
    address = server.put("/a", A, past, server_does.well)
    start = time.monotonic()
    fetch(_source(_entry("a.csv", A, address=address)), folder, mode=LIVE, limits=limits)
    assert time.monotonic() - start < 10


def test_a_truncated_download_is_resumed_where_it_stopped(server: Server, folder: Path) -> None:
    address = server.put("/a", A, server_does.truncated(0.5), server_does.well)
    fetch(_source(_entry("a.csv", A, address=address)), folder, mode=LIVE, limits=QUICK)
    first, second = server.requests["/a"]
    assert "Range" not in first
    assert second["Range"] == f"bytes={len(A) // 2}-" and second["If-Range"]
    assert (folder / "a.csv").read_bytes() == A


def test_a_changed_file_is_not_spliced_onto_an_old_part(server: Server, folder: Path) -> None:
    old = A[: len(A) // 2] + b"x" * 1000
    address = server.put("/a", old, server_does.truncated(0.5))
    source = _source(_entry("a.csv", A, address=address))
    assert "bytes" in _message(source, folder)
    server.put("/a", A)
    fetch(source, folder, mode=LIVE, limits=QUICK)
    assert server.requests["/a"][-1]["If-Range"]
    assert (folder / "a.csv").read_bytes() == A


@pytest.mark.parametrize("bad", [server_does.status(404), server_does.page, server_does.other(B)])
def test_the_archive_stands_in_for_the_primary_address(server: Server, folder: Path, bad) -> None:
    archive = server.put("/archive", A)
    source = _source(_entry("a.csv", A, address=server.put("/a", A, bad), archive=archive))
    manifest = fetch(source, folder, mode=LIVE, limits=QUICK)
    assert manifest["files"]["a.csv"]["address"] == archive
    assert _visible(folder) == ["a.csv", "manifest.json"]


def test_without_a_registered_checksum_what_comes_is_recorded(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", None, address=server.put("/a", A)))
    record = fetch(source, folder, mode=LIVE, limits=QUICK)["files"]["a.csv"]
    assert (record["sha256"], record["expected_sha256"], record["accepted"]) == (_digest(A), None, False)
    (folder / "a.csv").write_bytes(B)  # now the recorded checksum tells that the file is damaged
    fetch(source, folder, mode=LIVE, limits=QUICK)
    assert (folder / "a.csv").read_bytes() == A
    server.put("/page", A, server_does.page)
    page = _source(_entry("p.csv", None, address=f"http://{server.host}/page"))
    assert "a web page (HTML) in place of plain text" in _message(page, folder.with_name("page"))


# Live: what ends in one line


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (server_does.status(404), ["HTTP 404", "https://example.org/page", "correct the registry"]),
        (server_does.status(403), ["HTTP 403"]),
        (server_does.status(500), ["HTTP 500", "after 3 attempts", "run again later"]),
        (server_does.status(429, Retry_After="0"), ["HTTP 429", "after 3 attempts"]),
        (
            server_does.truncated(0.5, validator=False),
            ["29,450 of 58,901 bytes", "closed before the announced"],
        ),
        (server_does.reset, ["after 3 attempts", "connection reset"]),
        (server_does.silent(1.0), ["nothing for 0.4 s", "after 3 attempts"]),
        (server_does.slow(0.2), ["of 58,901 bytes within 1 s, too slow", "after 3 attempts"]),
        (server_does.page, ["a web page (HTML) in place of plain text"]),
        (server_does.other(_book(one=1)), ["an Excel 97-2003 workbook in place of plain text"]),
        (server_does.other(b""), ["an empty file in place of plain text"]),
        (server_does.redirect("/a"), ["redirects in a circle", "/a"]),
        (server_does.redirect("file:///etc/passwd"), ["a redirect to file:///etc/passwd"]),
        (server_does.other(B), ["the publisher's file changed", "bytes 58,901 -> 23", "2 rows x 2 columns"]),
    ],
    ids=[
        "404",
        "403",
        "500",
        "429",
        "truncated",
        "reset",
        "silent",
        "slow",
        "page",
        "kind",
        "empty",
        "circle",
        "scheme",
        "changed",
    ],
)
def test_a_fault_that_stays_is_one_line(server: Server, folder: Path, behaviour, expected: list[str]) -> None:
    address = server.put("/a", A, behaviour)
    source = _source(_entry("a.csv", A, address=address), _entry("b.csv", B, address=server.put("/b", B)))
    text = _message(source, folder)
    assert text.startswith(
        f"example: a.csv: expected a file with sha256 {_digest(A)[:12]}... (58,901 bytes); came: "
    )
    assert address in text
    assert all(words in text for words in expected), text
    assert not (folder / "a.csv").exists()
    # The other file was fetched all the same, and is remembered: the next run asks for a.csv only.
    assert (folder / "b.csv").read_bytes() == B
    server.put("/a", A)
    manifest = fetch(source, folder, mode=LIVE, limits=QUICK)
    assert {record["how"] for record in manifest["files"].values()} == {"live"}
    assert len(server.requests["/b"]) == 1
    assert not (folder / ".partial").exists()


@pytest.mark.parametrize("behaviours", [
    [server_does.dripping(60)], [server_does.dripping(60, b"HTTP/1.1 200 OK\r\nX: ")],
    # The end of the time falls between two connections.
    *([server_does.dripping(seconds), server_does.dripping(60)] for seconds in (0.5, 0.8, 0.9)),
], ids=["redirect", "headers", *(f"second redirect after {seconds} s" for seconds in (0.5, 0.8, 0.9))])
def test_an_attempt_ends_in_its_time_however_slow_redirects_and_headers_are(server: Server, folder: Path,
                                                                            behaviours: list) -> None:
    limits = dataclasses.replace(QUICK, attempts=1, read_seconds=5.0)
    address = server.put("/a", A, behaviours[0])
    server.put("/next", A, behaviours[-1])
    start = time.monotonic()
    text = _message(_source(_entry("a.csv", A, address=address)), folder, limits=limits)
    assert "within 1 s, too slow" in text
    assert limits.total_seconds - 0.1 < time.monotonic() - start < 1.15 * limits.total_seconds + 0.5


def test_a_tls_handshake_that_never_ends_is_cut_off(folder: Path) -> None:
    limits = dataclasses.replace(QUICK, attempts=1, connect_seconds=20.0, read_seconds=20.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=[listener], daemon=True).start()
        entry = _entry("a.csv", A, address=f"https://127.0.0.1:{listener.getsockname()[1]}/a")
        start = time.monotonic()
        text = _message(_source(entry), folder, limits=limits)
    assert "too slow" in text and time.monotonic() - start < 2


def _drip(listener: socket.socket) -> None:
    """Begin a TLS record of 16,000 bytes, and send one of them now and then."""
    connection, _ = listener.accept()
    with contextlib.suppress(OSError), connection:
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02")
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)


def test_a_body_cut_off_at_the_end_of_its_time_is_never_taken_for_a_whole_one(server: Server, folder: Path) -> None:
    address = server.put("/a", A, server_does.dripping_without_length)
    text = _message(_source(_entry("a.csv", None, address=address)), folder)
    assert "bytes within 1 s, too slow, after 3 attempts" in text


def test_a_range_with_a_number_of_5000_digits_is_another_part_of_the_file(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, address=server.put("/a", A, server_does.absurd_range)))
    text = _message(source, folder, limits=dataclasses.replace(QUICK, attempts=2))
    assert "another part of the file than asked for" in text


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed certificates: for 127.0.0.1, and for another host."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, subject in (("good", "IP:127.0.0.1"), ("other", "DNS:other.example")):
        done = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key",
                               "-out", f"{name}.pem", "-subj", "/CN=test", "-addext", f"subjectAltName={subject}",
                               "-days", "2"], cwd=folder, capture_output=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize(("name", "trusted"), [("good", False), ("other", True), ("good", True)])
def test_https_is_taken_only_with_a_certificate_that_holds(certificates: Path, folder: Path, name: str, trusted: bool,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / f"{name}.pem"))
    with server_does.serving_tls(str(certificates / f"{name}.pem"), str(certificates / f"{name}.key")) as server:
        source = _source(_entry("a.csv", A, address=server.put("/a", A).replace("http:", "https:")))
        if name == "good" and trusted:
            assert fetch(source, folder, mode=LIVE, limits=QUICK)["files"]["a.csv"]["how"] == "live"
            return
        text = _message(source, folder)
        assert "a TLS error (certificate not accepted)" in text and "check the machine's certificates" in text
        assert not server.requests["/a"]


@pytest.mark.parametrize("planted", [".partial", ".partial/a.csv.part", ".partial/a.csv.part.json",
                                     ".partial/a.csv.record.json"])
def test_a_link_planted_in_the_working_folder_is_not_followed(server: Server, folder: Path, tmp_path: Path,
                                                              planted: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir() if planted == ".partial" else victim.write_text("kept")
    (folder / planted).parent.mkdir(parents=True)
    (folder / planted).symlink_to(victim)
    fetch(_source(_entry("a.csv", A, address=server.put("/a", A))), folder, mode=LIVE, limits=QUICK)
    assert (folder / "a.csv").read_bytes() == A and not (folder / "a.csv").is_symlink()
    assert not (folder / ".partial").exists()
    assert not list(victim.iterdir()) if planted == ".partial" else victim.read_text() == "kept"


def test_what_is_written_has_the_mode_that_the_umask_leaves(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, address=server.put("/a", A)))
    for mask, mode in ((0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            fetch(source, folder / str(mask), mode=LIVE, limits=QUICK)
        finally:
            os.umask(before)
        assert {path.stat().st_mode & 0o777 for path in (folder / str(mask)).iterdir()} == {mode}


def test_too_many_redirects(server: Server, folder: Path) -> None:
    for number in range(9):
        server.put(f"/{number}", A, server_does.redirect(f"/{number + 1}"))
    source = _source(_entry("a.csv", A, address=f"http://{server.host}/0"))
    assert "more than 5 redirects, the last to" in _message(source, folder)


def test_a_host_that_does_not_answer(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    entries = [_entry(f"{n}.csv", None, address=f"{address}/{n}") for n in range(30)]
    start = time.monotonic()
    text = _message(_source(*entries), folder, limits=Limits(attempts=3, backoff_seconds=0.2))
    assert "no answer (connection refused)" in text and "check the connection and run again" in text
    assert "(and 29 more: 1.csv, 2.csv," in text
    assert time.monotonic() - start < 6  # after two files without an answer the others do not wait


def test_a_web_page_in_place_of_a_workbook(server: Server, folder: Path) -> None:
    book = _book(England=3)
    source = _source(_entry("a.xls", book, address=server.put("/a", book, server_does.page)))
    assert "a web page (HTML) in place of a workbook" in _message(source, folder)
    assert _visible(folder) == []


def test_every_file_is_tried_and_the_others_are_named(server: Server, folder: Path) -> None:
    bad = [
        _entry(f"{n}.csv", None, address=server.put(f"/{n}", A, server_does.status(404))) for n in range(3)
    ]
    text = _message(_source(*bad, _entry("a.csv", A, address=server.put("/a", A))), folder)
    assert text.startswith("example: 0.csv: ") and text.endswith("(and 2 more: 1.csv, 2.csv)")
    assert (folder / "a.csv").exists()


def test_a_file_larger_than_the_limit_is_not_taken(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, address=server.put("/a", A)))
    assert "more than the limit of 1,000" in _message(source, folder, limits=Limits(maximum_bytes=1000))
    address = server.put("/b", A, server_does.cut_without_length(1.0))
    source = _source(_entry("b.csv", A, address=address))
    assert "more than the limit of 1,000" in _message(source, folder, limits=Limits(maximum_bytes=1000))


# A changed edition


def test_a_changed_workbook_says_what_changed_and_keeps_both(server: Server, folder: Path) -> None:
    old, new = _book(England=3, Notes=1), _book(England=5, Extra=1)
    source = _source(_entry("a.xls", old, address=server.put("/a", old)))
    fetch(source, folder, mode=LIVE, limits=QUICK)
    before = (folder / "manifest.json").read_bytes()
    server.put("/a", new)
    with pytest.raises(DidError) as caught:
        fetch(source, folder, mode=LIVE, limits=QUICK, refresh=True)
    text = str(caught.value)
    assert "sheet 'Notes' gone" in text and "sheet 'Extra' new" in text
    assert "rows of sheet 'England' 3 -> 5" in text and "--accept" in text and "a.xls.new" in text
    assert (folder / "a.xls").read_bytes() == old and (folder / "a.xls.new").read_bytes() == new
    assert (folder / "manifest.json").read_bytes() == before

    # Accepting takes the very file that was looked at, without asking the publisher again.
    asked = len(server.requests["/a"])
    record = fetch(source, folder, mode=LIVE, limits=QUICK, accept=True)["files"]["a.xls"]
    assert (folder / "a.xls").read_bytes() == new and _visible(folder) == ["a.xls", "manifest.json"]
    assert (record["sha256"], record["expected_sha256"]) == (_digest(new), _digest(old))
    assert record["accepted"] is True and record["address"] == f"http://{server.host}/a"
    assert len(server.requests["/a"]) == asked
    # An accepted edition stays accepted, until the registry names another one.
    assert fetch(source, folder, mode=LIVE, offline=True)["files"]["a.xls"] == record
    third = _source(_entry("a.xls", _book(England=9), address=f"http://{server.host}/a"))
    with pytest.raises(DidError, match="--offline forbids the network"):
        fetch(third, folder, mode=LIVE, offline=True)


def test_a_changed_table_names_its_columns(server: Server, folder: Path) -> None:
    source = _source(_entry("b.csv", B, address=server.put("/b", B)))
    fetch(source, folder, mode=LIVE, limits=QUICK)
    server.put("/b", b"area,count\nE06000001,2\nE06000002,3\n")
    with pytest.raises(DidError) as caught:
        fetch(source, folder, mode=LIVE, limits=QUICK, refresh=True)
    text = str(caught.value)
    assert "rows 2 -> 3" in text and "columns gone: value" in text and "columns new: count" in text


def test_accepting_at_once_records_the_new_checksum(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, address=server.put("/a", A, server_does.other(B))))
    record = fetch(source, folder, mode=LIVE, limits=QUICK, accept=True)["files"]["a.csv"]
    assert (record["sha256"], record["accepted"]) == (_digest(B), True)


def test_accepting_never_takes_a_web_page(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, address=server.put("/a", A, server_does.page)))
    assert "a web page (HTML)" in _message(source, folder, accept=True)


# What is there already


def test_only_the_missing_file_is_fetched_again(server: Server, folder: Path) -> None:
    source = _source(
        _entry("a.csv", A, address=server.put("/a", A)), _entry("b.csv", B, address=server.put("/b", B))
    )
    first = fetch(source, folder, mode=LIVE, limits=QUICK)
    for path in (folder / "a.csv", folder / "manifest.json"):
        os.utime(path, (1, 1))
    manifest = (folder / "manifest.json").read_bytes()
    assert fetch(source, folder, mode=LIVE, limits=QUICK) == first
    assert (folder / "manifest.json").stat().st_mtime == 1  # nothing fetched: the manifest is left alone
    (folder / "b.csv").unlink()
    second = fetch(source, folder, mode=LIVE, limits=QUICK)
    assert (len(server.requests["/a"]), len(server.requests["/b"])) == (1, 2)
    assert (folder / "a.csv").stat().st_mtime == 1
    assert second["files"]["a.csv"] == first["files"]["a.csv"]
    (folder / "a.csv").write_bytes(A[:-1])  # a damaged file counts as missing
    fetch(source, folder, mode=LIVE, limits=QUICK)
    assert (folder / "a.csv").read_bytes() == A
    assert json.loads(manifest)["files"].keys() == second["files"].keys()


def test_a_file_without_address_is_put_in_by_hand(server: Server, folder: Path) -> None:
    source = _source(_entry("a.csv", A, note="inside a zip"), _entry("b.csv", B, address=server.put("/b", B)))
    text = _message(source, folder)
    assert "no address in the registry" in text and "get it from https://example.org/page" in text
    assert "then: did supply example FILE" in text and "inside a zip" in text
    (folder / "a.csv").write_bytes(A)
    record = fetch(source, folder, mode=LIVE, limits=QUICK)["files"]["a.csv"]
    assert (record["how"], record["address"], record["sha256"]) == ("manual", None, _digest(A))


def test_another_edition_put_in_by_hand_must_be_accepted(folder: Path) -> None:
    source = _source(_entry("a.csv", A))
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(B)
    with pytest.raises(DidError) as caught:
        fetch(source, folder, mode=LIVE)
    assert f"sha256 {_digest(B)[:12]}" in str(caught.value) and "--accept" in str(caught.value)
    record = fetch(source, folder, mode=LIVE, accept=True)["files"]["a.csv"]
    assert (record["how"], record["accepted"], record["sha256"]) == ("manual", True, _digest(B))
    assert fetch(source, folder, mode=LIVE, offline=True)["files"]["a.csv"] == record


@pytest.mark.parametrize("damage", [lambda text: "{", lambda text: text.replace("manual", "manuel")])
def test_a_damaged_manifest_is_written_anew(folder: Path, damage) -> None:
    source = _source(_entry("a.csv", A))
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(A)
    manifest = fetch(source, folder, mode=LIVE)
    path = folder / "manifest.json"
    before = path.read_bytes()
    path.write_text(damage(path.read_text()))
    assert path.read_bytes() != before
    assert fetch(source, folder, mode=LIVE) == manifest and path.read_bytes() == before


# Offline


class _Socket:
    def __init__(self, *arguments: object, **options: object) -> None:
        raise AssertionError("a socket was opened")


def test_offline_opens_no_socket(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(
        _entry("a.csv", A, address=server.put("/a", A)), _entry("b.csv", B, address=server.put("/b", B))
    )
    manifest = fetch(source, folder, mode=LIVE, limits=QUICK)
    monkeypatch.setattr(socket, "socket", _Socket)
    assert fetch(source, folder, mode=LIVE, offline=True) == manifest
    (folder / "manifest.json").unlink()
    (folder / "a.csv").unlink()
    (folder / "b.csv").write_bytes(A)
    with pytest.raises(DidError) as caught:
        fetch(source, folder, mode=LIVE, offline=True)
    text = str(caught.value)
    assert text.startswith(
        f"example: a.csv: expected a file with sha256 {_digest(A)[:12]}... (58,901 bytes); came: "
    )
    assert f"nothing at {folder / 'a.csv'}; --offline forbids the network" in text
    assert text.endswith("(and 1 more: b.csv)") and "\n" not in text


# Mirror


def _mirror(tmp_path: Path, rows: list[dict[str, str]], **files: bytes) -> DataMode:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, body in files.items():
        path = mirror / name.replace("__", "/").replace("_csv", ".csv")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(body)
    with open(mirror / "index.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["url", "path", "sha256", "bytes"])
        writer.writeheader()
        writer.writerows(rows)
    return DataMode("mirror", mirror)


def test_a_mirror_is_searched_by_checksum_then_path_then_beside(tmp_path: Path, folder: Path) -> None:
    C, D = B + b"C\n", B + b"D\n"
    rows = [
        {"url": "https://example.org/a", "path": "other/name.csv", "sha256": _digest(A)},
        {"url": "", "path": "example/b.csv", "sha256": ""},
    ]
    mode = _mirror(tmp_path, rows, other__name_csv=A, example__b_csv=B, example__c_csv=C)
    (tmp_path / "tidy").mkdir()
    (tmp_path / "tidy" / "d.csv").write_bytes(D)
    source = _source(*(_entry(name, body) for name, body in zip("abcd", (A, B, C, D), strict=True)))
    source = _source(*(entry.model_copy(update={"name": f"{entry.name}.csv"}) for entry in source.files))
    manifest = fetch(source, folder, mode=mode)
    assert [(folder / f"{name}.csv").read_bytes() for name in "abcd"] == [A, B, C, D]
    assert {record["how"] for record in manifest["files"].values()} == {"mirror"}
    assert manifest["files"]["a.csv"]["address"] == "https://example.org/a"
    assert manifest["files"]["d.csv"]["address"] is None
    assert manifest["mode"] == "mirror" and str(tmp_path) not in json.dumps(manifest)
    assert not (folder / ".partial").exists()


def test_the_mistakes_in_a_mirror_are_one_line(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DidError, match=r"index\.csv: a mirror is a folder with an index\.csv .* found none"):
        fetch(_source(_entry("a.csv", A)), folder, mode=DataMode("mirror", tmp_path / "none"))
    rows = [
        {"path": "example/a.csv", "sha256": _digest(A)},
        {"path": "example/b.csv", "sha256": _digest(B)},
        {"path": "example/page.csv", "sha256": ""},
    ]
    mode = _mirror(tmp_path, rows, example__b_csv=A, example__page_csv=b"<html></html>")
    text = _message(_source(_entry("a.csv", A)), folder, mode=mode)
    assert (
        "came: a row for example/a.csv but no such file in the mirror" in text and "put the file at" in text
    )
    text = _message(_source(_entry("c.csv", A + B)), folder, mode=mode)
    assert "came: neither a row nor a file in the mirror" in text and "add its row to index.csv" in text
    text = _message(_source(_entry("b.csv", B)), folder, mode=mode)
    assert f"came: sha256 {_digest(A)[:12]}... in " in text and "another edition or a damaged copy" in text
    text = _message(_source(_entry("page.csv", None)), folder, mode=mode)
    assert "a web page (HTML) in place of plain text" in text
    record = fetch(_source(_entry("b.csv", B)), folder, mode=mode, accept=True)["files"]["b.csv"]
    assert (record["accepted"], record["sha256"]) == (True, _digest(A))


def test_a_mirrors_own_checksum_is_compared_where_the_registry_has_none(tmp_path: Path, folder: Path) -> None:
    mode = _mirror(tmp_path, [{"path": "example/b.csv", "sha256": _digest(B)}], example__b_csv=A)
    source = _source(_entry("b.csv", None))
    for accept in (False, True):
        text = _message(source, folder, mode=mode, accept=accept)
        assert f"came: sha256 {_digest(A)[:12]}... in " in text and f"index.csv has {_digest(B)[:12]}..." in text
        assert not (folder / "b.csv").exists()
    (mode.folder / "example" / "b.csv").write_bytes(B)
    assert fetch(source, folder, mode=mode)["files"]["b.csv"]["sha256"] == _digest(B)


@pytest.mark.parametrize("at_hand", ["fetched", "put in by hand", "lost"])
def test_another_edition_of_a_second_mirror_is_refused_until_accepted(
    tmp_path: Path, folder: Path, at_hand: str
) -> None:
    """Whether its file is still there or not: which edition was used is recorded."""
    source = _source(_entry("b.csv", None))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = _mirror(tmp_path / "one", [{"path": "example/b.csv", "sha256": _digest(A)}], example__b_csv=A)
    second = _mirror(tmp_path / "two", [{"path": "example/b.csv", "sha256": _digest(B)}], example__b_csv=B)
    if at_hand == "put in by hand":
        folder.mkdir(parents=True)
        (folder / "b.csv").write_bytes(A)
    else:
        fetch(source, folder, mode=first)
    if at_hand == "lost":
        (folder / "b.csv").unlink()
    with pytest.raises(DidError) as caught:
        fetch(source, folder, mode=second)
    text = str(caught.value)
    assert _digest(B)[:12] in text and "--accept" in text and "\n" not in text
    assert not (folder / "b.csv").exists() or (folder / "b.csv").read_bytes() == A
    assert fetch(source, folder, mode=second, accept=True)["files"]["b.csv"]["sha256"] == _digest(B)
    assert (folder / "b.csv").read_bytes() == B
    assert fetch(source, folder, mode=second)["files"]["b.csv"]["sha256"] == _digest(B)
    with pytest.raises(DidError, match="another edition"):
        fetch(source, folder, mode=first)


def test_another_edition_of_a_publisher_is_kept_beside_where_the_registry_has_no_checksum(
    server: Server, folder: Path
) -> None:
    source = _source(_entry("a.csv", None, address=server.put("/a", A)))
    fetch(source, folder, mode=LIVE, limits=QUICK)
    server.put("/a", B)
    with pytest.raises(DidError, match="the publisher's file changed"):
        fetch(source, folder, mode=LIVE, limits=QUICK, refresh=True)
    assert (folder / "a.csv").read_bytes() == A and (folder / "a.csv.new").read_bytes() == B


@pytest.mark.parametrize("path", ["../outside.csv", "/etc/passwd", "link/outside.csv", ""])
def test_a_mirror_does_not_reach_outside_its_folder(tmp_path: Path, folder: Path, path: str) -> None:
    mode = _mirror(tmp_path, [{"path": path, "sha256": _digest(B)}])
    (tmp_path / "outside.csv").write_bytes(B)
    (tmp_path / "mirror" / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DidError) as caught:
        fetch(_source(_entry("b.csv", B)), folder, mode=mode)
    assert f"row 2: column path: expected a path inside the mirror; found '{path}'" in str(caught.value)
    assert not (folder / "b.csv").exists()


def test_an_index_without_its_columns(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "index.csv").write_text("address,path\n")
    with pytest.raises(DidError, match="expected the columns url, path, sha256; found address, path"):
        fetch(_source(_entry("b.csv", B)), folder, mode=DataMode("mirror", tmp_path))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, folder: Path) -> None:
    mode = _mirror(tmp_path, [{"path": "example/b.csv", "sha256": _digest(B)}], example__b_csv=B)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    with pytest.raises(DidError) as caught:
        fetch(_source(_entry("b.csv", B)), folder, mode=mode)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


# Killed and interrupted


def test_a_fetch_that_is_killed_goes_on_where_it_stopped(
    server: Server, folder: Path, tmp_path: Path
) -> None:
    source = _source(
        _entry("a.csv", A, address=server.put("/a", A, server_does.slow(0.05, 2000))),
        _entry("b.csv", B, address=server.put("/b", B)),
    )
    registry = tmp_path / "example.yaml"
    registry.write_text(yaml.safe_dump(source.model_dump()), encoding="utf-8")
    program = (
        "import sys; from did.fetch import fetch; from did.project.data_mode import DataMode; "
        "from did.project.registry import load_source; "
        "fetch(load_source(sys.argv[1]), sys.argv[2], mode=DataMode('live'))"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(registry), str(folder)])
    part = folder / ".partial" / "a.csv.part"
    deadline = time.monotonic() + 20
    while not ((folder / "b.csv").exists() and part.exists() and part.stat().st_size > 4000):
        assert time.monotonic() < deadline and child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert _visible(folder) == ["b.csv"]  # whole, and nothing else where a reader would look
    arrived = part.stat().st_size
    server.put("/a", A)
    manifest = fetch(load_source(registry), folder, mode=LIVE, limits=QUICK)
    assert server.requests["/a"][-1]["Range"] == f"bytes={arrived}-"
    assert len(server.requests["/b"]) == 1
    assert (folder / "a.csv").read_bytes() == A and (folder / "b.csv").read_bytes() == B
    assert {record["how"] for record in manifest["files"].values()} == {"live"}
    assert _visible(folder) == ["a.csv", "b.csv", "manifest.json"] and not (folder / ".partial").exists()


def test_stopping_ends_a_download_and_keeps_its_part(server: Server, tmp_path: Path) -> None:
    from did.fetch.live import LiveSupplier
    from did.fetch.supply import Failure, Progress

    supplier = LiveSupplier(Limits(), Progress(), ["127.0.0.1"])
    entry = _entry("a.csv", A, address=server.put("/a", A, server_does.slow(0.05, 2000)))
    threading.Timer(0.3, supplier.stop).start()
    with pytest.raises(Failure, match="interruption"):
        supplier.supply(entry, tmp_path, lambda path: None)
    assert 0 < (tmp_path / "a.csv.part").stat().st_size < len(A)


def test_no_progress_bar_in_a_pipe(capfd: pytest.CaptureFixture) -> None:
    with progress_bar("example", 3, 100) as progress:
        progress.received(50)
        progress.finished("a.csv")
    assert capfd.readouterr() == ("", "")


# The publishers' own files


@needs_mirror
def test_every_file_of_the_registry_comes_from_the_mirror(tmp_path: Path) -> None:
    for source in map(load_source, sorted(SOURCES.glob("*.yaml"))):
        folder = tmp_path / source.id
        if source.manual_download:
            assert obtainable(source, folder, parse_mode(f"mirror:{MIRROR}")) == []
            continue
        manifest = fetch(source, folder, mode=parse_mode(f"mirror:{MIRROR}"))
        assert _visible(folder) == sorted([entry.name for entry in source.files] + ["manifest.json"])
        for entry in source.files:
            assert _digest((folder / entry.name).read_bytes()) == entry.sha256
            assert manifest["files"][entry.name]["sha256"] == entry.sha256
        (folder / source.files[0].name).unlink()
        again = fetch(source, folder, mode=parse_mode(f"mirror:{MIRROR}"))
        same = [name for name in again["files"] if again["files"][name] == manifest["files"][name]]
        assert set(same) >= {entry.name for entry in source.files[1:]}


@needs_mirror
def test_workbooks_come_over_http_from_the_paths_of_the_registry(server: Server, tmp_path: Path) -> None:
    source = load_source(SOURCES / "nhs_england_dtoc.yaml")
    misbehaving = {
        3: [server_does.status(500), server_does.well],
        5: [server_does.truncated(0.4), server_does.well],
        7: [server_does.redirect("/moved")],
        9: [server_does.reset, server_does.well],
    }
    entries = []
    for number, entry in enumerate(source.files[::9]):
        parts = urlsplit(entry.address)
        path = entry.address[len(f"{parts.scheme}://{parts.netloc}") :]
        body = (MIRROR / source.id / entry.name).read_bytes()
        if number == 7:
            server.put("/moved", body)
        address = server.put(path, body, *misbehaving.get(number, []))
        entries.append(entry.model_copy(update={"address": address}))
    assert len(entries) == 12
    trusting = source.model_copy(update={"files": entries, "trusted_hosts": ["127.0.0.1"]})
    manifest = fetch(trusting, tmp_path, mode=LIVE, limits=QUICK)
    assert [record["bytes"] for record in manifest["files"].values()] == [entry.bytes for entry in entries]
    for entry in entries:
        assert _digest((tmp_path / entry.name).read_bytes()) == entry.sha256


def _by_hand(tmp_path: Path) -> Source:
    """A source of two years that its publisher does not serve to every network."""
    entries = [RawFileEntry(name=f"survey_{year}.csv", period=str(year)) for year in (2012, 2013)]
    return Source(id="survey", title="A survey", publisher="P", landing_page="https://example.org/surveys",
                  licence="OGL-3.0", reader="tidy_csv", manual_download=True, files=entries)


def test_files_put_in_by_hand_are_taken_and_the_others_not_missed(tmp_path: Path) -> None:
    source, folder, mirror = _by_hand(tmp_path), tmp_path / "survey", tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "index.csv").write_text("url,path,sha256\n")
    mode = parse_mode(f"mirror:{mirror}")
    with pytest.raises(DidError, match="survey: no file is at hand; download them from https://example.org/surveys"):
        fetch(source, folder, mode=mode)
    folder.mkdir(exist_ok=True)
    (folder / "survey_2013.csv").write_text("a,b\n1,2\n")
    assert [entry.name for entry in obtainable(source, folder, mode)] == ["survey_2013.csv"]
    for how in (mode, parse_mode("live")):
        manifest = fetch(source, folder, mode=how)
        assert {name: entry["how"] for name, entry in manifest["files"].items()} == {"survey_2013.csv": "manual"}


def test_demo_mode_writes_every_file_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    source = load_source(SOURCES / "preventable_mortality.yaml")
    first = fetch(source, tmp_path / "a", mode=parse_mode("demo"))
    second = fetch(source, tmp_path / "b", mode=parse_mode("demo"), offline=True)
    assert first == second
    assert {entry["how"] for entry in first["files"].values()} == {"demo"}
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
