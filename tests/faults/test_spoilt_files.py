"""A changed byte in each kind of file that a run leaves: told by the stage that reads it, and made again by a run."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import disturbed
from did.errors import DidError
from did.project.paths import FAMILY_TABLES, TABLES
from did.store import seals, tables
from disturbed import FINISHED, STOPPED, tried

KINDS = {name: f"data/small/processed/{name}/visits.parquet" for name in (*TABLES, *FAMILY_TABLES)} | {
    "observations": "data/small/interim/observations/visits.parquet"}
OTHERS = {"section of the report": "data/small/processed/section/visits.html",
          "raw file": "data/small/raw/visits/synthetic_visits.csv",
          "manifest of raw files": "data/small/raw/visits/manifest.json",
          "result CSV": "results/small/tables/estimates.csv", "result CSV that the report reads":
          "results/small/tables/reproduction.csv", "figure": "results/small/figures/trends_visits.svg",
          "report": "results/small/report.html", "workbook": "results/small/workbook.xlsx",
          "manifest of results": "results/small/manifest.json"}
WHAT = "One bit changed: "


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_of_a_table_changes_unnoticed(finished, tmp_path, kind):
    draw, content = random.Random(kind), (finished / KINDS[kind]).read_bytes()
    assert seals.is_intact(finished / KINDS[kind])
    path = tmp_path / f"{kind}.parquet"
    for _ in range(100):
        path.write_bytes(content)
        disturbed.flip(path, draw.randrange(len(content)), draw.randrange(8))
        with pytest.raises(DidError, match=f"{path}: expected the table as it was written") as caught:
            tables.read(kind, path)
        assert "\n" not in str(caught.value)
        tried(f"{WHAT}{kind}, read by a stage", STOPPED)
    for shorter in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:shorter])
        with pytest.raises(DidError, match="expected the table as it was written"):
            tables.read(kind, path)
        tried("A table cut short, read by a stage", STOPPED)


@pytest.mark.parametrize("kind", ["raw file", "manifest of raw files"])
def test_a_changed_raw_file_is_told_by_the_stage_that_reads_it(project, kind):
    path = project / OTHERS[kind]
    disturbed.flip(path, random.Random(kind).randrange(path.stat().st_size))
    disturbed.one_line(disturbed.did(project, "observe", "visits"), OTHERS[kind])
    tried(f"{WHAT}{kind}, read by a stage", STOPPED)


def test_verify_tells_every_kind(project):
    draw = random.Random(3)
    for kind, name in {**KINDS, **OTHERS}.items():
        if kind == "manifest of raw files":   # not an input of a number: the files it lists are
            continue
        content = (project / name).read_bytes()
        disturbed.flip(project / name, draw.randrange(len(content)), draw.randrange(8))
        with pytest.raises(DidError, match=name):
            _verify(project)
        (project / name).write_bytes(content)
        tried(f"{WHAT}{kind}, did verify", STOPPED)
    _verify(project)


def _verify(project: Path) -> None:
    from did.project.paths import Paths
    from did.stages import verify

    here = Path.cwd()
    os.chdir(project)
    try:
        verify.run(paths=Paths.of("live", "small"))
    finally:
        os.chdir(here)


EVERY = "every kind, and every record of Snakemake"
ALONE = [(kind, times) for kind in {**KINDS, **OTHERS} for times in ("kept", "new")]


@pytest.mark.parametrize(("kind", "times"), [(EVERY, "kept"), *(ALONE if os.environ.get("DID_FAULT_ALL") else [])])
def test_a_run_makes_what_was_changed_again(project, right, kind, times):
    """All kinds at once; by `make fault-test` also each alone, with the time of the change and without."""
    draw, what = random.Random(kind + times), f"{WHAT}{kind}, then a run"
    changed = [project / name for name in {**KINDS, **OTHERS}.values()]
    if kind == EVERY:
        changed += sorted((project / ".snakemake/metadata").iterdir())
    else:
        changed = [project / {**KINDS, **OTHERS}[kind]]
    for path in changed:
        disturbed.flip(path, draw.randrange(10**6), draw.randrange(8))
        if times == "new":
            os.utime(path)
    done = disturbed.did(project, "run")
    assert done.returncode == 0 and "not as written: " in done.stderr, done.stderr
    assert disturbed.contents(project) == right
    tried(what, FINISHED)


def test_records_of_snakemake_that_a_kill_cut_short(project, right):
    for number, record in enumerate(sorted((project / ".snakemake/metadata").iterdir())):
        content = record.read_bytes()
        record.write_bytes(content[:len(content) * (number % 3) // 3])
    what = "Records of Snakemake cut short"
    disturbed.plain_rerun(what, project, right)
    tried(what, FINISHED)
