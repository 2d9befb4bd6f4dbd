"""Every fault once, several at a time, for `make test`; `make fault-test` tries each by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import time

import disturbed
from disturbed import AS_A_USER, FINISHED, STOPPED, tried
from places import group_of_memory, mounted, room

IS_ROOT = os.geteuid() == 0


def test_no_network_little_memory_and_an_odd_path_change_nothing(tmp_path, right):
    project = disturbed.make(tmp_path / "Überprüfung – проба 試験" / "it's a \"folder\" (2)")
    if not IS_ROOT:
        assert disturbed.did(project, "run").returncode == 0
        assert disturbed.contents(project) == right
        return
    with group_of_memory(10**9) as join:
        first = disturbed.start(project, before=[*join, "unshare", "--net"])
        while not (project / "logs").exists() and first.poll() is None:
            time.sleep(0.05)
        disturbed.one_line(disturbed.did(project, "run"), "another run is at work in this folder")
        assert first.wait() == 0 and disturbed.contents(project) == right
    for what in ("No network", "1 GB of memory (cgroup)", "A path with spaces, quotes and other alphabets",
                 "A second run while one is at work"):
        tried(f"{what}, all at once", FINISHED)


def test_a_folder_that_may_not_be_written_and_a_full_disk_are_told_in_one_line(finished, right, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    project = disk / "project"
    with mounted(disk, "-t", "tmpfs", "-o", "size=100m", "tmpfs") if IS_ROOT else contextlib.nullcontext():
        shutil.copytree(finished, project, copy_function=shutil.copy2)
        (disk / "tmp").mkdir()
        shutil.rmtree(project / "results/small/tables")
        (project / "results").chmod(0o555)
        (project / "results/small").chmod(0o555)
        disturbed.one_line(disturbed.did(project, "run", before=AS_A_USER), "Permission denied", "results/small")
        tried("A folder that may not be written", STOPPED)
        (project / "results").chmod(0o755)
        (project / "results/small").chmod(0o755)
        if IS_ROOT:
            room(disk, 60)
            disturbed.one_line(disturbed.did(project, "run"), "No space left on device", "small")
            assert not disturbed.wrong(project, right)
            tried("A full disk (tmpfs)", STOPPED)
            room(disk, 100_000)
        disturbed.plain_rerun("A full disk (tmpfs)", project, right)
