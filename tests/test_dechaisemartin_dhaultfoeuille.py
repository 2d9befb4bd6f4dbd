"""De Chaisemartin and D'Haultfoeuille's dynamic effects: their program's numbers, and estimators they coincide with.

tests/published/py_did_multiplegt_dyn.json holds what py-did-multiplegt-dyn 0.1.9 gave on the panel below. It needs
polars below version 2 and is no dependency of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import summarise
from did.simulate.panels import panel
from test_estimators_properties import random_frame

NAME = "dechaisemartin_dhaultfoeuille"
THEIRS = json.loads((Path(__file__).parent / "published/py_did_multiplegt_dyn.json").read_text())["results"]
COHORTS = {**dict.fromkeys(range(5), 6), **dict.fromkeys(range(5, 9), 8), 9: 9}
# What they were asked -> gaps, treatment, how effects are normalised, weights.
CASES = {
    "binary": (False, "binary", "dose", None), "dose": (False, "intensity", "none", None),
    "dose_normalised": (False, "intensity", "cumulative", None), "dose_gaps": (True, "intensity", "none", None),
    "dose_weighted": (False, "intensity", "none", "w"),
    "dose_normalised_gaps_weighted": (True, "intensity", "cumulative", "w"),
    "binary_clustered": (False, "binary", "dose", None),
}


def made(gaps: bool, treatment: str, weight: str | None = None) -> Panel:
    """24 units, 12 years, cohorts of 5, 4 and 1, doses 1, 2 and 3, by whole numbers alone."""
    rows = []
    for unit in range(24):
        start = COHORTS.get(unit, 99)
        dose = 0.0 if start == 99 else 3.0 if unit == 9 else (1.0, 2.0)[unit % 2]
        for year in range(1, 13):
            effect = 2.0 * dose + 0.5 * (year - start) if year >= start else 0.0
            outcome = (unit * 37 + year * 101 + unit * year * 13) % 97 / 10 + 0.5 * unit + 0.3 * year + effect
            missing = gaps and (unit * 7 + year * 5) % 23 == 0
            rows.append((f"u{unit:02d}", str(2000 + year), "Y", np.nan if missing else outcome,
                         None if start == 99 else str(2000 + start), dose, 1.0 + unit * 3 % 5, f"c{unit // 3}"))
    names = ["unit", "period", "frequency", "outcome", "cohort", "intensity", "w", "c"]
    return Panel.from_frame(pd.DataFrame(rows, columns=names), treatment=treatment, cluster_columns=["c"],
                            weight_column=weight)


@pytest.mark.parametrize("case", CASES)
def test_estimates_and_errors_are_those_of_their_program(case):
    gaps, treatment, normalise, weight = CASES[case]
    data, theirs = made(gaps, treatment, weight), THEIRS[case]
    rows = summarise(estimate(NAME, data, n_leads=3, n_lags=4, normalise=normalise), data)
    rows = rows[rows["cluster"].eq("unit")].set_index("event_time")
    expected = np.array([*theirs["average"], *theirs["placebos"][::-1], [0, np.nan], *theirs["effects"]])
    np.testing.assert_allclose(rows["estimate"], expected[:, 0], rtol=1e-9, atol=1e-12)
    assert rows.index.tolist()[1:] == [-4, -3, -2, -1, 0, 1, 2, 3, 4]
    if case == "binary_clustered":
        clustered = summarise(estimate(NAME, data, n_leads=3, n_lags=4), data).query("cluster == 'c'")["std_error"]
        # Degrees of freedom count clusters there, units here.
        np.testing.assert_allclose(clustered, expected[:, 1], rtol=0.2)
    else:
        np.testing.assert_allclose(rows["std_error"], expected[:, 1], rtol=1e-9)


def test_with_a_binary_treatment_effects_are_callaway_and_santannas_by_event_time():
    data = Panel.from_frame(random_frame(5))
    ours = estimate(NAME, data)
    theirs = aggregate(estimate("callaway_santanna", data, base_period="universal"), data, "event_time")
    by_time = {time: value for time, value in zip(theirs.parameters["event_time"], theirs.estimate, strict=True)
               if pd.notna(time)}
    found = dict(zip(ours.parameters["event_time"][1:], ours.estimate[1:], strict=True))
    for time in range(5):
        assert found[time] == pytest.approx(by_time[time], rel=1e-10)
    # Controls of a placebo stay untreated as long after as it goes back: with the later cohort they are not the same.
    never = aggregate(estimate("callaway_santanna", data, base_period="universal", control_group="never_treated"), data,
                      "event_time")
    lead = dict(zip(never.parameters["event_time"], never.estimate, strict=True))
    early = data.keep(data.treated_from != 6)
    one = estimate(NAME, early)
    alone = aggregate(estimate("callaway_santanna", early, base_period="universal"), early, "event_time")
    np.testing.assert_allclose(one.estimate[1:4], alone.estimate[:3], rtol=1e-10)
    assert set(lead) >= {-4, -3, -2}


@pytest.mark.parametrize("treatment", ["binary", "intensity"])
def test_planted_effects_per_dose_are_found_and_leads_are_none(treatment):
    frame, _ = panel(60, 14, {8: 12, 10: 8}, 0.5, seed=2, noise=0.0, frequency="Y", first="2001",
                         intensity=(5, 30))
    data = Panel.from_frame(frame, treatment=treatment)
    found = estimate(NAME, data)
    times = found.parameters["event_time"]
    mean = 1.0 if treatment == "intensity" else data.dose.mean()
    before = found.estimate[(times < -1).fillna(False).to_numpy(bool)]
    np.testing.assert_allclose(before, 0, atol=1e-10)
    if treatment == "intensity":
        np.testing.assert_allclose(found.estimate[(times >= 0).fillna(False).to_numpy(bool)], 0.5, rtol=1e-9)
        assert found.estimate[0] == pytest.approx(0.5 * mean, rel=1e-9)
        total = estimate(NAME, data, normalise="cumulative", n_lags=3)
        per = total.estimate[(total.parameters["event_time"] >= 0).fillna(False).to_numpy(bool)]
        np.testing.assert_allclose(per, 0.5 / np.arange(1, 5), rtol=1e-9)


def test_intervals_are_conservative_and_do_not_miss_too_often():
    covered = []
    for seed in range(80):
        data = Panel.from_frame(panel(50, 10, {5: 10, 7: 8}, 3.0, seed=seed, persistence=0.3)[0])
        row = summarise(estimate(NAME, data), data).query("estimand == 'overall' and cluster == 'unit'").iloc[0]
        covered.append(row["ci_low"] <= 3 <= row["ci_high"])
    assert np.mean(covered) >= 0.88


def test_what_is_left_out_is_named_and_what_cannot_be_is_one_line():
    frame = random_frame(2)
    frame.loc[frame["unit"] == "u00", "cohort"] = "2017-08"
    frame.loc[frame["unit"] == "u13", "outcome"] = np.nan
    found = estimate(NAME, Panel.from_frame(frame))
    assert "treated from the first period, left out: u00" in found.note and "u13" in found.note
    assert found.n_units == 12
    for options, said in (({"normalise": "sum"}, "expected one of dose, cumulative, none"),
                          ({"n_leads": 0}, "n_leads: expected a whole number of periods, 1 or more; found 0"),
                          ({"n_lags": -1}, "n_lags: expected a whole number of periods, 0 or more; found -1")):
        with pytest.raises(DidError, match=said):
            estimate(NAME, Panel.from_frame(random_frame(2)), **options)
    lost = random_frame(3).assign(outcome=lambda f: f["outcome"].where(f["cohort"].notna() | (f["period"] < "2017-10")))
    with pytest.raises(DidError, match="a unit untreated until then with both; found none") as caught:
        estimate(NAME, Panel.from_frame(lost[lost["cohort"].ne("2018-02")]))
    assert "\n" not in str(caught.value)
    longer = estimate(NAME, Panel.from_frame(random_frame(2)), n_lags=9)
    assert longer.parameters["state"].eq("not_identified").sum() == 5


def test_a_dose_that_falls_is_refused_with_its_unit():
    frame = random_frame(2)
    frame.loc[(frame["unit"] == "u02") & (frame["period"] == "2018-04"), "intensity"] = 1.0
    with pytest.raises(DidError, match="column 'intensity', unit u02: expected the same value in every period"):
        Panel.from_frame(frame, treatment="intensity")
