"""The study of test sizes: its panels, its shortcuts, and a small run of it whose outcome is known."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from did.estimators import estimate
from did.inference.clustered import summarise

ROOT = Path(__file__).resolve().parents[1]


def _study(name: str):
    """A benchmark as a module: it is a script and not part of the package."""
    found = importlib.util.spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


study = _study("size_of_tests")
SHARED_SHOCKS = study.Case("half shared", share=0.5)


def test_shape_is_that_of_the_evaluation():
    systems = pd.read_csv(ROOT / "data" / "reference" / "upper_tier_systems.csv", dtype=str)
    assert (study.N_UNITS, study.N_SYSTEMS) == (len(systems), systems["system"].nunique()) == (149, 42)
    panel = study.made_up(SHARED_SHOCKS, 0)
    treated = pd.Series(panel.clusters["system"][~panel.never_treated])
    assert treated.value_counts().tolist() == [10, 4, 4, 4, 4, 2, 1, 1]
    dealt = study.made_up(dataclasses.replace(SHARED_SHOCKS, dealt=True), 0)
    assert len(set(dealt.clusters["system"][~dealt.never_treated])) == 8
    assert not np.array_equal(dealt.treated_from, panel.treated_from)


@pytest.mark.parametrize("treatment", ["binary", "intensity"])
def test_two_periods_stand_for_the_whole_panel(treatment, monkeypatch):
    case = dataclasses.replace(SHARED_SHOCKS, treatment=treatment)
    short = study.p_values(study.made_up(case, 1), "did", draws=99)
    monkeypatch.setattr(study, "halves", lambda panel: panel)
    whole = study.p_values(study.made_up(case, 1), "did", draws=99)
    assert short == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(("estimator", "lags"), [("did", ""), ("ldv", "last_12")])
def test_clustered_tests_are_those_of_the_estimates_table(estimator, lags):
    panel = study.made_up(SHARED_SHOCKS, 2)
    table = summarise(estimate(estimator, panel, **({"lags": lags} if lags else {})), panel).set_index("cluster")
    found = study.p_values(panel, estimator, lags, draws=19)
    for level in ("unit", "system"):
        assert found[level] == pytest.approx(table.loc[level, "p_value"], rel=1e-9)


@pytest.mark.parametrize("treatment", ["binary", "intensity"])
def test_spread_of_estimates_is_the_closed_form(treatment):
    # 300 panels: the standard deviation is known to 4%.
    case = dataclasses.replace(SHARED_SHOCKS, treatment=treatment)
    estimates = [estimate("did", study.halves(study.made_up(case, number))).estimate[0] for number in range(300)]
    assert np.std(estimates) == pytest.approx(study.true_error(case), rel=0.13)
    assert abs(np.mean(estimates)) < 4 * study.true_error(case) / np.sqrt(300)


@pytest.mark.parametrize("treatment", ["binary", "intensity"])
def test_the_planted_effect_moves_the_estimate_by_itself(treatment):
    case = dataclasses.replace(SHARED_SHOCKS, treatment=treatment)
    with_it, without = (estimate("did", study.halves(study.made_up(each, 5))).estimate[0]
                        for each in (dataclasses.replace(case, power=True), case))
    assert with_it - without == pytest.approx(study.detectable(case), rel=1e-9)
    reference = stats.t(41)
    assert (study.detectable(case) / study.true_error(case)
            == pytest.approx(reference.ppf(0.975) + reference.ppf(0.8)))


def test_small_run_tells_right_tests_from_wrong_ones():
    # Half of the variance is common to systems: unit clustering is far off, and reassignment of systems by lot exact.
    case = dataclasses.replace(SHARED_SHOCKS, dealt=True, estimators=(("did", ""),))
    found = study.rejections(case, 100, draws=99).iloc[0]
    assert found["unit"] > 0.15
    low, high = stats.binom(100, 0.05).ppf([0.0005, 0.9995]) / 100
    for method in ("random_t", "random_b"):
        assert low <= found[method] <= high
    assert found["cr3"] <= found["cr2"] <= found["system"] < found["unit"]
    assert list(found.index) == ["case", "estimator", "replications", "spread", *study.METHODS]
    first, again = (study.rejections(case, 3, draws=99) for _ in range(2))
    assert first.equals(again)


def test_page_holds_every_case_of_the_study():
    page = (ROOT / "docs" / "inference.md").read_text(encoding="utf-8")
    assert [page.count(marker) for marker in study.MARKERS] == [1, 1]
    table = page.split(study.MARKERS[0])[1].split(study.MARKERS[1])[0]
    for case in study.CASES:
        for estimator, lags in case.estimators:
            name = f"{estimator}, {lags.replace('_', ' ')}" if lags else estimator
            assert f"| {case.name} | {name} | {case.replications:,} |" in table
    # the evaluation's own design comes first, and the words of the benchmark are those of the page
    names = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| 20% shared, 74 months")]
    assert len(names) == 4 and table.index(names[0]) < table.index("24 months before and 12 after")
    made = pd.DataFrame([{"case": case.name, "estimator": "did", "replications": case.replications}
                         | dict.fromkeys(study.METHODS, 0.05) for case in study.CASES])
    said = [line for line in study.markdown([made]).splitlines() if line and not line.startswith("|")]
    assert said == [line for line in table.splitlines() if line and not line.startswith("|")]


def test_page_holds_every_design_of_the_study_of_coverage():
    covered = _study("coverage")
    page = (ROOT / "docs" / "inference.md").read_text(encoding="utf-8")
    part = page.split(covered.MARKERS[0])[1].split(covered.MARKERS[1])[0]
    made = [pd.DataFrame([{"case": case.name, "estimator": "did", "cluster": "unit", "expected": ""}
                          | dict.fromkeys(("coverage", "bias", "spread", "std_error", "flagged"), 0.5)])
            for case in covered.CASES]
    # all but the figures
    words = [line for line in covered.report(made).splitlines() if not line.startswith("|")]
    assert words == [line for line in part.strip("\n").splitlines() if not line.startswith("|")]
    for case in covered.CASES:
        assert part.count(f"| {case.name} |") == 4
    assert len({case.draws for case in covered.CASES}) == len(covered.CASES)
