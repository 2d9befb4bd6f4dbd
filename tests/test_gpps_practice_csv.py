"""The reader of the GP Patient Survey's practice files, on files with the publisher's own columns."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import gpps_files as gpps
from did import readers
from did.errors import DidError
from did.project import registry
from did.readers import RawFile
from did.readers.gpps_practice_csv import OUTCOMES, england_percentages
from gpps_files import ANSWERS, LAYOUTS, LISTS, YEARS, practice, suppressed, write

ROOT = Path(__file__).resolve().parents[1]
NEEDS_LISTS = pytest.mark.skipif(not LISTS.exists(), reason="the shared files are not alongside the checkout")


def read(*files: RawFile, **options: object) -> pd.DataFrame:
    return readers.read("gpps_practice_csv", "gpps", list(files),
                        {"reference": str(ROOT / "data" / "reference")} | options)


def message(*files: RawFile, **options: object) -> str:
    with pytest.raises(DidError) as caught:
        read(*files, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_area(table: pd.DataFrame, measure: str, column: str = "value") -> dict:
    return table.loc[table["measure"] == measure].set_index("area_code")[column].to_dict()


@pytest.mark.parametrize("year", [year for year in YEARS if LAYOUTS[year].has_ccg])
def test_practices_are_summed_to_ccgs_in_every_layout(tmp_path, year):
    table = read(write(tmp_path, year, [practice("A81001"), practice("A81002", "00D", scale=2),
                                        practice("A81003", scale=3)]))
    for measure, value in ANSWERS.items():
        assert by_area(table, measure) == {"00C": 4 * value, "00D": 2 * value}
    assert by_area(table, "preferred_base") == {"00C": 4 * 96.0, "00D": 2 * 96.0}
    assert set(table["measure"]) == {*ANSWERS, "needs_base", "preferred_base", "overall_base"}
    assert by_area(table, "needs_no", "area_name") == {"00C": "NHS 00C CCG", "00D": "NHS 00D CCG"}
    for column, only in {"period": year, "frequency": "Y", "area_type": "ccg", "status": "ok", "note": "",
                         "source": "gpps", "file": f"gpps_practice_weighted_{year}.csv"}.items():
        assert set(table[column]) == {only}
    assert table[["numerator", "denominator"]].isna().all(axis=None)


def test_a_single_answer_moves_its_own_measure_only(tmp_path):
    before = read(write(tmp_path, "2017", [practice("A81001")]))
    after = read(write(tmp_path, "2017", [practice("A81001", needs_no=11.25, needs_base=94)]))
    moved = (after["value"] - before["value"]).set_axis(before["measure"])
    assert moved[moved != 0].to_dict() == {"needs_no": 1.0, "needs_base": 1.0}


def test_letter_case_encoding_byte_order_mark_and_blank_rows_do_not_matter(tmp_path):
    rows = [practice("A81001", name='ST JAMES, "THE" SURGERY'), practice("A81002", "00D", scale=2)]
    expected = read(write(tmp_path, "2018", rows))
    plain = gpps.text("2018", rows)
    upper = gpps.text("2018", rows, tuple(column.upper() for column in gpps.columns("2018")))
    lines = plain.split("\r\n")
    between = "\r\n".join([*lines[:2], "", *lines[2:]])
    blank = plain + "," * (len(gpps.columns("2018")) - 1) + "\r\n\r\n"
    for content in (upper, blank, between, plain.replace("\r\n", "\n"), b"\xef\xbb\xbf" + plain.encode(),
                    plain.replace("JAMES", "JÄMES").encode("cp1252"), plain.replace("A81001", " a81001 ")):
        pd.testing.assert_frame_equal(read(write(tmp_path, "2018", content)), expected)


def test_names_in_the_older_encoding_keep_their_letters(tmp_path):
    content = gpps.text("2018", [practice("A81001", ccg_name="NHS YNYS MÔN")])
    for encoding in ("utf-8", "cp1252"):
        assert set(read(write(tmp_path, "2018", content.encode(encoding)))["area_name"]) == {"NHS YNYS MÔN"}


def test_columns_may_come_in_any_order(tmp_path):
    rows = [practice("A81001"), practice("A81002", "00D", scale=2)]
    expected = read(write(tmp_path, "2016", rows))
    table = list(csv.reader(gpps.text("2016", rows).splitlines()))
    order = np.random.default_rng(1).permutation(len(table[0]))
    mixed = "\n".join(",".join(row[place] for place in order) for row in table)
    pd.testing.assert_frame_equal(read(write(tmp_path, "2016", mixed)), expected)


def test_suppressed_practices_are_left_out_and_counted(tmp_path):
    table = read(write(tmp_path, "2018", [practice("A81001"), suppressed("A81002"),
                                          practice("A81003", scale=2), suppressed("A81004", "00D")]))
    definitely = table.loc[table["measure"] == "needs_definitely"].set_index("area_code")
    assert definitely.loc["00C", ["value", "status", "note"]].to_list() == [
        3 * 40.25, "ok", "1 of 3 practices suppressed"]
    assert np.isnan(definitely.loc["00D", "value"]) and definitely.loc["00D", "status"] == "suppressed"
    other = table.loc[table["measure"] == "overall_very_good"].set_index("area_code")
    assert other["value"].to_dict() == {"00C": 4 * 55.0, "00D": 55.0} and set(other["note"]) == {""}


def test_one_suppressed_answer_takes_the_practice_out_of_that_question(tmp_path):
    # Were the other answers kept, the share of "no" would fall with every practice suppressed.
    table = read(write(tmp_path, "2015", [practice("A81001"), practice("A81002", needs_no=-97, scale=5)]))
    assert by_area(table, "needs_definitely") == {"00C": 40.25}
    assert by_area(table, "needs_base") == {"00C": 93.0}
    assert by_area(table, "preferred_always") == {"00C": 6 * 30.5}


def test_empty_cells_are_missing_not_zero(tmp_path):
    table = read(write(tmp_path, "2018", [practice("A81001"), practice("A81002", needs_no=""),
                                          practice("A81003", "00D", needs_no="")]))
    no = table.loc[table["measure"] == "needs_no"].set_index("area_code")
    assert no["value"].dropna().to_dict() == {"00C": 10.25}
    assert no["note"].to_dict() == {"00C": "1 of 2 practices with an empty cell",
                                    "00D": "1 of 1 practices with an empty cell"}
    assert no.loc["00D", "status"] == "missing"


def test_a_practice_with_no_answers_counts_as_zero(tmp_path):
    table = read(write(tmp_path, "2018", [practice("A81001", scale=0)]))
    assert set(table["value"]) == {0.0} and set(table["status"]) == {"ok"}


def test_2012_is_placed_by_the_first_later_year_that_has_the_practice(tmp_path):
    table = read(write(tmp_path, "2015", [practice("A81001", "00X"), practice("A81002", "00D")]),
                 write(tmp_path, "2012", [practice(f"A8100{n}", scale=n) for n in (1, 2, 3)]),
                 write(tmp_path, "2013", [practice("A81001", "00C")]))
    first = table.loc[(table["period"] == "2012") & (table["measure"] == "needs_no")].set_index("area_code")
    assert first["value"].to_dict() == {"00C": 10.25, "00D": 20.5, "A81003": 30.75}
    assert first["area_type"].to_dict() == {"00C": "ccg", "00D": "ccg", "A81003": "unplaced_practice"}
    assert first["note"].to_dict() == {"00C": "1 of 1 practices placed by the 2013 file",
                                       "00D": "1 of 1 practices placed by the 2015 file",
                                       "A81003": "practice in no CCG of its own or another year's file"}
    assert first["area_name"].to_dict() == {"00C": "NHS 00C CCG", "00D": "NHS 00D CCG",
                                            "A81003": "THE SURGERY"}
    assert list(table["period"].unique()) == ["2012", "2013", "2015"]


def test_2022_is_placed_by_the_last_earlier_year(tmp_path):
    table = read(write(tmp_path, "2020", [practice("A81001", "00X"), practice("A81002", "00D")]),
                 write(tmp_path, "2021", [practice("A81001", "16C")]),
                 write(tmp_path, "2022", [practice("A81001"), practice("A81002")]))
    assert by_area(table.loc[table["period"] == "2022"], "needs_no") == {"16C": 10.25, "00D": 10.25}


def test_a_practice_without_a_ccg_in_its_own_file_is_placed_too_and_none_is_lost(tmp_path):
    table = read(write(tmp_path, "2017", [practice("A81000", ""), practice("A81001", ""),
                                          practice("A81002", ""), practice("A81003", "00C")]),
                 write(tmp_path, "2016", [practice("A81001"), practice("A81000", ccg_name="OLD NAME")]),
                 write(tmp_path, "2018", [practice("A81001", "00D")]))
    only = table.loc[table["period"] == "2017"]
    assert set(only.loc[only["area_code"] == "00C", "area_name"]) == {"NHS 00C CCG"}
    assert by_area(only, "overall_neither") == {"00C": 12.5, "00D": 6.25, "A81002": 6.25}
    assert only.loc[only["measure"] == "overall_neither", "value"].sum() == 4 * 6.25


def test_an_unplaced_practice_may_be_suppressed(tmp_path):
    table = read(write(tmp_path, "2012", [suppressed("A81009")]),
                 write(tmp_path, "2013", [practice("A81001")]))
    row = table.loc[(table["area_code"] == "A81009") & (table["measure"] == "needs_no")].iloc[0]
    assert row["status"] == "suppressed" and np.isnan(row["value"])
    assert row["note"].endswith("file; 1 of 1 practices suppressed")


def test_synthetic_files_stay_marked(tmp_path):
    raw = write(tmp_path, "2018", [practice("A81001")])
    assert read(RawFile(raw.path, raw.name, raw.period, is_synthetic=True))["is_synthetic"].all()


def test_england_percentages_are_those_of_the_summed_counts(tmp_path):
    # Two practices of unlike size: the mean of their percentages would be another number.
    rows = [practice("A81001"), practice("A81002", "00D", scale=3, needs_no=0, needs_base=248.25)]
    table = england_percentages(read(write(tmp_path, "2018", rows), write(tmp_path, "2012", rows)))
    assert set(table["outcome"]) == set(OUTCOMES) and list(table["period"].unique()) == ["2012", "2018"]
    found = table.loc[table["period"] == "2018"].set_index(["outcome", "base"])["percentage"]
    assert found["gpps_needs_not_met", "answered"] == pytest.approx(100 * 10.25 / (4 * 62.75 + 10.25))
    assert found["gpps_needs_met", "all_answers"] == pytest.approx(100 * 161 / (93 + 248.25))
    assert found["gpps_preferred_sometimes", "answered"] == pytest.approx(100 * 25.5 / 84)
    assert found["gpps_preferred_always", "all_answers"] == pytest.approx(100 * 30.5 / 96)
    assert found["gpps_overall_good", "answered"] == found["gpps_overall_good", "all_answers"] == 88.75
    needs = [found[f"gpps_needs_{word}", "answered"] for word in ("met", "partially_met", "not_met")]
    assert sum(needs) == pytest.approx(100)


def test_order_of_files_and_practices_does_not_matter(tmp_path):
    rows = [practice(f"A8{n:04d}", ("00C", "00D", "00F")[n % 3], scale=n) for n in range(1, 30)]
    files = [write(tmp_path, year, rows) for year in ("2012", "2013", "2018")]
    expected = read(*files)
    files = [write(tmp_path, year, rows[::-1]) for year in ("2018", "2013", "2012")]
    pd.testing.assert_frame_equal(read(*files), expected)


PCT = LAYOUTS["2018"].percentages["preferred_some"]
BAD_ROWS = {
    "practice twice": ([practice("A81001"), practice("A81002"), practice("A81001", "00D")],
                       ["row 4", "each practice once", "practice A81001 again, first in row 2"]),
    "percentage over 1": ([practice("A81001"), practice("A81002", preferred_somepct=26.5)],
                          [f"row 3, column '{PCT}'", "a fraction of at most 1", "found 26.5", "percent"]),
    "text in a number cell": ([practice("A81001", overall_neither="n/a")],
                              ["row 2, column 'Q28_3'", "expected a number", "text 'n/a'"]),
    "infinite": ([practice("A81001", overall_neither="inf")], ["row 2, column 'Q28_3'", "text 'inf'"]),
    "not a number": ([practice("A81001", overall_neither="nan")], ["row 2, column 'Q28_3'", "text 'nan'"]),
    "two problems": ([practice("A81001", overall_neither="x", needs_no="y")],
                     ["(and 1 more problem in this file)"]),
    "no practice code": ([practice("")], ["row 2, column 'Practice_Code'", "an empty cell"]),
    "GSS code": ([practice("A81001", "E38000001")],
                 ["row 2, column 'CCG_Code'", "such as 02N", "'E38000001'"]),
    "answer above its base": ([practice("A81001", needs_no=500)],
                              ["row 2, column 'q32_3'", "at most the base of 93 in 'q32base'", "found 500"]),
    "answers do not add up": ([practice(f"A810{n}", overall_very_good=0) for n in range(10, 90)],
                              ["columns 'Q28_1' to 'Q28_5' (overall)", "'Q28base', 8000", "found 3600",
                               "base_tolerance"]),
    "no practices": ([], ["rows of practices", "found none"]),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(tmp_path, case):
    rows, words = BAD_ROWS[case]
    found = message(write(tmp_path, "2018", rows))
    assert found.startswith("gpps_practice_weighted_2018.csv")
    for word in words:
        assert word in found


GOOD = gpps.text("2018", [practice("A81001"), practice("A81002")])
BAD_FILES = {
    "empty": ("", ["an empty file"]),
    "spaces": (" \r\n\r\n", ["an empty file"]),
    "web page": ("<!DOCTYPE html><html><body>Moved</body></html>", ["a CSV file", "a web page (HTML)"]),
    "workbook": (b"PK\x03\x04\x14\x00", ["a CSV file", "a workbook or zip file"]),
    "broken off": (GOOD[:-40], ["row 3", f"{len(gpps.columns('2018'))} columns", "fetch the weighted"]),
    "long row": (GOOD[:-2] + ",1\r\n", ["row 3", f"found {len(gpps.columns('2018')) + 1}"]),
    "open quote": (GOOD.replace("THE SURGERY", '"THE SURGERY', 1), ["row 2", "quotes in pairs"]),
    "column missing": (GOOD.replace("q32_2,", "q32_two,", 1),
                       ["header", "column 'q32_2' of 2018", "needs_some_extent", "no such column among"]),
    "column twice": (GOOD.replace("q32_2,", "Q32_1,", 1), ["header", "column 'q32_1' of 2018", "2 times"]),
    "no CCG column": (GOOD.replace("CCG_Code,", "Place,", 1), ["header", "'CCG_Code' of 2018",
                                                               "every practice's CCG comes from it"]),
    "another table": ("area,value\r\n1,2\r\n", ["header", "column 'Practice_Code'", "among 2"]),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, case):
    content, words = BAD_FILES[case]
    found = message(write(tmp_path, "2018", content))
    assert found.startswith("gpps_practice_weighted_2018.csv")
    for word in words:
        assert word in found


@pytest.mark.parametrize("actual", YEARS)
def test_a_file_of_another_year_says_which(tmp_path, actual):
    for year in YEARS:
        if year != actual:
            raw = write(tmp_path, actual, [practice("A81001")])
            found = message(RawFile(raw.path, f"{year}.csv", year))
            assert found.startswith(f"{year}.csv, header: expected the columns of {year}; "
                                    f"found those of {actual}")
            assert f"put the {year} file in its place" in found


def test_columns_left_out_are_no_sign_of_another_year(tmp_path):
    for year in YEARS[1:-1]:
        layout = LAYOUTS[year]
        wanted = {column.casefold() for column in [*layout.identifiers.values(), *layout.counts.values()]}
        table = list(csv.reader(gpps.text(year, [practice("A81001")]).splitlines()))
        keep = [place for place, column in enumerate(table[0]) if column.casefold() in wanted]
        trimmed = "\n".join(",".join(row[place] for place in keep) for row in table)
        assert by_area(read(write(tmp_path, year, trimmed)), "needs_no") == {"00C": 10.25}


def test_a_year_without_ccg_codes_needs_another_year(tmp_path):
    found = message(write(tmp_path, "2012", [practice("A81001")]))
    assert "gpps_practice_weighted_2012.csv: expected another year's file with CCG codes" in found
    assert "found none" in found


def test_years_and_options(tmp_path):
    raw = write(tmp_path, "2018", [practice("A81001")])
    assert "one file for each year; found 2018 also in" in message(raw, raw)
    assert "a survey of 2012 to 2022; found period 2024" in message(RawFile(raw.path, raw.name, "2024"))
    pd.testing.assert_frame_equal(read(RawFile(raw.path, raw.name)), read(raw))  # the columns say which year
    assert "'base_tolerance': expected a share" in message(raw, base_tolerance="much")
    assert "did you mean 'base_tolerance'" in message(raw, base_tolerence=1)
    assert "gpps_questions.csv: expected the table" in message(raw, reference=str(tmp_path))
    assert "cannot be read" in message(RawFile(tmp_path / "no.csv", "no.csv", "2018"))


def test_the_columns_tell_the_year_and_what_is_no_practice_file(tmp_path):
    for year in YEARS:
        raw = write(tmp_path, year, [practice("A81001")])
        options = {"reference": str(ROOT / "data" / "reference")}
        assert readers.periods_of("gpps_practice_csv", "gpps", RawFile(raw.path, "x.csv"), options) == [year]
    short = tmp_path / "ccg.csv"
    short.write_text("CCG_Code,CCG_Name,received\n00C,NHS X,5\n")
    assert "the columns of a practice file, 'practice_code' first; found 3 others" in message(RawFile(short, "ccg.csv"))
    bare = tmp_path / "bare.csv"
    bare.write_text("Practice_Code,Practice_Name\nA81001,X\n")
    assert "2 columns that tell no year from another" in message(RawFile(bare, "bare.csv"))


def test_the_unweighted_file_of_the_same_columns_is_refused(tmp_path):
    counts = {measure: round(value) for measure, value in ANSWERS.items()}
    for question in ("needs", "preferred", "overall"):
        counts[f"{question}_base"] = sum(value for measure, value in counts.items() if measure.startswith(question))
    rows = [practice(f"A{n:05d}", **counts) for n in range(30)]
    content = gpps.text("2019", rows)
    lines = content.splitlines()
    place = [column.casefold() for column in lines[0].split(",")].index("received")
    for received, is_refused in (("120", True), ("90", False)):   # more answers than forms: weighted
        body = [",".join([*row.split(",")[:place], received, *row.split(",")[place + 1:]]) for row in lines[1:]]
        raw = write(tmp_path, "2019", "\r\n".join([lines[0], *body, ""]))
        if is_refused:
            assert "as in the unweighted file; fetch the weighted practice file" in message(raw)
        else:
            assert len(read(raw))


def test_a_wider_tolerance_lets_loose_bases_pass(tmp_path):
    raw = write(tmp_path, "2018", [practice(f"A810{n}", overall_base=110) for n in range(10, 90)])
    assert "a sum over practices" in message(raw)
    assert by_area(read(raw, base_tolerance=0.2), "overall_base") == {"00C": 8800}


def test_a_full_size_file_reads_fast(tmp_path):
    rows = [practice(f"A{n:05d}", f"{n % 191:03d}") for n in range(200)]
    lines = gpps.text("2017", rows).splitlines(keepends=True)
    body = [line.replace(line[:6], f"A{n:05d}", 1) for n, line in enumerate(lines[1:] * 35)]
    raw = write(tmp_path, "2017", lines[0] + "".join(body))
    times = []
    for _ in range(2):
        start = time.process_time()
        table = read(raw)
        times.append(time.process_time() - start)
    assert table.loc[table["measure"] == "needs_no", "value"].sum() == pytest.approx(7000 * 10.25)
    # The target is half a second; the bound leaves room for a slow or busy machine.
    assert min(times) < 1.5


@NEEDS_LISTS
def test_the_reference_table_agrees_with_the_publishers_lists():
    with open(LISTS, encoding="utf-8", newline="") as file:
        listed = {(row["year"], row["variable"]): row["description"] for row in csv.DictReader(file)}
    with open(ROOT / "data" / "reference" / "gpps_questions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = {"needs_definitely": "yes, definitely", "needs_some_extent": "yes, to some extent",
             "needs_no": "no", "needs_dont_need": "i haven't needed",
             "needs_cant_say": "don't know / can't say",
             "preferred_always": "always or almost always", "preferred_a_lot": "a lot of the time",
             "preferred_some": "some of the time", "preferred_never": "never or almost never",
             "overall_very_good": "very good", "overall_fairly_good": "fairly good",
             "overall_neither": "neither good nor poor", "overall_fairly_poor": "fairly poor",
             "overall_very_poor": "very poor"}
    for row in rows:
        label = listed[row["year"], row["column"]]
        assert row["label"] in ("", label) or "\ufffd" in label
        if row["role"] in ("answer", "percentage") and row["measure"] in words:
            answer = label.casefold().split(" - ")[1].removeprefix("% ")
            assert answer.startswith(words[row["measure"]])
        if row["measure"] == "preferred_not_tried":
            assert "not tried" in label.casefold()
    every = {(year, column.casefold()) for year, column in listed}
    for year, layout in LAYOUTS.items():
        assert layout.has_ccg == (year not in ("2012", "2022"))
        for other in LAYOUTS.values():
            for mark in other.marks - layout.marks:
                assert (year, mark) not in every


def test_the_reference_table_has_every_measure_in_every_year():
    assert [str(year) for year in range(2012, 2023)] == YEARS
    for layout in LAYOUTS.values():
        assert set(layout.counts) == {*ANSWERS, "needs_base", "preferred_base", "overall_base"}
        assert set(layout.percentages) == set(ANSWERS)
        assert {question: measures[-1] for question, measures in layout.questions.items()} == {
            question: f"{question}_base" for question in ("needs", "preferred", "overall")}


def test_the_registry_has_a_file_a_year_and_the_indicators_are_the_outcomes():
    source = registry.load_named("gpps", ROOT / "config" / "sources")
    assert [entry.period for entry in source.files] == YEARS
    assert [entry.sha256 is not None for entry in source.files] == [year >= "2018" for year in YEARS]
    for outcome, (numerator, bases) in OUTCOMES.items():
        path = ROOT / "config" / "indicators" / f"{outcome}.yaml"
        indicator = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert indicator["numerator"] == {"source": "gpps", "measures": numerator}
        assert indicator["denominators"] == {base: {"source": "gpps", "measures": measures}
                                             for base, measures in bases.items()}
        assert next(iter(indicator["denominators"])) == "answered"
