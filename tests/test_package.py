"""The package as it is built: it holds what a run needs, and works in a folder that is no checkout."""

from __future__ import annotations

import os
import re
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
from pathlib import Path
from did.cli.commands import main
from did.project import shipped
from did.workflow.plan import Plan
assert did.__file__.startswith(sys.argv[1]), did.__file__
panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
assert did.did(panel).params.all()
main(["new", "schools"], standalone_mode=False)
assert shipped.evaluation_file("schools")[1] == [] and shipped.snakefile().is_file()
assert shipped.evaluations() == ["ics"] and len(shipped.evaluation_file("ics")[1]) == 6
for file in ("config/ics.yaml", "config/schools.yaml", "config/schools/indicators/visits.yaml"):
    path = Path(file)
    assert (path.parent / path.read_text().splitlines()[0].partition("$schema=")[2]).is_file(), file
assert Plan.load("config/ics.yaml", "demo").results() and Plan.load("config/schools.yaml", None).results()
"""


def test_help_loads_nothing_that_computes():
    code = ("import sys; from did.cli.commands import main; main(['--help'], standalone_mode=False); "
            "heavy = {'numpy', 'pandas', 'scipy', 'matplotlib', 'statsmodels', 'pyarrow', 'pydantic', 'yaml', 'rich'}; "
            "sys.exit(f'loaded: {sorted(heavy & set(sys.modules))}' if heavy & set(sys.modules) else 0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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


# What conda-forge calls otherwise than PyPI.
CONDA = {"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}


def test_the_conda_environment_has_the_ranges_of_the_package():
    import tomllib

    import yaml

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = dict(re.fullmatch(r"([a-z0-9-]+)(.*)", each).groups() for each in
                  [*project["dependencies"], *project["optional-dependencies"]["workflow"]])
    wanted["python"] = project["requires-python"]
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    found = dict(each.split(" ") for each in listed if isinstance(each, str) and each != "pip")
    assert {CONDA.get(name, name): set(bounds.split(",")) for name, bounds in found.items()} == {
        name: set(bounds.split(",")) for name, bounds in wanted.items()}
