"""Which files of a folder are opened while a block runs, by whatever process: asked of the kernel (inotify), since a
parser in another language or in a process of its own tells Python nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

OPEN, OVERFLOW, FOLDER = 0x20, 0x4000, 0x40000000
HEAD = struct.Struct("iIII")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[set[str]]:
    """Yield a set that, after the block, holds every file opened in ``folder`` or below, as a path within it.

    Folders that are made while the block runs are not watched: what is in them was made then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    found: set[str] = set()
    try:
        watched = {}
        for place, _, _ in os.walk(folder):
            number = libc.inotify_add_watch(queue, os.fsencode(place), OPEN)
            assert number >= 0, os.strerror(ctypes.get_errno())
            watched[number] = Path(place).relative_to(folder)
        yield found
        with contextlib.suppress(BlockingIOError):
            while True:
                events = os.read(queue, 1 << 20)
                while events:
                    number, mask, _, length = HEAD.unpack_from(events)
                    name = os.fsdecode(events[HEAD.size:HEAD.size + length].rstrip(b"\0"))
                    assert not mask & OVERFLOW, "more files were opened than the kernel keeps"
                    if name and not mask & FOLDER:
                        found.add(str(watched[number] / name))
                    events = events[HEAD.size + length:]
    finally:
        os.close(queue)
