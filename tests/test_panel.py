"""From observations to panel: boundaries, membership, population, area_audit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from did.areas import geography, waves
from did.errors import DidError
from did.panels import build as panels
from did.panels import outcomes
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.project.specification import Specification
from did.readers.reference import read_reference
from did.store import seals, tables
from typed_tables import check_same

ROOT = Path(__file__).resolve().parents[1]
MONTHS = [str(month) for month in pd.period_range("2011-04", "2020-02", freq="M")]
DORSET = ["E06000028", "E06000029", "E10000009"]
STABLE = "E06000058+E06000059"


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def areas():
    return geography.UpperTier("data/reference")


@pytest.fixture
def evaluation():
    return load_evaluation("config/ics.yaml")


def observed(area_code, period, value, *, measure="total", area_type="utla", frequency="M", source="s"):
    return {"source": source, "measure": measure, "area_code": area_code, "period": period,
            "frequency": frequency, "area_name": area_code, "area_type": area_type, "value": float(value),
            "numerator": None, "denominator": None, "status": "ok", "file": "made.csv",
            "sheet": "", "row": None, "period_published": "", "note": "", "is_synthetic": True}


@pytest.fixture
def observations(areas):
    """Counts of 1, 2, 3, ... by authority and month on the boundaries of each month, and 1,000 adults and
    250 children in every district."""
    old = sorted(set(areas.authorities["area_code"]) - {"E06000058", "E06000059", "E06000060"})
    new = sorted(set(areas.authorities["area_code"]) - {*DORSET, "E10000002"})
    value = {code: number for number, code in enumerate(sorted(areas.authorities["area_code"]), start=1)}
    rows = []
    for month in MONTHS:
        codes = old if month < "2019-05" else [c for c in new if c != "E06000060"] + ["E10000002"]
        if month >= "2020-01":
            codes = new
        rows += [observed(code, month, value[code]) for code in codes]
        if month < "2020-01":
            rows.append(observed("9900", month, 7, area_type="outside_england"))
            rows.append(observed("E92000001", month, sum(value[c] for c in codes) + 7, area_type="country"))
    counts = tables.check("observations", pd.DataFrame(rows))
    first = counts["period"] < "2020-01"
    people = []
    districts = areas.districts["lad_code"].tolist()
    for year in range(2011, 2020):
        for measure, each in (("population_adult", 1000), ("population_all", 1250)):
            if year >= 2012:
                people += [observed(d, str(year), each, measure=measure, area_type="lad", frequency="Y")
                           for d in districts]
        people += [observed(d, str(year), 1200, measure="population_all_rebased", area_type="lad", frequency="Y")
                   for d in districts]
    for measure, each in (("census_adult", 700), ("census_all", 1000)):
        people += [observed(d, "2011", each, measure=measure, area_type="lad", frequency="Y") for d in districts]
    return {"nhs_england_dtoc": counts.loc[first], "nhs_england_dtoc_2020": counts.loc[~first],
            "ons_population": tables.check("observations", pd.DataFrame(people))}


def build(evaluation, observations, specification="default", indicator="dtoc_total"):
    return panels.build(load_indicator(indicator, "config/indicators"), evaluation, specification, observations)


def test_panel_is_balanced_and_totals_are_kept(evaluation, observations):
    frame, _ = build(evaluation, observations)
    tables.check("panel", frame)
    assert len(frame) == 149 * 107 == 15_943
    assert (frame["period"] >= "2017-06").sum() == 4_917
    counted = pd.concat([observations["nhs_england_dtoc"], observations["nhs_england_dtoc_2020"]])
    expected = counted.loc[counted["area_type"] == "utla"].groupby("period")["value"].sum()
    pd.testing.assert_series_equal(frame.groupby("period")["numerator"].sum(), expected, check_names=False)


def test_counts_are_summed_before_they_are_divided(evaluation, observations, areas):
    frame, _ = build(evaluation, observations)
    row = frame.loc[(frame["unit"] == STABLE) & (frame["period"] == "2016-01")].iloc[0]
    counts = observations["nhs_england_dtoc"]
    january = counts.loc[counts["area_code"].isin(DORSET) & (counts["period"] == "2016-01"), "value"].sum()
    parts = areas.authorities.loc[areas.authorities["unit"] == STABLE, "area_code"]
    adults = 1000 * areas.districts["area_code"].isin(parts).sum()
    assert row["numerator"] == january
    assert row["outcome"] == pytest.approx(january / adults * 100_000)


def test_population_of_2011_is_estimated_and_2020_carried_forward(evaluation, observations, areas):
    frame, _ = build(evaluation, observations)
    status = frame.groupby(frame["period"].str[:4])["denominator_status"].agg(set)
    assert status["2011"] == {"estimated"}
    assert status["2012"] == status["2013"] == {"ok"}
    assert status["2020"] == {"carried_forward"}
    bolton = frame.loc[(frame["unit"] == "E08000001")].set_index("period")["weight"]
    # The share of adults is 0.7 on Census day and 0.8 in mid-2012.
    assert bolton["2011-04"] == pytest.approx(1200 * np.interp(2011.5, [2011.235, 2012.5], [0.7, 0.8]), rel=1e-12)
    assert bolton["2012-03"] == 1000
    assert bolton["2020-02"] == bolton["2019-12"] == 1000


def test_all_ages_of_2011_are_the_earlier_series_as_published(evaluation, observations):
    frame, _ = build(evaluation, observations, "denominator_all_ages")
    first = frame.loc[(frame["unit"] == "E08000001") & (frame["period"] == "2011-04")].iloc[0]
    assert (first["weight"], first["denominator_status"]) == (1200, "ok")


@pytest.mark.parametrize(("changes", "words"), [
    ({"time": 2011.75}, ["expected a year after the Census of 2011.75", "found mid-2011", "begin the window later"]),
    ({"time": 2010.5}, ["expected census_adult and census_all of 2010", "found 2011", "'time'"]),
    ({"measure": "census_adults"}, ["has no measure 'census_adults'"]),
])
def test_a_census_that_gives_no_share_is_refused(evaluation, observations, changes, words):
    indicator = load_indicator("dtoc_total", "config/indicators")
    adults = indicator.denominators["adults"]
    adults = adults.model_copy(update={"census": adults.census.model_copy(update=changes)})
    changed = indicator.model_copy(update={"denominators": indicator.denominators | {"adults": adults}})
    with pytest.raises(DidError) as caught:
        panels.build(changed, evaluation, "default", observations)
    for word in words:
        assert word in str(caught.value)


def test_districts_that_do_not_add_up_to_their_county_are_refused(areas):
    districts = areas.districts.loc[areas.districts["area_code"] == "E10000029"]   # Suffolk
    rows = pd.DataFrame({"area_code": [*districts["lad_code"], "E10000029"], "area_name": "A", "period": "2012",
                         "area_type": ["lad"] * len(districts) + ["county"],
                         "value": [10] * len(districts) + [10 * len(districts)]})
    assert areas.population(rows, "x").set_index("unit")["value"].to_dict() == {"E10000029": 10 * len(districts)}
    rows.loc[0, "value"] = 11
    with pytest.raises(DidError, match="x: districts of E10000029 .A. at mid-2012 must add up to its row"):
        areas.population(rows, "x")


def test_the_published_specification(evaluation, observations):
    frame, _ = build(evaluation, observations)
    units = frame.drop_duplicates("unit").set_index("unit")
    treated = units.loc[units["cohort"].notna()]
    assert len(treated) == 30 and set(treated["cohort"]) == {"2017-06"}
    assert treated["system"].nunique() == 8
    assert (units["wave"] == 2).sum() == 9 and units.loc[units["wave"] == 2, "cohort"].isna().all()
    assert units["system"].nunique() == 42
    assert treated.groupby("system").size()["QOP"] == 10
    # Surrey is under Frimley (14) and Surrey Heartlands (10); most residents are in the second.
    assert units.loc["E10000030", ["system", "intensity"]].tolist() == ["QXU", 10.0]
    assert set(units.loc[units["cohort"].isna(), "intensity"]) == {0.0}


def test_specifications_of_the_membership_table(evaluation, observations):
    units = {name: build(evaluation, observations, name)[0].drop_duplicates("unit").set_index("unit")
             for name in evaluation.specifications_of(load_indicator("dtoc_total", "config/indicators"))}
    n_treated = {name: int(frame["cohort"].notna().sum()) for name, frame in units.items()}
    assert n_treated["metropolitan_unmatched"] == 26
    assert n_treated["boundaries_dropped"] == 29 and len(units["boundaries_dropped"]) == 148
    # Hampshire and Cumbria have less than half of their residents in a wave-one system.
    assert n_treated["partial_majority"] == 28
    assert units["overlap_max"].loc["E10000030", "intensity"] == 14
    share = units["partial_population_share"].loc["E10000014", "exposure"]
    hampshire = geography.UpperTier("data/reference").districts["area_code"].eq("E10000014").sum()
    assert share == pytest.approx(2 / hampshire)


def test_area_audit_lists_every_area_with_a_reason(evaluation, observations):
    frame, area_audit = build(evaluation, observations)
    tables.check("area_audit", area_audit)
    fate = area_audit.set_index("area_code")["fate"]
    assert set(fate[[*DORSET, "E06000058", "E06000059"]]) == {"merged"}
    assert fate["9900"] == fate["E92000001"] == "set_aside"
    assert fate["E06000053"] == "excluded"  # Isles of Scilly: population and no counts
    assert (area_audit["reason"] != "").all()
    assert area_audit.loc[fate.isin(["kept", "merged"]).to_numpy(), "total"].sum() == frame["numerator"].sum()
    assert frame["is_synthetic"].all() and area_audit["is_synthetic"].all()


def test_only_the_measures_of_an_indicator_are_read_or_all_to_say_which_there_are(observations, tmp_path):
    paths = Paths(data=tmp_path)
    for name, frame in observations.items():
        more = frame.assign(measure="nhs") if name.startswith("nhs") else frame.iloc[:0]
        tables.write("observations", pd.concat([frame, more]), paths.observations(name))
    indicator = load_indicator("dtoc_total", "config/indicators")
    found = outcomes.read(indicator, paths)
    for name, frame in observations.items():
        pd.testing.assert_frame_equal(found[name], frame.reset_index(drop=True))
    other = indicator.model_copy(update={"numerator": indicator.numerator.model_copy(update={"measures": ["both"]})})
    assert set(outcomes.read(other, paths)["nhs_england_dtoc"]["measure"]) == {"total", "nhs"}
    out = indicator.model_copy(update={"leave_out": ["9900"]})
    assert set(outcomes.read(out, paths)["nhs_england_dtoc"]["measure"]) == {"total", "nhs"}


def message(evaluation, observations) -> str:
    with pytest.raises(DidError) as caught:
        build(evaluation, observations)
    return str(caught.value)


def test_a_missing_month_is_named(evaluation, observations):
    counts = observations["nhs_england_dtoc"]
    observations["nhs_england_dtoc"] = counts.loc[counts["period"] != "2015-03"]
    assert "none for 2015-03" in message(evaluation, observations)


def test_an_area_missing_in_one_month_is_named(evaluation, observations):
    counts = observations["nhs_england_dtoc"]
    lost = (counts["period"] == "2015-03") & counts["area_code"].isin(["E08000001", "E92000001"])
    observations["nhs_england_dtoc"] = counts.loc[~lost]
    assert "unit E08000001 has no figure in 2015-03" in message(evaluation, observations)


def test_an_unknown_code_is_named(evaluation, observations):
    counts = observations["nhs_england_dtoc"].copy()
    counts["area_code"] = counts["area_code"].replace("E08000001", "E08999999")
    observations["nhs_england_dtoc"] = counts
    assert "area code 'E08999999'" in message(evaluation, observations)


def test_areas_that_do_not_add_up_to_england_are_refused(evaluation, observations):
    counts = observations["nhs_england_dtoc"].copy()
    counts.loc[(counts["area_code"] == "E08000001") & (counts["period"] == "2015-03"), "value"] += 1
    observations["nhs_england_dtoc"] = counts
    assert "areas in 2015-03 must add up to the England row" in message(evaluation, observations)


def test_sources_that_overlap_are_refused(evaluation, observations):
    extra = observations["nhs_england_dtoc"].loc[lambda frame: frame["period"] == "2019-12"]
    observations["nhs_england_dtoc_2020"] = pd.concat([observations["nhs_england_dtoc_2020"], extra])
    assert "is in more than one source" in message(evaluation, observations)


def test_a_missing_count_is_not_taken_for_zero(evaluation, observations):
    counts = observations["nhs_england_dtoc_2020"].copy()
    row = counts.iloc[3]
    counts.loc[row.name, "value"] = None
    observations["nhs_england_dtoc_2020"] = counts
    frame, _ = build(evaluation, observations)
    missing = frame.loc[frame["outcome"].isna(), ["unit", "period"]]
    assert missing.values.tolist() == [[row.area_code, row.period]]


def test_every_row_of_table_a1_is_used_or_listed(evaluation, areas):
    people = pd.DataFrame({"area_code": areas.districts["lad_code"], "value": 1000.0})
    specification = Specification(denominator="adults", metropolitan="unmatched", partial="majority")
    rows = waves.listed(evaluation.waves, "published", areas, "upper_tier", lambda: people, "data/reference")
    units, unused, _ = waves.membership(rows, evaluation.waves, specification)
    table = read_reference("data/reference/table_a1_upper_tier.csv", waves.MEMBERSHIP,
                                     ["wave", "system", "area_code"])
    used = set(table["area_code"].map(areas.authorities.set_index("area_code")["unit"])) & set(units["unit"])
    resolved = table["area_code"].map(areas.authorities.set_index("area_code")["unit"]).isin(used)
    assert set(table.loc[~resolved, "area_code"]) == set(unused["area_code"])


def test_reference_tables_agree_with_one_another(areas):
    systems = read_reference("data/reference/upper_tier_systems.csv", ["unit", "system"], ["unit"])
    assert set(systems["unit"]) == set(areas.authorities["unit"])
    assert len(systems) == 149
    upper = set(areas.authorities["area_code"])
    assert set(areas.districts["area_code"]) - upper == {"E06000053"}
    parts = read_reference("data/reference/partial_districts.csv",
                                     ["system", "area_code", "lad_code"], ["system", "lad_code"])
    parent = areas.districts.set_index("lad_code")["area_code"]
    assert (parts["lad_code"].map(parent) == parts["area_code"]).all()


def test_a_code_in_two_units_is_caught_when_it_is_read(tmp_path):
    for name in ("upper_tier_authorities.csv", "local_authorities.csv"):
        (tmp_path / name).write_bytes((ROOT / "data/reference" / name).read_bytes())
    path = tmp_path / "upper_tier_authorities.csv"
    path.write_text(path.read_text() + "E08000001,Bolton,E08000002,Bury,North West,\n")
    with pytest.raises(DidError, match="area_code must be unique; found .*E08000001.* twice"):
        geography.UpperTier(tmp_path)


@pytest.fixture
def ccgs():
    return geography.load("ccg_2020", "data/reference")


def counts_of(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["area_code", "period", "value"]).assign(area_name=lambda f: f["area_code"])


def test_a_ccg_is_placed_by_what_it_is_whatever_the_year(ccgs):
    """Bedfordshire stayed itself to 2020; Gateshead, closed in 2015, is in Newcastle Gateshead, whose code a
    practice may carry for 2012 if a later file placed it."""
    summed, area_audit = ccgs.counts(counts_of(("06F", "2012", 10), ("00F", "2012", 3), ("13T", "2012", 5)), "test")
    assert summed.set_index("unit")["value"].to_dict() == {"06F": 10, "13T": 8}
    assert area_audit().set_index("area_code")["fate"].to_dict() == {"00F": "merged", "06F": "kept", "13T": "kept"}


def test_a_code_of_a_later_configuration_is_refused(ccgs):
    with pytest.raises(DidError, match="X2C4Y.*another configuration.*in use from 2021-04-01"):
        ccgs.counts(counts_of(("X2C4Y", "2018", 1)), "gpps")
    with pytest.raises(DidError, match="E54000005"):
        ccgs.counts(counts_of(("E54000005", "2018", 1)), "gpps")


def test_a_suppressed_count_makes_its_unit_missing_and_not_smaller(ccgs):
    summed, _ = ccgs.counts(counts_of(("00F", "2014", 3), ("00G", "2014", float("nan")), ("00H", "2014", 2),
                                       ("06F", "2014", 1)), "test")
    values = summed.set_index("unit")["value"]
    assert pd.isna(values["13T"]) and values["06F"] == 1


def test_the_split_of_cumbria_keeps_its_total_and_is_listed(ccgs):
    summed, area_audit = ccgs.counts(counts_of(("01H", "2016", 1000), ("01K", "2016", 0), ("01H", "2018", 500),
                                            ("01K", "2018", 70)), "test")
    before = summed.loc[summed["period"] == "2016"].set_index("unit")["value"]
    assert set(before.index) == {"01H", "01K"} and before.sum() == pytest.approx(1000)
    assert summed.loc[summed["period"] == "2018", ["unit", "value"]].values.tolist() == [
        ["01H", 500], ["01K", 70]]
    assert area_audit().set_index("area_code")["fate"].to_dict() == {"01H": "imputed", "01K": "kept"}


def test_each_wave_from_its_own_date(evaluation, observations):
    frame, _ = build(evaluation, observations, "waves_by_date")
    units = frame.drop_duplicates("unit")
    assert units.groupby("wave")["cohort"].unique().map(list).to_dict() == {1: ["2017-06"], 2: ["2018-05"]}
    assert units.loc[units["wave"].isna(), "cohort"].isna().all()
    assert (units.loc[units["cohort"].notna(), "exposure"] == 1).all()
    published, _ = build(evaluation, observations)
    pd.testing.assert_frame_equal(frame[["unit", "period", "outcome", "system"]],
                                  published[["unit", "period", "outcome", "system"]])


def test_the_public_record_names_other_systems_and_six_waves(evaluation, observations):
    frame, area_audit = build(evaluation, observations, "waves_of_record")
    units = frame.drop_duplicates("unit").set_index("unit")
    # Berkshire West and Buckinghamshire are in wave one of the record, and in Table A1 they are not.
    assert set(units.loc[["E06000037", "E06000038", "E06000041", "E10000002"], "cohort"]) == {"2017-06"}
    assert units.loc["E06000002", "cohort"] == "2019-06" and units.loc["E10000025", "wave"] == 3
    # Cumbria joined with its north, in wave two; waves four to six come after the window.
    assert units.loc["E10000006", ["wave", "cohort"]].tolist() == [2, "2018-05"]
    assert units["cohort"].value_counts().to_dict() == {"2017-06": 32, "2018-05": 10, "2019-06": 19}
    assert units.loc[units["wave"] >= 4, "cohort"].isna().all() and (units["wave"] >= 4).sum() == 87
    # Blackburn joined a system that grew in a month nobody wrote down: neither treated nor untreated.
    gone = area_audit.set_index("area_code").loc["E06000008"]
    assert "E06000008" not in units.index and gone["fate"] == "excluded" and "not on the record" in gone["reason"]


def test_a_system_may_have_an_onset_of_its_own(evaluation, observations):
    frame, _ = build(evaluation, observations, "onsets_by_system")
    manchester = frame.loc[frame["system"] == "QOP", "cohort"]
    assert set(manchester) == {"2016-04"} and frame.loc[frame["system"] == "QVV", "cohort"].eq("2017-06").all()


def test_controls_that_no_wave_reaches(evaluation, observations):
    every, _ = build(evaluation, observations, "membership_record")
    frame, area_audit = build(evaluation, observations, "controls_never_treated")
    gone = set(every["unit"]) - set(frame["unit"])
    waves_of = every.drop_duplicates("unit").set_index("unit")["wave"]
    assert set(waves_of[list(gone)]) == {2, 3} and len(gone) == 29
    reasons = area_audit.loc[area_audit["unit"].isin(gone), "reason"]
    assert reasons.str.contains("wave 2 was treated from 2018-05|wave 3 was treated from 2019-06").all()
    assert (frame.loc[frame["cohort"].isna(), "wave"] >= 4).all()


def test_a_span_of_periods_is_left_out(evaluation, observations):
    frame, _ = build(evaluation, observations, "onset_left_out")
    missing = frame.loc[frame["outcome"].isna(), "period"].unique()
    assert list(missing) == [str(month) for month in pd.period_range("2015-04", "2017-05", freq="M")]
    wrong = evaluation.specifications["default"].model_copy(update={"drop_periods": ["2015-04 to 2031-01"]})
    evaluation = evaluation.model_copy(update={"specifications": evaluation.specifications | {"default": wrong}})
    with pytest.raises(DidError, match="'drop_periods' of a specification must name periods 2011-04 to 2020-02; found"):
        build(evaluation, observations)


def test_the_record_tables_agree_with_the_waves(areas):
    """Every system of the record is in both membership tables, in its wave, and every area in some row."""
    listed = read_reference("data/reference/ics_waves.csv", ["wave", "system", "system_name"],
                            ["wave", "system_name"])
    for name, everyone in (("record_upper_tier.csv", set(areas.units["unit"])), ("record_ccg.csv", None)):
        table = read_reference(f"data/reference/{name}", waves.MEMBERSHIP, ["wave", "system", "area_code"])
        dated = table.loc[table["kind"] != "undated"]
        assert set(zip(dated["wave"], dated["ics"], strict=True)) == set(
            zip(listed["wave"], listed["system_name"], strict=True))
        if everyone:
            assert everyone <= set(table["area_code"].map(areas.unit_of).fillna(table["area_code"]))


def test_a_table_of_many_rows_is_read_as_it_was_written(tmp_path, monkeypatch):
    frame = pd.DataFrame({"text": ["a", None, "b", "a"], "none": pd.array([None] * 4, dtype="str"),
                          "number": [1.0, np.nan, 2.0, 3.0], "count": pd.array([1, None, 2, 3], dtype="Int64")})
    frame = frame.astype({"text": "str"})
    path = tmp_path / "table.parquet"
    seals.write(frame, path, {b"about": b"this"})
    few = seals.read(path, "again")
    monkeypatch.setattr(seals, "MANY", 1)
    many = seals.read(path, "again")
    pd.testing.assert_frame_equal(many[0], few[0])
    pd.testing.assert_frame_equal(many[0], frame)
    assert many[1] == few[1] and many[1][b"about"] == b"this"


@pytest.mark.parametrize(("column", "value"),
                         [("label", None), ("is_synthetic", None), ("value", None), ("indicator", 7)])
def test_a_table_is_checked_as_its_schema_says(column, value):
    frame = pd.DataFrame({"indicator": "dtoc_total", "sample": "full", "treatment": "binary", "estimator": "did",
                          "cluster": "unit", "label": ["a", "b"], "value": [1, 2], "is_synthetic": True})
    schema = tables.SCHEMAS["influence"]
    check_same(tables.check("influence", frame), schema.validate(frame[list(schema.columns)]))
    with pytest.raises(DidError, match="must be unique; found .*'a'.* more than once"):
        tables.check("influence", pd.concat([frame, frame.iloc[:1]], ignore_index=True))
    frame = frame.astype({column: object})
    frame.loc[1, column] = value
    try:
        expected = schema.validate(frame[list(schema.columns)])
    except pa.errors.SchemaError:
        with pytest.raises(DidError, match=f"column '{column}' of the influence table"):
            tables.check("influence", frame)
    else:
        check_same(tables.check("influence", frame), expected)
