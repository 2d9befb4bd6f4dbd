"""The demonstration through a real Slurm: every byte as by a run on this machine, and a mistake told in a line.

Run by `make cluster-test`. Only the partition of jobs in time may differ, so nothing is compared but files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from slurm import cluster

from did.store.provenance import read_sealed, sha256, write_sealed

ROOT = Path(__file__).resolve().parents[2]
DID = str(Path(sys.executable).parent / "did")
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
    """Leave an evaluation of two outcomes, with all their specifications, estimators, diagnostics and results."""
    path = folder / "config" / "ics.yaml"
    evaluation = yaml.safe_load(path.read_text())
    evaluation["indicators"] = ["preventable_mortality", "gpps_overall_good"]
    evaluation["families"] = {"mortality": evaluation["families"]["mortality"],
                              "gpps": {"title": "GP Patient Survey", "headline": "gpps_overall_good"}}
    evaluation["specifications"] = {name: specification for name, specification in evaluation["specifications"].items()
                              if not {"dtoc"} & set(specification.get("families", []))}
    evaluation["products"] = {}
    path.write_text(yaml.safe_dump(evaluation, sort_keys=False))
    claims = folder / "config" / "published" / "ics.csv"
    table = pd.read_csv(claims, dtype=str, keep_default_na=False)
    table.loc[table["indicator"].isin(evaluation["indicators"])].to_csv(claims, index=False)
    return folder


def run(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([DID, "run", *arguments], cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3000, check=False)


def checksums(folder: Path) -> dict[str, str]:
    """Every result, and every table that stages hand on."""
    files = [*(folder / "results").rglob("*"), *(folder / "data" / "demo").rglob("*.parquet")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(files) if path.is_file()}


def jobs(environment: dict[str, str]) -> list[str]:
    """What Slurm says of the jobs it was given, oldest first: name of the rule or group, and state."""
    said = subprocess.run(["squeue", "--states=all", "--noheader", "--sort=i", "--format=%k %T"], env=environment,
                          capture_output=True, text=True, check=True)
    return said.stdout.split("\n")[:-1]


def through_slurm(folder: Path, environment: dict[str, str]) -> list[str]:
    """Run a project through Slurm and return its jobs there, of which none may have failed."""
    before = len(jobs(environment))
    done = run(folder, "--profile", PROFILE, environment=environment)
    assert done.returncode == 0, done.stderr
    sent = jobs(environment)[before:]
    assert sent and all(job.endswith(" COMPLETED") for job in sent)
    return [job.split()[0] for job in sent]


def on_this_machine(folder: Path) -> Path:
    done = run(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


def same(here: Path, there: Path) -> bool:
    expected = checksums(here)
    assert len(expected) > 50
    assert checksums(there) == expected
    return True


@pytest.fixture(scope="module")
def finished(tmp_path_factory, environment) -> tuple[Path, list[str]]:
    """A project of two outcomes that was run through Slurm, and the names of its jobs there."""
    folder = two_outcomes(project(tmp_path_factory.mktemp("slurm") / "project"))
    return folder, through_slurm(folder, environment)


def test_two_outcomes_come_out_byte_for_byte_as_locally(finished, tmp_path):
    assert same(on_this_machine(two_outcomes(project(tmp_path / "here"))), finished[0])


def test_an_indicator_is_one_job_of_the_queue(finished):
    # Slurm is told the group's name and those of its rules.
    groups = sorted(name.split("_")[1] for name in finished[1])
    assert groups == ["family", "indicator", "indicator", "results", "source"]


def test_nothing_is_sent_when_nothing_changed(finished, environment):
    before = jobs(environment)
    again = run(finished[0], "--profile", PROFILE, environment=environment)
    assert again.returncode == 0 and jobs(environment) == before


def test_a_mistake_on_a_node_is_told_here_in_a_line(finished, tmp_path, environment):
    folder = Path(shutil.copytree(finished[0], tmp_path / "project", copy_function=shutil.copy2))
    broken = []
    for source in ("gpps", "preventable_mortality"):
        manifest = folder / "data/demo/raw" / source / "manifest.json"
        broken.append(next(path for path in sorted(manifest.parent.iterdir()) if path != manifest))
        broken[-1].write_text("not what the publisher gives out\n")
        # As if it had come like this: a file that was changed since is fetched again.
        record = {key: value for key, value in read_sealed(manifest).items() if key != "seal"}
        record["files"][broken[-1].name]["sha256"] = sha256(broken[-1])
        write_sealed(manifest, record)
    done = run(folder, "--profile", PROFILE, environment=environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("error: ") and any(path.name in line for path in broken)]
    assert [line for line in lines if re.match(r"stopped: observe (\w+); details in logs/demo/observe_\1\.log", line)]


def test_ctrl_c_takes_the_jobs_out_of_the_queue(tmp_path, environment):
    folder = two_outcomes(project(tmp_path / "project"))
    before = len(jobs(environment))
    process = subprocess.Popen([DID, "run", "--profile", PROFILE], cwd=folder, env=environment, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(jobs(environment)) == before:
        assert process.poll() is None
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=120)
    left = {job.split()[1] for job in jobs(environment)[before:]}
    assert left and not left & {"PENDING", "CONFIGURING", "RUNNING"}


def test_a_sweep_comes_out_byte_for_byte_as_locally(tmp_path, environment):
    tables, before = {}, len(jobs(environment))
    for name, options in {"here": ["--cores", "2"], "there": ["--profile", PROFILE]}.items():
        folder = project(tmp_path / name)
        rows = [(f"u{unit}", year, (7 * unit + 3 * year + unit * year) % 11 + unit)
                for unit in range(12) for year in range(2010, 2020)]
        pd.DataFrame(rows, columns=["unit", "period", "value"]).to_csv(folder / "values.csv", index=False)
        pd.DataFrame({"unit": [f"u{unit}" for unit in range(12)], "first_treated": ["2015"] * 4 + [""] * 8}).to_csv(
            folder / "waves.csv", index=False)
        pd.DataFrame({"id": ["one", "two", "three"], "file": "values.csv"}).to_csv(folder / "list.csv", index=False)
        done = subprocess.run([DID, "sweep", "list.csv", "--waves", "waves.csv", "--batch-size", "2", *options],
                              cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        tables[name] = {path.name: path.read_bytes() for path in (folder / "results").rglob("*") if path.is_file()}
    assert len(tables["here"]) > 3 and tables["there"] == tables["here"]
    assert [job.split()[0] for job in jobs(environment)[before:]].count("rule_batch_wildcards_00000") == 1


def test_a_folder_of_files_comes_out_byte_for_byte_as_by_one_process(tmp_path, environment):
    folder, before = project(tmp_path / "project"), len(jobs(environment))
    (folder / "parts").mkdir()
    generator = np.random.default_rng(5)
    for number in range(10):
        unit = np.repeat(np.arange(200) + 200 * number, 6)
        year = np.tile(np.arange(2001, 2007), 200)
        first = np.where(unit % 3 == 0, 0, np.where(unit % 3 == 1, 2003, 2005))
        pd.DataFrame({"id": unit, "t": year, "g": first, "s": unit % 40, "y": generator.normal(size=len(unit)) + (
            first > 0) * (year >= first)}).to_parquet(folder / f"parts/{number}.parquet", index=False)
    words = [DID, "estimate", "parts", "--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g", "--cluster",
             "s", "--estimator", "callaway_santanna", "--output", "estimates.csv"]
    found = []
    for options in ([], ["--profile", PROFILE]):
        done = subprocess.run([*words, *options], cwd=folder, env=environment, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr
        found.append((done.stdout, (folder / "estimates.csv").read_bytes()))
    assert found[0] == found[1] and found[0][1].count(b"\n") > 20
    # The files are small: one job sums them all.
    assert jobs(environment)[before:] == ["rule_sum_wildcards_00000 COMPLETED", "rule_add COMPLETED"]


def test_the_profile_with_accounting_is_read(tmp_path, environment):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--profile", "profiles/slurm",
               "--config", "evaluation=config/ics.yaml"]
    done = subprocess.run(command, cwd=project(tmp_path / "project"), env=environment, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_slurm_that_is_not_there_is_told(tmp_path, environment):
    without = environment | {"PATH": str(Path(sys.executable).parent)}
    done = run(project(tmp_path / "project"), "--profile", PROFILE, environment=without)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "sbatch on PATH" in done.stderr


def test_the_whole_demonstration_comes_out_byte_for_byte_as_locally(tmp_path, environment):
    there = project(tmp_path / "there")
    through_slurm(there, environment)
    assert same(on_this_machine(project(tmp_path / "here")), there)
