"""Mounts and control groups for the length of a test; only root has them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """Mount something at ``place`` with the options of `mount`."""
    subprocess.run(["mount", *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def room(place: Path, free: int) -> None:
    """Leave ``free`` kB on the tmpfs that is mounted at ``place``."""
    used = subprocess.run(["df", "--output=used", "-k", str(place)], capture_output=True, text=True, check=True)
    size = int(used.stdout.split()[-1]) + free
    subprocess.run(["mount", "-o", f"remount,size={size}k", str(place)], check=True)


@contextlib.contextmanager
def group_of_memory(n_bytes: int) -> Iterator[list[str]]:
    """A control group that holds ``n_bytes``; yields the command that runs another in it."""
    groups = Path("/sys/fs/cgroup")
    version_one = (groups / "memory").is_dir()
    group = (groups / "memory" if version_one else groups) / f"did_faults_{os.getpid()}"
    group.mkdir()
    (group / ("memory.limit_in_bytes" if version_one else "memory.max")).write_text(str(n_bytes))
    try:
        yield ["sh", "-c", f'echo $$ > "{group}/cgroup.procs"; exec "$@"', "sh"]
    finally:
        time.sleep(0.2)
        group.rmdir()
