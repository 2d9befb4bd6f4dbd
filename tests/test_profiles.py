"""`--profile`: what is said of a profile that cannot be used, and that a local one is used."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from did.errors import DidError
from did.workflow.launch import executor_of

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = {"local": "local", "slurm": "slurm", "slurm-no-accounting": "slurm", "kubernetes": "kubernetes"}


def test_without_a_profile_and_with_the_local_one_jobs_run_here():
    assert executor_of(None) == executor_of(str(ROOT / "profiles/local")) == "local"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_profile_is_read_and_documented(name):
    profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    assert profile.get("executor", "local") == SHIPPED[name]
    assert f"`profiles/{name}`" in (ROOT / "docs/cluster.md").read_text()


def test_what_was_not_tested_says_so():
    assert (ROOT / "profiles/kubernetes/config.yaml").read_text().startswith("# UNTESTED")


@pytest.mark.parametrize(("name", "extra"), [("slurm", "'ics-did[cluster]'"), ("kubernetes", "'ics-did[kubernetes]'")])
def test_a_missing_plugin_is_told_with_what_to_install(name, extra):
    assert importlib.util.find_spec(f"snakemake_executor_plugin_{name}") is None  # an extra, never in .venv
    with pytest.raises(DidError) as told:
        executor_of(str(ROOT / "profiles" / name))
    assert f"pip install {extra}" in str(told.value) and "\n" not in str(told.value)


def test_a_profile_that_is_not_there_is_told_with_those_that_are(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    with pytest.raises(DidError, match="no such folder; give one of profiles/kubernetes, profiles/local"):
        executor_of("profiles/slrum")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DidError, match="none in it; correct the path"):
        executor_of("empty")


def test_a_profile_that_is_not_yaml_is_told_with_its_line(tmp_path):
    (tmp_path / "config.yaml").write_text("executor: local\njobs: [\n")
    with pytest.raises(DidError, match=r"config\.yaml line \d"):
        executor_of(str(tmp_path))
