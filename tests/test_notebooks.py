"""The walkthroughs of notebooks/ run as scripts from any folder, and print what is known of their subject."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# The fixtures of a small evaluation: pytest finds them by their names in this module.
from output_stages import write_outputs
from test_report import in_project, published_evaluation, small  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]


def walkthrough(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run one walkthrough with ``folder`` as the working folder, and return what came."""
    return subprocess.run([sys.executable, str(ROOT / "notebooks" / f"{name}.py"), *arguments], cwd=folder,
                          env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"},
                          capture_output=True, encoding="utf-8", timeout=60)


def test_the_result_is_told_from_the_tables_of_a_run(small, tmp_path):  # noqa: F811
    evaluation, paths = small
    write_outputs(evaluation, paths, [])
    done = walkthrough("ics_result", tmp_path, str(paths.results))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Data: made up")
    for outcome in evaluation.indicators:
        # 4 of the 24 made-up areas are treated.
        assert re.search(rf"{outcome} .* 4 of 24\n", done.stdout), done.stdout
    assert "p not available" not in done.stdout and "linear_pretrend" in done.stdout


def test_without_a_run_the_result_says_to_make_one(tmp_path):
    done = walkthrough("ics_result", tmp_path, str(tmp_path / "results"))
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "`make run` first" in done.stderr


def test_an_indicator_is_added_and_the_project_is_left_as_it_was(tmp_path):
    before = sorted(ROOT.glob("config/*/*.yaml"))
    done = walkthrough("add_an_indicator", tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("wrote config/indicators/ae_four_hour.yaml", "ae_four_hour: nothing would stop it",
                  "135 units x 36 periods: 14 before and 22 from the onset"):
        assert words in done.stdout, done.stdout
    assert sorted(ROOT.glob("config/*/*.yaml")) == before


@pytest.mark.parametrize("place", ["root", "elsewhere"])
def test_the_published_decomposition_is_reproduced_under_its_own_specification_only(place, tmp_path):
    done = walkthrough("reproduce_a_published_table", ROOT if place == "root" else tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Specification year_of_law: 7 of 7 reproduced" in done.stdout
    assert "Specification first_full_year: 0 of 7 reproduced" in done.stdout
