"""The benchmark's machinery: differences are found, limits hold, memory is measured, and peers are pinned once."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import estimators  # noqa: E402
import peers  # noqa: E402
from peers import Case, Contender, form  # noqa: E402


@pytest.fixture(scope="module")
def small():
    return peers.made(40, 12, {4: 8, 6: 8, 8: 8})


@pytest.fixture(scope="module")
def data():
    return peers.made(120, 20, {8: 20, 11: 20, 14: 20})


def _contender(numbers: pd.DataFrame, **fields) -> Contender:
    return Contender("peer", "made up", lambda _: numbers, lambda found, _: found, **fields)


def test_frame_and_panel_hold_the_same_cells(data):
    frame = data.frame.set_index(["unit", "time"])
    assert np.array_equal(frame["y"].unstack().to_numpy(), data.panel.outcome)
    assert np.array_equal(frame["treated"].unstack().to_numpy().astype(bool), data.panel.treated)
    first = frame["cohort"].groupby("unit").first().to_numpy()
    assert np.array_equal(first == 0, data.panel.never_treated)
    assert np.array_equal(first[first > 0] - 1, data.panel.treated_from[first > 0])
    assert (data.leads, data.lags) == (8, 5)


def test_two_way_estimate_equals_linearmodels(data, small):
    ours, _, theirs = (next(case for case in peers.OTHERS if case.name == "two-way")).contenders
    rows = estimators.measure(Case("two-way", (ours, theirs)), data, small, 0.0)
    assert [row.failure for row in rows] == ["", ""]
    assert rows[1].differences["estimate"] < 1e-10
    assert rows[1].n_compared == 1 and not rows[1].unexplained
    assert rows[1].convention == peers.NO_FACTOR and rows[1].differences["std_error"] > 1e-6


def test_every_case_of_ours_has_distinct_parameters(data):
    for case in estimators.ALL:
        ours = case.contenders[0]
        numbers = ours.read(ours.call(data), data)
        assert ours.who == "ours" and numbers.index.is_unique
        assert len(numbers) or case is peers.READING


def test_a_difference_needs_a_convention():
    ours = form(["overall", "event 1"], [2.0, 1.0], np.array([0.5, 0.5]))
    equal = estimators.judged(_contender(ours), ours, ours)
    assert equal["unexplained"] == () and equal["convention"] == "" and equal["n_compared"] == 2
    moved = ours.assign(estimate=ours["estimate"] + 1e-6)
    assert estimators.judged(_contender(moved), ours, moved)["unexplained"] == ("estimate",)
    assert estimators.judged(_contender(moved, tolerance=1e-5), ours, moved)["unexplained"] == ()
    wider = ours.assign(std_error=0.6)
    assert estimators.judged(_contender(wider), ours, wider)["unexplained"] == ("std_error",)
    told = estimators.judged(_contender(wider, differs={"std_error": "another rule"}), ours, wider)
    assert told["unexplained"] == () and told["convention"] == "another rule"
    assert told["differences"] == {"estimate": 0.0, "std_error": pytest.approx(0.2)}


def test_numbers_with_nothing_in_common_are_not_equal():
    ours, theirs = form(["overall"], [1.0], np.array([0.1])), form(["event 0"], [1.0], np.array([0.1]))
    assert estimators.judged(_contender(theirs), ours, theirs)["unexplained"] == ("estimate",)


def test_peak_memory_is_that_of_the_call(data, small):
    size = 25_000_000

    def call(given: peers.Data) -> float:
        return float(np.ones(size if given is data else 10).sum())

    _, megabytes, _ = estimators.in_child(
        lambda: estimators.first_run(Contender("peer", "fills", call, lambda *_: form([], [])), data, small), 30)
    assert 185 < megabytes < 215  # 25 million floats are 191 MB


@pytest.mark.parametrize(("work", "answer"), [
    (lambda: np.ones(estimators.GIGABYTES * 2**27 + 2**27), "over 8 GB"),
    (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda: sys.modules["os"]._exit(9), "ended by the system, probably over 8 GB"),
    (lambda: sys.modules["time"].sleep(20), f"over {estimators.SECONDS} s"),
])
def test_a_peer_that_fails_is_written_with_its_reason(work, answer):
    assert estimators.in_child(work, 1.0) == answer


def test_a_failure_of_ours_leaves_the_peers_measured(data, small):
    broken = Contender("ours", "broken", lambda _: 1 / 0, lambda *_: form([], []))
    rows = estimators.measure(Case("any", (broken, _contender(form(["overall"], [1.0])))), data, small, 0.0)
    assert rows[0].failure.startswith("ZeroDivisionError") and rows[1].seconds >= 0 and not rows[1].unexplained


def test_budgets_name_cases_that_exist():
    cases = {size.name: {case.name for case in size.cases} for size in estimators.SIZES}
    assert all(budget.case in cases[budget.size] for budget in estimators.BUDGETS)


def test_peers_are_pinned_once():
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", pin) for pin in pins)
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["crosscheck"]
    assert set(extra) <= set(pins)
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert not {pin.split("==")[0] for pin in pins} & {name.lower().replace("_", "-") for name in locked}
