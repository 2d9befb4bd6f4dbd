"""The chain of clinical commissioning groups, its reference tables, and figures moved along a chain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from did.areas import boundaries
from did.areas.succession import load, load_chain
from did.errors import DidError

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "data" / "reference"
SHARED = Path(__file__).resolve().parents[2] / "shared"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not alongside the checkout")
# Published numbers of CCGs: 211 at the start, and after the mergers of each 1 April.
NUMBERS = {"2013-04-01": 211, "2014-04-01": 211, "2015-03-31": 211, "2015-04-01": 209, "2016-04-01": 209,
           "2017-04-01": 207, "2018-04-01": 195, "2019-04-01": 191, "2020-04-01": 135, "2021-04-01": 106}
CODES = """ods_code,gss_code,name,open_date,close_date
A,E1,Ash,2013-04-01,2015-03-31
B,E2,Birch,2013-04-01,2015-03-31
C,E3,Cedar,2013-04-01,2016-03-31
C,E6,Cedar,2016-04-01,
D,E4,Dogwood,2013-04-01,2016-03-31
M,E5,Maple,2015-04-01,
P,E7,Pine,2016-04-01,
"""
STEPS = """date,old_code,new_code,share
2015-04-01,A,M,
2015-04-01,B,M,
2016-04-01,D,C,0.25
2016-04-01,D,P,0.75
"""


@pytest.fixture(scope="module")
def chain():
    return load("ccg_2020", REFERENCE)[0]


def reference(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / name, dtype=str, keep_default_na=False)


def made(folder: Path, codes: str = CODES, steps: str = STEPS):
    (folder / "wood_codes.csv").write_text(codes)
    (folder / "wood_successions.csv").write_text(steps)
    return load_chain(folder / "wood_codes.csv", folder / "wood_successions.csv")


def figures(values: dict[str, float], period: str = "2014") -> pd.DataFrame:
    return pd.DataFrame({"area_code": list(values), "period": period, "value": list(values.values())})


def refused(function, *arguments, **named) -> str:
    with pytest.raises(DidError) as caught:
        function(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The reference tables

@pytest.mark.parametrize(("date", "number"), NUMBERS.items())
def test_number_of_groups_at_each_date(chain, date, number):
    used = chain.codes_at(date)
    assert len(used) == number and used["code"].is_unique and used["gss_code"].is_unique


def test_every_group_goes_somewhere_and_nothing_is_lost(chain):
    dates = list(NUMBERS)
    for early, late in ((early, late) for early in dates for late in dates if early <= late):
        mapping = chain.mapping(early, late)
        assert set(mapping["old"]) == set(chain.codes_at(early)["code"])
        assert set(mapping["new"]) == set(chain.codes_at(late)["code"])
        assert np.allclose(mapping.groupby("old")["share"].sum(), 1)


def test_known_mergers(chain):
    mapping = chain.mapping("2013-04-01", "2021-04-01").set_index("old")["new"]
    # Frimley and Manchester are made of groups that merged in one and in two steps.
    assert mapping[["10G", "10T", "11C", "99M", "10C"]].eq("D4U1Y").all()
    assert mapping[["00W", "01M", "01N"]].eq("14L").all()
    assert chain.mapping("2019-04-01", "2020-04-01").groupby("new").size()["72Q"] == 6   # South East London
    assert mapping["11J"] == "11J"


def test_cumbria_gave_part_of_itself_to_morecambe_bay(chain):
    mapping = chain.mapping("2016-04-01", "2017-04-01").set_index(["old", "new"])["share"]
    assert mapping.loc["01H"].to_dict() == {"01H": 0.6383, "01K": 0.3617}
    assert mapping[("01K", "01K")] == 1
    assert "63.8% to NHS North Cumbria CCG" in chain.mapping("2016-04-01", "2017-04-01").set_index(
        ["old", "new"])["reason"][("01H", "01H")]


def test_gss_codes_change_when_only_a_boundary_does(chain):
    gss = {"2016-04-01": "E38000093", "2017-04-01": "E38000216", "2018-04-01": "E38000228"}
    assert {chain.to_ods([code], date).iloc[0] for date, code in gss.items()} == {"01K"}
    assert {date: chain.codes_at(date).set_index("code").loc["01K", "gss_code"] for date in gss} == gss
    mapping = chain.mapping("2017-04-01", "2018-04-01").set_index("old")
    assert mapping.loc["01K", "reason"] == "Same organisation; boundary adjusted, new GSS code"
    assert mapping.loc["11J", "reason"] == "Same boundary throughout"


def test_translation_and_index(chain):
    for date in NUMBERS:
        used = chain.codes_at(date)
        assert chain.to_ods(used["gss_code"], date).tolist() == used["code"].tolist()
        assert chain.to_ods(used["code"], date).tolist() == used["code"].tolist()
    codes = pd.Series(["E38000228", "E38000228"], index=[7, 3])
    assert chain.to_ods(codes, "2019-04-01").to_dict() == {7: "01K", 3: "01K"}


def test_code_of_another_configuration(chain):
    text = refused(chain.to_ods, ["E38000246"], "2019-04-01", "indicator x")
    for word in ["indicator x", "'E38000246'", "configuration of 2019-04-01", "NHS Surrey Heartlands CCG",
                 "in use from 2020-04-01"]:
        assert word in text
    assert "does not know; did you mean '11J'" in refused(chain.to_ods, ["11JJ"], "2019-04-01")


def test_configuration_is_found_from_the_codes(chain):
    for date in ("2013-04-01", "2015-04-01", "2017-04-01", "2018-04-01", "2019-04-01", "2020-04-01", "2021-04-01"):
        for column in ("code", "gss_code"):
            assert chain.detect(chain.codes_at(date)[column], date) == date
    # The same areas from April 2015 to March 2017, under other GSS codes from April 2016: the nearest is taken.
    assert chain.detect(chain.codes_at("2015-04-01")["code"], "2016-07-01") == "2016-04-01"
    mixed = [*chain.codes_at("2020-04-01")["code"], "00C"]
    assert "'00C'" in refused(chain.detect, mixed, "2020-04-01", "survey of 2020")


def test_the_word_for_a_configuration():
    assert load("ccg_2018", REFERENCE)[1] == "2018-04-01"
    assert "such as ccg_2020; found no year" in refused(load, "ccg", REFERENCE)
    assert "did you mean 'ccg'" in refused(load, "ccgs_2020", REFERENCE)


def test_systems_of_the_135():
    table = reference("ccg_systems.csv")
    assert len(table) == 135 and table["unit"].is_unique and table["system"].nunique() == 42
    assert set(table["region"]) == {"North East", "North West", "Yorkshire and The Humber", "East Midlands",
                                    "West Midlands", "East of England", "London", "South East", "South West"}
    upper = reference("upper_tier_systems.csv")
    assert set(table["system"]) == set(upper["system"])
    assert table.groupby("system")["system_name"].nunique().eq(1).all()


def test_systems_are_of_the_groups_in_use(chain):
    used = chain.codes_at("2020-04-01")
    table = reference("ccg_systems.csv")
    assert dict(zip(table["unit"], table["unit_name"], strict=True)) == dict(
        zip(used["code"], used["name"], strict=True))


def test_table_a1_in_april_2020(chain):
    table = reference("table_a1_ccg.csv")
    assert table.groupby("wave")["area_code"].nunique().to_dict() == {"1": 32, "2": 10}
    assert table.groupby("wave")["authority_as_printed"].nunique().to_dict() == {"1": 28, "2": 9}
    assert set(table["area_code"]) <= set(chain.codes_at("2020-04-01")["code"]) and table["area_code"].is_unique
    # A join on the printed name would find 26 and 8, and leave eight areas among the controls.
    assert table.loc[table["kind"] == "ccg"].groupby("wave").size().to_dict() == {"1": 26, "2": 8}
    later = chain.mapping("2020-04-01", "2021-04-01").set_index("old")["new_name"]
    for row in table.loc[table["kind"] == "ccg predecessor"].itertuples():
        assert later[row.area_code].replace(",", "") == row.authority_as_printed
    system = reference("ccg_systems.csv").set_index("unit")["system"]
    assert (table["area_code"].map(system) == table["system"]).all()
    upper = reference("table_a1_upper_tier.csv").drop_duplicates("ics").set_index("ics")
    assert (table["system"] == table["ics"].map(upper["system"])).all()
    assert (table["partner_organisations"] == table["ics"].map(upper["partner_organisations"])).all()


def test_six_waves():
    table = reference("ics_waves.csv")
    assert table.groupby("wave").size().to_dict() == {"1": 10, "2": 4, "3": 3, "4": 4, "5": 11, "6": 13}
    firsts = table.groupby("wave")["first_treated"].unique()
    assert firsts.map(len).eq(1).all()
    assert firsts.str[0].tolist() == ["2017-06", "2018-05", "2019-06", "2020-05", "2020-12", "2021-04"]
    assert set(table["system"]) - {"QT8"} == set(reference("ccg_systems.csv")["system"])
    assert sorted(table.loc[table["inferred"] == "yes", "system"]) == ["QHL", "QJ2", "QRL", "QSL"]


@NEEDS_SHARED
def test_codes_agree_with_the_published_lists(chain):
    for year in (2020, 2021):
        listed = pd.read_csv(SHARED / "tidy" / f"ccg_{year}.csv", dtype=str)
        used = chain.codes_at(f"{year}-04-01").set_index("gss_code")["code"]
        assert used.to_dict() == dict(zip(listed.iloc[:, 0], listed.iloc[:, 1], strict=True))
    by_date = pd.read_csv(SHARED / "tidy" / "ccg_gss_codes_by_date.csv", dtype=str)
    # Lists that hold one configuration; those between two hold the codes of both.
    for listed, date in (("2015-03-24", "2014-04-01"), ("2017-09-12", "2017-04-01"), ("2018-06-08", "2018-04-01"),
                         ("2019-07-05", "2019-04-01"), ("2021-06-24", "2021-04-01")):
        codes = set(by_date.loc[by_date["file_date"] == listed, "E38"])
        assert codes == set(chain.codes_at(date)["gss_code"]), listed
    systems = pd.read_csv(SHARED / "tidy" / "ccg_stp_2018.csv", dtype=str)
    assert dict(zip(systems["ccg18cd"], systems["ccg18cdh"], strict=True)) == chain.codes_at(
        "2018-04-01").set_index("gss_code")["code"].to_dict()


# Mutations of a chain

def test_the_unchanged_chain_is_accepted(tmp_path):
    chain = made(tmp_path)
    assert chain.configurations() == ["2013-04-01", "2015-04-01", "2016-04-01"]
    mapping = chain.mapping("2013-04-01", "2016-04-01").set_index(["old", "new"])["share"]
    assert mapping.to_dict() == {("A", "M"): 1, ("B", "M"): 1, ("C", "C"): 1, ("D", "C"): 0.25, ("D", "P"): 0.75}


MUTATIONS = {
    "dropped edge": (STEPS.replace("2015-04-01,B,M,\n", ""), ["B closes on 2015-03-31", "successor"]),
    "dropped edges of a successor": (STEPS.replace("2016-04-01,D,C,0.25\n2016-04-01,D,P,0.75\n", "2016-04-01,D,C,\n"),
                                     ["P opens on 2016-04-01", "predecessor"]),
    "cycle": (STEPS + "2016-04-01,M,A,\n", ["cycle", "A to M to A"]),
    "two successors on one date": (STEPS + "2015-04-01,A,C,\n", ["A has 2 successors on 2015-04-01", "M, C",
                                                                "share"]),
    "shares that do not add up": (STEPS.replace("0.75", "0.7"), ["D on 2016-04-01", "add up to 1", "0.95"]),
    "share of nothing": (STEPS.replace("0.25", "0"), ["share of D to C", "found '0'"]),
    "share in words": (STEPS.replace("0.25", "a quarter"), ["found 'a quarter'"]),
    "unknown code": (STEPS.replace("A,M", "A,N"), ["new_code", "found 'N'", "wood_codes.csv"]),
    "twice": (STEPS + "2015-04-01,A,M,\n", ["twice", "'A'"]),
    "wrong date": (STEPS.replace("2015-04-01,A", "2015-05-01,A"), ["A to M on 2015-05-01", "closing date 2015-03-31"]),
    "not a date": (STEPS.replace("2015-04-01,A", "1 April 2015,A"), ["column 'date'", "found '1 April 2015'"]),
    "predecessor still open": (STEPS + "2016-04-01,C,M,\n", ["C to M", "stays open"]),
}


@pytest.mark.parametrize("case", MUTATIONS)
def test_mutation_of_the_successions_is_caught(tmp_path, case):
    steps, words = MUTATIONS[case]
    text = refused(made, tmp_path, steps=steps)
    assert text.startswith(str(tmp_path / "wood_successions.csv"))
    for word in words:
        assert word in text


CODE_MUTATIONS = {
    "successor opens later": (CODES.replace("Maple,2015-04-01", "Maple,2015-05-01"),
                              ["A to M on 2015-04-01", "found opening date 2015-05-01"]),
    "successor opens earlier": (CODES.replace("Maple,2015-04-01", "Maple,2014-04-01"), ["M opens on 2014-04-01"]),
    "gap between editions": (CODES.replace("Cedar,2016-04-01", "Cedar,2016-05-01"),
                             ["editions of C", "to 2016-03-31 and the next from 2016-05-01"]),
    "overlap of editions": (CODES.replace("Cedar,2013-04-01,2016-03-31", "Cedar,2013-04-01,"), ["editions of C"]),
    "one GSS code twice": (CODES.replace("E2", "E1"), ["gss_code", "E1 twice"]),
    "edition twice": (CODES + "P,E8,Pine,2016-04-01,\n", ["'P'", "twice"]),
    "closes before it opens": (CODES.replace("Ash,2013-04-01,2015", "Ash,2013-04-01,2012"),
                               ["A must close after it opens"]),
    "column missing": (CODES.replace("close_date", "closed"), ["close_date"]),
    "not a date": (CODES.replace("Ash,2013-04-01", "Ash,20130401"), ["'open_date' of A", "20130401"]),
}


@pytest.mark.parametrize("case", CODE_MUTATIONS)
def test_mutation_of_the_codes_is_caught(tmp_path, case):
    codes, words = CODE_MUTATIONS[case]
    text = refused(made, tmp_path, codes=codes)
    for word in words:
        assert word in text


@pytest.mark.parametrize("row", range(0, 144, 12))
def test_any_dropped_row_of_the_real_chain_is_caught(tmp_path, row):
    steps = reference("ccg_successions.csv").drop(index=row)
    steps.to_csv(tmp_path / "ccg_successions.csv", index=False)
    refused(load_chain, REFERENCE / "ccg_codes.csv", tmp_path / "ccg_successions.csv")


# Figures moved along a chain

def test_counts_are_summed_and_listed(tmp_path):
    mapping = made(tmp_path).mapping("2013-04-01", "2016-04-01")
    moved, area_audit = boundaries.move_counts(figures({"A": 1, "B": 2, "C": 4, "D": 8}), mapping)
    assert moved.set_index("area_code")["value"].to_dict() == {"C": 6, "M": 3, "P": 6}
    area_audit = area_audit.set_index("area_code")
    assert area_audit["fate"].to_dict() == {"A": "merged", "B": "merged", "C": "merged", "D": "imputed"}
    assert area_audit["unit"].to_dict() == {"A": "M", "B": "M", "C": "C", "D": "P"}
    assert area_audit.loc["A", "reason"] == "Merged into Maple (M) on 2015-04-01"
    assert area_audit.loc["D", "reason"] == ("75.0% to Pine (P) on 2016-04-01, by share of residents; "
                                          "25.0% to Cedar (C) on 2016-04-01, by share of residents")
    assert area_audit["total"].to_dict() == {"A": 1, "B": 2, "C": 4, "D": 8} and area_audit["n_periods"].eq(1).all()


def test_rates_are_weighted(tmp_path):
    mapping = made(tmp_path).mapping("2013-04-01", "2016-04-01")
    weights = figures({"A": 30, "B": 10, "C": 5, "D": 20}).rename(columns={"value": "weight"})
    weights["status"] = ["ok", "estimated", "ok", "carried_forward"]
    moved, area_audit = boundaries.move_rates(figures({"A": 1, "B": 5, "C": 3, "D": 0.1}), mapping, weights)
    moved = moved.set_index("area_code")
    assert moved["value"].to_dict() == pytest.approx({"M": (30 + 50) / 40, "C": (15 + 0.5) / 10, "P": 0.1})
    assert moved["weight"].to_dict() == {"M": 40, "C": 10, "P": 15}
    assert moved["status"].to_dict() == {"M": "estimated", "C": "carried_forward", "P": "carried_forward"}
    assert moved.loc["P", "value"] == 0.1   # untouched, to the last digit
    assert area_audit["total"].isna().all()


def test_a_mean_of_rates_is_the_rate_of_the_sums(chain):
    """With weights that are the denominators, moving rates and moving counts agree."""
    random = np.random.default_rng(20200401)
    codes = chain.codes_at("2013-04-01")["code"]
    people = pd.DataFrame({"area_code": codes, "period": "2013", "value": random.integers(1, 10**6, len(codes))})
    events = people.assign(value=random.binomial(people["value"], 0.01))
    mapping = chain.mapping("2013-04-01", "2021-04-01")
    numerators, _ = boundaries.move_counts(events, mapping)
    denominators, _ = boundaries.move_counts(people, mapping)
    rates, _ = boundaries.move_rates(events.assign(value=events["value"] / people["value"]), mapping,
                                     people.rename(columns={"value": "weight"}))
    assert np.allclose(rates["value"], numerators["value"] / denominators["value"])
    assert np.allclose(rates["weight"], denominators["value"])
    assert numerators["value"].sum() == pytest.approx(events["value"].sum(), rel=1e-12)
    # Moving in two steps is moving in one, and the order of the rows does not matter.
    half, _ = boundaries.move_counts(events, chain.mapping("2013-04-01", "2018-04-01"))
    rest, _ = boundaries.move_counts(half.sample(frac=1, random_state=1), chain.mapping("2018-04-01", "2021-04-01"))
    assert np.allclose(rest["value"], numerators["value"])


def test_missing_rate_and_missing_count(tmp_path):
    mapping = made(tmp_path).mapping("2013-04-01", "2015-04-01")
    frame = figures({"A": np.nan, "B": 5, "C": 3, "D": 1})
    weights = frame.assign(weight=1.0)
    moved = boundaries.move_rates(frame, mapping, weights)[0].set_index("area_code")
    assert np.isnan(moved.loc["M", "value"]) and moved.loc["C", "value"] == 3
    assert "count for A in 2014" in refused(boundaries.move_counts, frame, mapping, "indicator x")


def test_moves_that_are_refused(tmp_path):
    chain = made(tmp_path)
    mapping = chain.mapping("2013-04-01", "2015-04-01")
    frame = figures({"A": 1, "B": 2, "C": 3, "D": 4})
    weights = frame.rename(columns={"value": "weight"})
    text = refused(boundaries.move_counts, frame.replace("A", "M"), mapping, "indicator x")
    assert "indicator x: area code 'M'" in text and "configuration of 2013-04-01" in text
    assert "(Maple, in use from 2015-04-01 on)" in text
    assert "M is made of A, B: expected all of them in 2014; B not found" in refused(
        boundaries.move_counts, frame.drop(index=1), mapping)
    assert "one row for A in 2014" in refused(boundaries.move_counts, pd.concat([frame, frame]), mapping)
    assert "weight above 0 for B in 2014; found none" in refused(
        boundaries.move_rates, frame, mapping, weights.drop(index=1))
    assert "weight above 0 for A in 2014; found 0" in refused(
        boundaries.move_rates, frame, mapping, weights.replace(1, 0))
    assert "cannot be moved back" in refused(chain.mapping, "2016-04-01", "2013-04-01")
    assert "from 2013-04-01 on" in refused(chain.codes_at, "2012-04-01")
    lossy = mapping.assign(share=0.9)
    assert "must stay 10 when areas are moved; found 9" in refused(boundaries.move_counts, frame, lossy)


def test_inputs_are_left_as_they_were(tmp_path):
    mapping = made(tmp_path).mapping("2013-04-01", "2015-04-01")
    frame = figures({"A": 1, "B": 2, "C": 3, "D": 4})
    weights = frame.rename(columns={"value": "weight"})
    before = [frame.copy(), weights.copy(), mapping.copy()]
    boundaries.move_counts(frame, mapping)
    boundaries.move_rates(frame, mapping, weights)
    for table, copy in zip([frame, weights, mapping], before, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_weights_are_filled_from_the_nearest_year():
    weights = pd.DataFrame([("A", "2012", 5.0), ("A", "2014", 7.0), ("B", "2013", 1.0)],
                           columns=["area_code", "period", "weight"])
    filled = boundaries.fill_weights(weights, ["A", "B"], ["2011", "2012", "2013", "2014", "2015"])
    table = filled.set_index(["area_code", "period"])
    assert table.loc["A", "weight"].tolist() == [5, 5, 5, 7, 7]
    assert table.loc["A", "status"].tolist() == ["estimated", "ok", "carried_forward", "ok", "carried_forward"]
    assert table.loc["B", "status"].tolist() == ["estimated"] * 2 + ["ok"] + ["carried_forward"] * 2
    assert "weight for C in some period" in refused(boundaries.fill_weights, weights, ["A", "C"], ["2012"])


def observed(codes: list[str], area_type: str, period: str, value: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame({"area_code": codes, "area_name": codes, "area_type": area_type, "period": period,
                         "value": value})


def test_observations_on_several_configurations_are_aligned(chain):
    frames = [observed(chain.codes_at(f"{year}-04-01")[column].to_list(), area_type, str(year))
              for year, column, area_type in ((2016, "code", "ccg"), (2018, "code", "ccg"),
                                              (2019, "gss_code", "ccg_2019"), (2020, "code", "ccg_2020"))]
    moved, area_audit = boundaries.align(pd.concat(frames), chain, "2020-04-01", where="survey")
    assert moved.groupby("period")["area_code"].nunique().eq(135).all()
    totals = moved.groupby("period")["value"].sum()
    assert np.allclose(totals, [209, 195, 191, 135])
    area_audit = area_audit.set_index("area_code")
    assert area_audit.index.is_unique and area_audit.loc["00W", "unit"] == "14L"
    assert area_audit.loc["01H", "fate"] == "imputed" and area_audit.loc["01H", "n_periods"] == 3
    assert area_audit.loc["E38000215", ["fate", "unit"]].tolist() == ["kept", "01H"]
    assert set(area_audit["unit"]) == set(chain.codes_at("2020-04-01")["code"])


def test_observations_that_cannot_be_aligned(chain):
    codes = chain.codes_at("2020-04-01")["code"].to_list()
    frame = observed(codes, "ccg_2019", "2019")
    text = refused(boundaries.align, frame, chain, "2020-04-01", where="indicator x")
    assert "indicator x: area code '16C'" in text and "configuration of 2019-04-01" in text
    assert "NHS Tees Valley CCG" in text
    assert "area type 'utla'" in refused(boundaries.align, frame.assign(area_type="utla"), chain, "2020-04-01")
    assert "found none" in refused(boundaries.align, frame.head(0), chain, "2020-04-01")
    assert "cannot be moved back" in refused(boundaries.align, frame.assign(area_type="ccg_2020"), chain, "2019-04-01")
    weights = pd.concat([observed(codes, "ccg_2020", "2020"),
                         observed(chain.codes_at("2019-04-01")["code"].to_list(), "ccg_2019", "2019")])
    assert "one configuration" in refused(boundaries.align, frame.assign(area_type="ccg_2020"), chain, "2020-04-01",
                                          weights=weights)
