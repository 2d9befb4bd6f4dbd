"""Claims files and the comparison with them."""

from pathlib import Path

import pandas as pd
import pytest

from did import reproduce
from did.errors import DidError

ROOT = Path(__file__).resolve().parents[1]
HEADER = ",".join(reproduce.CLAIM_COLUMNS)
GOOD = "D1,6,top left,a,A,ldv,binary,full,40,days,+,p<0.01,4917,about 40"


def load(tmp_path, *lines: str) -> pd.DataFrame:
    path = tmp_path / "claims.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return reproduce.load_claims(path, ["a", "b"])


@pytest.mark.parametrize(("line", "expected"), [
    (GOOD.replace("p<0.01", "p<0.1"), "claim D1: significance must be empty or one of"),
    (GOOD.replace(",a,", ",c,"), "indicator 'c' is not in the evaluation"),
    (GOOD.replace("40,days", "40,"), "the value 40 needs a unit"),
    (GOOD.replace(",40,", ",forty,"), "value must be empty or a number; found 'forty'"),
    (GOOD.replace("days,+", "days,positive"), "sign must be empty, + or -"),
])
def test_mistakes_in_a_claims_file(tmp_path, line, expected):
    with pytest.raises(DidError, match="claims.csv") as caught:
        load(tmp_path, line)
    assert expected in str(caught.value)


def test_a_claim_twice(tmp_path):
    with pytest.raises(DidError, match="claim must be unique; found .*D1.* twice"):
        load(tmp_path, GOOD, GOOD)


@pytest.mark.parametrize(("estimate", "printed", "expected"), [
    (2.27, "2", True), (2.5, "2", True), (2.51, "2", False), (41.4, "40", False), (-0.34, "-0.3", True),
    (0.29, "-0.3", False), (0.183, "0.18", True), (-0.004, "0.0", True),
])
def test_an_estimate_rounds_to_the_printed_digits(estimate, printed, expected):
    assert reproduce.rounds_to(estimate, printed) is expected


def estimates() -> pd.DataFrame:
    rows = []
    for estimator, cluster, error, p in [("ldv", "unit", 10.0, 0.001), ("ldv", "system", 30.0, 0.2),
                                         ("did", "unit", 20.0, 0.01), ("did", "system", 40.0, 0.3)]:
        rows.append({"indicator": "a", "reading": "default", "sample": "full", "treatment": "binary",
                     "estimator": estimator, "estimand": "overall", "cluster": cluster, "estimate": 39.7,
                     "std_error": error, "ci_low": 39.7 - 2 * error, "ci_high": 39.7 + 2 * error, "p_value": p,
                     "n_obs": 4917, "n_units": 149, "n_treated": 30, "n_clusters": 9, "n_treated_clusters": 3,
                     "note": "", "is_synthetic": False})
    return pd.DataFrame(rows)


def test_each_printed_fact_is_compared_alone(tmp_path):
    table = reproduce.compare(load(tmp_path, GOOD), estimates(), "default").set_index("cluster")
    assert table["value_agrees"].tolist() == ["yes", "yes"]
    assert table["sign_agrees"].tolist() == ["yes", "yes"]
    assert table.loc["unit", "significance_agrees"] == "yes" and table.loc["system", "significance_agrees"] == "no"
    assert table.loc["unit", "n_agrees"] == "yes"
    assert table.loc["unit", "difference"] == pytest.approx(-0.3)
    assert table.loc["unit", "did_std_error"] == 20


def test_what_was_not_printed_is_not_compared(tmp_path):
    table = reproduce.compare(load(tmp_path, "D2,6,top left,a,A,ldv,binary,full,,days,,,,not stated"), estimates(),
                              "default")
    assert set(table["status"]) == {"not printed"}
    for column in ("value_agrees", "sign_agrees", "significance_agrees", "n_agrees"):
        assert set(table[column]) == {"not printed"}


def test_a_claim_without_an_estimate_is_named(tmp_path):
    with pytest.raises(DidError, match="claim D1: no estimate of b by ldv"):
        reproduce.compare(load(tmp_path, GOOD.replace(",a,", ",b,")), estimates(), "default")


def test_a_claim_that_cannot_run_says_why_and_counts_stay_whole_numbers(tmp_path):
    claims = load(tmp_path, GOOD, GOOD.replace("D1", "B1").replace(",a,", ",b,"))
    table = reproduce.compare(claims, estimates(), "default", {"b": "no files"})
    lost = table.loc[table["claim"] == "B1"]
    assert set(lost["status"]) == {"cannot run"} and set(lost["note"]) == {"no files"} and lost["estimate"].isna().all()
    assert set(lost["value_agrees"]) == {"cannot run"}
    assert list(table.columns) == reproduce.TABLE_COLUMNS
    assert table["n_obs"].dtype == "Int64" and table.loc[table["claim"] == "D1", "n_obs"].tolist() == [4917, 4917]
