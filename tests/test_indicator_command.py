"""`did indicator`: a file becomes an indicator of a small project, and broken files are told in one sentence."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import xlwt
import yaml
from click.testing import CliRunner

import small_project
from did import readers
from did.authoring.indicator_yaml import onset_rule
from did.authoring.look import look
from did.cli.commands import main
from did.project.indicator import Indicator
from did.project.loading import load_evaluation
from did.readers import RawFile
from did.readers.periods import kind_of, read_period

MONTHS = [str(month) for month in pd.period_range("2016-06", "2018-05", freq="M")]
QUARTERS = [f"{year} Q{quarter}" for year in range(2014, 2020) for quarter in range(1, 5)]
UNITS = list(small_project.UNITS)
CCGS = ["00L", "00N", "01D", "00T", "00V", "00Y", "02Q", "02P", "03N", "11J", "99H", "15E", "00C", "07L", "11M", "15F"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A small project with population data in place, so that `check` has to read nothing else."""
    folder = small_project.make(tmp_path_factory.mktemp("indicator") / "project")
    evaluation = yaml.safe_load((folder / "config/ics.yaml").read_text())
    evaluation["data"] = "mirror:../mirror"
    evaluation["specifications"]["all_ages"]["families"] = ["dtoc"]
    (folder / "config/ics.yaml").write_text(yaml.safe_dump(evaluation, sort_keys=False))
    return folder


@pytest.fixture
def inside(project, monkeypatch) -> Path:
    """Work in the project's folder, with no indicator of an earlier test left in it."""
    monkeypatch.chdir(project)
    for folder in ("config/indicators", "config/sources"):
        for path in Path(folder).glob("mine*.yaml"):
            path.unlink()
    return project


def did(*arguments: str):
    """Run the command in this process; the exit code, and the output of both streams."""
    return CliRunner().invoke(main, list(arguments))


def one_line(result) -> str:
    assert result.exit_code == 1, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in result.output, result.output
    assert "fault of the program" not in lines[0]
    return lines[0]


def ae(areas=UNITS, months=MONTHS, spell: Callable[[str], str] = str) -> list[list[object]]:
    """Rows of attendances and those seen within four hours, with known figures."""
    rows = [["month", "code", "within", "attendances"]]
    return rows + [[spell(month), area, 900 + place + step, 1000] for step, month in enumerate(months)
                   for place, area in enumerate(areas)]


def saved(path: Path, rows: list[list[object]], *, encoding: str = "utf-8", end: str = "\n", separator=",") -> Path:
    with open(path, "w", newline="", encoding=encoding) as handle:
        csv.writer(handle, lineterminator=end, delimiter=separator).writerows(rows)
    return path


def workbook(path: Path, rows: list[list[object]], title: str = "Rates by authority", sheet: str = "Rates") -> Path:
    book = xlwt.Workbook()
    page = book.add_sheet(sheet)
    for place, row in enumerate([[title], [], *rows, [], ["Source: made up for this test"]]):
        for column, value in enumerate(row):
            page.write(place, column, value)
    book.save(str(path))
    return path


COUNTS = ["--numerator-column", "within", "--denominator-column", "attendances", "--unit", "% of attendances"]


@pytest.mark.parametrize(("cell", "kind", "period"), [
    ("2017-06", "M", "2017-06"), ("Apr-17", "M", "2017-04"), ("April 2017", "M", "2017-04"),
    ("Sept 2017", "M", "2017-09"),
    ("01/04/2017", "M", "2017-04"), ("201704", "M", "2017-04"), ("2017-04-01 00:00:00", "M", "2017-04"),
    ("2017 Q2", "Q", "2017Q2"), ("2017Q2", "Q", "2017Q2"), ("Q2 2017", "Q", "2017Q2"), ("Apr-Jun 2017", "Q", "2017Q2"),
    ("2017/18 Q4", "Q", "2018Q1"), ("2017/18", "FY", "2017"), ("2017-18", "FY", "2017"), ("1999/00", "FY", "1999"),
    ("2017", "Y", "2017"), ("APR2017", "M", "2017-04"), ("01APR2017", "M", "2017-04"),
    ("MSitAE-APRIL-2019", "M", "2019-04"), ("Apr'17", "M", "2017-04"), ("2017/04", "M", "2017-04"),
    ("Q1 2017/18", "Q", "2017Q2"), ("2017-18 Q4", "Q", "2018Q1"), ("Quarter 2 2017-18", "Q", "2017Q3"),
    ("201718", "FY", "2017"), ("17/18", "FY", "2017"), ("97/98", "FY", "1997"), ("2017\u201318", "FY", "2017"),
    ("2017/2018", "FY", "2017")])
def test_periods_as_people_write_them(cell, kind, period):
    assert read_period(cell, kind) == period
    assert kind_of([cell]) == kind


@pytest.mark.parametrize(("cell", "kind"), [
    ("2017", "FY"), ("2017/19", "FY"), ("02/04/2017", "M"), ("2017-13", "M"), ("201713", "M"), ("2017Q5", "Q"),
    ("Feb-Apr 2017", "Q"), ("13/13/2017", "M"), ("", "M"), ("17", "Y"), ("Feb-Apr 2017", "M"),
    ("02APR2017", "M"), ("201719", "FY"), ("17/19", "FY"), ("2017/18 Q5", "Q")])
def test_what_is_no_period(cell, kind):
    with pytest.raises(ValueError):
        read_period(cell, kind)


def test_june_2017_lies_in_2017_18_and_late_in_its_quarter_and_year():
    assert {kind: onset_rule(kind, "2017-06") for kind in ("M", "Q", "Y", "FY")} == {
        "M": "containing", "Q": "following", "Y": "following", "FY": "containing"}
    base = {"id": "x", "title": "x", "label": "x", "per": 100, "unit_of_measure": "%", "direction": "none",
            "geography": "ccg_2020", "aggregation": "sum", "frequency": "Y", "years": "financial", "family": "x",
            "windows": {"default": {"first": "2014", "last": "2019"}}, "published_estimator": "did",
            "numerator": {"source": "x", "measures": ["n"]}, "denominators": {"c": {"source": "x", "measures": ["d"]}}}
    financial = Indicator(**base)
    assert [str(financial.onset(month)) for month in ("2017-03", "2017-04", "2017-06", "2018-02", "2018-04")] == [
        "2016", "2017", "2017", "2017", "2018"]
    with pytest.raises(ValueError, match="frequency Y only"):
        Indicator(**base | {"frequency": "M"})


def test_a_csv_of_counts_in_three_commands_and_nothing_else_is_touched(inside):
    config = Path("config/ics.yaml").read_bytes()
    saved(Path("ae.csv"), ae(), end="\r\n", encoding="utf-8-sig")
    made = did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS)
    assert made.exit_code == 0, made.output
    assert "taken: --area-type upper_tier" in made.output and Path("config/ics.yaml").read_bytes() == config
    assert "mine" in load_evaluation("config/ics.yaml").indicators
    checked = did("indicator", "check", "mine", "--json")
    report = json.loads(checked.output)
    assert checked.exit_code == 0, checked.output
    assert report["stops"] == [] and report["coverage"]["areas"] == 13 and report["coverage"]["periods"] == 24
    panel = report["panel"]
    assert (panel["units"], panel["before"], panel["after"], panel["onset"]) == (13, 12, 12, "2017-06")
    assert sum(panel["treated_by_wave"].values()) + panel["untreated"] == 13 and not panel["is_synthetic"]
    # The first month: 900 to 912 of 1,000 seen, over all units.
    treated = sum(panel["treated_by_wave"].values())
    first = (report["series"]["treated"][0] * treated + report["series"]["untreated"][0] * (13 - treated)) / 13
    assert first == pytest.approx(90.6)
    text = did("indicator", "check", "mine").output
    for words in ("13 units x 24 periods", "nothing would stop it", "kept", "█"):
        assert words in text


def test_the_same_bytes_twice_and_a_second_indicator_of_a_name_is_refused(inside):
    saved(Path("ae.csv"), ae())
    did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS)
    once = {name: Path(f"config/{name}/mine.yaml").read_bytes() for name in ("indicators", "sources")}
    assert "choose another name" in one_line(did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS))
    assert did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS, "--replace").exit_code == 0
    assert {name: Path(f"config/{name}/mine.yaml").read_bytes() for name in once} == once


def test_a_wide_workbook_of_quarterly_rates(inside):
    rows = [["Code", "Area", *QUARTERS]] + [
        [unit, f"Area {place}", *(round(5 + place / 10 + step / 100, 3) for step in range(len(QUARTERS)))]
        for place, unit in enumerate(UNITS)]
    rows[3][5] = "[c]"
    workbook(Path("rates.xls"), rows)
    made = did("indicator", "new", "mine_rates", "--file", "rates.xls", "--unit", "per 100,000")
    assert made.exit_code == 0, made.output
    source = yaml.safe_load(Path("config/sources/mine_rates.yaml").read_text())
    assert source["options"]["layout"] == "periods" and source["options"]["header_row"] == 3
    assert source["options"]["suppressed"] == ["[c]"]
    report = json.loads(did("indicator", "check", "mine_rates", "--json").output)
    assert report["stops"] == [] and report["panel"]["onset"] == "2017Q3" and report["panel"]["units"] == 13
    assert report["coverage"]["status"] == {"ok": 13 * 24 - 1, "suppressed": 1}
    assert report["panel"]["missing_outcomes"] == 1 and any("column 'Area'" in note for note in report["notes"])


FINGERTIPS = ["Indicator ID", "Indicator Name", "Area Code", "Area Name", "Area Type", "Sex", "Age", "Category Type",
              "Category", "Time period", "Value", "Count", "Denominator", "Value note"]


def test_a_fingertips_download_of_financial_years(inside):
    years = ["2014/15", "2015/16", "2016/17", "2017/18", "2018/19"]
    rows = [FINGERTIPS] + [["90362", "Something", unit, f"Area {unit}", "Counties & UAs", "Persons", "18+ yrs", "", "",
                            year, (10 + place) / 2, 10 + place, 200, ""]
                           for year in years for place, unit in enumerate(UNITS)]
    rows += [["90362", "Something", "E92000001", "England", "England", "Persons", "18+ yrs", "", "", year, 7, 999, 9999,
              ""] for year in years]
    saved(Path("fingertips.csv"), rows)
    made = did("indicator", "new", "mine_smoking", "--file", "fingertips.csv", "--unit", "% of adults")
    assert made.exit_code == 0, made.output
    assert "Count / Denominator x 100" in made.output
    indicator = yaml.safe_load(Path("config/indicators/mine_smoking.yaml").read_text())
    assert indicator["years"] == "financial" and indicator["onset_rule"] == "containing"
    report = json.loads(did("indicator", "check", "mine_smoking", "--json").output)
    assert report["stops"] == [] and report["panel"]["onset"] == "2017"
    assert (report["panel"]["before"], report["panel"]["after"]) == (3, 2)
    # Financial years taken for calendar years are found, not taken for them in silence.
    place = Path("config/indicators/mine_smoking.yaml")
    place.write_text(place.read_text().replace("years: financial", "years: calendar"))
    wrong = json.loads(did("indicator", "check", "mine_smoking", "--json").output)["stops"]
    assert len(wrong) == 1 and "found financial years" in wrong[0] and "years: financial" in wrong[0]


def test_two_files_and_districts_and_practices(inside, tmp_path):
    head, *rows = ae()
    saved(Path("within.csv"), [head[:3], *(row[:3] for row in rows)])
    saved(Path("all.csv"), [[*head[:2], head[3]], *([*row[:2], row[3]] for row in rows)])
    made = did("indicator", "new", "mine_two", "--file", "within.csv", "--denominator-file", "all.csv",
               "--numerator-column", "within", "--unit", "%")
    assert made.exit_code == 0, made.output
    assert json.loads(did("indicator", "check", "mine_two", "--json").output)["stops"] == []
    # Practices of two CCGs: sums are those of the practices.
    path = saved(tmp_path / "practices.csv", [["month", "practice", "ccg", "n"], ["2017-06", "A81001", "00L", 5],
                                              ["2017-06", "A81002", "00L", 7], ["2017-06", "A81003", "00N", "*"]])
    table = readers.read("tidy_csv", "s", [RawFile(path, path.name)], {
        "layout": "wide", "period_column": "month", "frequency": "M", "area_code_column": "practice",
        "parent_column": "ccg", "area_type": "ccg", "suppressed": ["*"], "measures": {"n": "n"}})
    assert table["value"].iloc[0] == 12 and table["value"].isna().to_list() == [False, True]
    assert table["status"].to_list() == ["ok", "suppressed"] and table["note"].iloc[0] == "sum of 2 areas"


def test_a_changed_file_is_noticed_and_accepted(inside):
    saved(Path("ae.csv"), ae())
    did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS)
    saved(Path("ae.csv"), ae()[:-1] + [["2018-05", UNITS[-1], 1, 1000]])
    stops = json.loads(did("indicator", "check", "mine", "--json").output)["stops"]
    assert len(stops) == 1 and "it was changed" in stops[0] and "--accept" in stops[0]
    assert did("indicator", "check", "mine", "--accept").exit_code == 0
    assert did("indicator", "check", "mine").exit_code == 0


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "broken.csv"
        path.write_bytes(content)
        return path
    return write


def _rows(change: Callable[[list], list], **how) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / "broken.csv", change(ae()), **how)


def _large(folder: Path) -> Path:
    path = folder / "broken.csv"
    with open(path, "wb") as handle:   # sparse: nothing is stored
        handle.truncate(500_000_000)
    return path


def _cell(row: int, column: int, value: object) -> Callable[[list], list]:
    def change(rows: list) -> list:
        rows[row][column] = value
        return rows
    return change


# What is wrong -> how the file is made, and words of the sentence. `new` or `check` must say it; whichever does first.
BROKEN = {
    "an empty file": (_bytes(b""), ["empty file"]),
    "only spaces": (_bytes(b"\n \n"), ["empty file"]),
    "only a header": (_bytes(b"month,code,within,attendances\n"), ["rows below the header"]),
    "a directory": (lambda folder: folder, ["a folder"]),
    "no file": (lambda folder: folder / "gone.csv", ["found none"]),
    "500 MB": (_large, ["200 MB", "500 MB", "keep only"]),
    "a web page": (_bytes(b"<!DOCTYPE html><html></html>"), ["web page"]),
    "a binary file": (_bytes(b"\x00\x01\x02" * 99), ["CSV file or an Excel workbook"]),
    "a picture named xlsx": (_bytes(b"PK\x03\x04rubbish"), ["workbook"]),
    "UTF-16": (_rows(lambda rows: rows, encoding="utf-16"), ["UTF-16", "--encoding"]),
    "semicolons": (_rows(lambda rows: rows, separator=";"), ["commas"]),
    "a quote left open": (_bytes(b'month,code,within,attendances\n2017-06,"E08,1,2\n'), ["quotation mark"]),
    "a column missing": (_rows(lambda rows: [row[:3] for row in rows]), ["attendances", "within"]),
    "a column misspelt": (_rows(_cell(0, 2, "whithin")), ["within", "did you mean 'whithin'"]),
    "a column twice": (_rows(_cell(0, 2, "attendances")), ["within"]),
    "a short row": (_rows(lambda rows: [*rows[:5], rows[5][:3], *rows[6:]]), ["row 6", "4 columns", "found 3"]),
    "text in a number": (_rows(_cell(4, 2, "many")), ["row 5", "a number", "many"]),
    "a mark that is not declared": (_rows(_cell(4, 2, "?")), ["row 5", "suppressed"]),
    "a negative denominator": (_rows(_cell(4, 3, -5)), ["row 5, column 'attendances'", "-5", "suppressed"]),
    "no denominator": (_rows(_cell(4, 3, 0)), ["denominator"]),
    "a wrong period": (_rows(_cell(4, 0, "2017-13")), ["2017-13"]),
    "an empty period": (_rows(_cell(4, 0, "")), ["row 5", "month"]),
    "two kinds of period": (_rows(_cell(4, 0, "2017 Q2")), ["2017 Q2"]),
    "an empty code": (_rows(_cell(4, 1, "")), ["row 5", "code"]),
    "an unknown area": (_rows(_cell(4, 1, "E08000999")), ["E08000999", "correct the code"]),
    "areas of no kind": (lambda folder: saved(folder / "broken.csv", ae([f"area {n}" for n in range(9)])),
                         ["--area-column", "codes of English areas"]),
    "regions": (lambda folder: saved(folder / "broken.csv", ae(["E12000001", "E12000002"])),
                ["region", "several systems"]),
    "a month written in two ways": (_rows(lambda rows: [*rows, ["Jun-17", *rows[-1][1:]]] + [
        ["2017-06", *rows[-1][1:]]]), ["E10000027, 2017-06 again"]),
    "periods that overlap": (lambda folder: saved(folder / "broken.csv", ae(spell=lambda month: (
        f"{int(month[:4]) - 2} - {month[2:4]}"))), ["one month, quarter or year"]),
    "text in another encoding": (_bytes("month,code,within,attendances\n2017-06,E08,1,\u0416\n".encode("koi8-r")
                                        + b"\x81\n"), ["found another encoding"]),
    "a duplicate": (_rows(lambda rows: [*rows, rows[-1]]), ["again"]),
    "a period missing": (_rows(lambda rows: [row for row in rows if row[0] != "2017-01"]), ["2017-01"]),
    "a unit incomplete": (_rows(lambda rows: rows[:30] + rows[31:]), ["no figure", "add the row"]),
    "onset before the data": (lambda folder: saved(folder / "broken.csv", ae(months=MONTHS[14:])),
                              ["onset", "from before the onset"]),
    "onset after the data": (lambda folder: saved(folder / "broken.csv", ae(months=MONTHS[:9])), ["onset", "window"]),
    "all units treated": (lambda folder: saved(folder / "broken.csv", ae(["E08000001", "E08000002", "E08000006"])),
                          ["all 3 treated"]),
    "no unit treated": (lambda folder: saved(folder / "broken.csv", ae(["E09000002", "E09000026", "E08000025"])),
                        ["expected treated units"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_clear_sentence(inside, tmp_path, case):
    make, words = BROKEN[case]
    path = make(tmp_path)
    made = did("indicator", "new", "mine", "--file", str(path), *COUNTS)
    if made.exit_code:
        said = one_line(made)
        assert not Path("config/indicators/mine.yaml").exists() and not Path("config/sources/mine.yaml").exists()
    else:
        checked = did("indicator", "check", "mine")
        assert checked.exit_code == 1, checked.output
        stops = [line for line in checked.output.splitlines() if "STOP" in line]
        assert stops and "Traceback" not in checked.output and "fault of the program" not in checked.output
        said = stops[0]
    for word in words:
        assert word in said


GOOD = {
    "a byte-order mark": {"encoding": "utf-8-sig"},
    "Windows line ends": {"end": "\r\n"},
    "cp1252": {"encoding": "cp1252", "name": "N°"},
    "thousands separators": {"change": lambda rows: [rows[0], *([*row[:3], "1,000"] for row in rows[1:])]},
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_odd_and_not_broken(inside, tmp_path, case):
    how = dict(GOOD[case])
    rows = how.pop("change", lambda rows: rows)(ae())
    rows = [[*row, how["name"] if place else "name"] for place, row in enumerate(rows)] if "name" in how else rows
    how.pop("name", None)
    path = saved(tmp_path / "odd.csv", rows, **how)
    assert did("indicator", "new", "mine", "--file", str(path), *COUNTS).exit_code == 0
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert report["stops"] == [] and report["panel"]["units"] == 13


def test_percentages_as_text_are_numbers_of_that_unit(inside, tmp_path):
    _, *rows = ae()
    rows = [[*row[:2], f"{row[2] / 10:.1f}%"] for row in rows]
    path = saved(tmp_path / "percent.csv", [["month", "code", "share"], *rows])
    assert did("indicator", "new", "mine", "--file", str(path), "--value-column", "share").exit_code == 0
    assert "unit_of_measure: \"%\"" in Path("config/indicators/mine.yaml").read_text()
    assert look(path).has_percent
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert report["stops"] == [] and 80 < report["series"]["treated"][0] < 100


CONFIG_FAULTS = {
    "an unknown key": ("per: 100", "perr: 100", ["perr", "did you mean 'per'"]),
    "a wrong type": ("per: 100", "per: many", ["per", "many"]),
    "a wrong word": ("direction: none", "direction: up", ["direction", "up"]),
    "a window that runs backwards": ('last: "2018-05"', 'last: "2015-05"', ["must end after it begins"]),
    "a window of another frequency": ('last: "2018-05"', "last: 2018", ["months, written 2017-06"]),
    "an unknown source": ("numerator: {source: mine", "numerator: {source: mien", ["mien"]),
    "an unknown geography": ("geography: upper_tier", "geography: upper_teir", ["upper_teir", "upper_tier"]),
    "a key twice": ("per: 100", "per: 100\nper: 100", ["twice"]),
    "no YAML": ("per: 100", "per: [100", ["expected YAML"]),
}


@pytest.mark.parametrize("case", CONFIG_FAULTS)
def test_a_broken_config_is_one_clear_sentence(inside, case):
    old, new, words = CONFIG_FAULTS[case]
    saved(Path("ae.csv"), ae())
    did("indicator", "new", "mine", "--file", "ae.csv", *COUNTS)
    place = Path("config/indicators/mine.yaml")
    assert old in place.read_text()
    place.write_text(place.read_text().replace(old, new))
    checked = did("indicator", "check", "mine")
    assert checked.exit_code == 1 and "Traceback" not in checked.output
    stops = [line for line in checked.output.splitlines() if "STOP" in line]
    assert len(stops) == 1
    for word in words:
        assert word in stops[0]


def test_a_reader_that_does_not_fit(inside):
    saved(Path("ae.csv"), ae())
    assert "does not fit" in one_line(did("indicator", "new", "mine", "--file", "ae.csv", "--reader", "excel_table"))


def reference(name: str) -> pd.DataFrame:
    return pd.read_csv(small_project.ROOT / "data/reference" / name, dtype=str, keep_default_na=False)


def _practices() -> pd.DataFrame:
    groups = sorted(set(reference("ccg_systems.csv")["unit"]))
    return pd.DataFrame({"code": [f"A{81000 + place}" for place in range(2 * len(groups))], "unit": groups * 2})


def _districts() -> pd.DataFrame:
    rows = reference("local_authorities.csv")
    return rows.loc[rows["area_code"].isin(UNITS)].rename(columns={"lad_code": "code", "area_code": "unit"})


def _same(name: str) -> Callable[[], pd.DataFrame]:
    return lambda: reference(name).drop_duplicates("unit").assign(code=lambda rows: rows["unit"])


# Type of area -> the areas with the unit each belongs to, what must be said besides, and the panel's areas.
AREA_TYPES = {
    "practice": (_practices, ["--parent-column", "unit"], "ccg_2020", 135),
    "ccg": (_same("ccg_systems.csv"), [], "ccg_2020", 135),
    "icb_sub_location": (_same("ccg_2021_systems.csv"), ["--area-type", "icb_sub_location"], "ccg_2021", 106),
    "stp": (_same("stp_systems.csv"), [], "stp", 42),
    "lower_tier": (_districts, ["--area-type", "lower_tier"], "upper_tier", 13),
}


@pytest.mark.parametrize("area_type", AREA_TYPES)
def test_every_type_of_area_becomes_its_panel(inside, area_type):
    areas, extra, geography, units = AREA_TYPES[area_type]
    table = areas()[["code", "unit"]].merge(pd.DataFrame({"month": MONTHS}), how="cross")
    table = table.assign(within=range(900, 900 + len(table)), attendances=range(2000, 2000 + 2 * len(table), 2))
    shown = table.drop(columns=[] if "--parent-column" in extra else "unit")
    shown.to_csv("areas.csv", index=False)
    made = did("indicator", "new", "mine", "--file", "areas.csv", "--area-column", "code", *extra, *COUNTS)
    assert made.exit_code == 0, made.output
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert report["stops"] == [] and report["geography"] == geography
    assert (report["panel"]["units"], report["panel"]["periods"]) == (units, 24)
    # Counts of a unit's areas are summed, then divided; the report gives means over units of either group.
    sums = table.loc[table["month"] == MONTHS[0]].groupby("unit")[["within", "attendances"]].sum()
    assert len(sums) == units
    treated = sum(report["panel"]["treated_by_wave"].values())
    means = report["series"]
    found = (means["treated"][0] * treated + means["untreated"][0] * (units - treated)) / units
    assert treated > 0 and found == pytest.approx((100 * sums["within"] / sums["attendances"]).mean(), abs=1e-4)


def test_systems_are_refused_in_one_line_where_the_evaluation_has_no_table_of_them(inside):
    place = Path("config/ics.yaml")
    before = place.read_text()
    evaluation = yaml.safe_load(before)
    del evaluation["waves"]["membership"]["stp"]
    saved(Path("stp.csv"), ae(["QOP", "QF7", "QHM", "QWO"]))
    try:
        place.write_text(yaml.safe_dump(evaluation, sort_keys=False))
        said = one_line(did("indicator", "new", "mine", "--file", "stp.csv", *COUNTS))
    finally:
        place.write_text(before)
    assert "waves.membership" in said and "areas of type stp" in said


def counts(code: str, areas, value: Callable[[str, int], object], years=range(2014, 2020)) -> list[list[object]]:
    """Rows of a count out of 100 by area and year."""
    return [[code, "Year", "n", "d"]] + [[area, year, value(area, year), 100] for year in years for area in areas]


def stops(path: Path, *options: str) -> list[str]:
    """What would stop an indicator of a file of counts."""
    made = did("indicator", "new", "mine", "--file", str(path), "--numerator-column", "n", "--denominator-column", "d",
               "--unit", "%", *options)
    assert made.exit_code == 0, made.output
    return json.loads(did("indicator", "check", "mine", "--json").output)["stops"]


def test_a_county_beside_its_own_districts_is_not_summed_twice(inside):
    districts = list(_districts().query("unit == 'E10000019'")["code"])
    path = saved(Path("levels.csv"), counts("Code", [*UNITS, *districts], lambda area, year: 10))
    said, = stops(path, "--area-type", "lower_tier")
    assert "E10000019" in said and districts[0] in said and "counted twice" in said and "leave_out" in said
    # Without the county its districts are summed, and every unit has 10 of 100.
    path = saved(Path("levels.csv"), counts("Code", [*UNITS[:-2], UNITS[-1], *districts], lambda area, year: 10))
    assert stops(path, "--area-type", "lower_tier", "--replace") == []
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert {value for row in ("treated", "untreated") for value in report["series"][row]} == {10.0}


@pytest.mark.parametrize("years", [range(2014, 2020), range(2014, 2016), range(2016, 2020), [2016]])
def test_a_district_absent_in_any_period_stops_the_run_and_is_named(inside, years):
    districts = list(_districts().query("unit == 'E10000019'")["code"])
    rows = counts("Code", [*UNITS[:-2], UNITS[-1], *districts], lambda area, year: 10)
    path = saved(Path("gap.csv"), [row for row in rows if not (row[0] == districts[2] and row[1] in years)])
    said, = stops(path, "--area-type", "lower_tier")
    assert f"none for {districts[2]}" in said and str(min(years)) in said


@pytest.mark.parametrize("years", [range(2014, 2020), range(2018, 2020)])
def test_a_ccg_absent_is_missing_and_not_zero(inside, years):
    """09C is one of the eight that became 91Q in 2020."""
    old = reference("ccg_codes.csv").query("open_date <= '2019-04-01' <= close_date or open_date <= '2019-04-01' and "
                                           "close_date == ''")["ods_code"]
    rows = counts("CCG", old, lambda area, year: 10)
    assert stops(saved(Path("whole.csv"), rows)) == []
    path = saved(Path("gap.csv"), [row for row in rows if not (row[0] == "09C" and row[1] in years)])
    said, = stops(path, "--replace")
    assert "91Q" in said and "none for 09C" in said and str(min(years)) in said
    # A mark says that there is none: the unit is missing in those years, and no others are.
    marked = [[*row[:2], "*", row[3]] if row[0] == "09C" and row[1] in years else row for row in rows]
    assert stops(saved(Path("marked.csv"), marked), "--replace") == []
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert report["panel"]["missing_outcomes"] == len(years)
    assert {value for row in ("treated", "untreated") for value in report["series"][row]} == {10.0}


def test_an_england_row_is_compared_only_where_every_area_has_a_figure(inside):
    areas = sorted(set(reference("ccg_systems.csv")["unit"]))
    rows = counts("CCG", areas, lambda area, year: "*" if (area, year) == (areas[3], 2016) else 60)
    england = [["E92000001", year, 60 * len(areas), 100 * len(areas)] for year in range(2014, 2020)]
    assert stops(saved(Path("england.csv"), rows + england)) == []
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert any("not compared in 2016" in note for note in report["notes"])
    england[0][2] += 5
    said, = stops(saved(Path("england.csv"), rows + england), "--replace")
    assert "2014" in said and "leave_out" in said
    assert stops(Path("england.csv"), "--replace", "--leave-out", "E92000001") == []


def test_totals_are_left_out_by_a_key_and_listed(inside):
    rows = counts("Code", [*UNITS, "US", "UNK"], lambda area, year: 10)
    said, = stops(saved(Path("totals.csv"), rows))
    assert "leave_out" in said and "US" in said and "UNK" in said
    assert stops(Path("totals.csv"), "--replace", "--leave-out", "US", "--leave-out", "UNK") == []
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    assert any(row["fate"] == "set_aside" and row["areas"] == 2 for row in report["areas"])
    said, = stops(Path("totals.csv"), "--replace", "--leave-out", "US", "--leave-out", "UNKN")
    assert "'UNKN'" in said and "did you mean 'UNK'" in said


@pytest.mark.parametrize("mark", ["<10", "<8", "1-4", "1 to 7", "5-", "0~", "~", "x"])
def test_a_mark_with_digits_is_named_with_the_option_to_list_it_under(inside, mark):
    rows = counts("Code", UNITS, lambda area, year: mark if (area, year) == (UNITS[2], 2015) else 60)
    said, = stops(saved(Path("marks.csv"), rows))
    assert f"list '{mark}' under the source's option 'suppressed'" in said and "row 17, column 'n'" in said


@pytest.mark.parametrize(("column", "cells"), [("Quarter", [1, 2, 3, 4]), ("Sex", ["F", "M"]),
                                               ("HCP_TYPE", ["GP", "Nurse", "Unknown"])])
def test_the_column_by_which_rows_differ_is_named(inside, column, cells):
    head, *rows = counts("Code", UNITS, lambda area, year: 60)
    said, = stops(saved(Path("second.csv"), [[*head, column]] + [[*row, cell] for cell in cells for row in rows]))
    assert f"column '{column}'" in said and "remove" not in said and "more problem" not in said
    assert ("make one period of 'Year' and 'Quarter'" in said) == (column == "Quarter")


@pytest.mark.parametrize("suffix", ["csv", "xls"])
def test_a_table_below_titles_of_two_cells(inside, suffix):
    block = [["Title:", "A&E attendances"], ["Summary:", "Made up for this test"], ["Period:", "2014 to 2019"], []]
    rows = counts("Code", UNITS, lambda area, year: 60)
    path = Path(f"block.{suffix}")
    saved(path, block + rows) if suffix == "csv" else workbook(path, block + rows, "NHS England")
    assert stops(path) == []
    options = yaml.safe_load(Path("config/sources/mine.yaml").read_text())["options"]
    assert options["header_row"] == (5 if suffix == "csv" else 7)


def test_percentages_written_in_two_ways_are_refused_in_text_and_in_a_sheet(inside):
    import xlsxwriter

    share = {"percent": ["65.0%", "65.0%"], "mixed": ["65.0%", "0.65"]}
    for name, written in share.items():
        rows = [[unit, year, written[place % 2]] for year in range(2014, 2020) for place, unit in enumerate(UNITS)]
        saved(Path(f"{name}.csv"), [["Code", "Year", "v"], *rows])
        book = xlsxwriter.Workbook(f"{name}.xlsx")
        page, percent = book.add_worksheet("Shares"), book.add_format({"num_format": "0.0%"})
        page.write_row(0, 0, ["Code", "Year", "v"])
        for line, (unit, year, cell) in enumerate(rows, start=1):
            page.write_row(line, 0, [unit, year])
            page.write(line, 2, 0.65, percent if cell.endswith("%") else None)
        book.close()
    for suffix in ("csv", "xlsx"):
        for name in share:
            made = did("indicator", "new", "mine", "--file", f"{name}.{suffix}", "--value-column", "v", "--unit", "%",
                       "--replace")
            assert made.exit_code == 0, made.output
            report = json.loads(did("indicator", "check", "mine", "--json").output)
            if name == "percent":
                assert report["stops"] == [] and set(report["series"]["treated"]) == {65.0}
            else:
                assert len(report["stops"]) == 1 and "65" in report["stops"][0] and "'0.65'" in report["stops"][0]


def fingertips(periods: list[str], sexes=("Persons",), count: str = "") -> list[list[object]]:
    return [FINGERTIPS] + [["1", "Something", unit, f"Area {unit}", "Counties & UAs", sex, "18+ yrs", "", "", period,
                            10 + place, count, 200 if count else "", ""]
                           for sex in sexes for period in periods for place, unit in enumerate(UNITS)]


@pytest.mark.parametrize(("periods", "financial", "onset", "neither"), [
    ([f"{year} - {year % 100 + 2}" for year in range(2010, 2020)], False, "2017", ["2015", "2016"]),
    ([f"{year} - {year % 100 + 1}" for year in range(2010, 2020)], False, "2017", ["2016"]),
    ([f"{year}/{year % 100 + 1} - {year % 100 + 2}/{year % 100 + 3}" for year in range(2010, 2020)], True, "2017",
     ["2015", "2016"])])
def test_years_that_overlap_are_before_or_after_by_their_span(inside, periods, financial, onset, neither):
    """June 2017 is the sixth of 36 or 24 months of 2017 on, at most a quarter of them; earlier spans hold it later."""
    saved(Path("rolling.csv"), fingertips(periods))
    made = did("indicator", "new", "mine", "--file", "rolling.csv", "--unit", "per 100,000")
    assert made.exit_code == 0, made.output
    report = json.loads(did("indicator", "check", "mine", "--json").output)
    panel = report["panel"]
    assert report["stops"] == [] and (panel["onset"], panel["neither"]) == (onset, neither)
    assert panel["before"] == 7 - len(neither) and panel["after"] == 3
    written = yaml.safe_load(Path("config/indicators/mine.yaml").read_text())
    assert any("overlaps" in words for words in written["caveats"])
    assert any(neither[0] in words and "neither before nor after" in words for words in written["caveats"])
    series = dict(zip(report["series"]["periods"], report["series"]["treated"], strict=True))
    assert [period for period, value in series.items() if value is None] == neither
    # Taken for single years they are refused, not filed under their first in silence.
    place = Path("config/indicators/mine.yaml")
    place.write_text(place.read_text().replace(f"span: {written['span']}", "span: 1"))
    said = json.loads(did("indicator", "check", "mine", "--json").output)["stops"]
    assert len(said) == 1 and f"span: {written['span']}" in said[0]


def test_what_a_file_does_not_decide_is_a_question(inside):
    saved(Path("sexes.csv"), fingertips([str(year) for year in range(2010, 2020)], ("Female", "Male")))
    said = one_line(did("indicator", "new", "mine", "--file", "sexes.csv", "--unit", "%"))
    assert "Female, Male" in said and "give --sex" in said
    assert did("indicator", "new", "mine", "--file", "sexes.csv", "--unit", "%", "--sex", "Male").exit_code == 0


def test_negative_counts_of_fingertips_are_refused(inside, tmp_path):
    path = saved(tmp_path / "f.csv", fingertips(["2017"], count="-3"))
    with pytest.raises(Exception, match="row 2, column 'Count': expected a count of at least 0; found -3"):
        readers.read("fingertips_csv", "s", [RawFile(path, path.name)], {
            "indicator_id": 1, "measure": "value", "area_type": "Counties & UAs"})
