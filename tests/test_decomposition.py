"""The decomposition against R (bacondecomp), the two-way estimate, and each pair's own regression."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.decomposition import (
    COLUMNS,
    EARLIER_LATER,
    LATER_EARLIER,
    TREATED_ALWAYS,
    TREATED_NEVER,
    TYPES,
    decompose,
    shares,
)
from golden_files import golden_results
from test_imputation import ERROR, POINT, golden_panel, random_frame

THEIR_TYPES = {
    "Earlier vs Later Treated": EARLIER_LATER,
    "Later vs Earlier Treated": LATER_EARLIER,
    "Treated vs Untreated": TREATED_NEVER,
    "Later vs Always Treated": TREATED_ALWAYS,
}
few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)


def golden(data: str) -> dict:
    results = golden_results("bacon")
    return next(entry["value"] for entry in results if entry["id"] == data)


@pytest.mark.parametrize("data", ["sim_40x12", "base_stagg"])
def test_every_pair_and_the_shares_equal_bacondecomp(data):
    expected = golden(data)
    theirs = pd.DataFrame(expected["two_by_twos"])
    keys = ["treated", "untreated"]
    ours = decompose(golden_panel(data))
    ours = ours.assign(treated=ours["treated_cohort"].astype(int) - 2000,
                       untreated=pd.to_numeric(ours["control_cohort"]).sub(2000).fillna(99999).astype(int))
    pairs = theirs.merge(ours, on=keys, validate="one_to_one", suffixes=("_r", ""))
    assert len(pairs) == len(theirs) == len(ours)
    np.testing.assert_allclose(pairs["estimate"], pairs["estimate_r"], rtol=POINT)
    np.testing.assert_allclose(pairs["weight"], pairs["weight_r"], rtol=POINT)
    assert pairs["type"].tolist() == pairs["type_r"].map(THEIR_TYPES).tolist()
    summary = shares(ours).set_index("type")
    for kind, weight, mean in zip(*expected["summary"].values(), strict=True):
        assert summary.loc[THEIR_TYPES[kind], "weight"] == pytest.approx(weight, rel=POINT)
        assert summary.loc[THEIR_TYPES[kind], "estimate"] == pytest.approx(mean, rel=POINT)
    assert summary.loc["all", "estimate"] == pytest.approx(expected["total"], rel=POINT)
    assert summary.loc["all", "weight"] == pytest.approx(1, rel=ERROR)


@few
@given(seeds, st.booleans(), st.booleans(), st.booleans())
def test_weights_times_estimates_add_up_to_the_two_way_estimate(seed, always, never, weighted):
    frame = random_frame(seed)
    if always:
        frame.loc[frame["unit"].isin(["u00", "u09"]), "cohort"] = "2017-08"
    if not never:
        frame = frame.dropna(subset="cohort")
    size = np.random.default_rng(seed).uniform(0.5, 3, 16)
    frame["size"] = size[frame["unit"].str[1:].astype(int)]
    panel = Panel.from_frame(frame, weight_column="size" if weighted else None)
    pairs = decompose(panel)
    assert list(pairs.columns) == COLUMNS and (pairs["weight"] > 0).all()
    assert pairs["weight"].sum() == pytest.approx(1, rel=1e-12)
    total = (pairs["weight"] * pairs["estimate"]).sum()
    assert total == pytest.approx(estimate("did", panel).estimate[0], rel=1e-9, abs=1e-10)
    assert set(pairs["type"]) == {EARLIER_LATER, LATER_EARLIER, *([TREATED_NEVER] if never else []),
                                  *([TREATED_ALWAYS] if always else [])}


@few
@given(seeds)
def test_each_pair_is_the_two_way_estimate_of_its_own_units_and_periods(seed):
    frame = random_frame(seed)
    for row in decompose(Panel.from_frame(frame)).itertuples():
        cohort = frame["cohort"]
        control = cohort.isna() if pd.isna(row.control_cohort) else cohort == row.control_cohort
        part = frame[(cohort == row.treated_cohort) | control]
        if row.type == EARLIER_LATER:
            part = part[part["period"] < row.control_cohort]
        elif row.type == LATER_EARLIER:
            part = part[part["period"] >= row.control_cohort]
        part = part.assign(cohort=part["cohort"].where(part["cohort"] == row.treated_cohort))
        own = estimate("did", Panel.from_frame(part)).estimate[0]
        assert row.estimate == pytest.approx(own, rel=1e-9, abs=1e-9)
        assert (row.n_treated, row.n_control) == (4, part.loc[part["cohort"].isna(), "unit"].nunique())


def test_a_growing_effect_bends_only_the_pairs_with_already_treated_controls():
    frame = random_frame(0)
    month = pd.PeriodIndex(frame["period"], freq="M").astype("int64")
    start = pd.PeriodIndex(frame["cohort"].fillna("2030-01"), freq="M").astype("int64")
    since = np.asarray(month - start)
    pairs = decompose(Panel.from_frame(frame.assign(outcome=np.where(since >= 0, 1.0 + since, 0.0))))
    by_type = pairs.groupby("type")["estimate"].agg(["min", "max"])
    assert by_type.loc[LATER_EARLIER, "max"] == pytest.approx(2.5 - 3)  # 1 + mean since, less the controls' rise
    assert by_type.loc[EARLIER_LATER, "min"] == pytest.approx(1.5)
    summary = shares(pairs).set_index("type")
    assert summary.loc["already treated controls", "weight"] == pytest.approx(
        pairs.loc[pairs["type"] == LATER_EARLIER, "weight"].sum())
    assert summary.loc[TREATED_ALWAYS, "weight"] == 0 and np.isnan(summary.loc[TREATED_ALWAYS, "estimate"])
    assert summary.index.tolist() == [*TYPES, "timing", "already treated controls", "all"]


def test_one_cohort_is_one_pair_of_weight_one():
    frame = random_frame(2)
    panel = Panel.from_frame(frame[frame["cohort"] != "2018-01"])
    pairs = decompose(panel)
    assert pairs[["treated_cohort", "type", "weight"]].values.tolist() == [["2017-11", TREATED_NEVER, 1.0]]
    assert pairs["estimate"][0] == pytest.approx(estimate("did", panel).estimate[0], rel=1e-10)


@few
@given(seeds)
def test_order_of_rows_unit_constants_and_scale(seed):
    frame = random_frame(seed)
    before, ours = frame.copy(deep=True), decompose(Panel.from_frame(frame))
    pd.testing.assert_frame_equal(decompose(Panel.from_frame(frame.sample(frac=1, random_state=seed))), ours)
    constant = 1e3 * frame["unit"].str[1:].astype(int)
    shifted = decompose(Panel.from_frame(frame.assign(outcome=5 * (frame["outcome"] + constant))))
    np.testing.assert_allclose(shifted["estimate"], 5 * ours["estimate"], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(shifted["weight"], ours["weight"], rtol=1e-12)
    pd.testing.assert_frame_equal(frame, before)


def test_what_the_theorem_does_not_cover_is_answered_in_one_line():
    frame = random_frame(3)
    gap = frame.copy()
    gap.loc[(gap["unit"] == "u05") & (gap["period"] == "2018-02"), "outcome"] = np.nan
    with pytest.raises(DidError, match="unit u05, period 2018-02: expected a balanced panel; .* 1 unit-periods"):
        decompose(Panel.from_frame(gap))
    with pytest.raises(DidError, match="expected a binary treatment; found dose 2.0 of unit u01"):
        decompose(Panel.from_frame(frame, treatment="intensity"))
    with pytest.raises(DidError, match="found changes in u00, u01, u02, u03, u04 and 11 more"):
        decompose(Panel.from_frame(frame, weight_column="weight"))


def test_the_rows_of_the_diagnostics_table_hold_the_weights_and_the_two_way_estimate():
    from did.simulate.panels import panel
    from did.stages.diagnose import decomposition_rows

    frame, _ = panel(30, 12, {4: 6, 8: 6}, 1.0, seed=3)
    data = Panel.from_frame(frame)
    rows = decomposition_rows(data).set_index("part")
    assert rows.loc["all", "value"] == pytest.approx(1)
    assert rows.loc["all", "statistic"] == pytest.approx(float(estimate("did", data).estimate[0]), rel=1e-9)
    assert 0 < rows.loc["already treated controls", "value"] < rows.loc["timing", "value"]
    broken = Panel.from_frame(frame.drop(index=frame.index[5]))
    assert decomposition_rows(broken)["status"].tolist() == ["skipped"]
