"""The command line as programs and people use it: exit codes, how much is said, JSON, completion, help."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from did.cli.commands import main

ROOT = Path(__file__).resolve().parents[1]
ESTIMATE = ["estimate", str(ROOT / "docs/example_panel.csv"), "--outcome", "visits", "--unit", "clinic", "--period",
            "year", "--cohort", "first_year", "--estimator", "did"]


def did(*arguments: str):
    return CliRunner().invoke(main, list(arguments), prog_name="did")


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name, command in group.commands.items():
        here = (*path, name)
        found += leaves(command, here) if isinstance(command, click.Group) else [(here, command)]
    return found


LEAVES = leaves(main)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_help_has_an_example_and_says_how_much_can_be_said(path, command):
    answer = did(*path, "--help")
    assert answer.exit_code == 0
    examples = [line.strip() for line in answer.output.splitlines()[1:] if line.strip().startswith("did ")]
    assert any(" ".join(path) in example for example in examples)
    assert all(flag in answer.output for flag in ("--quiet", "--verbose", "--json"))


def test_exit_codes(elsewhere):
    assert did(*ESTIMATE).exit_code == 0
    assert did("estimate", "missing.csv", *ESTIMATE[2:]).exit_code == 1
    assert did("run").exit_code == 1
    assert did("estimate").exit_code == 2
    assert did("runn").exit_code == 2
    assert did("schema").exit_code == 2
    assert did("completion", "tcsh").exit_code == 2


def test_how_much_is_said(elsewhere):
    assert "units treated" in did(*ESTIMATE).stdout
    quiet = did(*ESTIMATE, "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert " s\n" in did(*ESTIMATE, "--verbose").stderr
    wrong = did("estimate", "missing.csv", *ESTIMATE[2:], "--quiet")
    assert wrong.stderr.startswith("error: ") and wrong.stderr.count("\n") == 1
    assert "Traceback" in did("estimate", "missing.csv", *ESTIMATE[2:], "--verbose").stderr


def test_estimates_as_json_are_those_of_the_table(elsewhere):
    import pandas as pd

    answer = did(*ESTIMATE, "--json", "--output", "estimates.csv")
    rows = [row for row in map(json.loads, answer.stdout.splitlines()) if row["event"] == "estimate"]
    table = pd.read_csv("estimates.csv")
    assert len(rows) == len(table)
    # every digit of them: a small p-value is not 0
    for column in table.select_dtypes("number").dropna(axis=1, how="all"):
        given = [math.nan if row[column] is None else row[column] for row in rows]
        np.testing.assert_array_equal(np.array(given, float), table[column].to_numpy(float), err_msg=column)
    # Of a bootstrap p can be 0, which is then the share of its draws.
    assert 0 < min(row["p_value"] for row in rows if row["inference"] == "clustered") < 1e-10
    assert {row["indicator"] for row in rows} == {"visits"}


def test_an_error_as_json_is_one_object_a_mistake(elsewhere):
    Path("config").mkdir()
    Path("config/x.yaml").write_text("id: x\nseed: many\ntitel: X\n", encoding="utf-8")
    answer = did("--config", "config/x.yaml", "align", "visits", "--json")
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == 1 and answer.stderr == ""
    assert {each["event"] for each in found} == {"error"} and len(found) > 5
    assert any("line 3: key 'titel' is not known; did you mean 'title'?" in each["message"] for each in found)
    assert any("line 2: key 'seed'" in each["message"] for each in found)


def test_every_mistake_is_a_line_on_the_screen_and_only_a_log_asked_for_keeps_the_traceback(elsewhere):
    Path("config").mkdir()
    Path("config/x.yaml").write_text("id: x\n", encoding="utf-8")
    answer = did("--config", "config/x.yaml", "align", "visits")
    lines = answer.stderr.splitlines()
    assert len(lines) > 5 and all(line.startswith("error: config/x.yaml") for line in lines)
    assert "Traceback" not in answer.output
    assert sorted(path.name for path in Path().iterdir()) == ["config"]
    assert did("--log", ".", "align", "visits").exit_code == 2   # said before anything runs
    did("--config", "config/x.yaml", "--log", "logs/align.log", "align", "visits")
    assert "Traceback" in Path("logs/align.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_a_stream_that_nobody_reads(tmp_path, closed):
    script = Path(sys.executable).with_name("did")
    done = subprocess.run(f"{script} new elsewhere {closed}", shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Error" not in done.stderr
    assert (tmp_path / "config/elsewhere.yaml").is_file()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_this_command(shell):
    answer = did("completion", shell)
    assert answer.exit_code == 0 and "_DID_COMPLETE" in answer.output and "did" in answer.output


def test_completion_completes():
    environment = os.environ | {"_DID_COMPLETE": "bash_complete", "COMP_WORDS": "did indicator ", "COMP_CWORD": "2"}
    done = subprocess.run([sys.executable, "-c", "from did.cli.entry import main; main()"], env=environment,
                          capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plain,check", "plain,new"]


def test_schema_is_a_json_schema_of_its_kind():
    for which, key in (("evaluation", "specifications"), ("indicator", "numerator"), ("source", "reader")):
        found = json.loads(did("schema", which).output)
        assert key in found["properties"] and found["additionalProperties"] is False
