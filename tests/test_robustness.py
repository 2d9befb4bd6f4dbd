"""Is it real? What counts as surviving, what is drawn and what is listed: small made tables with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.report.content.facts import Facts
from did.report.content.notes import change
from did.report.content.robustness_rows import alternatives, counts_table, leaves_out_zero
from made_alternatives import made_tables


@pytest.fixture
def made() -> dict[str, pd.DataFrame]:
    return made_tables()


@pytest.fixture
def rows(made, facts) -> pd.DataFrame:
    return alternatives(facts, made)


@pytest.fixture
def facts() -> Facts:
    return Facts(estimator="ldv", other_estimator="did",
                 title="Waits", outcomes={"waits": "All waits"}, total="waits",
                 measure="days", first="2010", last="2020", onset="2017", n_published=1, n_published_numbers=1,
                 frequency="Y")


def test_what_survives_is_what_lies_wholly_on_the_same_side():
    ends = pd.DataFrame({"ci_low": [1.0, -3.0, -1.0, np.nan, 0.0], "ci_high": [2.0, -1.0, 1.0, 4.0, 2.0]})
    assert leaves_out_zero(ends, 40).tolist() == [True, False, False, False, False]
    assert leaves_out_zero(ends, -0.3).tolist() == [False, True, False, False, False]
    assert leaves_out_zero(ends).tolist() == [True, True, False, False, False]


def test_every_alternative_is_in_its_group_once(rows):
    assert rows.groupby("group", sort=False).size().to_dict() == {
        "default": 4, "bias_reduced_cr2": 1, "wild_bootstrap": 1, "staggered": 4, "one_at_a_time": 4, "product": 2,
        "treated_systems": 6, "other_systems": 6, "drop_year": 4, "left_out": 2, "placebo_onset": 2}
    assert not rows.duplicated(["group", "key", "estimator", "cluster"]).any()
    assert rows.loc[0, "estimator"] == "ldv"  # the published estimator first
    assert rows["estimate"].notna().all()  # "reviewed" was skipped


def test_names_with_commas_are_kept_whole(made):
    rows = made["diagnostics"][made["diagnostics"]["diagnostic"].eq("leave_one_out")]
    assert "without Bath, Bristol and beyond" in set(map(change, rows.to_dict("records")))


def test_a_missing_reported_estimate_is_an_error(made, facts):
    with pytest.raises(DidError, match="expected a did estimate of waits .* found none; run the fit stage"):
        alternatives(replace(facts, estimator="did"),
                     made | {"estimates": made["estimates"].query("estimator != 'did'")})


def test_counts_are_of_the_side_that_is_checked(made, facts):
    tables = made | {"reproduction": claims(40.0)}
    above, below = (shown(counts_table(facts, made | {"reproduction": claims(value)})) for value in (40.0, -0.3))
    without = above.set_index(["Check", "By"]).loc[("Without one treated system", "LDV")]
    assert without.tolist() == ["3", "2.0 to 14.0", "2 of 3", "2 of 3"]
    assert below.set_index(["Check", "By"]).loc[("Without one treated system", "LDV")].tolist()[-2:] == ["0 of 3"] * 2
    assert above.set_index(["Check", "By"]).loc[("CR2", "LDV")].tolist()[1:] == ["10.0 to 10.0", "", "0 of 1"]
    assert "Intervals wholly above zero, by area" in above and "Intervals wholly below zero, by area" in below
    assert "the printed +40." in counts_table(facts, tables).notes[0]
    assert "our own estimate" in counts_table(facts, made | {"reproduction": claims(np.nan)}).notes[0]


def claims(value) -> pd.DataFrame:
    return pd.DataFrame([{"indicator": "waits", "treatment": "binary", "sample": "full", "estimator": "ldv",
                          "estimand": "overall", "cluster": "unit", "specification": "default",
                          "published_value": value}])


def shown(table) -> pd.DataFrame:
    return pd.DataFrame(list(table.texts()), columns=[column.heading for column in table.shown])
