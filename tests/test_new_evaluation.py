"""Another roll-out: the skeleton of `did new` runs at once, and so does a panel of other units with its own dates."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

import libreoffice
from banners import says_synthetic
from browser import opened, started
from did.authoring import scaffold
from did.errors import DidError
from did.panels.build import build
from did.project import shipped
from did.project.loading import load_evaluation, load_indicator
from did.project.waves_table import first_month, read_table
from did.store.result_csv import read_csv
from did.store.tables import read
from small_project import environment

ROOT = Path(__file__).resolve().parents[1]
STATES = [f"{number:02d}" for number in range(1, 51)]
EFFECT = 3.0   # per unit of dose


def first_year(place: int) -> int | None:
    """Two states before the window, 28 in four years, 20 never."""
    return 1999 if place < 2 else 2004 + place % 4 if place < 30 else None


def dose(place: int) -> float:
    return 1 + place % 3 * 0.5


def write(path: Path, rows: list[list]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)


def states(folder: Path) -> None:
    """50 states x 15 years, a rate without counts, made from the skeleton as a user would, by editing its files."""
    scaffold.create("states", folder)
    rng = np.random.default_rng(3)
    write(folder / "data/states/reference/waves.csv", [["unit", "first_treated", "dose"], *(
        [code, first_year(place) or "never", dose(place) if first_year(place) else ""]
        for place, code in enumerate(STATES))])
    rows = [["State", "Year", "Rate"]]
    for place, code in enumerate(STATES):
        level, first = rng.normal(50, 5), first_year(place)
        for year in range(2000, 2015):
            effect = EFFECT * dose(place) if first and year >= first else 0
            rows.append([code, year, f"{level + 0.5 * (year - 2000) + effect + rng.normal():.4f}"])
    write(folder / "data/states/rates.csv", rows)
    change(folder / "config/states.yaml", {r"clusters: \[unit, system\]": "clusters: [unit]", "to_2019": "to_2012",
                                           r"published: .*\n": "", "draws: 999": "draws: 99", "units: districts":
                                           "units: states"})
    change(folder / "config/states/indicators/visits.yaml", {
        r"numerator.*\n": "", r"denominators:\n.*\n": "", r"# rate: (.*)visit_rate": r"rate: \1rate",
        "per: 1000\n": "per: 1\n", "aggregation: sum": "aggregation: population_weighted",
        "visits per 1,000 {denominator}": "prescriptions a head", "2010, last: 2021": "2000, last: 2014",
        "to_2019: {first: 2010, last: 2019": "to_2012: {first: 2000, last: 2012"})
    change(folder / "config/states/sources/visits.yaml", {
        r"synthetic: true.*\n": "", "period_column: year": "period_column: Year", r".*area_name_column.*\n": "",
        "area_code_column: district": "area_code_column: State", r"measures: .*": "measures: {rate: Rate}",
        "area_type: district": "area_type: country", r".*sha256.*\n": "", "name: synthetic_visits.csv":
        "name: rates.csv", "data/states/synthetic_visits.csv": "data/states/rates.csv"})


def change(path: Path, edits: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern, new in edits.items():
        text, number = re.subn(pattern, new, text)
        assert number, pattern
    path.write_text(text, encoding="utf-8")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from did.cli.commands import main; main(prog_name='did')", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One project with two evaluations side by side, both run."""
    folder = tmp_path_factory.mktemp("two") / "project"
    folder.mkdir()
    made = run(folder, "new", "elsewhere")
    assert made.returncode == 0, made.stderr
    change(folder / "config/elsewhere.yaml", {"draws: 999": "draws: 99"})
    states(folder)
    for name in ("elsewhere", "states"):
        done = run(folder, "run", name, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        last = json.loads(done.stdout.splitlines()[-1])
        assert last == {"event": "ended", "command": "run", "exit_code": 0}
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project with the skeleton, to be changed."""
    scaffold.create("elsewhere", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overall(folder: Path, name: str, **cell: str) -> pd.DataFrame:
    table = pd.read_csv(folder / "results" / name / "tables/estimates.csv")
    table = table.loc[table["estimand"] == "overall"]
    for column, value in cell.items():
        table = table.loc[table[column] == value]
    return table


@pytest.mark.parametrize(("name", "effect"), [("elsewhere", scaffold.EFFECT), ("states", EFFECT)])
def test_the_planted_effect_of_the_dose_is_found(project, name, effect):
    found = overall(project, name, specification="default", treatment="intensity", estimator="did")
    assert len(found) == {"elsewhere": 2, "states": 1}[name]
    assert ((found["ci_low"] < effect) & (effect < found["ci_high"])).all()
    assert found["estimate"].sub(effect).abs().max() < 0.1 * effect


@pytest.mark.parametrize(("name", "n_treated"), [("elsewhere", 24), ("states", 28)])
def test_every_estimator_runs_with_each_units_own_date(project, name, n_treated):
    found = overall(project, name, specification="own_dates", cluster="unit")
    assert set(found["estimator"]) == {"did", "callaway_santanna", "sun_abraham", "imputation", "stacked"}
    assert (found["ci_low"] > 0).all()
    assert (found["n_treated"] == n_treated).all()


@pytest.mark.parametrize("name", ["elsewhere", "states"])
def test_pages_figures_and_manifest_are_there_and_hold(project, name):
    results = project / "results" / name
    pages = {path.name for path in results.glob("*.md")}
    assert pages == {"summary.md"}
    assert (project / f"data/{name}/processed/published.html").read_text() == "", "nothing was published"
    figures = {path.stem for path in (results / "figures").glob("*.svg")}
    assert {"coefficients_visits_did", "trends_visits", "event_study_visits", "specification_visits"} <= figures
    assert {path.suffix for path in (results / "figures").iterdir()} == {".svg"}
    numbers = read_csv(results / "tables/figures.csv", low_memory=False)
    # Nothing is judged on the first screen of this evaluation's own: no numbers.
    assert set(numbers["figure"]) >= figures - {"answer"}
    assert pd.read_csv(results / "tables/reproduction.csv").empty
    done = run(project, "--config", f"config/{name}.yaml", "verify")
    assert done.returncode == 0 and "files are as recorded" in done.stdout


def test_evaluations_live_side_by_side(project):
    assert {path.name for path in (project / "results").iterdir()} == {"elsewhere", "states"}
    assert {path.name for path in (project / "logs").iterdir() if path.is_dir()} == {"elsewhere", "states"}
    assert {path.name for path in (project / "data").iterdir()} == {"elsewhere", "states"}


def test_what_is_made_up_says_so_and_what_is_not_does_not(project):
    files = {name: [path for path in sorted((project / "results" / name).rglob("*")) if path.is_file()]
             for name in ("elsewhere", "states")}
    assert [path.name for path in files["elsewhere"] if not says_synthetic(path)] == []
    # Nothing was published, so that these tables have no row that could say anything.
    empty = {"reproduction.csv", "ranking.csv", "choices.csv"}
    assert [path.name for path in files["states"] if path.name not in empty and says_synthetic(path)] == []


@pytest.mark.skipif(shutil.which("soffice") is None, reason=libreoffice.MISSING)
@pytest.mark.parametrize("name", ["elsewhere", "states"])
def test_libreoffice_opens_the_workbook_of_a_run(project, name, tmp_path):
    path = project / "results" / name / "workbook.xlsx"
    book = CalamineWorkbook.from_path(path)
    assert "Reproduction" not in book.sheet_names, "nothing was published"
    for sheet, theirs in libreoffice.read(path, tmp_path, book.sheet_names).items():
        ours = book.get_sheet_by_name(sheet).to_python()
        assert [len(theirs), *theirs[0]] == [len(ours), *ours[0]], sheet


def test_the_words_are_those_of_the_evaluation(project):
    """Units as the evaluation calls them, and no word of a publication where there is none."""
    for path in [*(project / "results/elsewhere").glob("*.md"), *(project / "results/elsewhere").glob("figures/*.svg"),
                 project / "results/elsewhere/report.html"]:
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"by area|comparison areas|treated areas|[Tt]he report (?:prints|leaves|did)|"
                           r"The publication|as published|lagged dependent", text)
        assert found == [], path.name
    page = (project / "results/elsewhere/report.html").read_text(encoding="utf-8")
    assert "clustered by district" in page and "95% interval by district" in page


def test_what_does_not_apply_is_skipped_with_a_reason(project):
    table = pd.read_csv(project / "results/elsewhere/tables/diagnostics.csv")
    skipped = table.loc[table["status"] == "skipped"]
    assert len(skipped) and skipped["reason"].str.len().gt(20).all()
    page = (project / "results/states/summary.md").read_text(encoding="utf-8")
    assert "verdict" not in page.partition("## What each file is for")[0].lower()


def test_an_estimator_that_needs_whole_series_is_left_out_with_its_reason_and_the_others_are_not(here):
    change(here / "config/elsewhere.yaml", {"draws: 999": "draws: 99"})
    path = here / "data/elsewhere/synthetic_visits.csv"
    table = pd.read_csv(path, dtype=str)
    gone = table.groupby("district").cumcount() == table["district"].str[1:].astype(int) % 12   # one year of each
    table.assign(visits=table["visits"].mask(gone)).to_csv(path, index=False)
    assert run(here, "--config", "config/elsewhere.yaml", "indicator", "check", "visits", "--accept").returncode == 0
    done = run(here, "run", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert "left out under own_dates: callaway_santanna: expected a treated unit" in done.stderr
    fitted = set(overall(here, "elsewhere", specification="own_dates")["estimator"])
    assert fitted == {"did", "sun_abraham", "imputation", "stacked"}
    rows = pd.read_csv(here / "results/elsewhere/tables/diagnostics.csv")
    row = rows.loc[rows["diagnostic"] == "estimator"].squeeze()
    assert (row["estimator"], row["status"]) == ("callaway_santanna", "skipped") and "40 units without" in row["reason"]
    assert "40 units without an outcome" in (here / "results/elsewhere/report.html").read_text(encoding="utf-8")


def test_units_treated_before_the_window_are_left_out_and_listed(project):
    area_audit = pd.read_csv(project / "results/states/tables/area_audit.csv", dtype={"area_code": str})
    out = area_audit.loc[(area_audit["fate"] == "excluded") & (area_audit["specification"] == "default")]
    assert out["area_code"].tolist() == ["01", "02"]
    assert out["reason"].str.startswith("Treated from 1999, not after the window's first period").all()


def test_cohorts_and_doses_are_those_of_the_table(project):
    panel = read("panel", project / "data/states/processed/panel/visits.parquet")
    units = panel.loc[panel["specification"] == "default"].drop_duplicates("unit").set_index("unit")
    assert len(units) == 48
    for place, code in enumerate(STATES[2:], start=2):
        first = first_year(place)
        assert (units["cohort"][code] == str(first)) if first else pd.isna(units["cohort"][code])
        assert units["intensity"][code] == (dose(place) if first else 0)


def test_nothing_is_made_again_when_nothing_changed(project):
    done = run(project, "run", "config/states.yaml", "--json")
    # the headline, and that is all
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["note", "ended"]


def test_snakemakes_own_report_is_made_and_opens_without_a_network(project, tmp_path):
    """`snakemake --report` in a network of its own with nothing in it where root may; its file in a browser."""
    path = tmp_path / "run.html"
    alone = ["unshare", "--net"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*alone, sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--report", str(path),
         "--config", "evaluation=config/elsewhere.yaml"],
        cwd=project, capture_output=True, text=True, env=environment(project) | dict.fromkeys(
            ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9"))
    assert done.returncode == 0, done.stderr
    with started() as browser, opened(browser, path) as (page, heard):
        page.get_by_text("Figures", exact=True).click()
        row = page.get_by_role("row").filter(has_text="event_study_visits.svg")
        row.locator("[iconname=eye]").click()
        picture = page.locator("img[src*='event_study_visits.svg']")
        picture.wait_for()
        assert picture.evaluate("each => each.decode().then(() => each.naturalWidth)") > 300
        row.locator("[iconname=information-circle]").click()
        page.get_by_text("Made by the rule draw_visits").wait_for()
        assert [url.partition("#")[0] for url in heard.requests if not url.startswith("data:")] == [path.as_uri()]
        # Snakemake's own remark on how it was built; nothing else is said.
        assert [each for each in heard.complaints if not each.startswith("warning: cdn.tailwindcss.com")] == []


def test_the_estimate_is_that_of_a_regression_on_the_users_own_file(project):
    """Two-way fixed effects by least squares on dummies, from the CSV and the waves table alone."""
    panel = pd.read_csv(project / "data/states/rates.csv", dtype={"State": str})
    panel = panel.loc[~panel["State"].isin(["01", "02"])]
    first = panel["State"].map({code: first_year(place) for place, code in enumerate(STATES)})
    treated = (panel["Year"] >= first.fillna(9999)).astype(float)
    columns = [treated.to_numpy(), *pd.get_dummies(panel["State"], dtype=float).to_numpy().T,
               *pd.get_dummies(panel["Year"], dtype=float).to_numpy().T[1:]]
    expected = np.linalg.lstsq(np.column_stack(columns), panel["Rate"].to_numpy(), rcond=None)[0][0]
    found = overall(project, "states", specification="default", treatment="binary", estimator="did")["estimate"]
    assert found.to_numpy() == pytest.approx([expected], rel=1e-9)


# The waves table ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "month"), [
    ("2014", "2014-01"), ("2014-06", "2014-06"), ("2014Q2", "2014-04"), ("2014 Q4", "2014-10"), ("2014/15", "2014-04"),
    ("1999/00", "1999-04"), ("", None), ("never", None), ("NA", None), ("0", None), ("inf", None), ("2014/16", "?"),
    ("2014-13", "?"), ("June 2014", "?"), ("2014-06-15", "?"), ("14", "?")])
def test_first_treated_periods_as_people_write_them(text, month):
    assert first_month(text) == month


@pytest.mark.parametrize(("frequency", "first", "last", "onset"), [
    ("M", "2013-01", "2015-12", "2014-07"), ("Q", "2013Q1", "2015Q4", "2014Q3"), ("Y", "2010", "2021", "2014")])
def test_the_period_that_contains_the_date_is_the_first_treated(here, frequency, first, last, onset):
    change(here / "config/elsewhere/indicators/visits.yaml", {
        "frequency: Y ": f"frequency: {frequency} ", "default: {first: 2010, last: 2021}":
        f"default: {{first: {first}, last: {last}}}", "to_2019: {.*": f"to_2019: {{first: {first}, last: {last}}}"})
    change(here / "data/elsewhere/reference/waves.csv", {",2014,": ",2014-07,", ",201[68],": ",2015-02,"})
    evaluation = load_evaluation("config/elsewhere.yaml")
    assert evaluation.waves.onset == "2014-07"
    assert str(load_indicator("visits", evaluation.indicators_folder).onset(evaluation.waves.onset)) == onset


def test_a_table_by_system_gives_every_unit_its_systems_date(here):
    units = pd.read_csv("data/elsewhere/reference/waves.csv", dtype=str)[["unit", "system", "name"]]
    units.to_csv("data/elsewhere/reference/units.csv", index=False)
    write(here / "data/elsewhere/reference/waves.csv", [
        ["system", "first_treated"], *([f"S{place:02d}", 2014 if place < 4 else ""] for place in range(1, 11))])
    change(here / "config/elsewhere.yaml", {"  table: waves.csv": "  table: waves.csv\n  units: units.csv"})
    table = read_table(load_evaluation("config/elsewhere.yaml")).set_index("unit")
    assert (table["first_treated"].notna() == table["system"].isin(["S01", "S02", "S03"])).all()
    assert table["unit_name"]["D01"] == "District 1" and (table["dose"] == 1).all()


def observed(rows: list[tuple[str, int, float]]) -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame([{"source": "visits", "measure": measure, "area_code": code, "period": str(year),
                           "frequency": "Y", "area_name": code, "area_type": "country", "value": value,
                           "numerator": None, "denominator": None, "status": "ok", "file": "a.csv",
                           "sheet": "", "row": None, "period_published": "", "note": "", "is_synthetic": False}
                          for code, year, value in rows for measure in ("visits", "residents")])
    return {"visits": frame}


def test_a_unit_that_the_table_does_not_have_is_told_with_the_nearest(here):
    evaluation = load_evaluation("config/elsewhere.yaml")
    indicator = load_indicator("visits", evaluation.indicators_folder)
    rows = [(code, year, 5.0) for code in ("D01", "D40", "0D07") for year in range(2010, 2022)]
    with pytest.raises(DidError, match=r"unit '0D07' .* is not in waves.csv; did you mean 'D07'"):
        build(indicator, evaluation, "default", observed(rows))


def test_units_without_figures_are_listed_and_no_area_type_sets_units_aside(here):
    evaluation = load_evaluation("config/elsewhere.yaml")
    indicator = load_indicator("visits", evaluation.indicators_folder)
    rows = [(code, year, 5.0) for code in ("D01", "D02", "D39", "D40") for year in range(2010, 2022)]
    panel, area_audit = build(indicator, evaluation, "default", observed(rows))
    assert sorted(set(panel["unit"])) == ["D01", "D02", "D39", "D40"]
    absent = area_audit.loc[area_audit["fate"] == "excluded"]
    assert len(absent) == 36 and absent["reason"].eq("In waves.csv; the sources have no figures for it").all()


@pytest.mark.parametrize(("table", "figures"), [("{}", "{}.0"), ("{}.0", "{}"), ("+{}", "{}")])
def test_units_that_are_numbers_are_the_same_however_they_are_written(here, table, figures):
    waves = here / "data/elsewhere/reference/waves.csv"
    write(waves, [["unit", "first_treated"], *([table.format(n), 2014 if n < 4 else ["0.0", "00"][n % 2]]
                                               for n in range(1, 9))])
    evaluation = load_evaluation("config/elsewhere.yaml")
    indicator = load_indicator("visits", evaluation.indicators_folder)
    rows = [(figures.format(n), year, 5.0) for n in range(1, 9) for year in range(2010, 2022)]
    panel, _ = build(indicator, evaluation, "default", observed(rows))
    assert sorted(set(panel["unit"])) == [str(n) for n in range(1, 9)]
    assert sorted(set(panel.loc[panel["cohort"].notna(), "unit"])) == ["1", "2", "3"]

    write(waves, [["unit", "first_treated"], ["1", 2014], ["2", ""], ["01", ""]])
    with pytest.raises(DidError, match=r"column 'unit': expected one way of writing a unit; found '01' and '1'"):
        read_table(evaluation)


def test_a_dose_whose_dot_may_separate_thousands_is_refused(here):
    write(here / "data/elsewhere/reference/waves.csv", [
        ["unit", "first_treated", "dose"], ["a", 2014, "1.056"], ["b", 2014, "594"], ["c", "", ""]])
    with pytest.raises(DidError, match=r"column 'dose' of a: .* found '1.056'; write 1056 if"):
        read_table(load_evaluation("config/elsewhere.yaml"))


# The skeleton ---------------------------------------------------------------------------------------------------


def test_the_skeleton_is_the_same_every_time(here, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for path in scaffold.create("elsewhere", other):
        assert (other / path).read_bytes() == (here / path).read_bytes()
    assert "SYNTHETIC" in (here / "data/elsewhere/synthetic_visits.csv").read_text(encoding="utf-8").splitlines()[1]


@pytest.mark.parametrize(("name", "expected"), [
    ("elsewhere", "config/elsewhere.yaml: expected nothing there yet"), ("Elsewhere", "expected small letters"),
    ("../up", "expected small letters"), ("sources", "expected small letters"), ("", "expected small letters")])
def test_names_that_cannot_be(here, name, expected):
    with pytest.raises(DidError, match=re.escape(expected)):
        scaffold.create(name)


def test_a_run_in_any_folder_says_which_evaluations_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DidError, match="one of ics; found neither schools nor config/schools.yaml; did new schools"):
        shipped.evaluation_file("schools")
    with pytest.raises(DidError, match="did run ics, which comes with the package, or did new NAME"):
        shipped.evaluation_file("config/schools.yaml")
    scaffold.create("schools", tmp_path)
    assert shipped.evaluation_file("schools") == (Path("config/schools.yaml"), [])
    path, written = shipped.evaluation_file("ics")
    assert path == Path("config/ics.yaml") and "data/reference" in written
    assert load_evaluation(path).id == "ics" and shipped.evaluation_file("ics") == (path, [])


def did(*arguments: str):
    from click.testing import CliRunner

    from did.cli.commands import main

    return CliRunner().invoke(main, ["--config", "config/elsewhere.yaml", *arguments])


def quarters(codes: list[str]) -> pd.DataFrame:
    """Counts by quarter of units with codes of their own, among which no pattern of English codes is found."""
    periods = [f"{year} Q{quarter}" for year in range(2012, 2020) for quarter in range(1, 5)]
    table = pd.DataFrame({"Local code": codes}).merge(pd.DataFrame({"Quarter": periods}), how="cross")
    return table.assign(Items=range(100, 100 + len(table)), Residents=1000)


def test_an_outcome_of_units_with_own_codes_is_added_by_command(here):
    codes = pd.read_csv("data/elsewhere/reference/waves.csv", dtype=str)["unit"].to_list()
    table = quarters(codes)
    table.to_csv("items.csv", index=False)
    made = did("indicator", "new", "items", "--file", "items.csv", "--numerator-column", "Items",
               "--denominator-column", "Residents", "--unit", "per 100")
    assert made.exit_code == 0, made.output
    assert "taken: --area-column Local code" in made.output and "did run config/elsewhere.yaml" in made.output
    answer = did("indicator", "check", "items", "--json")
    report = json.loads(answer.output)
    assert answer.exit_code == 0 and report["stops"] == []
    panel = report["panel"]
    assert (panel["units"], panel["onset"], panel["treated_by_wave"]) == (40, "2014Q1", {"1": 8, "2": 8, "3": 8})
    found = (report["series"]["treated"][0] * 24 + report["series"]["untreated"][0] * 16) / 40
    assert found == pytest.approx(table.loc[table["Quarter"] == "2012 Q1", "Items"].mean() / 10)
    assert "items" in load_evaluation("config/elsewhere.yaml").indicators
    assert "visits per 1,000 residents" in did("indicator", "check", "visits").output


def test_rates_in_a_sheet_and_denominators_in_a_second_file_of_own_units(here):
    codes = pd.read_csv("data/elsewhere/reference/waves.csv", dtype=str)["unit"].to_list()
    table = quarters(codes)
    wide = table.pivot(index="Local code", columns="Quarter", values="Items").reset_index()
    wide.to_excel("rates.xlsx", sheet_name="Rates", index=False, engine="xlsxwriter")
    table.drop(columns="Residents").to_csv("items.csv", index=False)
    table.drop(columns="Items").to_csv("residents.csv", index=False)
    made = did("indicator", "new", "rates", "--file", "rates.xlsx", "--unit", "per 1,000")
    assert made.exit_code == 0, made.output
    made = did("indicator", "new", "two", "--file", "items.csv", "--denominator-file", "residents.csv",
               "--numerator-column", "Items", "--unit", "per 100")
    assert made.exit_code == 0, made.output
    for name, level in (("rates", 1.0), ("two", 0.1)):
        report = json.loads(did("indicator", "check", name, "--json").output)
        assert report["stops"] == [] and report["panel"]["units"] == 40
        found = (report["series"]["treated"][-1] * 24 + report["series"]["untreated"][-1] * 16) / 40
        assert found == pytest.approx(level * table.loc[table["Quarter"] == "2019 Q4", "Items"].mean())


def test_codes_that_the_waves_table_does_not_have_are_told(here):
    quarters(["North", "South"]).to_csv("items.csv", index=False)
    columns = ["--numerator-column", "Items", "--denominator-column", "Residents", "--unit", "%"]
    said = did("indicator", "new", "items", "--file", "items.csv", *columns)
    assert said.exit_code == 1 and "none holds units of the waves table, such as D01" in said.output
    said = did("indicator", "new", "items", "--file", "items.csv", "--area-type", "ccg", "--area-column", "Local code",
               *columns)
    assert said.exit_code == 1 and "expected none" in said.output and said.output.count("\n") == 1


@pytest.mark.parametrize(("frequency", "months", "rule"), [
    ("Y", ["2014-01", "2016-01", "2016-10"], "containing"), ("Y", ["2014-06", "2016-09", "2016-01"], "following"),
    ("M", ["2014-06"], "containing"), ("FY", ["2014-04", "2015-04"], "containing")])
def test_the_onset_rule_fits_most_units(frequency, months, rule):
    from did.authoring.new_indicator import _common_rule

    assert _common_rule(frequency, pd.Series(months)) == rule
