"""A run whose whole process group is killed: nothing half-written, and a plain re-run ends in the right bytes.

DID_FAULT_KILLS is how many kills of the small evaluation, DID_FAULT_ICS_KILLS of the whole demonstration.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import disturbed
from did.workflow.launch import end_apart
from disturbed import KILLED, RIGHT, ROOT, tried

KILLS = int(os.environ.get("DID_FAULT_KILLS", "3"))
ICS_KILLS = int(os.environ.get("DID_FAULT_ICS_KILLS", "0"))
IN_A_ROW = 5
AT_RANDOM = "SIGKILL to the process group at a random time"
WRITING = "SIGKILL to the process group while a file is being written"


def test_a_killed_run_leaves_no_wrong_file_and_its_rerun_the_right_bytes(finished, right, tmp_path):
    seconds = json.loads((finished.parent / "seconds.json").read_text())

    def sequence(number: int) -> None:
        """Kills in a row: a run, and the runs that take it up; then one that is left in peace."""
        draw, project, kills = random.Random(number), tmp_path / str(number), 0
        what = [AT_RANDOM, WRITING][number % 2]
        disturbed.make(project)
        while kills < min(IN_A_ROW, KILLS - number * IN_A_ROW):
            process = disturbed.start(project)
            if what == AT_RANDOM:
                time.sleep(draw.uniform(0, seconds))
            else:
                disturbed.wait_for_writing(process, project, draw.randrange(1, 30))
            if disturbed.kill(process):
                kills += 1
                tried(what, KILLED)
                left = disturbed.wrong(project, right)
                assert not left, (number, kills, left)
            else:   # it had ended before
                assert process.returncode == 0 and disturbed.contents(project) == right
                tried(what, RIGHT)
                shutil.rmtree(project)
                disturbed.make(project)
        disturbed.plain_rerun(what, project, right)
        shutil.rmtree(project)

    with ThreadPoolExecutor(int(os.environ.get("DID_FAULT_JOBS", "1"))) as pool:
        list(pool.map(sequence, range(-(-KILLS // IN_A_ROW))))


@pytest.mark.parametrize(("what", "to_all", "number"), [
    ("Ctrl-C (SIGINT to the process group)", True, signal.SIGINT),
    ("A request to end (SIGTERM to did run)", False, signal.SIGTERM)])
def test_a_run_that_is_asked_to_end_does_so_without_a_traceback(finished, right, tmp_path, what, to_all, number):
    seconds = json.loads((finished.parent / "seconds.json").read_text())
    draw, project = random.Random(int(number)), disturbed.make(tmp_path / "project")
    for _ in range(-(-KILLS // 10)):
        process = subprocess.Popen(disturbed.command("run"), cwd=project, env=disturbed.environment(project),
                                   start_new_session=True, stderr=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(0.5, seconds))
        # Where it is over by now, there is no one to ask.
        running = process.poll() is None
        if running:
            (os.killpg if to_all else os.kill)(process.pid, number)
        said = process.communicate()[1]
        assert "Traceback" not in said, said
        assert not disturbed.wrong(project, right)
        if running and process.returncode:
            tried(what, KILLED)
        else:   # it had ended before
            shutil.rmtree(project)
            disturbed.make(project)
    disturbed.plain_rerun(what, project, right)


def test_a_request_to_end_is_heard_while_the_scheduler_holds_its_lock():
    """Signals are handled in the main thread, in the midst of what it does: to wait for its lock there never ends."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    class Scheduler(JobScheduler):
        def __init__(self):
            self._lock, self._open_jobs, self._user_kill = threading.Lock(), threading.Semaphore(0), None

    end_apart(Scheduler)
    scheduler = Scheduler()
    before = signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
    try:
        with scheduler._lock:
            signal.raise_signal(signal.SIGTERM)
        assert scheduler._open_jobs.acquire(timeout=30) and scheduler._user_kill == "graceful"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_whose_first_process_is_killed_lets_go_of_its_folder(right, tmp_path):
    project = disturbed.make(tmp_path / "project")
    process = disturbed.start(project)
    while not (project / "data").is_dir() and process.poll() is None:
        time.sleep(0.1)
    process.kill()
    process.wait()
    for _ in range(100):   # what had begun may end
        done = disturbed.did(project, "run")
        if done.returncode == 0:
            break
        assert "another run is at work in this folder" in disturbed.one_line(done)
        time.sleep(0.2)
    assert disturbed.contents(project) == right


def test_where_snakemake_is_killed_the_run_says_so(right, tmp_path):
    project = disturbed.make(tmp_path / "project")
    process = subprocess.Popen(disturbed.command("run"), cwd=project, env=disturbed.environment(project),
                               stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def forks() -> set[int]:
        """The children but the server, which is another program."""
        return {int(child) for child in children.read_text().split()
                if "serve_jobs" not in Path(f"/proc/{child}/cmdline").read_text()}

    found: set[int] = set()
    while not found:
        before = forks()
        time.sleep(0.3)   # the server is what it was forked from until its own program begins
        found = before & forks()
    os.kill(found.pop(), signal.SIGKILL)
    said = process.communicate()[1]
    assert process.returncode == 1 and "signal 9 ended it" in said and "Traceback" not in said
    disturbed.plain_rerun("SIGKILL to Snakemake", project, right)


def test_the_whole_demonstration_killed(tmp_path):
    """Slow, so only where it is asked for: the evaluation of this repository on its demonstration data."""
    if not ICS_KILLS:
        return
    config = "config/ics.yaml"

    def copy(folder: Path) -> Path:
        folder.mkdir()
        shutil.copy(ROOT / "Snakefile", folder)
        shutil.copytree(ROOT / "config", folder / "config")
        shutil.copytree(ROOT / "data/reference", folder / "data/reference")
        return folder

    undisturbed = copy(tmp_path / "undisturbed")
    began = time.monotonic()
    done = disturbed.did(undisturbed, "run", config=config)
    assert done.returncode == 0, done.stderr
    seconds, right = time.monotonic() - began, disturbed.contents(undisturbed)
    draw, what = random.Random(2), "SIGKILL at a random time, the demonstration of config/ics.yaml"
    project, killed = copy(tmp_path / "killed"), 0
    while killed < ICS_KILLS:   # one after the other in one folder, each in what is left to do
        process = disturbed.start(project, config)
        time.sleep(draw.uniform(2, seconds / ICS_KILLS))
        if not disturbed.kill(process):
            break
        killed += 1
        tried(what, KILLED)
        assert not disturbed.wrong(project, right)
    disturbed.plain_rerun(what, project, right, config)
