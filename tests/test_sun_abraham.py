"""Interaction-weighted event study against fixest::sunab, group-time effects, and least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from did.errors import DidError
from did.estimators import Panel, estimate
from did.inference.clustered import summarise
from golden_files import golden_results
from test_callaway_santanna import golden_frame, panel_of, random_frame


@pytest.mark.parametrize(("data", "identity"), [
    ("sim_40x12", "sunab"), ("sim_40x12", "sunab+x"), ("sim_40x12", "sunab|weighted"),
    ("base_stagg", "sunab"), ("base_stagg", "sunab+x"),
])
def test_estimates_and_clustered_errors_equal_fixest(data, identity):
    results = golden_results(f"{data}_fixest")
    theirs = next(entry["value"] for entry in results if entry["id"] == identity)
    panel = Panel.from_frame(golden_frame(data), cluster_columns=(),
                             covariate_columns=["x"] if "+x" in identity else [],
                             weight_column="w" if "weighted" in identity else None)
    rows = summarise(estimate("sun_abraham", panel), panel)
    rows = rows[~rows["note"].str.startswith("reference")]
    for name, estimand in (("period", "event_time"), ("att", "overall"), ("cohort", "cohort")):
        table = pd.DataFrame(theirs[name]["coef"]).query("term != '.x'")
        ours = rows[rows["estimand"] == estimand]
        np.testing.assert_allclose(ours["estimate"], table["estimate"], rtol=1e-8)
        np.testing.assert_allclose(ours["std_error"], table["se"], rtol=1e-6)
    assert (rows["df"] == theirs["att"]["df_t"]).all()


def test_effects_of_one_cohort_are_group_time_effects_with_a_universal_base():
    frame = random_frame(1)
    one = frame[(frame["cohort"] != "2018-01").fillna(True)]
    cells = estimate("callaway_santanna", panel_of(one), control_group="never_treated", base_period="universal")
    path = estimate("sun_abraham", panel_of(one))
    rows = (path.parameters["estimand"] == "event_time").to_numpy()
    np.testing.assert_allclose(path.estimate[rows], cells.estimate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(path.influence.to_numpy()[:, rows], cells.influence, rtol=1e-7, atol=1e-12)


def test_an_unbalanced_panel_equals_least_squares_with_every_dummy():
    frame = random_frame(2).assign(outcome=lambda f: f["outcome"].mask(np.arange(len(f)) % 11 == 3))
    result = estimate("sun_abraham", panel_of(frame))
    used = frame.dropna(subset=["outcome"])
    periods = sorted(frame["period"].unique())
    place = used["period"].map(periods.index)
    event_time = (place - used["cohort"].map(periods.index, na_action="ignore")).to_numpy(dtype=float)
    design = [pd.get_dummies(used["unit"], dtype=float),
              pd.get_dummies(used["period"], dtype=float).iloc[:, 1:]]
    names = {}
    for cohort in ("2017-11", "2018-01"):
        for e in np.unique(event_time[(used["cohort"] == cohort).fillna(False).to_numpy(dtype=bool)]):
            if e != -1:
                chosen = (used["cohort"] == cohort).fillna(False).to_numpy(dtype=bool) & (event_time == e)
                names[cohort, e] = chosen.sum()
                design.append(pd.Series(chosen.astype(float), index=used.index, name=f"{cohort}/{e}"))
    fit = sm.OLS(used["outcome"], pd.concat(design, axis=1)).fit()
    for e in (-2, 0, 1):
        size = {cohort: n for (cohort, at), n in names.items() if at == e}
        expected = sum(n * fit.params[f"{cohort}/{float(e)}"] for cohort, n in size.items()) / sum(size.values())
        chosen = (result.parameters["event_time"] == e).fillna(False).to_numpy(dtype=bool)
        assert result.estimate[chosen] == pytest.approx([expected], rel=1e-8)


def test_without_never_treated_units_the_last_cohort_is_the_control():
    frame = random_frame(3)
    treated = frame[frame["cohort"].notna()]
    result = estimate("sun_abraham", panel_of(treated))
    assert "cohort 2018-01 serves as control" in result.note
    early = treated[treated["period"] < "2018-01"].assign(
        cohort=lambda f: f["cohort"].where(f["cohort"] == "2017-11"))
    np.testing.assert_allclose(result.estimate, estimate("sun_abraham", panel_of(early)).estimate, rtol=1e-9,
                               atol=1e-12)


def test_doses_and_references_after_treatment_are_refused():
    frame = random_frame(4)
    with pytest.raises(DidError, match="reference"):
        estimate("sun_abraham", panel_of(frame), reference=1)
    with pytest.raises(DidError, match="expected binary"):
        estimate("sun_abraham", panel_of(frame.assign(intensity=2.0), treatment="intensity"))


def test_every_event_time_counts_the_treated_units_behind_it_as_the_event_study_does():
    frame = random_frame(5)
    hole = (frame["unit"] == "u00") & (frame["period"] == "2017-10")
    panel = Panel.from_frame(frame.assign(outcome=frame["outcome"].mask(hole)))
    path, other = estimate("sun_abraham", panel), estimate("event_study", panel)
    rows = (path.parameters["estimand"] == "event_time").to_numpy()
    np.testing.assert_array_equal(path.treated.to_numpy()[:, rows].sum(axis=0), other.treated.sum(axis=0))
    assert path.treated.to_numpy()[:, path.parameters["state"] == "reference"].sum() == 19


def test_covariates_are_chosen_by_name_and_those_without_a_slope_are_named():
    frame = random_frame(6).assign(z=lambda f: np.random.default_rng(1).normal(size=len(f)))
    panel = Panel.from_frame(frame, covariate_columns=["x", "z"])
    every, one, none = (estimate("sun_abraham", panel, covariates=names) for names in (None, ["z"], []))
    np.testing.assert_allclose(every.estimate, one.estimate, rtol=1e-12)
    assert "left out: x" in every.note and "left out" not in one.note
    assert every.n_parameters == one.n_parameters == none.n_parameters + 1
    np.testing.assert_array_equal(none.estimate, estimate("sun_abraham", Panel.from_frame(frame)).estimate)
    with pytest.raises(DidError, match="sun_abraham: covariates: expected one of x, z; found 'y'"):
        estimate("sun_abraham", panel, covariates=["y"])
