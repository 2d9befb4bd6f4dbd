"""A full disk, no network, places that may not be written, a second run, a wrong clock, odd paths, little memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

import disturbed
from disturbed import AS_A_USER, FINISHED, ROOT, STOPPED, tried
from places import group_of_memory, mounted, room

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


# How full the disk is when the run begins: kB left of it.
@ROOT_ONLY
@pytest.mark.parametrize("free", [40, 120, 260, 400, 700, 1000, 1300, 1600])
def test_a_full_disk(tmp_path, right, free):
    what = "A full disk (tmpfs)"
    project = tmp_path / "disk" / "project"
    project.parent.mkdir()
    with mounted(project.parent, "-t", "tmpfs", "-o", "size=100m", "tmpfs"):
        disturbed.make(project)
        (project.parent / "tmp").mkdir()
        room(project.parent, free)
        done = disturbed.did(project, "run")
        if done.returncode:
            disturbed.one_line(done, "No space left on device", ": ")
            tried(what, STOPPED)
        else:
            tried(what, FINISHED)
        assert not disturbed.wrong(project, right)
        room(project.parent, 100_000)
        disturbed.plain_rerun(what, project, right)


# Files that may still be made when the run begins.
@ROOT_ONLY
@pytest.mark.parametrize("free", [5, 60])
def test_no_inodes_left(tmp_path, right, free):
    what = "A disk without inodes (tmpfs)"
    project = tmp_path / "disk" / "project"
    project.parent.mkdir()
    with mounted(project.parent, "-t", "tmpfs", "-o", "size=100m,nr_inodes=100000", "tmpfs"):
        disturbed.make(project)
        (project.parent / "tmp").mkdir()
        used = os.statvfs(project)
        number = used.f_files - used.f_ffree + free
        subprocess.run(["mount", "-o", f"remount,nr_inodes={number}", str(project.parent)], check=True)
        disturbed.one_line(disturbed.did(project, "run"), "No space left on device", ": ")
        tried(what, STOPPED)
        assert not disturbed.wrong(project, right)
        subprocess.run(["mount", "-o", "remount,nr_inodes=100000", str(project.parent)], check=True)
        disturbed.plain_rerun(what, project, right)


def test_few_open_files(fresh, right):
    what = "64 open files a process (ulimit -n)"
    done = disturbed.did(fresh, "run", before=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    assert done.returncode == 0, done.stderr
    tried(what, FINISHED)
    disturbed.plain_rerun(what, fresh, right)


def test_a_file_replaced_between_fetch_and_observe(fresh, right):
    what = "A raw file replaced by another good one between fetch and observe"
    assert disturbed.did(fresh, "fetch", "visits").returncode == 0
    raw = next((fresh / "data/small/raw/visits").glob("*.csv"))
    raw.write_text(raw.read_text().replace("2010", "2009"))
    disturbed.one_line(disturbed.did(fresh, "observe", "visits"), raw.name)
    tried(what, STOPPED)
    disturbed.plain_rerun(what, fresh, right)


@ROOT_ONLY
def test_no_network(fresh, right, tmp_path):
    what = "No network (unshare --net)"
    assert disturbed.did(fresh, "run", before=["unshare", "--net"]).returncode == 0
    tried(what, FINISHED)
    disturbed.plain_rerun(what, fresh, right)


@ROOT_ONLY
def test_no_network_and_files_to_download(tmp_path):
    what = "No network (unshare --net), files to download"
    project = tmp_path / "live"
    project.mkdir()
    shutil.copy(ROOT / "Snakefile", project)
    shutil.copytree(ROOT / "config", project / "config")
    shutil.copytree(ROOT / "data/reference", project / "data/reference")
    place = project / "config/sources/nhs_england_dtoc.yaml"
    source = yaml.safe_load(place.read_text())
    source["files"] = [entry for entry in source["files"] if "address" in entry][:2]
    place.write_text(yaml.safe_dump(source))
    done = disturbed.did(project, "fetch", "nhs_england_dtoc", "--data", "live", before=["unshare", "--net"],
                         config="config/ics.yaml")
    disturbed.one_line(done, "nhs_england_dtoc", "check the connection")
    tried(what, STOPPED)
    assert not [path for path in (project / "data").glob("*/raw/*/*") if path.is_file()]


@pytest.mark.parametrize("folder", ["data/small", "results", ".snakemake", "logs", "."])
def test_a_folder_that_may_not_be_written(fresh, right, folder):
    what = "A folder that may not be written"
    place = fresh / folder
    place.mkdir(exist_ok=True)
    place.chmod(0o555)
    done = disturbed.did(fresh, "run", before=AS_A_USER)
    place.chmod(0o755)
    disturbed.one_line(done, "Permission denied", folder if folder != "." else "")
    tried(what, STOPPED)
    assert not disturbed.wrong(fresh, right)
    disturbed.plain_rerun(what, fresh, right)


@ROOT_ONLY
def test_a_read_only_checkout(fresh, right, tmp_path):
    """A run in it says so; a run in a folder of one's own, with links to it, does."""
    what = "A read-only checkout"
    with mounted(fresh, "--bind", str(fresh)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(fresh)], check=True)
        disturbed.one_line(disturbed.did(fresh, "run"), "Read-only file system")
        tried(what, STOPPED)
        work = tmp_path / "work"
        (work / "data/small").mkdir(parents=True)
        for name in ("Snakefile", "config", "data/small/reference", "data/small/synthetic_visits.csv"):
            (work / name).symlink_to(fresh / name)
        assert disturbed.did(work, "run").returncode == 0
        assert disturbed.contents(work) | {name: right[name] for name in right if "/reference/" in name} == right
        tried("A read-only checkout, run in a folder of links to it", FINISHED)
    disturbed.plain_rerun(what, fresh, right)


def test_two_runs_in_one_folder(fresh, right):
    what = "Two runs at once in one folder"
    first = disturbed.start(fresh)
    while not (fresh / "results").exists() and first.poll() is None:
        if (fresh / "logs").exists():
            break
        time.sleep(0.05)
    disturbed.one_line(disturbed.did(fresh, "run"), "another run is at work in this folder")
    tried(what, STOPPED)
    assert first.wait() == 0 and disturbed.contents(fresh) == right
    tried(what, FINISHED)
    disturbed.plain_rerun(what, fresh, right)


def test_a_clock_set_back_between_runs(project, right):
    """What there is, is from the future; an edit made now must not be lost among it."""
    what = "The clock set back by a month between runs, then an edit"
    made = ("data/small/raw", "data/small/interim", "data/small/processed", "results", ".snakemake")
    ahead([path for folder in made for path in (project / folder).rglob("*")])
    config = project / disturbed.CONFIG
    text = config.read_text()
    config.write_text(text.replace("seed: 20240101", "seed: 7"))
    done = disturbed.did(project, "run")
    assert done.returncode == 0 and "from the future" in done.stderr, done.stderr
    changed = disturbed.contents(project)
    assert changed["results/small/tables/diagnostics.csv"] != right["results/small/tables/diagnostics.csv"]
    tried(what, FINISHED)
    config.write_text(text)
    disturbed.plain_rerun(what, project, right)


def test_a_clock_behind_the_settings(fresh, right):
    what = "The clock a month behind every file of the evaluation"
    before = time.time()
    ahead(fresh.rglob("*"))
    disturbed.one_line(disturbed.did(fresh, "run"), "older modification time", "clock")
    tried(what, STOPPED)
    for path in fresh.rglob("*"):   # the clock is right again
        if path.stat().st_mtime > before + 86400:
            os.utime(path, (before, before))
    disturbed.plain_rerun(what, fresh, right)


def ahead(paths: Iterable[Path]) -> None:
    later = time.time() + 30 * 86400
    for path in paths:
        os.utime(path, (later, later))


def test_a_path_with_spaces_and_other_letters(tmp_path, right):
    what = "A path with spaces, quotes and non-ASCII letters"
    project = disturbed.make(tmp_path / "Überprüfung – проба 試験" / "it's a \"folder\" (2)")
    done = disturbed.did(project, "run")
    assert done.returncode == 0, done.stderr
    tried(what, FINISHED)
    disturbed.plain_rerun(what, project, right)


@ROOT_ONLY
def test_one_gigabyte_of_memory(fresh, right):
    what = "One gigabyte of memory (control group)"
    with group_of_memory(10**9) as join:
        done = disturbed.did(fresh, "run", before=join)
    assert done.returncode == 0, done.stderr
    tried(what, FINISHED)
    disturbed.plain_rerun(what, fresh, right)


@ROOT_ONLY
def test_too_little_memory(fresh, right):
    what = "150 MB of memory (control group): jobs are killed for want of it"
    with group_of_memory(150 * 10**6) as join:
        done = disturbed.did(fresh, "run", before=join)
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    assert not disturbed.wrong(fresh, right)
    tried(what, STOPPED)
    disturbed.plain_rerun(what, fresh, right)
