"""Live mode: files over HTTP from the registry's addresses, with retries, resume and time-outs.

A download is written to ``NAME.part`` in the working folder, with what is needed to resume it
(``NAME.part.json``: address and validator) alongside it, so a later run goes on where a killed one stopped.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from did import __version__
from did.fetch.guard import GuardedAdapter, Watch, refuse_local, watched
from did.fetch.supply import ChangedEdition, Failure, Limits, Progress, Supplied
from did.project.registry import RawFileEntry
from did.store.provenance import write_json

# Answers that may be different a moment later.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK = 64 * 1024


class _Passing(Exception):
    """A fault that may pass: try again after ``wait`` seconds (None: after the usual back-off)."""

    def __init__(self, came: str, wait: float | None = None, *, answered: bool = True, so_far: str = "") -> None:
        super().__init__(came)
        self.came = came
        self.wait = wait
        self.answered = answered
        self.so_far = so_far


class _Stopped(Failure):
    """The whole fetch was interrupted; what came so far is kept."""

    def __init__(self) -> None:
        super().__init__("an interruption", "run again")


class LiveSupplier:
    """Files from the publisher: the primary address, then the archive.

    Addresses in the local network are refused, but for the hosts in ``trusted``.
    """

    def __init__(self, limits: Limits, progress: Progress, trusted: Collection[str] = ()) -> None:
        self._limits = limits
        self._trusted = frozenset(host.lower() for host in trusted)
        self._progress = progress
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(limits.threads_per_host)
        )
        self._silent: Counter[str] = Counter()
        self._local = threading.local()

    def stop(self) -> None:
        """End waits and downloads under way; what came so far stays for the next run to resume."""
        self._stopped.set()

    def supply(self, entry: RawFileEntry, work: Path, check: Callable[[Path], None]) -> Supplied:
        """Download the file of ``entry`` into ``work`` and check it.

        Raises ChangedEdition, with the file kept in ``work``, when a whole file of the right kind came twice
        with the same unregistered checksum and no other address has the registered one; Failure when no
        address gave the file, saying what each gave.
        """
        changed: ChangedEdition | None = None
        failures: list[Failure] = []
        for address in (entry.address, entry.archive):
            if address is None:
                continue
            try:
                return Supplied(self._download(address, entry.name, work, check), address, "live")
            except ChangedEdition as found:
                if changed is None:
                    aside = found.path.replace(work / f"{entry.name}.changed")
                    changed = ChangedEdition(aside, found.digest, address)
            except Failure as failure:
                failures.append(Failure(f"{failure.came} (from {address})", failure.remedy))
        if changed is not None:
            raise changed
        raise Failure("; then ".join(failure.came for failure in failures), failures[0].remedy)

    def _download(self, address: str, name: str, work: Path, check: Callable[[Path], None]) -> Path:
        """Try ``address`` until the file is whole and checked; return it. Raise Failure when it is no use."""
        part = work / f"{name}.part"
        host = urlsplit(address).netloc
        with self._lock:
            place = self._hosts[host]
        last_digest = None
        attempt = 0
        with place:
            # A host that has answered nobody lately gets one attempt per file, not a full round of waits.
            attempts = 1 if self._silent[host] >= self._limits.silent_host_after else self._limits.attempts
            while True:
                attempt += 1
                try:
                    self._watched(address, part)
                    self._silent[host] = 0
                    check(part)
                except _Passing as fault:
                    if not fault.answered:
                        self._silent[host] += attempt >= attempts
                    if attempt >= attempts:
                        if not _notes(part).exists():  # a later run could not resume it
                            _forget(part)
                        tries = f", after {attempt} attempts" if attempt > 1 else ""
                        remedy = "run again later" if fault.answered else "check the connection and run again"
                        raise Failure(fault.came + tries, remedy) from None
                    self._wait(fault.wait, attempt)
                except ChangedEdition as changed:
                    # The bytes may have been spoilt on the way or spliced from two editions: fetch the whole
                    # file again. Twice the same means that the publisher has changed it.
                    _forget(part, keep_file=True)
                    if changed.digest == last_digest or attempt >= attempts:
                        raise
                    last_digest = changed.digest
                    self._progress.received(-part.stat().st_size)
                    part.unlink()
                except _Stopped:
                    raise
                except Failure:
                    _forget(part)
                    raise
                else:
                    _forget(part, keep_file=True)
                    return part

    def _watched(self, address: str, part: Path) -> None:
        """Make one attempt, and end it if redirects, headers or body do not end by themselves."""
        seconds = self._limits.total_seconds
        with watched(seconds) as watch:
            fault: Exception | None = None
            try:
                self._receive(address, part, watch)
            except _Stopped:
                raise
            except (_Passing, Failure) as error:
                fault = error
            if watch.expired:   # what was cut off may look like a fault, or like the end of a file
                so_far = getattr(fault, "so_far", "") or "no whole answer"
                raise _Passing(f"{so_far} within {seconds:g} s, too slow", answered=getattr(fault, "answered", True))
            if fault is not None:
                raise fault

    def _receive(self, address: str, part: Path, watch: Watch) -> None:
        """Make one attempt to bring ``part`` to its full length, going on from what is there if possible."""
        start, validator = _resumable(part, address)
        # Without identity the length announced would not be the length of the file.
        headers = {"User-Agent": f"ics-did/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        with self._answer(address, headers, watch) as response:
            status = response.status_code
            if status == 416:
                _forget(part)
                raise _Passing("HTTP 416, no such range", 0.0)
            if status in _PASSING:
                raise _Passing(f"HTTP {status} ({response.reason})", self._retry_after(response))
            resumed = status == 206 and start > 0 and _range_start(response) == start
            if status != 200 and not resumed:
                _forget(part)
                if status == 206:
                    raise _Passing("another part of the file than asked for", 0.0)
                raise Failure(f"HTTP {status} ({response.reason})")
            if not resumed:
                start = 0
                _remember(part, address, response)
            self._write(response, part, start, watch)

    def _write(self, response: requests.Response, part: Path, start: int, watch: Watch) -> None:
        """Append the body to ``part`` from byte ``start``, whole or with _Passing."""
        limits = self._limits
        announced = _whole(response.headers.get("Content-Length", "0"))
        if announced is None:
            raise Failure("an announced length that is not a number")
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        length = announced + start if "Content-Length" in response.headers and not encoded else None
        # read1 hands over what has arrived; read would wait for a full chunk, past the deadline.
        read = getattr(response.raw, "read1", response.raw.read)
        count = start
        if length is not None and length > limits.maximum_bytes:
            raise Failure(f"a file of {length:,} bytes, more than the limit of {limits.maximum_bytes:,}")
        with open(part, "r+b" if start else "wb") as file:
            file.seek(start)
            while True:
                if self._stopped.is_set():
                    raise _Stopped
                with _network_faults(limits, _of(count, length)):
                    chunk = read(_CHUNK, decode_content=True)
                if watch.expired:   # the end of the stream may be the cut
                    raise _Passing("too slow", so_far=_of(count, length))
                if not chunk:
                    break
                file.write(chunk)
                count += len(chunk)
                self._progress.received(len(chunk))
                if count > limits.maximum_bytes:
                    raise Failure(f"more than the limit of {limits.maximum_bytes:,} bytes")
        if length is not None and count < length:
            raise _Passing(f"a connection that closed after {_of(count, length)}", so_far=_of(count, length))

    @contextlib.contextmanager
    def _answer(self, address: str, headers: dict[str, str], watch: Watch) -> Iterator[requests.Response]:
        """Yield the answer to a GET after following a few redirects, all of them http or https."""
        limits = self._limits
        seen = [address]
        while True:
            if self._stopped.is_set():
                raise _Stopped
            if watch.expired:
                raise _Passing("too slow")
            refuse_local(urlsplit(seen[-1]).hostname or "", self._trusted)
            with _network_faults(limits):
                response = self._session().get(
                    seen[-1],
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(min(limits.connect_seconds, max(watch.remaining, 0.001)), limits.read_seconds),
                )
            with contextlib.closing(response):
                if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                    yield response
                    return
                target = _target(seen[-1], response.headers["Location"])
            if target in seen:
                raise Failure(f"redirects in a circle, back to {target}")
            if len(seen) > limits.redirects:
                raise Failure(f"more than {limits.redirects} redirects, the last to {target}")
            seen.append(target)

    def _session(self) -> requests.Session:
        """Return this thread's session, which keeps connections open from file to file."""
        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            session.auth = lambda request: request  # else a password in ~/.netrc would be sent
            for scheme in ("http://", "https://"):
                session.mount(scheme, GuardedAdapter(self._trusted))
        return self._local.session

    def _retry_after(self, response: requests.Response) -> float | None:
        """Return the seconds that the server asks us to wait, up to the cap, or None if it does not say."""
        text = response.headers.get("Retry-After", "").strip()
        seconds = _whole(text)
        if seconds is None:
            try:
                seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, TypeError, IndexError, OverflowError):  # what a date that is none can raise
                return None
        return min(max(seconds, 0.0), self._limits.retry_after_cap_seconds)

    def _wait(self, asked: float | None, attempt: int) -> None:
        backoff = min(self._limits.backoff_seconds * 2 ** (attempt - 1), self._limits.backoff_cap_seconds)
        self._stopped.wait(backoff if asked is None else asked)


def _whole(text: str) -> int | None:
    """The whole number in a header, None if it is none (or one of a length that nothing has)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _target(address: str, location: str) -> str:
    """Return the whole address of a redirect; raise Failure unless it is http or https, without a password."""
    try:
        target = urljoin(address, location)
        parts = urlsplit(target)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # brackets that do not close, a port that is not a number
        target, good = location, False
    if not good:
        raise Failure(f"a redirect to {target[:200]}, which is not an http or https address")
    if "@" in parts.netloc:
        raise Failure("a redirect to an address with a user name or password")
    return target


@contextlib.contextmanager
def _network_faults(limits: Limits, so_far: str = "") -> Iterator[None]:
    """Turn what requests and urllib3 raise into _Passing (may pass) or Failure (will not), in plain words.

    ``so_far`` says how much of the body has come; it is empty as long as there is no answer at all.
    """
    answered = bool(so_far)
    try:
        yield
    except (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        raise _Passing(f"no connection within {limits.connect_seconds:g} s", answered=False) from None
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
        came = f"{so_far or 'a connection'}, then nothing for {limits.read_seconds:g} s"
        raise _Passing(came, answered=answered, so_far=so_far) from None
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        raise Failure(f"a TLS error ({_reason(error)})", "check the machine's certificates") from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise Failure(f"an address that cannot be used ({_reason(error)})") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        came = f"{so_far}, then the connection failed" if so_far else "no answer"
        raise _Passing(f"{came} ({_reason(error)})", answered=answered, so_far=so_far) from None
    except ValueError as error:  # from parsing a header, such as the address of a redirect
        raise Failure(f"an answer that cannot be understood ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    """Return the innermost reason of a network error in a few words."""
    text = str(error)
    for sign, words in (
        ("IncompleteRead", "closed before the announced length"),
        ("NameResolution", "the host name is not known"),
        ("refused", "connection refused"),
        ("reset", "connection reset"),
        ("without response", "closed without an answer"),
        ("unreachable", "network unreachable"),
        ("certificate", "certificate not accepted"),
        ("Proxy", "proxy refused"),
    ):
        if sign.lower() in text.lower():
            return words
    return text[:120]


def _of(count: int, length: int | None) -> str:
    return f"{count:,} of {length:,} bytes" if length is not None else f"{count:,} bytes"


def _range_start(response: requests.Response) -> int | None:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return _whole(match[1]) if match else None


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remember(part: Path, address: str, response: requests.Response) -> None:
    """Write down what a later attempt needs to go on with this download, if the server allows that."""
    _forget(part)
    tag = response.headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    encoded = "Content-Encoding" in response.headers
    if validator and not encoded and response.headers.get("Accept-Ranges", "").lower() != "none":
        write_json(_notes(part), {"address": address, "validator": validator})


def _resumable(part: Path, address: str) -> tuple[int, str]:
    """Return how many bytes of this address are there already and their validator, or (0, "")."""
    try:
        notes: dict[str, Any] = json.loads(_notes(part).read_text(encoding="utf-8"))
        size = part.stat().st_size
        if size and notes["address"] == address and isinstance(notes["validator"], str):
            return size, notes["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _forget(part: Path, *, keep_file: bool = False) -> None:
    """Remove what was kept to resume a download, and the part itself unless it is whole."""
    _notes(part).unlink(missing_ok=True)
    if not keep_file:
        part.unlink(missing_ok=True)
