"""Claims files and the comparison with them."""

import importlib
import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from did.errors import DidError
from did.evidence import baseline
from did.evidence.comparison import REASONS, agreement, number_word
from did.evidence.ranking import choices, judged, never_satisfied, ranking
from did.report.content.facts import Facts
from did.report.content.published import (
    agreement_table,
    bands_table,
    choices_table,
    claims_table,
    default_words,
    numbers_table,
    observations_table,
    ranking_table,
)
from did.store.evidence_tables import NUMBERS, VERDICTS
from did.store.tables import check

ROOT = Path(__file__).resolve().parents[1]
# The room, not the public function of the same name.
evidence = importlib.import_module("did.evidence")
HEADER = ",".join(evidence.CLAIM_COLUMNS)
GOOD = "D1,6,top left,a,A,ldv,binary,full,40,days,+,p<0.01,4917,about 40"


def load(tmp_path, *lines: str, header: str = HEADER) -> pd.DataFrame:
    path = tmp_path / "claims.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return evidence.load_claims(path, ["a", "b"], samples=["full", "wave_two_removed"])


@pytest.mark.parametrize(("line", "expected"), [
    (GOOD.replace("p<0.01", "p<0.1"), "claim D1: significance must be empty or one of"),
    (GOOD.replace(",a,", ",c,"), "indicator 'c' is not in the evaluation"),
    (GOOD.replace("40,days", "40,"), "the value 40 needs a unit"),
    (GOOD.replace(",40,", ",forty,"), "value must be empty or a number; found 'forty'"),
    (GOOD.replace("days,+", "days,positive"), "sign must be empty or one of +, -; found 'positive'"),
    (GOOD.replace("days,+", "days,-"), "sign and value must agree; found sign - and value 40"),
    (GOOD.replace("4917", "4917.5"), "n_obs must be empty or a whole number"),
    (GOOD.replace("4917", '"4,917"'), "n_obs must be empty or a whole number, written without commas; found '4,917'"),
    (GOOD.replace(",ldv,", ",lvd,"), "estimator must be one of did, ldv"),
    (GOOD.replace(",binary,", ",dose,"), "treatment must be one of binary, intensity; found 'dose'"),
    (GOOD.replace(",full,", ",all,"), "sample must be one of full, wave_two_removed; found 'all'"),
    (GOOD.replace("D1", "D 1"), "claim must be a name of letters, digits"),
])
def test_mistakes_in_a_claims_file(tmp_path, line, expected):
    with pytest.raises(DidError, match="claims.csv") as caught:
        load(tmp_path, line)
    assert expected in str(caught.value)


def test_mistakes_in_the_columns_that_may_be_left_out(tmp_path):
    header = f"{HEADER},rounding,event_time"
    with pytest.raises(DidError, match="claim D1: rounding must be empty or one of about; found 'roughly'"):
        load(tmp_path, f"{GOOD},roughly,", header=header)
    with pytest.raises(DidError, match="rounding says how a value was printed; found 'about' and no value"):
        load(tmp_path, f"{GOOD.replace(',40,', ',,')},about,", header=header)
    with pytest.raises(DidError, match="event_time must be empty or a whole number; found 'late'"):
        load(tmp_path, f"{GOOD},,late", header=header)
    claims = load(tmp_path, f"{GOOD},about,-1", header=header)
    assert claims.loc[0, ["rounding", "event_time", "estimand", "not_comparable"]].tolist() == ["about", "-1",
                                                                                                "overall", ""]


def test_two_claims_on_one_estimate(tmp_path):
    with pytest.raises(DidError, match="claims D1 and D2: expected one claim on each estimate"):
        load(tmp_path, GOOD, GOOD.replace("D1", "D2"))


def test_a_claim_twice(tmp_path):
    with pytest.raises(DidError, match="claim must be unique; found .*D1.* twice"):
        load(tmp_path, GOOD, GOOD)


@pytest.mark.parametrize(("estimate", "printed", "expected"), [
    (2.27, "2", True), (2.5, "2", True), (2.51, "2", False), (41.4, "40", False), (-0.34, "-0.3", True),
    (0.29, "-0.3", False), (0.183, "0.18", True), (-0.004, "0.0", True),
])
def test_an_estimate_rounds_to_the_printed_digits(estimate, printed, expected):
    assert evidence.rounds_to(estimate, printed) is expected


@pytest.mark.parametrize(("estimate", "printed", "expected"), [
    (35.0, "40", True), (45.0, "40", True), (34.99, "40", False), (0.99, "0.5", True), (1.01, "0.5", False),
    (-0.001, "0.5", False), (1249, "1.2e3", True), (1251, "1.2e3", True), (np.nan, "40", False),
])
def test_about_is_half_a_unit_of_the_next_coarser_digit(estimate, printed, expected):
    assert evidence.rounds_to(estimate, printed, "about") is expected


CLAIM = SimpleNamespace(value="40", rounding="", sign="+", significance="p<0.01", n_obs="100", not_comparable="")
OURS = SimpleNamespace(estimate=40.2, std_error=10.0, ci_low=20.0, ci_high=60.4, p_value=0.001, n_obs=100)
SILENT = {"value": "", "sign": "", "significance": "", "n_obs": ""}


def different(of: SimpleNamespace, **changes) -> SimpleNamespace:
    return SimpleNamespace(**(vars(of) | changes))


@pytest.mark.parametrize(("printed", "ours", "expected", "codes"), [
    ({}, {}, "exact", []),
    ({"sign": "", "significance": "", "n_obs": ""}, {}, "exact", []),
    ({}, {"n_obs": 99}, "differs", ["n_differs"]),
    ({"not_comparable": "years are missing"}, {}, "close", ["n_not_comparable"]),
    ({"not_comparable": "years are missing"}, {"estimate": 44.0}, "differs",
     ["value_differs", "within_interval", "n_not_comparable"]),
    # a tenth of the error of 10 away, and a little more
    ({}, {"estimate": 41.0}, "close", ["value_differs", "within_interval"]),
    ({}, {"estimate": 41.01}, "differs", ["value_differs", "within_interval"]),
    ({}, {"estimate": 41.0, "p_value": 0.03}, "differs", ["value_differs", "within_interval", "band_differs"]),
    ({}, {"estimate": 41.0, "n_obs": 99}, "differs", ["value_differs", "within_interval", "n_differs"]),
    ({}, {"estimate": 41.0, "std_error": np.nan}, "differs", ["value_differs", "within_interval"]),
    ({"value": ""}, {}, "agrees", []),
    ({"value": "", "significance": ""}, {"n_obs": 99}, "differs", ["n_differs"]),
    ({}, {"estimate": 70.0, "ci_low": 50.0, "ci_high": 90.0}, "differs", ["value_differs"]),
    ({}, {"p_value": 0.03}, "differs", ["band_differs"]),
    ({"value": "", "significance": "not significant"}, {}, "differs", ["band_differs"]),
    ({"value": ""}, {"estimate": -40.0, "ci_low": -60.0, "ci_high": -20.0}, "differs", ["sign_differs"]),
    ({"sign": "", "significance": ""}, {"estimate": -40.0}, "differs", ["value_differs", "within_interval"]),
    (SILENT, {}, "not_printed", ["nothing_printed"]),
    (SILENT | {"n_obs": "100"}, {"n_obs": 99}, "not_printed", ["nothing_printed", "n_differs"]),
    ({}, {"estimate": np.nan, "p_value": np.nan}, "cannot_run", ["not_estimated"]),
    ({}, {"p_value": np.nan}, "cannot_run", ["not_estimated"]),
    ({"significance": "p<0.05"}, {}, "exact", []),
])
def test_the_word_for_a_number(printed, ours, expected, codes):
    claim, row = different(CLAIM, **printed), different(OURS, **ours)
    assert number_word(claim, row, agreement(claim, row)) == (expected, codes)
    assert expected in NUMBERS and set(codes) <= set(REASONS)


def test_forty_one_against_forty_is_close_and_twice_as_much_is_not():
    delays = different(OURS, estimate=41.4, std_error=15.5, p_value=0.008)
    assert number_word(CLAIM, delays, agreement(CLAIM, delays))[0] == "close"
    printed = different(CLAIM, value="0.5", significance="not significant", n_obs="", not_comparable="years")
    deaths = different(OURS, estimate=0.9, std_error=2.4, p_value=0.7)
    assert number_word(printed, deaths, agreement(printed, deaths))[0] == "differs"


def test_every_combination_of_facts_has_a_word():
    for value, sign, band, n, other in itertools.product(["", "40"], ["", "+"], ["", *evidence.BANDS], ["", "100"],
                                                         ["", "years are missing"]):
        claim = different(CLAIM, value=value, sign=sign, significance=band, n_obs=n, not_comparable=other)
        for estimate, p, n_obs in itertools.product([40.2, -40.2, 3.0], [0.0001, 0.03, 0.5], [100, 99]):
            row = different(OURS, estimate=estimate, p_value=p, n_obs=n_obs, ci_low=estimate - 9, ci_high=estimate + 9)
            word, codes = number_word(claim, row, agreement(claim, row))
            assert word in NUMBERS and word != "cannot_run"
            assert (word in ("exact", "close")) <= bool(value) and (word == "exact") <= (not codes)
            assert (word == "agrees") <= (not value)


def estimates() -> pd.DataFrame:
    rows = []
    for estimator, cluster, error, p in [("ldv", "unit", 10.0, 0.001), ("ldv", "system", 30.0, 0.2),
                                         ("did", "unit", 20.0, 0.01), ("did", "system", 40.0, 0.3)]:
        rows.append({"indicator": "a", "specification": "default", "sample": "full", "treatment": "binary",
                     "estimator": estimator, "estimand": "overall", "cluster": cluster, "estimate": 39.7,
                     "std_error": error, "ci_low": 39.7 - 2 * error, "ci_high": 39.7 + 2 * error, "p_value": p,
                     "n_obs": 4917, "n_units": 149, "n_treated": 30, "n_clusters": 9, "n_treated_clusters": 3,
                     "few_treated": False, "note": "", "is_synthetic": False})
    return pd.DataFrame(rows)


def test_each_printed_fact_is_compared_alone(tmp_path):
    table = evidence.compare(load(tmp_path, GOOD), estimates(), "default").set_index("cluster")
    assert table["value_agrees"].tolist() == ["yes", "yes"]
    assert table["sign_agrees"].tolist() == ["yes", "yes"]
    assert table.loc["unit", "significance_agrees"] == "yes" and table.loc["system", "significance_agrees"] == "no"
    assert table.loc["unit", "n_agrees"] == "yes"
    assert table.loc["unit", "difference"] == pytest.approx(-0.3)
    assert table.loc["unit", "did_std_error"] == 20


def test_what_was_not_printed_is_not_compared(tmp_path):
    table = evidence.compare(load(tmp_path, "D2,6,top left,a,A,ldv,binary,full,,days,,,,not stated"), estimates(),
                              "default")
    assert set(table["status"]) == {"not printed"}
    for column in ("value_agrees", "sign_agrees", "significance_agrees", "n_agrees"):
        assert set(table[column]) == {"not printed"}


def test_a_claim_without_an_estimate_is_named(tmp_path):
    with pytest.raises(DidError, match="claim D1: no estimate of b by ldv"):
        evidence.compare(load(tmp_path, GOOD.replace(",a,", ",b,")), estimates(), "default")


def test_a_claim_that_cannot_run_says_why_and_counts_stay_whole_numbers(tmp_path):
    claims = load(tmp_path, GOOD, GOOD.replace("D1", "B1").replace(",a,", ",b,"))
    found = evidence.compare(claims.head(1), estimates(), "default")
    lost = evidence.unavailable(claims, {"b": "no files"}, "default", ["unit", "system"], is_synthetic=False)
    table = check("comparison", pd.concat([lost, found]))
    assert evidence.in_order(table, claims)["claim"].tolist() == ["D1", "D1", "B1", "B1"]
    lost = table.loc[table["claim"] == "B1"]
    assert set(lost["status"]) == {"cannot run"} and set(lost["note"]) == {"no files"} and lost["estimate"].isna().all()
    assert set(lost["value_agrees"]) == {"cannot run"}
    assert table["n_obs"].dtype == "Int64" and table.loc[table["claim"] == "D1", "n_obs"].tolist() == [4917, 4917]


def test_what_the_evaluation_does_not_run_cannot_run(tmp_path):
    claims = load(tmp_path, GOOD, GOOD.replace("D1", "D2").replace(",ldv,", ",sun_abraham,"),
                  GOOD.replace("D1", "D3").replace(",binary,", ",intensity,"))
    table = evidence.compare(claims, estimates(), "default", estimators=["did", "ldv"], treatments=["binary"],
                              samples=["full"]).drop_duplicates("claim").set_index("claim")
    assert table["number"].tolist() == ["exact", "cannot_run", "cannot_run"]
    assert table["reasons"].tolist()[1:] == ["estimator_not_run", "cell_not_run"]


def test_one_of_an_estimators_several_effects_is_claimed_by_its_columns(tmp_path):
    rows = estimates().assign(estimand="event_time", event_time=pd.array([0, 0, 1, 1], dtype="Int64"), estimator="ldv",
                              estimate=[39.7, 39.7, 12.0, 12.0])
    claims = load(tmp_path, f"{GOOD},event_time,1".replace(",40,", ",12,"), header=f"{HEADER},estimand,event_time")
    table = evidence.compare(claims, rows, "default")
    assert table["estimate"].tolist() == [12.0, 12.0] and set(table["value_agrees"]) == {"yes"}


NO_HEADLINE = pd.DataFrame(columns=["indicator", "sample", "treatment", "estimator", "p_value", "method", "coverage"])


def test_holm_leaves_out_claims_that_cannot_run(tmp_path):
    claims = load(tmp_path, GOOD, GOOD.replace("D1", "B1").replace(",a,", ",b,"))
    found = evidence.compare(claims.head(1), estimates(), "default")
    lost = evidence.unavailable(claims, {"b": "no files"}, "default", ["unit", "system"], is_synthetic=False)
    table = evidence.with_holm(pd.concat([found, lost]), NO_HEADLINE).set_index(["claim", "cluster"])
    assert table.loc[("D1", "unit"), "p_holm"] == 0.001 and table.loc["B1", "p_holm"].isna().all()


def test_holm_is_over_the_claims_of_one_estimator_and_clustering(tmp_path):
    claims = load(tmp_path, GOOD, GOOD.replace("D1", "D2").replace(",full,", ",wave_two_removed,"))
    rows = pd.concat([estimates(), estimates().assign(sample="wave_two_removed", p_value=[0.02, 0.9, 0.5, 0.5])])
    verdicts = evidence.compare(claims, rows, "default")
    table = evidence.with_holm(verdicts, NO_HEADLINE)
    for cluster, group in table.groupby("cluster"):
        np.testing.assert_allclose(group["p_holm"], multipletests(group["p_value"], method="holm")[1], rtol=1e-12)
        assert cluster == "system" or group["p_holm"].tolist() == [0.002, 0.02]
    # a headline's p-value replaces the clustered one of its sample, whatever the clustering
    led = pd.DataFrame([{"indicator": "a", "sample": "full", "treatment": "binary", "estimator": "ldv", "p_value": 0.3,
                         "method": "CR2", "coverage": 0.94}])
    table = evidence.with_holm(verdicts, led).set_index(["cluster", "claim"])
    assert table["p_method"].tolist() == ["CR2", "CR2", "clustered", "clustered"]
    np.testing.assert_allclose(table.loc["unit", "p_holm"], [0.3, 0.04])
    np.testing.assert_allclose(table.loc["unit", "p_size"], [0.06, np.nan])


# Specifications ------------------------------------------------------------------------------------------------------

EFFECTS = {"window=long": 5.0, "lags=few": -3.0, "lags=one": -7.0}


def additive(tmp_path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Specifications whose estimate is 40 plus a fixed amount per choice, and a named one outside the product."""
    claims = load(tmp_path, GOOD, "D2,6,top left,b,B,ldv,binary,full,,days,-,not significant,,not significant")
    settings = [(), *[tuple(part for part in pair if part) for pair in itertools.product(
        ["", "window=long"], ["", "lags=few", "lags=one"]) if any(pair)], ("overlap=max",)]
    rows = []
    for setting in settings:
        design = "one_at_a_time" if len(setting) < 2 else "product"
        for indicator, cluster in itertools.product("ab", ["unit", "system"]):
            estimate = (40.0 if indicator == "a" else 1.0) + sum(EFFECTS.get(part, 2.0) for part in setting)
            error = 10.0 if cluster == "unit" else 30.0
            rows.append({"indicator": indicator, "specification": "; ".join(setting) or "default", "design": design,
                         "choices": "; ".join(setting), "n_choices": len(setting), "sample": "full",
                         "treatment": "binary", "estimator": "ldv", "cluster": cluster, "estimate": estimate,
                         "std_error": error, "ci_low": estimate - 2 * error, "ci_high": estimate + 2 * error,
                         "p_value": 0.001 if indicator == "a" else 0.5,
                         "n_obs": 5000 if "window=long" in setting else 4917, "n_units": 149, "n_treated": 30,
                         "n_clusters": 9, "n_treated_clusters": 3, "few_treated": False, "note": "",
                         "is_synthetic": False})
    return pd.DataFrame(rows), claims


def test_choices_of_an_additive_case_are_its_terms(tmp_path):
    specifications, claims = additive(tmp_path)
    moved = choices(judged(specifications, claims), "unit")
    for claim in ("D1", "D2"):
        own = moved.loc[moved["claim"] == claim].set_index(["choice", "value", "design"])
        for term, effect in (EFFECTS | {"overlap=max": 2.0}).items():
            assert own.loc[(*term.split("="), "one_at_a_time"), "difference"] == pytest.approx(effect)
        for column in ("difference", "smallest", "largest"):
            assert own.loc[("window", "long", "product"), column] == pytest.approx(5.0)
        # over the three settings of lags; the lags, each over the two windows
        assert own.loc[("window", "long", "product"), "n_pairs"] == 3
        assert own.xs("product", level="design")["n_pairs"].sum() == 3 + 4
    one = moved.loc[(moved["claim"] == "D1") & (moved["design"] == "one_at_a_time"), "difference"].abs()
    assert one.is_monotonic_decreasing


def test_ranking_counts_facts_over_the_claims_of_a_family(tmp_path):
    specifications, claims = additive(tmp_path)
    ranked = ranking(judged(specifications, claims), {"first": ["a", "b"], "none": []}, "default", "unit")
    assert ranked["facts_printed"].unique().tolist() == [6] and set(ranked["family"]) == {"first"}
    by_name = ranked.set_index("specification")
    # D1: value, sign, band and N; D2: sign and band. The default misses the sign of D2 alone.
    assert by_name.loc["default", "facts_satisfied"] == 5 and by_name.loc["default", "not_satisfied"] == "D2 sign"
    assert by_name.loc["lags=few", "not_satisfied"] == "D1 value"
    assert by_name.loc["window=long", ["values", "signs", "bands", "ns"]].tolist() == [0, 1, 2, 0]
    assert ranked.iloc[0]["specification"] == "default" and ranked["rank"].tolist()[:3] == [1, 1, 1]
    assert never_satisfied(ranked) == []
    assert never_satisfied(ranked.loc[ranked["specification"] != "default"]) == ["D1 value"]


def test_a_specification_without_an_estimate_satisfies_nothing_of_it(tmp_path):
    specifications, claims = additive(tmp_path)
    lost = (specifications["specification"] == "default") & (specifications["indicator"] == "a")
    specifications.loc[lost, ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs"]] = np.nan
    rows = judged(specifications, claims)
    assert set(rows.loc[lost, "number"]) == {"cannot_run"}
    ranked = ranking(rows, {"first": ["a", "b"]}, "default", "unit").set_index("specification")
    assert ranked.loc["default", "facts_satisfied"] == 1 and ranked.loc["default", "facts_printed"] == 6


def test_rows_without_a_claim_are_kept_and_say_nothing(tmp_path):
    specifications, claims = additive(tmp_path)
    rows = judged(specifications.assign(sample="wave_two_removed"), claims)
    assert len(rows) == len(specifications) and set(rows["claim"]) == set(rows["number"]) == {""}


# Recorded verdicts ---------------------------------------------------------------------------------------------


def test_a_changed_verdict_fails_by_name_and_is_shown_when_renewed(tmp_path):
    table = pd.DataFrame({"target": ["D1", "visits"], "number": ["close", "not_printed"],
                          "verdict": ["not_shown", "holds"]})
    path = baseline.baseline_path("own", "demo", tmp_path)
    assert path.name == "own-demo.csv"
    with pytest.raises(DidError, match="expected recorded verdicts to compare with; found no file; .*--renew-baseline"):
        baseline.check(table, path)
    baseline.renew(table, path)
    baseline.check(table, path)
    with pytest.raises(DidError, match="found 1 changed: D1: close, not_shown -> close, fragile; fix"):
        baseline.check(table.assign(verdict=["fragile", "holds"]), path)
    with pytest.raises(DidError, match="found 1 changed: D1: close, not_shown -> exact, not_shown; fix"):
        baseline.check(table.assign(number=["exact", "not_printed"]), path)
    more = pd.concat([table, table.iloc[:1].assign(target="D9")])
    assert baseline.lines(baseline.changes(more, path)) == ["D9: none -> close, not_shown"]
    assert baseline.lines(baseline.changes(table.iloc[:1], path)) == ["visits: not_printed, holds -> none"]


def test_verdicts_are_recorded_for_the_demonstration_and_the_publishers_files():
    claims = evidence.load_claims(ROOT / "config/published/ics.csv")
    printed = claims.loc[claims[["value", "sign", "significance"]].ne("").any(axis=1), "claim"]
    for kind in ("demo", "mirror"):
        recorded = pd.read_csv(baseline.baseline_path("ics", kind, ROOT / baseline.FOLDER))
        assert set(printed) <= set(recorded["target"]) and not recorded["target"].duplicated().any()
        assert set(recorded["verdict"]) <= set(VERDICTS) and set(recorded["number"]) <= set(NUMBERS)
    real = recorded.set_index("target")
    assert real.loc["D1", ["number", "verdict"]].tolist() == ["close", "not_shown"], "41 against 40, on eight systems"


# Page and figure -----------------------------------------------------------------------------------------------


def written(tmp_path, **changes) -> dict[str, pd.DataFrame]:
    """The tables of the annex on the additive case, as a reader of text sees them, by name."""
    specifications, claims = additive(tmp_path)
    specifications = specifications.assign(**changes)
    rows = judged(specifications, claims)
    made = specifications.loc[specifications["specification"] == "default"].assign(estimand="overall")
    reproduction = evidence.compare(claims, made, "default").assign(p_tested=np.nan, p_size=np.nan)
    facts = Facts(title="Days", outcomes={"a": "A", "b": "B"}, total="a", measure="days", first="2011-04",
                  last="2020-02", onset="2017-06", n_published=2, n_published_numbers=1, estimator="ldv")
    at = rows.loc[rows["cluster"].eq("unit")]
    own = reproduction.loc[reproduction["cluster"].eq("unit")]
    ranked = ranking(rows, {"dtoc": ["a", "b"]}, "default", "unit")
    tables = [claims_table(reproduction, facts), agreement_table(reproduction, facts), numbers_table(own, at),
              bands_table(own, at), observations_table(own, at, [facts]), ranking_table(ranked, facts),
              choices_table(choices(rows, "unit"), own, at)]
    assert default_words(facts, "merged", "adults", 149) == (
        "A: April 2011 to February 2020 (107 months), 149 areas (reorganised areas merged into the smallest stable "
        "one), per adults.")
    return {table.name: pd.DataFrame(list(table.texts()), columns=[column.heading for column in table.shown])
            for table in tables}


def test_the_annex_says_which_specifications_give_the_number(tmp_path):
    found = written(tmp_path)
    tally = found["agreement"].set_index(["Errors", "What"])["Number"]
    assert tally["by area", "numbers: exact"] == "1" and tally["by area", "numbers: differs"] == "1"
    observed = found["observations"].iloc[0]
    assert observed[["Printed", "Cells", "Default"]].tolist() == ["4,917", "D1", "4,917"]
    assert "Period: long (5,000)" in observed["These do not"]
    number = found["numbers"].set_index("Cell").loc["D1"]
    assert number[["Specifications", "Give the number", "Sign and band too", "Observations too"]].tolist() == [
        "7", "1", "1", "1"]
    assert number["Which"] == "default" and number["All lie from"] == "33.0 to 45.0"
    assert number["Nearest"].startswith("+40.0: default")
    band = found["bands"].iloc[0]
    assert band[["Cell", "Printed", "Agree", "The default"]].tolist() == [
        "D2", "sign minus, not significant", "3", "does not agree"]
    assert band["Which"] == "Lags: few, Lags: one and (Period: long; lags: one)"
    moved = found["choices-that-move"].set_index("Choice").loc["Period: long"]
    assert moved.tolist() == ["D1", "+5.0", "+5.0", "5.0 to 5.0", "3"]
    assert found["ranking-a"].iloc[0][["Rank", "Specification", "Facts satisfied", "Not satisfied"]].tolist() == [
        "1", "default", "5", "D2 sign"]
    assert found["claims"].set_index("Cell").loc["D1", "Number by area"] == "exact"
