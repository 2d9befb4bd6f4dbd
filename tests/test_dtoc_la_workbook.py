"""The DTOC reader, on small workbooks in each of the five layouts and on the publisher's 105."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from did import readers
from did.errors import DidError
from did.readers import RawFile
from did.readers.periods import read_period
from did.readers.spreadsheet import cell_name
from did.store import tables
from workbooks import AREAS, DORSET, DORSET_UA, LAYOUTS, layout_of, write_dtoc

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(__file__).resolve().parents[2] / "shared"
OPTIONS = {"reference": str(ROOT / "data" / "reference")}
NEEDS_SHARED = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not alongside the checkout")
MEASURES = ["nhs", "social_care", "both", "total"]


def raw(path: Path, period: str | None = None) -> RawFile:
    return RawFile(path, path.name, period)


def read(*files: RawFile, **options: str) -> pd.DataFrame:
    return readers.read("dtoc_la_workbook", "nhs_england_dtoc", list(files), OPTIONS | options)


def message(*files: RawFile, **options: str) -> str:
    with pytest.raises(DidError) as caught:
        read(*files, **options)
    text = str(caught.value)
    assert "\n" not in text and "Traceback" not in text
    assert "expected" in text and "found" in text
    return text


def days(table: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    wide = table.pivot(index="area_code", columns="measure", values="value")[MEASURES]
    return {code: tuple(row) for code, row in zip(wide.index, wide.to_numpy(), strict=True)}


# --- sound workbooks -------------------------------------------------------------------------------------

EXPECTED = {
    "E92000001": (1122, 344, 183, 1649),
    "E09000002": (269, 97, 146, 512),
    "E06000055": (96, 13, 0, 109),
    "E09000001": (0, 0, 0, 0),
    "E06000046": (0, 0, 0, 0),
    "E08000008": (410, 55, 7, 472),
    "9901": (0, 0, 0, 0),
    "9900": (282, 179, 0, 461),
    "9902": (65, 0, 30, 95),
}


@pytest.mark.parametrize(("layout", "period"), [(name, first) for name, (first, _) in LAYOUTS.items()])
def test_each_layout_gives_the_same_figures(tmp_path, layout, period):
    assert layout_of(period) == layout
    table = read(raw(write_dtoc(tmp_path / "book.xls", period), period))
    assert days(table) == EXPECTED
    assert set(table["period"]) == {period} and set(table["frequency"]) == {"M"}
    assert table[["numerator", "denominator"]].isna().all(axis=None)
    types = table.drop_duplicates("area_code").set_index("area_code")["area_type"]
    assert types.to_dict() == {"E92000001": "country", **dict.fromkeys(list(EXPECTED)[1:6], "utla"),
                               **dict.fromkeys(list(EXPECTED)[6:], "outside_england")}
    assert set(table["file"]) == {"book.xls"} and not table["is_synthetic"].any()
    tables.check("observations", table.assign(period_published=""))


def test_dashes_with_total_zero_are_zero_by_rule_and_zero_months_are_flagged(tmp_path):
    table = read(raw(write_dtoc(tmp_path / "book.xls", "2016-01"))).set_index(["area_code", "measure"])
    city = table.loc["E09000001"]
    assert city["status"].to_dict() == dict.fromkeys(MEASURES[:3], "zero_by_rule") | {"total": "ok"}
    assert city["note"].str.contains("all zero; kept, flagged").all()
    assert table.loc["E06000046", "status"].eq("ok").all()
    assert table.loc["E06000046", "note"].eq("all zero; kept, flagged").all()
    assert table.loc["9901", "status"].to_list() == ["zero_by_rule"] * 3 + ["ok"]
    assert table.loc["E08000008", "note"].eq("").all()


def test_reads_by_label_wherever_the_sheet_and_header_are(tmp_path):
    path = write_dtoc(tmp_path / "book.xls", "2016-01", sheet="LA -  By  Responsible Org ",
                      cells={"F14": " nhs ", "G14": "SOCIAL  CARE"})
    assert days(read(raw(path))) == EXPECTED


def test_numeric_codes_become_text(tmp_path):
    areas = [replace(AREAS[0], nhs_code=716.0), *AREAS[1:]]
    assert days(read(raw(write_dtoc(tmp_path / "book.xls", "2012-01", areas)))) == EXPECTED


def test_synthetic_files_say_so_in_every_row(tmp_path):
    path = write_dtoc(tmp_path / "book.xls", "2012-01")
    assert read(RawFile(path, "demo.xls", "2012-01", is_synthetic=True))["is_synthetic"].all()


def test_order_of_files_does_not_matter(tmp_path):
    months = ["2015-06", "2015-07"]
    files = [raw(write_dtoc(tmp_path / f"{period}.xls", period), period) for period in months]
    pd.testing.assert_frame_equal(read(*files), read(*reversed(files)))


def test_ons_codes_are_carried_back_from_the_earliest_later_workbook(tmp_path):
    months = ["2015-05", "2015-06", "2015-07"]
    files = [raw(write_dtoc(tmp_path / f"{period}.xls", period)) for period in months]
    notes = read(*files).query("area_code == 'E08000008' and measure == 'total'").set_index("period")["note"]
    back = "ONS code carried back from 2015-07"
    assert notes.to_dict() == {"2015-05": back, "2015-06": back, "2015-07": ""}


def test_ons_codes_come_from_the_reference_when_no_workbook_has_them(tmp_path):
    table = read(raw(write_dtoc(tmp_path / "book.xls", "2013-04")))
    tameside = table[table["area_code"] == "E08000008"]
    assert tameside["note"].eq("ONS code from dtoc_authorities.csv").all()


def test_code_809_is_the_county_to_april_2019_and_the_unitary_from_may(tmp_path):
    files = [raw(write_dtoc(tmp_path / "a.xls", "2019-04", [*AREAS, DORSET])),
             raw(write_dtoc(tmp_path / "b.xls", "2019-05", [*AREAS, DORSET_UA]))]
    table = read(*files)
    dorset = table[table["area_name"].str.startswith("Dorset") & (table["measure"] == "total")]
    assert dict(zip(dorset["period"], dorset["area_code"], strict=True)) == {"2019-04": "E10000009",
                                                                            "2019-05": "E06000059"}


# --- bad workbooks: one line that names file, sheet and cell ---------------------------------------------

BAD_CELLS = {
    "text in a number cell": ({"F17": "n/a"}, "2016-01", ["cell F17", "whole number of days", "'n/a'"]),
    "number written as text": ({"F17": "269"}, "2016-01", ["cell F17", "text '269'"]),
    "empty number cell": ({"G18": None}, "2016-01", ["cell G18", "an empty cell"]),
    "negative days": ({"F17": -3}, "2016-01", ["cell F17", "-3"]),
    "part of a day": ({"F17": 2.5}, "2016-01", ["cell F17", "2.5", "not a whole number"]),
    "dash alongside a total": ({"F17": "-"}, "2016-01", ["cell F17", "'-' alongside Total '512'"]),
    "dash as a total": ({"I17": "-"}, "2016-01", ["cell I17", "found '-'"]),
    "parts do not add up": ({"I17": 513}, "2016-01", ["cell I17", "Total 512 of Barking & Dagenham",
                                                      "NHS 269 + Social Care 97 + Both 146", "found 513"]),
    "England does not add up": ({"F15": 1123, "I15": 1650}, "2016-01",
                                ["cell F15", "England NHS 1122", "found 1123"]),
    "unknown code": ({"D17": "999"}, "2016-01", ["cell D17", "'999' (Barking & Dagenham)",
                                                 "dtoc_authorities.csv"]),
    "code not yet in use": ({"D17": "738", "C17": "E06000058"}, "2016-01",
                            ["cell D17", "'738'", "not in use in 2016-01"]),
    "another's code": ({"D17": "Bexley"}, "2011-05", ["cell C17", "'718' of 'Bexley'", "found '716'"]),
    "another's ONS code": ({"C17": "E09000003"}, "2016-01", ["cell C17", "'E09000002'", "found 'E09000003'"]),
    "ONS code for residents": ({"C22": "E09000003"}, "2016-01", ["cell C22", "'-' for 9901", "'E09000003'"]),
    "no code": ({"D17": None}, "2016-01", ["cell D17", "code of 'Barking & Dagenham'", "an empty cell"]),
    "figures without code or name": ({"D17": None, "E17": None}, "2016-01", ["cell D17", "an empty cell"]),
    "column gone": ({"H14": "Shared"}, "2016-01",
                    ["row 14", "column 'Both'", "NHS, Social Care, Shared, Total"]),
    "column misspelt": ({"G14": "Social Car"}, "2016-01",
                        ["column 'Social Care'", "did you mean 'Social Car'"]),
    "column gone from the first block only": ({"H14": "Shared"}, "2018-01", ["column 'Both'", "Shared"]),
    "no code column": ({"D14": None}, "2016-01", ["row 14", "column 'Code'"]),
    "blocks exchanged": ({"F13": "DTOC Beds"}, "2018-01", ["cell F13", "'Delayed Days'", "'DTOC Beds'"]),
    "no header": (dict.fromkeys(["D14", "E14", "F14", "G14"]), "2016-01", ["header row", "first 40 rows"]),
    "no period": ({"B5": "When:"}, "2016-01", ["'Period:'"]),
    "period not a month": ({"C5": "Q1 2016"}, "2016-01", ["cell C5", "'Q1 2016'"]),
    "file of another month": ({"C5": "March 2016"}, "2016-01", ["cell C5", "2016-01", "'March 2016'",
                                                               "file of 2016-03"]),
    "England renamed": ({"E15": "Englnd"}, "2016-01", ["cell E15", "'England' alongside code '-'", "'Englnd'"]),
    "England twice": ({"E17": "England"}, "2016-01", ["cell D17", "'England'", "first in D15"]),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_bad_cell_is_named(tmp_path, case):
    cells, period, words = BAD_CELLS[case]
    text = message(raw(write_dtoc(tmp_path / "LA-Type-B.xls", period, cells=cells), period))
    assert text.startswith("LA-Type-B.xls, sheet 'LA - by responsible org'")
    for word in words:
        assert word in text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_text_in_a_number_cell_is_named_in_every_layout(tmp_path, layout):
    period, before = LAYOUTS[layout]
    cell = cell_name(16, len(before) + 2)
    path = write_dtoc(tmp_path / "book.xls", period, cells={cell: "many"})
    assert f"book.xls, sheet 'LA - by responsible org', cell {cell}: " in message(raw(path))


def test_missing_sheet_lists_the_sheets_found(tmp_path):
    text = message(raw(write_dtoc(tmp_path / "book.xls", "2016-01", sheet="LA - by organisation")))
    assert text.startswith("book.xls: expected one sheet 'LA - by responsible org'")
    assert "'England', 'LA - by Type of Care', 'LA - by organisation', 'LA - by reason'" in text


def test_missing_england_row(tmp_path):
    text = message(raw(write_dtoc(tmp_path / "book.xls", "2016-01", england=False)))
    assert "book.xls, sheet" in text and "row 'England'" in text


def test_duplicated_authority(tmp_path):
    text = message(raw(write_dtoc(tmp_path / "book.xls", "2016-01", [*AREAS, AREAS[0]])))
    assert "cell D25" in text and "'716' (Barking & Dagenham) again, first in D17" in text


def test_lost_authority_no_longer_adds_up_to_england(tmp_path):
    text = message(raw(write_dtoc(tmp_path / "book.xls", "2016-01", drop=["311"])))
    assert "cell F15: expected England NHS 712, the sum of its 7 rows; found 1122" in text
    assert "(and 3 more problems in this file)" in text


def test_first_problem_and_how_many_more(tmp_path):
    cells = {"F17": "x", "G17": "y", "H18": -1}
    text = message(raw(write_dtoc(tmp_path / "book.xls", "2016-01", cells=cells)))
    assert "cell F17" in text and "cell G17" not in text and text.endswith("(and 2 more problems in this file)")


def test_missing_month_is_named(tmp_path):
    months = ["2011-11", "2012-01", "2012-04"]
    files = [raw(write_dtoc(tmp_path / f"{period}.xls", period)) for period in months]
    text = message(*files)
    assert "2011-11.xls to 2012-04.xls" in text and "none of 2011-12 and 2 more" in text


def test_two_workbooks_of_one_month(tmp_path):
    files = [raw(write_dtoc(tmp_path / name, "2012-01")) for name in ("a.xls", "b.xls")]
    text = message(*files)
    assert "b.xls" in text and "a.xls" in text and "2012-01" in text


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>Not found</html>"])
def test_not_a_workbook(tmp_path, content):
    path = tmp_path / "book.xls"
    path.write_bytes(content)
    assert "book.xls: expected an Excel workbook" in message(raw(path))


def test_truncated_workbook(tmp_path):
    path = write_dtoc(tmp_path / "book.xls", "2012-01")
    path.write_bytes(path.read_bytes()[:5000])
    assert message(raw(path)).startswith("book.xls")


def test_no_such_file(tmp_path):
    assert message(raw(tmp_path / "gone.xls")).startswith("gone.xls: expected an Excel workbook")


def test_reference_table_missing_or_without_a_column(tmp_path):
    path = write_dtoc(tmp_path / "book.xls", "2012-01")
    assert "dtoc_authorities.csv" in message(raw(path), reference=str(tmp_path))
    (tmp_path / "dtoc_authorities.csv").write_text("nhs_code,name\n716,Barking\n")
    assert "add ons_code, area_type" in message(raw(path), reference=str(tmp_path))


def test_unknown_reader_and_option_are_suggested(tmp_path):
    files = [raw(write_dtoc(tmp_path / "book.xls", "2012-01"))]
    with pytest.raises(DidError, match="did you mean 'dtoc_la_workbook'"):
        readers.read("dtoc_la_workbok", "dtoc", files)
    with pytest.raises(DidError, match="unknown option 'referense'; did you mean 'reference'"):
        readers.read("dtoc_la_workbook", "dtoc", files, {"referense": "x"})
    with pytest.raises(DidError, match="found none"):
        readers.read("dtoc_la_workbook", "dtoc", [])


def test_cell_names():
    places = [(16, 3), (0, 25), (0, 26), (9, 93)]
    assert [cell_name(*place) for place in places] == ["D17", "Z1", "AA1", "CP10"]


def test_reference_table_is_sound():
    with open(ROOT / "data" / "reference" / "dtoc_authorities.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    authorities = [row for row in rows if row["area_type"] == "utla"]
    assert len({row["ons_code"] for row in authorities}) == len(authorities) == 153
    assert all(row["source"] for row in rows)
    for period, count in (("2011-04", 151), ("2019-04", 151), ("2019-05", 150), ("2019-12", 150)):
        valid = [row["nhs_code"] for row in authorities
                 if row["first_period"] <= period and (not row["last_period"] or period <= row["last_period"])]
        assert len(valid) == len(set(valid)) == count


# --- the publisher's own workbooks -----------------------------------------------------------------------

@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    folder = SHARED / "mirror" / "nhs_england_dtoc"
    files = [raw(path, path.stem[-7:]) for path in sorted(folder.glob("LA-Type-B-*.xls"))]
    assert len(files) == 105
    return read(*files)


@NEEDS_SHARED
def test_every_month_has_every_authority(real):
    counts = real[(real["measure"] == "total") & (real["area_type"] == "utla")].groupby("period").size()
    assert list(counts.index) == [read_period(str(month), "M") for month in
                                  pd.period_range("2011-04", "2019-12", freq="M")]
    assert counts.loc[:"2019-04"].eq(151).all() and counts.loc["2019-05":].eq(150).all()


@NEEDS_SHARED
def test_england_is_the_authorities_and_the_residents_from_outside(real):
    sums = real.pivot_table(index=["period", "measure"], columns="area_type", values="value", aggfunc="sum")
    assert (sums["utla"] == sums["country"] - sums["outside_england"]).all()
    parts = real.pivot(index=["area_code", "period"], columns="measure", values="value")
    assert (parts["nhs"] + parts["social_care"] + parts["both"] == parts["total"]).all()


@NEEDS_SHARED
def test_england_is_the_published_series(real):
    """The series is the last edition; its figures from November 2018 on were revised after the workbooks."""
    series = pd.read_csv(SHARED / "tidy" / "dtoc_england_totals.csv").set_index("month")[MEASURES]
    england = real[real["area_type"] == "country"].pivot(index="period", columns="measure", values="value")
    england, series = england[MEASURES], series.loc[england.index]
    assert england.loc[:"2018-10"].eq(series.loc[:"2018-10"]).all(axis=None)
    assert (england["total"] / series["total"] - 1).abs().max() < 0.006
    assert ((england - series).abs() / series).max(axis=None) < 0.02


@NEEDS_SHARED
def test_known_cells_of_the_real_workbooks(real):
    value = real.set_index(["area_code", "measure", "period"])["value"]
    assert value["E92000001", "total", "2011-04"] == 108064
    assert value["E92000001", "nhs", "2019-12"] == 89694
    assert value["E09000002", "nhs", "2011-04"] == 269
    assert value["E08000036", "social_care", "2019-12"] == 118
    assert value["E06000028", "total", "2019-04"] > 0 and value["E06000058", "total", "2019-05"] > 0


@NEEDS_SHARED
def test_zero_months_are_kept_and_flagged(real):
    zero = real[real["note"].str.contains("all zero") & (real["measure"] == "total")]
    months = zero.groupby("area_name")["period"].agg(list)
    assert len(months["Isle Of Wight UA"]) == 13 and max(months["Isle Of Wight UA"]) <= "2013-12"
    assert months["Tameside"] == ["2011-06"] and months["Poole UA"] == ["2019-04"]
    assert set(months.index) == {"Isle Of Wight UA", "Tameside", "Poole UA", "City Of London"}
    assert (zero["value"] == 0).all()


@NEEDS_SHARED
def test_ons_codes_of_the_early_months_are_carried_back(real):
    early = real[(real["period"] < "2015-07") & (real["area_type"] == "utla")]
    assert early["note"].str.contains("ONS code carried back from 2015-07").all()
    assert not real.loc[real["period"] >= "2015-07", "note"].str.contains("ONS code").any()


@NEEDS_SHARED
def test_specification_all_workbooks_is_quick():
    folder = SHARED / "mirror" / "nhs_england_dtoc"
    files = [raw(path, path.stem[-7:]) for path in sorted(folder.glob("LA-Type-B-*.xls"))]
    start = time.process_time()
    read(*files)
    assert time.process_time() - start < 3
