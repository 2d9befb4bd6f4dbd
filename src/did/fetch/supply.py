"""What the ways of getting a file share: the limits, what they hand over, how they fail, and progress."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from did.project.registry import RawFileEntry


@dataclass(frozen=True)
class Limits:
    """Time-outs (seconds), retries and courtesy of live downloads; tests shorten them."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 180.0  # one attempt; the next one resumes where the server allows it
    attempts: int = 5
    backoff_seconds: float = 1.0  # doubles after each attempt
    backoff_cap_seconds: float = 30.0
    retry_after_cap_seconds: float = 60.0
    redirects: int = 5
    threads: int = 4
    threads_per_host: int = 2
    silent_host_after: int = 2  # files given up without an answer before a host gets one attempt per file
    maximum_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Supplied:
    """A whole, checked file in the working folder, and where it came from."""

    path: Path
    address: str | None
    how: str


class Failure(Exception):
    """A file could not be obtained: ``came`` says what came instead, ``remedy`` what to do about it."""

    def __init__(self, came: str, remedy: str = "") -> None:
        super().__init__(came)
        self.came = came
        self.remedy = remedy


class ChangedEdition(Failure):
    """A whole file of the right kind came whose checksum is not the registered one."""

    def __init__(self, path: Path, digest: str, address: str | None = None) -> None:
        super().__init__(f"sha256 {short(digest)} ({path.stat().st_size:,} bytes)")
        self.path = path
        self.digest = digest
        self.address = address


class Supplier(Protocol):
    """A way of getting files. A new mode is a class with these two methods and a line in `did.fetch`."""

    def supply(self, entry: RawFileEntry, work: Path, check: Callable[[Path], None]) -> Supplied:
        """Put the file whole into ``work`` and return it once ``check`` accepts it; else raise Failure."""

    def stop(self) -> None:
        """Make every `supply` under way end soon."""


class Progress:
    """Progress that nobody watches: the methods do nothing."""

    def received(self, count: int) -> None:
        """Count ``count`` bytes received (negative: bytes thrown away)."""

    def finished(self, name: str) -> None:
        """Count the file ``name`` as done, well or badly."""


@contextlib.contextmanager
def progress_bar(title: str, files: int, size: int) -> Iterator[Progress]:
    """Yield a Progress: a bar on standard error that goes when done if that is a terminal, else silence.

    ``files`` is how many files are to come and ``size`` their bytes as registered (0 if unknown).
    """
    if files == 0 or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{title} 0/{files}", total=size or None)

        class Shown(Progress):
            done = 0

            def received(self, count: int) -> None:
                bar.advance(task, count)

            def finished(self, name: str) -> None:
                self.done += 1
                bar.update(task, description=f"{title} {self.done}/{files}")

        yield Shown()


def short(digest: str | None) -> str:
    """Return the first twelve digits of a checksum, enough to tell two files apart in a message."""
    return f"{digest[:12]}..." if digest else "(none registered)"
