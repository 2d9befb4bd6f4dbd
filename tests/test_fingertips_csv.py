"""The reader of the public Fingertips download."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from did import readers
from did.errors import DidError
from did.readers import RawFile
from did.readers.fingertips_csv import time_period

# The columns of the publisher's download, in its order; the one before the sortable period names the parent.
HEADER = ("Indicator ID,Indicator Name,Parent Code,Parent Name,Area Code,Area Name,Area Type,Sex,Age,Category Type,"
          "Category,Time period,Value,Lower CI 95.0 limit,Upper CI 95.0 limit,Lower CI 99.8 limit,"
          "Upper CI 99.8 limit,Count,Denominator,Value note,Recent Trend,Compared to England value or percentiles,"
          "Compared to NHS regions value or percentiles,Time period Sortable,New data,Compared to goal")
DECILES = "CCG deprivation deciles in England (IMD2019)"
OPTIONS = {"indicator_id": 93721, "measure": "preventable", "area_type": "CCGs (2019/20)", "area_type_as": "ccg_2019"}


def row(area: str = "E38000004", area_type: str = "CCGs (2019/20)", *, indicator: str = "93721", parent: str = "Y56",
        sex: str = "Persons", age: str = "<75 yrs", category_type: str = "", category: str = "",
        period: str = "2018", value: str = "150.5", count: str = "", denominator: str = "", note: str = "") -> str:
    name = {"E92000001": "England"}.get(area, f'"NHS {area}, a name"')
    cells = [indicator, "Preventable mortality", parent, "Parent", area, name, area_type, sex, age, category_type,
             category, period, value, "1", "2", "0.5", "2.5", count, denominator, note, "", "", "", "20180000", "", ""]
    return ",".join(cells)


def england(**named: str) -> str:
    return row("E92000001", "England", parent="", value="143.5", **named)


def written(folder: Path, *rows: str, name: str = "fingertips.csv") -> Path:
    path = folder / name
    path.write_text("\r\n".join([HEADER, *rows]) + "\r\n", encoding="utf-8-sig")
    return path


def read(path: Path, **changes) -> pd.DataFrame:
    options = {key: value for key, value in (OPTIONS | changes).items() if value is not None}
    return readers.read("fingertips_csv", "source", [RawFile(path, path.name)], options)


def message(path: Path, **changes) -> str:
    with pytest.raises(DidError) as caught:
        read(path, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_series_is_taken_and_the_rest_is_counted(tmp_path):
    path = written(tmp_path, england(), england(category_type=DECILES, category="Most deprived"),
                   england(category_type=DECILES, category="Least deprived"),
                   row(count='"1,505"', denominator="1000000"), row("E38000005", value="99"),
                   row("E38000005", value="99", parent="Y58"), row(sex="Male", value="200"),
                   row(age="All ages", value="3"), row("E06000001", "Districts & UAs"), row(indicator="1"))
    table = read(path, age="<75 yrs")
    assert table["area_code"].tolist() == ["E92000001", "E38000004", "E38000005"]
    assert table["area_type"].tolist() == ["country", "ccg_2019", "ccg_2019"]
    assert table["area_name"].tolist() == ["England", "NHS E38000004, a name", "NHS E38000005, a name"]
    first = table.set_index("area_code").loc["E38000004"]
    assert first[["measure", "period", "frequency", "status", "file", "note"]].tolist() == [
        "preventable", "2018", "Y", "ok", "fingertips.csv", ""]
    assert first[["value", "numerator", "denominator"]].tolist() == [150.5, 1505, 1000000]
    assert table["numerator"].isna().sum() == 2
    assert table.attrs["left_out"] == [
        "fingertips.csv: Age All ages: 1 rows", "fingertips.csv: Area Type Districts & UAs: 1 rows",
        "fingertips.csv: Indicator ID 1: 1 rows", "fingertips.csv: Sex Male: 1 rows",
        "fingertips.csv: an area again under another parent: 1 rows",
        f"fingertips.csv: category {DECILES}: 2 rows"]


@pytest.mark.parametrize(("text", "kind", "first", "last"), [
    ("2017", "year", "2017", "2017"), ("2016/17", "financial_year", "2016", "2017"),
    ("1999/00", "financial_year", "1999", "2000"), ("2015 - 17", "3_years", "2015", "2017"),
    ("2015-17", "3_years", "2015", "2017"), ("2015 \u2013 2017", "3_years", "2015", "2017"),
    ("2016/17 - 18/19", "3_financial_years", "2016", "2019"), ("2017 Q2", "quarter", "2017Q2", "2017Q2"),
    ("2017/18 Q1", "quarter", "2017Q2", "2017Q2"), ("2017/18 Q2", "quarter", "2017Q3", "2017Q3"),
    ("2017/18 Q4", "quarter", "2018Q1", "2018Q1"), ("Jun 2017", "month", "2017-06", "2017-06"),
])
def test_periods(text, kind, first, last):
    assert time_period(text) == (kind, first)
    assert time_period(text, last=True) == (kind, last)
    pd.Period(first)


@pytest.mark.parametrize("text", ["2016/18", "2017 - 15", "2017 - 17", "17", "2017 Q5", "2017/19 Q1", "last year", "",
                                  "2016/17 - 18/20"])
def test_not_periods(text):
    with pytest.raises(ValueError, match="is not"):
        time_period(text)


def test_several_years_are_noted_and_filed_as_asked(tmp_path):
    path = written(tmp_path, row(period="2015 - 17"), row(period="2016 - 18"), row(period="2017"))
    table = read(path, period_kind="3_years")
    assert table["period"].tolist() == ["2015", "2016"] and table["frequency"].eq("Y").all()
    assert table["note"].tolist() == ["period as published: 2015 - 17", "period as published: 2016 - 18"]
    assert table.attrs["left_out"] == ["fingertips.csv: period of kind year: 1 rows"]
    assert read(path, period_kind="3_years", several_years="last")["period"].tolist() == ["2017", "2018"]
    assert "one kind of period; found 3_years, year" in message(path)
    assert "periods of kind 'month'; found 3_years, year" in message(path, period_kind="month")


@pytest.mark.parametrize(("periods", "frequency", "expected"), [
    (["2017/18 Q3", "2017/18 Q4"], "Q", ["2017Q4", "2018Q1"]), (["Jun 2017", "Jul 2017"], "M", ["2017-06", "2017-07"]),
])
def test_quarters_and_months(tmp_path, periods, frequency, expected):
    table = read(written(tmp_path, *(row(period=period) for period in periods)))
    assert table["period"].tolist() == expected and table["frequency"].eq(frequency).all()


def test_suppressed_is_not_missing_and_neither_is_zero(tmp_path):
    note = "Value suppressed for disclosure control due to small count"
    table = read(written(tmp_path, row(value="", note=note), row("E38000005", value=""), row("E38000006", value="0")))
    assert table["status"].tolist() == ["suppressed", "missing", "ok"]
    assert table["value"].isna().tolist() == [True, True, False] and table["note"].iloc[0] == note


def test_area_type_that_is_not_there(tmp_path):
    path = written(tmp_path, england(), row("E06000001", "Districts & UAs"), row(area_type="CCGs (2018/19)"))
    text = message(path)
    assert "fingertips.csv: expected rows of Area Type 'CCGs (2019/20)'" in text
    assert "found those of CCGs (2018/19), Districts & UAs, England; did you mean 'CCGs (2018/19)'?" in text


@pytest.mark.parametrize(("changes", "words"), [
    ({"indicator_id": 108}, ["Indicator ID '108'", "those of 93721"]),
    ({"sex": "Female"}, ["Sex 'Female'", "those of Male, Persons"]),
    ({"age": "All ages"}, ["Age 'All ages'", "those of <75 yrs"]),
])
def test_other_series_that_are_not_there(tmp_path, changes, words):
    # England has them, but no area does.
    path = written(tmp_path, england(sex="Female"), england(age="All ages"), row(), row(sex="Male"))
    text = message(path, **changes)
    for word in words:
        assert word in text


def test_several_ages_have_to_be_chosen_from(tmp_path):
    assert "one age; found <75 yrs, All ages" in message(written(tmp_path, row(), row(age="All ages")))


def test_england_alone(tmp_path):
    table = read(written(tmp_path, england(), row()), area_type="England")
    assert table["area_type"].tolist() == ["country"]


BAD_ROWS = {
    "period": ([row(period="201718")], ["row 2, column 'Time period'", "'201718'"]),
    "text in a number cell": ([row(), row("E38000005", value="n/a")], ["row 3, column 'Value'", "'n/a'"]),
    "text in a count": ([row(count="few")], ["row 2, column 'Count'", "'few'"]),
    "no code": ([row(area="")], ["row 2, column 'Area Code'", "an empty cell"]),
    "twice": ([row(), row(value="151")], ["row 3", "E38000004, 2018 again with other figures"]),
    "short row": ([row().removesuffix(",,")], ["row 2", "26 columns", "found 24"]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_one_line(tmp_path, case):
    rows, words = BAD_ROWS[case]
    text = message(written(tmp_path, *rows))
    assert text.startswith("fingertips.csv")
    for word in ["expected", "found", *words]:
        assert word in text


def test_not_a_download(tmp_path):
    path = tmp_path / "page.csv"
    path.write_text("<html><head><title>Not found</title></head></html>\n")
    assert "page.csv, header: expected one column 'Indicator ID'; found <html>" in message(path)


def test_the_same_area_and_period_in_two_files(tmp_path):
    paths = [written(tmp_path, row(), name="a.csv"), written(tmp_path, row(), name="b.csv")]
    with pytest.raises(DidError, match="b.csv: expected each area and period once.*E38000004, 2018 again"):
        readers.read("fingertips_csv", "source", [RawFile(path, path.name) for path in paths], OPTIONS)


@pytest.mark.parametrize(("changes", "word"), [
    ({"indicator_id": None}, "'indicator_id' is missing"), ({"measure": None}, "'measure' is missing"),
    ({"area_type": None}, "'area_type' is missing"), ({"sex": 1}, "'sex': expected text"),
    ({"several_years": "middle"}, "'several_years'"), ({"period_kind": "decade"}, "'period_kind'"),
    ({"area_typ": "x"}, "did you mean 'area_type'"),
])
def test_bad_options(tmp_path, changes, word):
    assert word in message(written(tmp_path, row()), **changes)
