"""The benchmark's page and its measuring: sections are kept, failures are told, exponents and memory are right."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import against  # noqa: E402
import dag  # noqa: E402
import measuring  # noqa: E402
import practices  # noqa: E402
import stages  # noqa: E402
from run import PAGE, PARTS, measured, sections, written  # noqa: E402

from did.project.loading import load_evaluation  # noqa: E402
from did.workflow.plan import Plan  # noqa: E402


def test_the_page_keeps_the_sections_of_other_parts():
    page = PAGE.read_text(encoding="utf-8")
    assert written(sections(page)) == page
    again = sections(written(sections(page) | {"floor": "## Floor\n\nnew"}))
    assert again["floor"] == "## Floor\n\nnew"
    assert {part: text for part, text in again.items() if part != "floor"} == {
        part: text for part, text in sections(page).items() if part != "floor"}
    assert list(again) == list(PARTS)


def test_a_part_that_stops_or_takes_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("run.HERE", tmp_path)
    (tmp_path / "broken.py").write_text("raise ValueError('no such panel')")
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    (tmp_path / "over.py").write_text("import sys; print('## Over'); sys.exit(1)")
    text, well = measured("broken", 30, quick=False)
    assert not well and text == "Not measured: ended with 1: ValueError: no such panel"
    began = time.monotonic()
    text, well = measured("slow", 0.5, quick=False)
    assert not well and text == "Not measured: over 0 s." and time.monotonic() - began < 20
    text, well = measured("over", 30, quick=False)
    assert not well and text.startswith("## Over\n\nMeasured in") and "over its budget" in text


def test_exponents_are_slopes_on_logarithms():
    sizes = [10, 100, 1_000]
    assert measuring.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert measuring.exponent(sizes, [1.0, np.nan, 10_000.0]) == pytest.approx(2)
    assert np.isnan(measuring.exponent(sizes, [1.0, np.nan, np.nan]))


@pytest.mark.parametrize("jobs", [False, True])
def test_a_process_is_measured_with_what_it_starts(tmp_path, jobs):
    fill = "import time; held = bytearray(200_000_000); time.sleep(0.5)"
    words = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{fill}'])"]
    used = measuring.run(words, tmp_path, 60, jobs=jobs)
    assert not used.failure and used.seconds > 0.5 and 195 < used.megabytes < 280
    assert measuring.run([sys.executable, "-c", "1 / 0"], tmp_path, 60).failure == (
        "ended with 1: ZeroDivisionError: division by zero")
    assert measuring.run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, 1).failure == "over 1 s"


def test_the_evaluation_of_many_indicators_is_one(tmp_path, monkeypatch):
    dag.evaluation(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    assert load_evaluation("config/many.yaml").indicators == ["visits_0000", "visits_0001", "visits_0002"]


def test_every_stage_has_a_job_in_the_demonstration_run(tmp_path):
    jobs = stages.commands(stages.project(tmp_path))
    assert all(jobs[stage] for stage in stages.STAGES)
    assert "dtoc_total" in stages.one_of(jobs["fit"]) and "nhs_england_dtoc" in stages.one_of(jobs["observe"])
    # What Snakemake alone is timed with are the jobs that each indicator has, but for its figures'.
    assert {*dag.JOBS, "draw"} == {stage for stage, own in jobs.items() if len(own) == len(jobs["align"])}


def test_what_got_slower_or_larger_is_found_and_noise_is_not():
    theirs = {"same": [[1.0, 50], [2.0, 50], [1.5, 50]], "slower": [[1.0, 50]] * 3, "larger": [[1.0, 50]] * 3,
              "small": [[1.0, 1]] * 3, "gone": [[1.0, 1]] * 3}
    ours = {"same": [[1.2, 51], [2.0, 51], [1.9, 51]], "slower": [[1.2, 50], [1.3, 50], [1.15, 50]],
            "larger": [[0.5, 60]] * 3, "small": [[1.0, 2]] * 3, "new": [[1.0, 1]] * 3}
    rows, bad = against.compared(ours, theirs)
    assert bad == ["slower: slower", "larger: larger"]
    assert [row[0] for row in rows] == ["same", "slower", "larger", "small", "new", "gone"]
    assert rows[1][1:4] == ["1,000", "1,200", "1.2"] and rows[4][-1] == "not there before"


def test_practices_by_month_are_an_evaluation_that_says_it_is_made_up(tmp_path, monkeypatch):
    practices.evaluation(tmp_path, 50, 48)
    monkeypatch.chdir(tmp_path)
    plan = Plan.load("config/practices.yaml", None)
    assert plan.source("visits").synthetic
    assert plan.evaluation.indicators == ["visits"] and plan.evaluation.clusters == ["unit", "system"]
