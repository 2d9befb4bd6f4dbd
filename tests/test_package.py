"""The package as it is built: it holds what a run needs, and works in a folder that is no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
NEEDED = ["Snakefile", "config/ics.yaml", "config/demo.yaml", "config/published/ics.csv", "config/sources/gpps.yaml",
          "data/reference/ics_waves.csv", "profiles/slurm/config.yaml"]


TRIED = """
import sys, did
from did.cli.commands import main
from did.project import shipped
from did.workflow.plan import Plan
assert did.__file__.startswith(sys.argv[1]), did.__file__
panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
assert did.did(panel).params.all()
main(["new", "schools"], standalone_mode=False)
assert shipped.evaluation_file("schools")[1] == [] and shipped.snakefile().is_file()
assert shipped.evaluations() == ["ics"] and len(shipped.evaluation_file("ics")[1]) == 6
assert Plan.load("config/ics.yaml", "demo").results() and Plan.load("config/schools.yaml", None).results()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Wheel and source distribution, made from a copy of the files under version control or on their way there."""
    source, found = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and name.partition("/")[0] not in ("docs", "tests", "benchmarks", "notebooks"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    for what in ("build_sdist", "build_wheel"):
        subprocess.run([sys.executable, "-c", BUILD, what, str(found)], cwd=source, check=True, capture_output=True)
    return found


def test_the_wheel_works_in_any_folder(built, tmp_path):
    wheel = next(built.glob("*.whl"))
    place, folder = tmp_path / "installed", tmp_path / "anywhere"
    folder.mkdir()
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    for name in NEEDED:
        assert (place / "did/shipped" / name).read_bytes() == (ROOT / name).read_bytes()
    environment = os.environ | {"PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-c", TRIED, str(place)], cwd=folder, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["config", "data"]


def test_the_source_distribution_builds_the_same(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {*NEEDED, "setup.py", "pyproject.toml", "LICENSE", "src/did/api/example.csv"} <= names
