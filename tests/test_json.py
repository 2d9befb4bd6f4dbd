"""Every command with --json: one JSON object a line on standard output and nothing else, also for mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import gpps_files
from did.authoring import scaffold
from did.cli.commands import main
from did.simulate.panels import panel
from did.store import tables
from small_project import environment
from test_cli import LEAVES

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = ["--config", "config/elsewhere.yaml"]
ESTIMATE = ["estimate", str(ROOT / "docs/example_panel.csv"), "--outcome", "visits", "--unit", "clinic", "--period",
            "year", "--cohort", "first_year", "--estimator", "did"]
PRESCRIPTIONS = ["--file", "items.csv", "--numerator-column", "items", "--denominator-column", "residents", "--unit",
                 "per 100"]
FOLDER = "data/interim/folders/parts/batches/00000.json"
# Command -> arguments that work after a run, and arguments with a mistake in the data or config.
CASES = {
    "run": ([*ELSEWHERE, "run"], ["run", "config/gone.yaml"]),
    "new": (["new", "another"], ["new", "elsewhere"]),
    "simulate": (["simulate", "demo", "--output", "made_up"], [*ELSEWHERE, "simulate", "demo"]),
    "trace": ([*ELSEWHERE, "trace", "visits"], [*ELSEWHERE, "trace", "gone"]),
    "verify": ([*ELSEWHERE, "verify"], ["--config", "gone.yaml", "verify"]),
    "schema": (["schema", "evaluation"], None),
    "completion": (["completion", "bash"], None),
    "supply": (["supply", "gpps", "survey.csv", "--accept"], ["supply", "gone", "survey.csv"]),
    "fetch": ([*ELSEWHERE, "fetch", "visits"], [*ELSEWHERE, "fetch", "gone"]),
    "observe": ([*ELSEWHERE, "observe", "visits"], [*ELSEWHERE, "observe", "gone"]),
    **{stage: ([*ELSEWHERE, stage, "visits"], [*ELSEWHERE, stage, "gone"])
       for stage in ("align", "fit", "calibrate", "specify", "diagnose", "compare", "check", "judge", "draw", "family",
                     "adjust")},
    "power": ([*ELSEWHERE, "power", "visits", "--draws", "20"], [*ELSEWHERE, "power", "gone"]),
    "reproduce": ([*ELSEWHERE, "reproduce"], ["--config", "gone.yaml", "reproduce"]),
    **{stage: ([*ELSEWHERE, stage], ["--config", "gone.yaml", stage])
       for stage in ("tabulate", "workbook", "workbench", "report", "manifest")},
    "indicator new": ([*ELSEWHERE, "indicator", "new", "items", *PRESCRIPTIONS],
                      [*ELSEWHERE, "indicator", "new", "other", "--file", "gone.csv"]),
    "indicator check": ([*ELSEWHERE, "indicator", "check", "visits"], [*ELSEWHERE, "indicator", "check", "gone"]),
    "estimate": (ESTIMATE, ["estimate", "gone.csv", *ESTIMATE[2:]]),
    "sum": (["sum", FOLDER, "sum.parquet"], ["sum", "gone.json", "sum.parquet"]),
    "sweep": (["sweep", "indicators.csv", "--waves", "waves.csv"], ["sweep", "gone.csv", "--waves", "waves.csv"]),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """An evaluation that was run, and files for the commands that take some."""
    folder = tmp_path_factory.mktemp("json") / "project"
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copytree(ROOT / "data/reference", folder / "data/reference")
    scaffold.create("elsewhere", folder)
    place = folder / "config/elsewhere.yaml"
    place.write_text(place.read_text(encoding="utf-8").replace("draws: 999", "draws: 99"), encoding="utf-8")
    visits = pd.read_csv(folder / "data/elsewhere/synthetic_visits.csv")
    visits.rename(columns={"visits": "items"})[["district", "year", "items", "residents"]].to_csv(
        folder / "items.csv", index=False)
    frame = panel(24, 10, {5: 6, 7: 6}, 3.0, seed=1)[0].rename(columns={"outcome": "value", "cohort": "first_treated"})
    frame[["unit", "period", "value"]].to_csv(folder / "figures.csv", index=False)
    frame.drop_duplicates("unit")[["unit", "first_treated"]].to_csv(folder / "waves.csv", index=False)
    (folder / "parts").mkdir()
    frame[["unit", "period", "value", "first_treated"]].to_parquet(folder / "parts/one.parquet")
    (folder / "indicators.csv").write_text("id,file\nfirst,figures.csv\n", encoding="utf-8")
    (folder / "survey.csv").write_text(gpps_files.text("2019", [gpps_files.practice("A00001", "001")]))
    by_jobs = ["estimate", "parts", "--outcome", "value", "--unit", "unit", "--period", "period", "--cohort",
               "first_treated", "--estimator", "callaway_santanna", "--cores", "2"]
    for arguments in (CASES["run"][0], by_jobs):
        done = said(folder, arguments)
        assert done[0] == 0, done
    return folder


def said(folder: Path, arguments: list[str]) -> tuple[int, list[dict]]:
    """The exit code and what a command said: each line of standard output must be a JSON object.

    Those that start processes, whose output is theirs, run in a process of their own.
    """
    if {"run", "sweep", "--cores"} & set(arguments):
        done = subprocess.run([sys.executable, "-c", "from did.cli.entry import main; main()", *arguments, "--json"],
                              cwd=folder, env=environment(ROOT), capture_output=True, text=True)
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            answer = CliRunner().invoke(main, [*arguments, "--json"], prog_name="did")
        code, out, err = answer.exit_code, answer.stdout, answer.stderr
    assert "Traceback" not in err
    return code, [json.loads(line) for line in out.splitlines()]


def test_every_command_has_a_case():
    assert {" ".join(path) for path, _ in LEAVES} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_is_done_is_told_as_json_and_nothing_else(project, name):
    code, lines = said(project, CASES[name][0])
    assert code == 0, lines
    assert lines and all(isinstance(line, dict) for line in lines)
    if name not in ("schema", "indicator check"):   # these two print their document
        events = {line["event"] for line in lines}
        assert {"run": "ended", "estimate": "estimate", "power": "power"}.get(name, "done") in events
        assert "error" not in events
    else:
        assert len(lines) == 1


def test_numbers_keep_every_digit(project):
    _, lines = said(project, [*ELSEWHERE, "power", "visits", "--draws", "20", "--output", "power.csv"])
    table = pd.read_csv(project / "power.csv")
    measured = table.select_dtypes("float")
    assert [[line[column] for column in measured] for line in lines] == measured.to_numpy().tolist()
    assert (measured != measured.round(10)).any(axis=None)
    _, (report,) = said(project, CASES["indicator check"][0])
    (place,) = (project / "data").rglob("panel/visits.parquet")
    frame = tables.read("panel", place)
    treated = frame[frame["cohort"].notna() & (frame["specification"] == frame["specification"].iloc[0])]
    assert report["series"]["treated"] == pytest.approx(treated.groupby("period")["outcome"].mean().tolist(), rel=1e-13)


@pytest.mark.parametrize("name", [name for name, (_, wrong) in CASES.items() if wrong])
def test_a_mistake_is_told_as_json_with_exit_code_1(project, name):
    code, lines = said(project, CASES[name][1])
    assert code == 1
    if name == "indicator check":
        assert len(lines) == 1 and len(lines[0]["stops"]) == 1
    else:
        assert lines and {line["event"] for line in lines} <= {"error", "ended"}
        assert all(line["message"] for line in lines if line["event"] == "error")


@pytest.mark.parametrize("name", CASES)
def test_wrong_usage_is_told_as_json_with_exit_code_2(name):
    answer = CliRunner().invoke(main, [*name.split(), "--nonsense", "--json"], prog_name="did")
    assert (answer.exit_code, answer.stderr) == (2, "")
    (line,) = map(json.loads, answer.stdout.splitlines())
    assert line["event"] == "error" and line["message"]
