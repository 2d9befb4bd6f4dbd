"""One undisturbed run for all tests of faults; each test works on a copy."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import disturbed  # noqa: E402

# `make fault-test` runs all; `make test` each fault once, several at a time, and the changed bytes.
collect_ignore = [] if os.environ.get("DID_FAULT_ALL") else ["test_surroundings.py"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A finished project; ``seconds.json`` alongside it says how long its run took. Test processes share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "faults_undisturbed"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / "seconds.json").exists():
            shutil.rmtree(folder / "project", ignore_errors=True)
            project = disturbed.make(folder / "project")
            began = time.monotonic()
            done = disturbed.did(project, "run")
            assert done.returncode == 0, done.stderr
            (folder / "seconds.json").write_text(json.dumps(time.monotonic() - began))
    return folder / "project"


@pytest.fixture(scope="session")
def right(finished) -> dict[str, str]:
    """What an undisturbed run leaves: path -> checksum."""
    return disturbed.contents(finished)


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the finished project."""
    shutil.copytree(finished, tmp_path / "project", copy_function=shutil.copy2)
    return tmp_path / "project"


@pytest.fixture
def fresh(tmp_path) -> Path:
    """A project in which nothing has run."""
    return disturbed.make(tmp_path / "fresh")
