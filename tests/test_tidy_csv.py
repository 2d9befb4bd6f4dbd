"""The general reader of tidy CSV files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from did import readers
from did.errors import DidError
from did.readers import RawFile
from did.readers.periods import read_period
from did.readers.spreadsheet import number

SHARED = Path(__file__).resolve().parents[2] / "shared"
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not alongside the checkout")

WIDE = {"layout": "wide", "period_column": "month", "frequency": "M", "area_code_column": "area_code",
        "area_name_column": "area_name", "area_type": "utla",
        "measures": {"nhs": "nhs", "social_care": "social_care"}}
LONG = {"layout": "long", "period_column": "year", "frequency": "Y", "area_code_column": "code",
        "area_type": "lad", "measure_column": "indicator", "value_column": "rate"}
WIDE_TEXT = """month,area_code,area_name,nhs,social_care
2017-06,E06000001,Hartlepool,"1,128",5
2017-06,E06000002,Middlesbrough,496.5,
2017-07,E06000001,Hartlepool,0,-2
"""
LONG_TEXT = """year,code,indicator,rate,events,people
2017,E06000001,deaths,50.5,5,"9,900"
2017,E06000001,births,,,9900
"""


def read(path: Path, options: dict) -> pd.DataFrame:
    return readers.read("tidy_csv", "source", [RawFile(path, path.name)], options)


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "tidy.csv"
    path.write_bytes(text.encode(encoding))
    return path


def message(path: Path, options: dict) -> str:
    with pytest.raises(DidError) as caught:
        read(path, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wide(tmp_path):
    table = read(written(tmp_path, WIDE_TEXT), WIDE).set_index(["measure", "area_code", "period"])
    assert table["value"].dropna().to_dict() == {
        ("nhs", "E06000001", "2017-06"): 1128, ("nhs", "E06000002", "2017-06"): 496.5,
        ("nhs", "E06000001", "2017-07"): 0, ("social_care", "E06000001", "2017-06"): 5,
        ("social_care", "E06000001", "2017-07"): -2}
    assert table["status"].value_counts().to_dict() == {"ok": 5, "missing": 1}
    assert table.loc[("social_care", "E06000002", "2017-06"), "status"] == "missing"
    assert table.loc["nhs"]["area_name"].to_list() == ["Hartlepool", "Middlesbrough", "Hartlepool"]
    assert set(table["area_type"]) == {"utla"} and set(table["file"]) == {"tidy.csv"}


def test_long_with_numerator_and_denominator(tmp_path):
    options = LONG | {"numerator_column": "events", "denominator_column": "people",
                      "measures": {"mortality": "deaths", "fertility": "births"}}
    table = read(written(tmp_path, LONG_TEXT), options).set_index("measure")
    assert table.loc["mortality", ["value", "numerator", "denominator"]].to_list() == [50.5, 5, 9900]
    assert table.loc["fertility", "status"] == "missing" and table.loc["fertility", "denominator"] == 9900
    assert table["area_name"].eq("E06000001").all() and table["period"].eq("2017").all()


TYPED = {key: value for key, value in LONG.items() if key != "area_type"} | {"area_type_column": "kind"}
TYPED_TEXT = """year,code,kind,indicator,rate
2017,E38000001,old,deaths,50.5
2019,E38000001,new,deaths,49.5
"""


def test_area_type_by_row_and_a_note(tmp_path):
    path = written(tmp_path, TYPED_TEXT)
    assert read(path, TYPED)["area_type"].tolist() == ["old", "new"] and read(path, TYPED)["note"].eq("").all()
    table = read(path, TYPED | {"area_types": {"ccg_2019": "old", "ccg_2020": "new"}, "note": "a rate"})
    assert table["area_type"].tolist() == ["ccg_2019", "ccg_2020"] and table["note"].eq("a rate").all()


@pytest.mark.parametrize(("change", "words"), [
    ({"area_types": {"ccg_2019": "old"}}, ["row 3, column 'kind'", "one of old", "found 'new'"]),
    ({"area_type": "ccg"}, ["'area_type'", "found area_type and area_type_column"]),
    ({"area_types": "ccg"}, ["'area_types'", "found 'ccg'"]),
    ({"area_type_column": "sort"}, ["column 'sort'"]),
    ({"note": 3}, ["'note'", "found '3'"]),
])
def test_bad_area_types(tmp_path, change, words):
    text = message(written(tmp_path, TYPED_TEXT), TYPED | change)
    for word in words:
        assert word in text


def test_empty_area_type_and_types_without_their_column(tmp_path):
    assert "an empty cell" in message(written(tmp_path, TYPED_TEXT.replace(",new,", ",,")), TYPED)
    assert "'area_types'" in message(written(tmp_path, LONG_TEXT), LONG | {"area_types": {"a": "b"}})


def test_long_without_a_map_takes_the_measures_as_written(tmp_path):
    assert set(read(written(tmp_path, LONG_TEXT), LONG)["measure"]) == {"deaths", "births"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_byte_order_mark_and_blank_lines(tmp_path, encoding):
    text = WIDE_TEXT.replace("\n", "\r\n") + "\r\n,,,,\r\n"
    expected = read(written(tmp_path, WIDE_TEXT), WIDE)
    pd.testing.assert_frame_equal(read(written(tmp_path, text, encoding), WIDE), expected)


def test_other_encoding_is_named_by_an_option(tmp_path):
    path = written(tmp_path, WIDE_TEXT.replace("Hartlepool", "Ynys Môn"), "latin-1")
    assert "tidy.csv: expected a CSV file in utf-8-sig" in message(path, WIDE)
    assert "Ynys Môn" in set(read(path, WIDE | {"encoding": "latin-1"})["area_name"])


@pytest.mark.parametrize(("text", "frequency", "expected"), [
    ("2017-06", "M", "2017-06"), ("2017-06-01", "M", "2017-06"), ("Jun-17", "M", "2017-06"),
    ("June 2017", "M", "2017-06"), ("Sep 2017", "M", "2017-09"), ("2017", "Y", "2017"),
    ("2017 Q2", "Q", "2017Q2"), ("2017-Q2", "Q", "2017Q2"), ("2017Q2", "Q", "2017Q2"),
])
def test_periods(text, frequency, expected):
    assert read_period(text, frequency) == expected
    assert str(pd.Period(expected, frequency)) == expected


@pytest.mark.parametrize(("text", "frequency"), [
    ("20176", "M"), ("2017-13", "M"), ("2017-02-30", "M"), ("Juno 2017", "M"), ("17", "M"), ("", "M"),
    ("2017", "M"), ("2017-06", "Y"), ("17", "Y"), ("2017 Q5", "Q"), ("2017", "Q"),
])
def test_not_periods(text, frequency):
    with pytest.raises(ValueError, match="is not"):
        read_period(text, frequency)


@pytest.mark.parametrize(("text", "value"), [("1,234,567.5", 1234567.5), (" -3 ", -3), ("1e3", 1000), (".5", 0.5)])
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["1,23", "12,34", "nan", "inf", "12%", "1 234", "-", "0x10", "1_000"])
def test_not_numbers(text):
    with pytest.raises(ValueError, match="text"):
        number(text)


BAD_FILES = {
    "column missing": ("social_care", "socialcare", ["header", "column 'social_care'", "socialcare",
                                                     "did you mean 'socialcare'"]),
    "column twice": ("area_name", "area_code", ["column 'area_code'", "2 times"]),
    "text in a number cell": ("496.5", "n/a", ["row 3, column 'nhs'", "a number", "'n/a'"]),
    "period": ("2017-07", "201713", ["row 4, column 'month'", "2017-06", "'201713'"]),
    "duplicate": ("2017-07", "2017-06", ["row 4", "nhs, E06000001, 2017-06 again",
                                         "first in tidy.csv, row 2"]),
    "no code": ("E06000002", " ", ["row 3, column 'area_code'", "an empty cell"]),
    "short row": (",0,-2", ",0", ["row 4", "5 columns", "found 4"]),
    "quote left open": ("Hartlepool", '"Hartlepool', ["cannot be read"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_line(tmp_path, case):
    old, new, words = BAD_FILES[case]
    text = message(written(tmp_path, WIDE_TEXT.replace(old, new)), WIDE)
    assert text.startswith("tidy.csv")
    for word in ["expected", "found", *words]:
        assert word in text


def test_line_numbers_are_the_files_own(tmp_path):
    text = WIDE_TEXT.replace("Hartlepool", '"Hart\nlepool"').replace("\n2017-06,E06000002", "\n\n2017-06,E06000002")
    assert "row 5, column 'nhs'" in message(written(tmp_path, text.replace("496.5", "x")), WIDE)


def test_several_problems_are_counted(tmp_path):
    text = message(written(tmp_path, WIDE_TEXT.replace("496.5", "x").replace("-2", "y")), WIDE)
    assert "row 3" in text and text.endswith("(and 1 more problem in this file)")


@pytest.mark.parametrize(("text", "word"), [("", "an empty file"), ("\n,,\n", "an empty file"),
                                            (WIDE_TEXT.splitlines()[0], "rows below the header")])
def test_empty_file(tmp_path, text, word):
    assert word in message(written(tmp_path, text), WIDE)


def test_no_file(tmp_path):
    assert message(tmp_path / "gone.csv", WIDE).startswith("gone.csv: expected a CSV file")


def test_duplicates_are_found_across_files(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text(WIDE_TEXT)
    with pytest.raises(DidError, match="b.csv, row 2.*first in a.csv, row 2"):
        readers.read("tidy_csv", "source", [RawFile(path, path.name) for path in paths], WIDE)


def test_unknown_measure_of_a_long_file(tmp_path):
    text = message(written(tmp_path, LONG_TEXT), LONG | {"measures": {"mortality": "death", "fertility": "births"}})
    assert "row 2, column 'indicator'" in text and "one of death, births" in text and "'deaths'" in text


@pytest.mark.parametrize(("change", "words"), [
    ({"layout": "wid"}, ["'layout'", "did you mean 'wide'"]),
    ({"frequency": "D"}, ["'frequency'", "M, Q, Y"]),
    ({"measures": ["nhs"]}, ["'measures'", "measure -> its column"]),
    ({"value_column": "nhs"}, ["'value_column'", "layout long"]),
    ({"area_code_column": 3}, ["'area_code_column'", "found '3'"]),
    ({"area_cod_column": "x"}, ["unknown option 'area_cod_column'", "did you mean 'area_code_column'"]),
    ({"period_column": None}, ["'period_column'"]),
])
def test_bad_options(tmp_path, change, words):
    text = message(written(tmp_path, WIDE_TEXT), WIDE | change)
    for word in ["source source, reader tidy_csv", *words]:
        assert word in text


@pytest.mark.parametrize("key", ["layout", "period_column", "frequency", "area_code_column", "area_type", "measures"])
def test_options_that_are_needed(tmp_path, key):
    options = {name: value for name, value in WIDE.items() if name != key}
    assert f"option '{key}' is missing" in message(written(tmp_path, WIDE_TEXT), options)


@NEEDS_SHARED
def test_last_two_months_of_delayed_transfers():
    measures = {name: name for name in ("nhs", "social_care", "both", "total")}
    table = read(SHARED / "tidy" / "dtoc_2020-01_2020-02.csv", WIDE | {"measures": measures})
    assert table.groupby(["measure", "period"]).size().eq(150).all() and len(table) == 1200
    wide = table.pivot(index=["area_code", "period"], columns="measure", values="value")
    assert (wide["nhs"] + wide["social_care"] + wide["both"] == wide["total"]).all()
    assert wide.loc[("E06000001", "2020-01"), "total"] == 133
    # Residents of other nations are left out of this file and are in the England series: a small difference.
    series = pd.read_csv(SHARED / "tidy" / "dtoc_england_totals.csv").set_index("month")["total"]
    outside = series.loc[["2020-01", "2020-02"]] - wide.groupby("period")["total"].sum()
    assert outside.between(0, 2000).all()
