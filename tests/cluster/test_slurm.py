"""The demonstration through a real Slurm: every byte as by a run on this machine, and a mistake told in a line.

Run by `make cluster-test`. Only the partition of jobs in time may differ, so nothing is compared but files.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from slurm import cluster

ROOT = Path(__file__).resolve().parents[2]
PROFILE = "profiles/slurm-no-accounting"


@pytest.fixture(scope="module")
def environment():
    with cluster() as environment:
        yield environment


def project(folder: Path) -> Path:
    """A copy of this project without its data, and a profile that looks more often: the queue here is our own."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("config", "profiles", "data/reference"):
        shutil.copytree(ROOT / name, folder / name)
    profile = folder / PROFILE / "config.yaml"
    text = profile.read_text()
    often = re.sub(r"(?m)^(slurm-init-seconds-before-status-checks:) \d+", r"\1 2", text)
    assert often != text
    profile.write_text(often)
    return folder


def two_outcomes(folder: Path) -> Path:
    """Leave an evaluation of two outcomes, with all their readings, estimators, diagnostics and results."""
    path = folder / "config" / "ics.yaml"
    evaluation = yaml.safe_load(path.read_text())
    evaluation["indicators"] = ["preventable_mortality", "gpps_overall_good"]
    evaluation["families"] = {"mortality": evaluation["families"]["mortality"],
                              "gpps": {"title": "GP Patient Survey", "headline": "gpps_overall_good"}}
    evaluation["readings"] = {name: reading for name, reading in evaluation["readings"].items()
                              if not {"dtoc"} & set(reading.get("families", []))}
    evaluation["products"] = {}
    path.write_text(yaml.safe_dump(evaluation, sort_keys=False))
    claims = folder / "config" / "published" / "ics.csv"
    table = pd.read_csv(claims, dtype=str, keep_default_na=False)
    table.loc[table["indicator"].isin(evaluation["indicators"])].to_csv(claims, index=False)
    return folder


def run(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([str(Path(sys.executable).parent / "did"), "run", *arguments], cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3000, check=False)


def checksums(folder: Path) -> dict[str, str]:
    """Every result, and every table that stages hand on."""
    files = [*(folder / "results").rglob("*"), *(folder / "data" / "demo").rglob("*.parquet")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(files) if path.is_file()}


def jobs(environment: dict[str, str]) -> list[str]:
    """What Slurm says of the jobs it was given: name of the rule or group, and state."""
    said = subprocess.run(["squeue", "--states=all", "--noheader", "--format=%k %T"], env=environment,
                          capture_output=True, text=True, check=True)
    return said.stdout.split("\n")[:-1]


def same_through_slurm(here: Path, there: Path, environment: dict[str, str]) -> list[str]:
    before = len(jobs(environment))
    local = run(here, "--cores", "2")
    assert local.returncode == 0, local.stderr
    sent = run(there, "--profile", PROFILE, environment=environment)
    assert sent.returncode == 0, sent.stderr
    expected = checksums(here)
    assert len(expected) > 50
    assert checksums(there) == expected
    done = jobs(environment)[before:]
    assert done and all(job.endswith(" COMPLETED") for job in done)
    return done


def test_two_outcomes_come_out_byte_for_byte_as_locally(tmp_path, environment):
    done = same_through_slurm(two_outcomes(project(tmp_path / "here")), two_outcomes(project(tmp_path / "there")),
                              environment)
    # The sources in one job and each indicator in one; then the figures, the verdicts and the report.
    assert [job.split()[0] for job in done].count("rule_indicator") == 2 and len(done) <= 8
    again = run(tmp_path / "there", "--profile", PROFILE, environment=environment)
    assert again.returncode == 0 and "[1/" not in again.stderr


def test_the_whole_demonstration_comes_out_byte_for_byte_as_locally(tmp_path, environment):
    same_through_slurm(project(tmp_path / "here"), project(tmp_path / "there"), environment)


def test_a_mistake_on_a_node_is_told_here_in_a_line(tmp_path, environment):
    folder = two_outcomes(project(tmp_path / "project"))
    waves = folder / "data/reference/upper_tier_systems.csv"
    waves.write_text(waves.read_text().splitlines()[0] + "\n")
    done = run(folder, "--profile", PROFILE, environment=environment)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert told and "upper_tier_systems.csv" in told[0]
