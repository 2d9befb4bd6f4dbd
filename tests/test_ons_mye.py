"""The population reader, on small books and on the publisher's ten files."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from did import readers
from did.areas import geography
from did.errors import DidError
from did.readers import RawFile
from workbooks import write_mye2

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not alongside the checkout")

ONE = [1] * 18 + [2] * 73
TWO = [10] * 91
BOTH = [one + two for one, two in zip(ONE, TWO, strict=True)]
# Two districts of one region, in the publisher's order; the county is one of the two again.
AREAS = [
    ("K02000001", "UNITED KINGDOM", [2 * persons for persons in BOTH]),
    ("E92000001", "ENGLAND", BOTH),
    ("E12000006", "EAST", BOTH),
    ("E06000055", "Bedford", ONE),
    ("E10000029", "Suffolk", TWO),
    ("E07000201", "Forest Heath [1]", TWO),
    ("E11000007", "Tyne and Wear (Met County)", ONE),
    ("W92000004", "WALES", BOTH),
]
REBASED = """ladcode20,laname20,country,population_2001,births_2002,population_2002
E06000001,Hartlepool,E,90152,1017,89993
E06000060,Buckinghamshire,E,"480,000",1,481000
W06000024,Merthyr Tydfil,W,56207,600,55996
"""


def raw(path: Path, period: str | None = None) -> RawFile:
    return RawFile(path, path.name, period)


def read(*files: RawFile) -> pd.DataFrame:
    return readers.read("ons_mye", "ons_population", list(files))


def message(*files: RawFile) -> str:
    with pytest.raises(DidError) as caught:
        read(*files)
    text = str(caught.value)
    assert "\n" not in text and "expected" in text and "found" in text
    return text


def as_csv(path: Path, year: int, areas=AREAS, old: str = "", new: str = "") -> Path:
    """Write the mid-2014 layout: a CSV file with thousands commas in quotes."""
    lines = [f'"MYE2: Population Estimates, mid-{year}",,', "ALL PERSONS,,",
             ",".join(["CODE", "NAME", "ALL AGES", *map(str, range(91))])]
    for code, name, persons in areas:
        lines.append(",".join([code, name, *(f'"{count:,}"' for count in [sum(persons), *persons])]))
    path.write_text("\r\n".join([*lines, ",,", ",,"]).replace(old or "\0", new))
    return path


SHEETS = ["UK persons", "Persons UK", "MYE2 - All", "MYE2-All", "MYE2 - Persons"]


@pytest.mark.parametrize(("sheet", "header"), [(sheet, 2 + place % 3) for place, sheet in enumerate(SHEETS)])
def test_each_layout_gives_all_ages_and_adults(tmp_path, sheet, header):
    table = read(raw(write_mye2(tmp_path / "book.xls", 2015, AREAS, sheet=sheet, header=header), "2015"))
    value = table.set_index(["measure", "area_code"])["value"]
    assert value["population_all", "E06000055"] == 18 + 2 * 73
    assert value["population_adult", "E06000055"] == 2 * 73
    assert value["population_adult", "E92000001"] == 12 * 73
    types = table.drop_duplicates("area_code").set_index("area_code")["area_type"].to_dict()
    assert types == {"E92000001": "country", "E12000006": "region", "E06000055": "lad", "E10000029": "county",
                     "E07000201": "lad"}
    assert set(table["period"]) == {"2015"} and set(table["frequency"]) == {"Y"}
    assert "Forest Heath" in set(table["area_name"])


def test_csv_with_thousands_commas_gives_the_same(tmp_path):
    areas = [(code, name, [1000 * persons for persons in ages]) for code, name, ages in AREAS]
    book = read(raw(write_mye2(tmp_path / "a.xls", 2014, areas))).drop(columns=["file", "sheet", "row"])
    text = read(raw(as_csv(tmp_path / "b.csv", 2014, areas))).drop(columns=["file", "sheet", "row"])
    pd.testing.assert_frame_equal(book, text)


def test_rebased_series_gives_english_districts_of_every_year(tmp_path):
    path = tmp_path / "MYEB3.csv"
    path.write_text(REBASED)
    table = read(raw(path))
    assert set(table["measure"]) == {"population_all_rebased"} and set(table["area_type"]) == {"lad"}
    value = table.set_index(["area_code", "period"])["value"].to_dict()
    assert value == {("E06000001", "2001"): 90152, ("E06000060", "2001"): 480000,
                     ("E06000001", "2002"): 89993, ("E06000060", "2002"): 481000}


LONDON = [("E92000001", "England", TWO), ("E12000007", "London", TWO), ("E12000007", "Greater London", TWO),
          ("E09000001", "City of London", TWO)]


def without_title(path: Path, areas=LONDON) -> Path:
    """Write the mid-2012 layout: the mid-2014 one without its title rows, the header written another way."""
    lines = as_csv(path, 2012, areas).read_text().splitlines()
    header = ",".join(["Code", "Name", " ALL AGES", *map(str, range(90)), "90+"])
    path.write_text("\r\n".join([header, *lines[3:]]))
    return path


def test_a_file_without_title_is_of_its_period_and_takes_london_once(tmp_path):
    path = without_title(tmp_path / "mid.csv")
    table = read(raw(path, "2012"))
    assert set(table["period"]) == {"2012"}
    value = table.set_index(["measure", "area_code"])["value"]
    assert value.index.is_unique
    assert value["population_all", "E12000007"] == 910 and value["population_adult", "E09000001"] == 730
    assert "a title with the year" in message(raw(path))


def test_a_region_with_other_figures_the_second_time_and_a_district_twice_are_refused(tmp_path):
    other = [*LONDON[:2], ("E12000007", "Greater London", [11, *TWO[1:]]), LONDON[3]]
    assert "cell A4: expected each area once; found 'E12000007' again, first in A3" in message(
        raw(without_title(tmp_path / "a.csv", other), "2012"))
    assert "'E09000001' again, first in A5" in message(
        raw(without_title(tmp_path / "b.csv", [*LONDON, LONDON[3]]), "2012"))


def census(path: Path, old: str = "", new: str = "") -> Path:
    """Write table QS103EW: one person at each age under 18, then two; 100 and over is 7."""
    ages = ["Age under 1", *(f"Age {age}" for age in range(1, 100)), "Age 100 and over"]
    counts = ",".join([*["1"] * 18, *["2"] * 82, "7"])
    rows = [",".join(["name", "mnemonic", *ages]), f"Gateshead,E08000020,{counts}", f"Torfaen,W06000020,{counts}"]
    path.write_text("\n".join(rows).replace(old or "\0", new))
    return path


@pytest.mark.parametrize("period", ["2011", None])
def test_the_census_gives_all_ages_and_adults_of_english_districts(tmp_path, period):
    table = read(raw(census(tmp_path / "c.csv"), period))
    assert table.set_index(["measure", "area_code", "area_type", "period"])["value"].to_dict() == {
        ("census_all", "E08000020", "lad", "2011"): 18 + 2 * 82 + 7,
        ("census_adult", "E08000020", "lad", "2011"): 2 * 82 + 7}
    assert set(table["note"]) == {"counted on Census day, 27 March 2011"}


@pytest.mark.parametrize(("old", "new", "words"), [
    ("Age 17,", "Age 170,", ["row 1", "one column '17'", "0 among"]),
    ("Age 100 and over", "Age 99", ["one column '99'", "2 among"]),
    ("E08000020,1,", "E08000020,x,", ["cell C2", "whole number of persons", "'x'"]),
    ("E08000020,1,", "E08000020,,", ["cell C2", "an empty cell"]),
    ("W06000020", "E08000020", ["cell B3", "'E08000020' again, first in B2"]),
    ("E08000020", "S08000020", ["English districts", "none"]),
])
def test_a_bad_census_is_named(tmp_path, old, new, words):
    text = message(raw(census(tmp_path / "c.csv", old, new), "2011"))
    assert text.startswith("c.csv")
    for word in words:
        assert word in text


def test_a_census_registered_for_another_year_is_refused(tmp_path):
    assert "c.csv: expected a file of 2012" in message(raw(census(tmp_path / "c.csv"), "2012"))


# Header in row 5, England in row 7, region in 8, Bedford in 9; all ages in column D, age 0 in column E.
BAD_CELLS = {
    "text": ({"F9": "n/a"}, ["cell F9", "whole number of persons", "'n/a'"]),
    "number as text": ({"F9": "12"}, ["cell F9", "text '12'"]),
    "negative": ({"F9": -1}, ["cell F9", "-1"]),
    "part of a person": ({"F9": 1.5}, ["cell F9", "1.5"]),
    "empty": ({"F9": None}, ["cell F9", "an empty cell"]),
    "ages do not add up": ({"D9": 1000}, ["cell D9", "164 of Bedford", "found 1000"]),
    "England does not add up": ({"D7": 1075, "E7": 12}, ["cell D7", "England 1074, the sum of 2 districts",
                                                        "found 1075"]),
    "regions do not add up": ({"D8": 1075, "E8": 12}, ["cell D7", "England 1075, the sum of 1 regions"]),
    "area twice": ({"A11": "E06000055"}, ["cell A11", "'E06000055' again, first in A9"]),
    "no code": ({"A9": None}, ["cell A9", "code of 'Bedford'", "an empty cell"]),
    "England gone": ({"A7": "E99000001"}, ["row of England", "E92000001"]),
    "age gone": ({"F5": "one"}, ["row 5", "one column '1'", "0 among"]),
    "age twice": ({"F5": 2}, ["row 5", "one column '1'"]),
    "all ages gone": ({"D5": "Everyone"}, ["column 'all ages'"]),
    "another year": ({"A3": "MYE2: mid-2018"}, ["cell A3", "2019", "'MYE2: mid-2018'"]),
    "no year": ({"A3": "Population"}, ["mid-2013", "none in 4 rows"]),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_bad_cell_is_named(tmp_path, case):
    cells, words = BAD_CELLS[case]
    text = message(raw(write_mye2(tmp_path / "MYE2.xls", 2019, AREAS, cells=cells), "2019"))
    assert text.startswith("MYE2.xls, sheet 'MYE2 - Persons'")
    for word in words:
        assert word in text


def test_bad_cell_of_a_csv_file_is_named(tmp_path):
    path = as_csv(tmp_path / "MYE2.csv", 2014, old='E06000055,Bedford,"164","1"', new='E06000055,Bedford,"164","x"')
    assert "MYE2.csv, cell D7: expected a whole number of persons; found text 'x'" in message(raw(path))


def test_missing_sheet_and_two_files_of_a_year(tmp_path):
    text = message(raw(write_mye2(tmp_path / "a.xls", 2019, AREAS, sheet="Table 2")))
    assert text.startswith("a.xls: expected one sheet 'MYE2 - Persons'") and "'Table 2', 'MYE2 - Males'" in text
    files = [raw(write_mye2(tmp_path / name, 2019, AREAS)) for name in ("b.xls", "c.xls")]
    assert "c.xls" in message(*files) and "b.xls" in message(*files)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("90152", "many", ["cell D2", "'many'"]),
    ("E06000060", "E06000001", ["cell A3", "'E06000001' again, first in A2"]),
    ("E06000060", "E12000001", ["cell A3", "English district", "'E12000001'"]),
    ("country", "nation", ["row 1", "column 'country...'"]),
    (",E,", ",England,", ["districts with country E", "none"]),
])
def test_bad_rebased_series(tmp_path, old, new, words):
    path = tmp_path / "MYEB3.csv"
    path.write_text(REBASED.replace(old, new))
    text = message(raw(path))
    assert text.startswith("MYEB3.csv")
    for word in words:
        assert word in text


# --- the publisher's own files ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    paths = sorted((SHARED / "mirror" / "ons_population").iterdir())
    years = [re.search(r"(?:mid|census)-(\d{4})", path.name) for path in paths]
    return read(*(raw(path, year and year[1]) for path, year in zip(paths, years, strict=True)))


@NEEDS_SHARED
def test_england_totals_as_published(real):
    england = real[(real["area_code"] == "E92000001") & (real["measure"] == "population_all")]
    assert england.set_index("period")["value"].to_dict() == {
        "2012": 53_493_729, "2013": 53_865_817, "2014": 54_316_618, "2015": 54_786_327, "2016": 55_268_067,
        "2017": 55_619_430, "2018": 55_977_178, "2019": 56_286_961}
    census = real[real["measure"] == "census_all"]
    assert set(census["area_type"]) == {"lad"} and census["value"].sum() == 53_012_456


@NEEDS_SHARED
def test_counties_are_the_sums_of_their_districts(real):
    districts = pd.read_csv(ROOT / "data/reference/local_authorities.csv")
    parent = districts.set_index("lad_code")["area_code"]
    books = real[real["measure"].isin(["population_all", "population_adult"])]
    lads = books[books["area_type"] == "lad"].assign(area_code=lambda rows: rows["area_code"].map(parent))
    sums = lads.groupby(["measure", "period", "area_code"])["value"].sum()
    counties = books[books["area_type"] == "county"].set_index(["measure", "period", "area_code"])["value"]
    assert len(counties) == 2 * (6 * 27 + 26 + 25)
    pd.testing.assert_series_equal(counties, sums[counties.index], check_dtype=False,
                                   check_index_type=False)


@NEEDS_SHARED
def test_the_codes_from_before_2013_lie_in_the_same_authorities(real):
    """All ages of the Census and of mid-2012 follow on from the later series, which has mid-2011 as it was: a
    district in the wrong authority, or in none, would move two of them by far more."""
    areas = geography.UpperTier(ROOT / "data/reference")

    def by_unit(measure: str, period: str) -> pd.Series:
        rows = real[(real["measure"] == measure) & (real["period"] == period)]
        return areas.population(rows, "test").set_index("unit")["value"]

    middle, book = by_unit("population_all_rebased", "2011"), by_unit("population_all", "2012")
    assert len(book) == len(middle) == 150
    assert (by_unit("census_all", "2011") / middle).between(0.99, 1.01).all()
    assert (book / middle).between(0.98, 1.04).all()


@NEEDS_SHARED
def test_districts_and_regions_add_up_to_england_for_adults_too(real):
    sums = real.pivot_table(index=["measure", "period"], columns="area_type", values="value", aggfunc="sum")
    sums = sums.drop(index=["population_all_rebased", "census_all", "census_adult"])
    assert (sums["lad"] == sums["country"]).all() and (sums["region"] == sums["country"]).all()
    share = sums.loc["population_adult", "country"] / sums.loc["population_all", "country"]
    assert share.between(0.785, 0.79).all()


@NEEDS_SHARED
def test_every_area_is_there(real):
    counts = real[real["measure"] == "population_adult"].groupby(["area_type", "period"]).size().unstack(0)
    assert counts["lad"].to_dict() == dict.fromkeys(["2012", "2013", "2014", "2015", "2016", "2017"], 326) | {
        "2018": 317, "2019": 314}
    assert counts["county"].to_dict() == dict.fromkeys(["2012", "2013", "2014", "2015", "2016", "2017"], 27) | {
        "2018": 26, "2019": 25}
    assert counts["region"].eq(9).all() and counts["country"].eq(1).all()


@NEEDS_SHARED
def test_rebased_series_is_the_latest_edition_of_the_books(real):
    """England is the same in every year; districts are the same from 2017, and were revised before."""
    series = real[real["measure"] == "population_all_rebased"]
    totals = series.groupby("period")["value"].sum()
    assert list(totals.index) == [str(year) for year in range(2001, 2020)]
    assert totals["2001"] == 49_449_746 and totals["2011"] == 53_107_169
    books = real[real["measure"] == "population_all"]
    england = books[books["area_type"] == "country"].set_index("period")["value"]
    assert (england == totals[england.index]).all()
    both = books[books["area_type"] == "lad"].merge(series, on=["area_code", "period"])
    same = (both["value_x"] == both["value_y"]).groupby(both["period"]).mean()
    assert same.loc["2017":].eq(1).all() and same.loc[:"2016"].lt(0.01).all()
