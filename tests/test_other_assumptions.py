"""The estimate under other assumptions: rows are the estimators' own numbers, and the annex says each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from did.diagnostics.other_assumptions import other_assumption_rows
from did.estimators import Panel, estimate
from did.inference.clustered import summarise
from did.inference.synthetic_errors import synthetic_errors
from did.report.content.notes import VARIANTS, change
from did.simulate.panels import panel
from did.store import tables


@pytest.fixture(scope="module")
def data() -> Panel:
    return Panel.from_frame(panel(60, 30, {20: 15}, 10.0, seed=3, units_per_system=3, system_share=0.3)[0])


@pytest.fixture(scope="module")
def counts(data) -> Panel:
    generator = np.random.default_rng(1)
    population = np.repeat(generator.uniform(1e3, 9e3, (60, 1)), 30, axis=1)
    rate = np.exp(-5 + generator.normal(0, 0.3, (60, 1)) + 0.02 * np.arange(30) + 0.4 * data.treated)
    return dataclasses.replace(data, outcome=generator.poisson(rate * population).astype(float), weight=population)


def test_each_row_is_what_its_estimator_gives(data, counts):
    rows = other_assumption_rows(data, counts, seed=7)
    tables.check("diagnostics", rows.assign(indicator="x", specification="default", sample="full", is_synthetic=True))
    by = rows.set_index(["variant", "cluster"])
    for variant, level in (("synthetic_units", "unit"), ("synthetic_clusters", "system")):
        theirs = synthetic_errors(data, "placebo", level="system", seed=7,
                                  options={"estimands": ["overall"], "level": level}).iloc[0]
        row = by.loc[(variant, "system")]
        assert (row["value"], row["std_error"], row["p_value"]) == pytest.approx(
            (theirs["estimate"], theirs["std_error"], theirs["p_value"]))
    ridge = summarise(estimate("ldv_ridge", data), data).set_index("cluster")
    for level in ("unit", "system"):
        assert by.loc[("shrunken_lags", level), "value"] == pytest.approx(ridge.loc[level, "estimate"])
        assert by.loc[("shrunken_lags", level), "std_error"] == pytest.approx(ridge.loc[level, "std_error"])
    found = by.loc[("counts_offset", "unit")]
    assert found["ci_low"] < 100 * np.expm1(0.4) < found["ci_high"] and 40 < found["value"] < 60
    link = estimate("etwfe", counts, family="poisson", weight_use="exposure", scale="link", estimands=["overall"])
    assert np.log1p(found["value"] / 100) == pytest.approx(link.estimate[0])


def test_what_does_not_apply_is_skipped_and_the_annex_says_each(data, counts):
    said = [change(row) for row in other_assumption_rows(data, counts).to_dict("records")]
    assert list(dict.fromkeys(said)) == [VARIANTS[name] for name in (
        "synthetic_units", "synthetic_clusters", "shrunken_lags", "counts_offset")]
    without = other_assumption_rows(data, None)
    assert without.iloc[-1][["status", "reason"]].tolist() == ["skipped", "published without counts"]
    dose = Panel.from_frame(panel(30, 12, {8: 8}, 1.0, seed=1, intensity=(3, 9))[0], treatment="intensity")
    rows = other_assumption_rows(dose, None)
    assert rows[rows["variant"].str.startswith("synthetic")]["status"].eq("skipped").all()
    assert rows[rows["variant"].eq("shrunken_lags")]["status"].eq("done").all()
