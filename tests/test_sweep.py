"""A sweep: numbers equal those of single indicators, what fails is listed, and a killed one ends in the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from statsmodels.stats.multitest import multipletests

from did.cli.commands import main
from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import summarise
from did.inference.methods import Question, infer
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.simulate.panels import panel
from did.store import seals
from did.sweep.batches import Batch, Folders, cut, read_batch, write_batches
from did.sweep.collect import adjusted, collect
from did.sweep.fit import fit_batch
from did.sweep.listing import Settings, name_of, read_list
from did.sweep.panels import panel_of
from did.sweep.rows import read
from did.sweep.split import split
from did.sweep.treatment import Waves

SAME = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
        "n_treated_clusters"]


def frame_of(seed: int, effect: float = 3.0) -> pd.DataFrame:
    return panel(24, 10, {5: 6, 7: 5}, effect, seed=seed, units_per_system=3, system_share=0.3)[0]


def waves_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop_duplicates("unit")[["unit", "system", "cohort"]].rename(columns={"cohort": "first_treated"})


def write_good(folder: Path, n: int = 4) -> list[dict]:
    """Files of ``n`` indicators and their rows of the list; every second is synthetic."""
    (folder / "files").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        frame = frame_of(number)
        frame.assign(value=frame["outcome"])[["unit", "period", "value"]].to_csv(
            folder / "files" / f"good{number}.csv", index=False)
        rows.append({"id": f"good{number}", "title": f"Good {number}", "file": f"files/good{number}.csv",
                     "family": "made up", "per": "", "value": "", "is_synthetic": "yes" if number % 2 else "no"})
    waves_of(frame_of(0)).to_csv(folder / "waves.csv", index=False)
    return rows


def bad_file(folder: Path, name: str, change) -> dict:
    frame = frame_of(99).assign(value=lambda rows: rows["outcome"])[["unit", "period", "value"]]
    change(frame.astype({"value": object})).to_csv(folder / "files" / f"{name}.csv", index=False)
    return {"id": name, "title": "", "file": f"files/{name}.csv"}


def write_bad(folder: Path) -> tuple[list[dict], dict[str, str]]:
    """Rows of indicators that cannot be estimated, and what their reason has to say."""
    def text_value(frame):
        frame.loc[7, "value"] = "n.a. this year"
        return frame

    rows = [
        {"id": "no_file", "file": "files/nowhere.csv"},
        {"id": "no_column", "file": "files/good0.csv", "value": "rate"},
        bad_file(folder, "text", text_value),
        bad_file(folder, "gap", lambda frame: frame[frame["period"] != "2015-04"]),
        bad_file(folder, "twice", lambda frame: pd.concat([frame, frame.tail(1)])),
        bad_file(folder, "others", lambda frame: frame.assign(unit="X" + frame["unit"])),
        bad_file(folder, "none_treated", lambda frame: frame[frame["unit"] > "U0015"]),
        bad_file(folder, "empty", lambda frame: frame.assign(value="")),
        bad_file(folder, "short", lambda frame: frame[frame["period"] >= "2015-09"]),
        bad_file(folder, "header_only", lambda frame: frame.head(0)),
        {"id": "binary", "file": "files/binary.csv"},
        {"id": "folder", "file": "files"},
        {"id": "per", "file": "files/good0.csv", "per": "many"},
        {"id": "good0", "file": "files/good1.csv"},
        {"id": "", "file": "files/good1.csv"},
    ]
    (folder / "files" / "binary.csv").write_bytes(bytes(range(256)) * 40)
    reasons = {
        "no_file": "nowhere.csv: expected a CSV file; found no file", "no_column": "found 'rate'",
        "text": "row 9, column 'value': expected a number; found 'n.a. this year'", "gap": "consecutive periods",
        "twice": "each unit and period once", "others": "expected units of", "none_treated": "one unit treated",
        "empty": "found no number", "short": "expected a period before treatment", "header_only": "no row",
        "binary": "expected UTF-8 text", "folder": "found a folder", "per": "column 'per': expected a positive number",
        "good0": "expected each id once; found 'good0' again, first in row 2", "": "expected an id",
    }
    return rows, reasons


def write_list(folder: Path, rows: list[dict], name: str = "list.csv") -> Path:
    pd.DataFrame(rows).fillna("").to_csv(folder / name, index=False)
    return folder / name


def fitted(folder: Path, rows: list[dict], **settings) -> pd.DataFrame:
    settings = Settings(waves=str(folder / "waves.csv"), **settings).check()
    return fit_batch(Batch(settings, tuple(read_list(write_list(folder, rows), settings))))


def test_numbers_equal_those_of_single_indicators(tmp_path):
    table = fitted(tmp_path, write_good(tmp_path), inference="clustered")
    assert (table["reason"] == "").all() and len(table) == 4 * 2 * 2
    for number in range(4):
        path = tmp_path / "single.csv"
        frame_of(number).to_csv(path, index=False)
        single, _ = load(path, Columns("outcome", "unit", "period", "cohort", clusters=("system",)))
        for name in ("did", "callaway_santanna"):
            result = estimate(name, single)
            result = aggregate(result, single, "simple") if name == "callaway_santanna" else result
            wanted = summarise(result, single).set_index("cluster")
            here = table[(table["indicator"] == f"good{number}") & (table["estimator"] == name)].set_index("cluster")
            pd.testing.assert_frame_equal(here[SAME], wanted[SAME], check_dtype=False, rtol=1e-12)


def test_dates_of_months_are_months(tmp_path):
    wanted = fitted(tmp_path, write_good(tmp_path, 1), inference="clustered")
    path = tmp_path / "files/good0.csv"
    frame = pd.read_csv(path)
    frame.assign(period=frame["period"] + "-01").to_csv(path, index=False)
    found = fitted(tmp_path, [{"id": "good0", "file": "files/good0.csv"}], inference="clustered")
    assert found["estimate"].tolist() == wanted["estimate"].tolist() and len(found) == 4


def test_few_clusters_get_the_bootstrap_and_the_jackknife(tmp_path):
    """8 systems, 4 or 5 of them treated, and 24 units: both levels have few clusters."""
    table = fitted(tmp_path, write_good(tmp_path, 1), confidence=0.9)
    assert table["inference"].tolist() == ["wild_bootstrap", "wild_bootstrap", "jackknife", "jackknife"]
    frame_of(0).to_csv(tmp_path / "single.csv", index=False)
    single, _ = load(tmp_path / "single.csv", Columns("outcome", "unit", "period", "cohort", clusters=("system",)))
    wanted = infer("wild_bootstrap", Question(single, "did", "system", confidence=0.9)).iloc[0]
    row = table[(table["estimator"] == "did") & (table["cluster"] == "system")].iloc[0]
    assert row[["p_value", "ci_low", "ci_high"]].tolist() == pytest.approx(
        wanted[["p_value", "ci_low", "ci_high"]].tolist(), rel=1e-10)
    named = fitted(tmp_path, write_good(tmp_path, 1), inference="CR2", estimators=("did",))
    assert set(named["inference"]) == {"CR2"}
    with pytest.raises(DidError, match="--inference CR2: expected a method for callaway_santanna"):
        fitted(tmp_path, write_good(tmp_path, 1), inference="CR2")


def test_false_discovery_rates_are_of_the_p_values_of_the_method(tmp_path):
    """With few clusters the bootstrap's p-values are adjusted, not those of clustered errors."""
    rows = write_good(tmp_path, 3)
    by_rule, clustered = (fitted(tmp_path, rows, estimators=("did",), **named)
                          for named in ({}, {"inference": "clustered"}))
    assert set(by_rule["inference"]) == {"wild_bootstrap"}
    table = adjusted(by_rule)
    here, other = (each[each["cluster"] == "system"] for each in (table, clustered))
    assert (here["p_value"].to_numpy() != other["p_value"].to_numpy()).all()
    for column, method in (("p_benjamini_hochberg", "fdr_bh"), ("p_holm", "holm")):
        np.testing.assert_allclose(here[column], multipletests(by_rule.loc[here.index, "p_value"], method=method)[1])


def test_the_panel_is_that_of_a_single_indicator(tmp_path):
    rows = write_good(tmp_path, 1)
    settings = Settings(waves=str(tmp_path / "waves.csv"))
    entry = read_list(write_list(tmp_path, rows), settings)[0]
    waves = Waves(settings.waves)
    found, notes = panel_of(read(entry.file, entry.wanted), entry, waves)
    frame_of(0).sample(frac=1, random_state=1).to_csv(tmp_path / "single.csv", index=False)
    wanted, _ = load(tmp_path / "single.csv", Columns("outcome", "unit", "period", "cohort", clusters=("system",)))
    np.testing.assert_array_equal(found.outcome, wanted.outcome)
    np.testing.assert_array_equal(found.treated_from, wanted.treated_from)
    np.testing.assert_array_equal(found.dose, wanted.dose)
    pd.testing.assert_index_equal(found.units, wanted.units)
    pd.testing.assert_index_equal(found.periods, wanted.periods)
    assert {level: list(labels) for level, labels in found.clusters.items()} == {
        level: list(labels) for level, labels in wanted.clusters.items()}
    assert (found.frequency, found.treatment, notes) == (wanted.frequency, wanted.treatment, [])
    again, _ = panel_of(read(entry.file, entry.wanted), entry, waves)
    assert again.treated_from is found.treated_from, "indicators of the same units and periods share their treatment"


def test_what_fails_is_listed_with_its_reason_and_stops_nothing_else(tmp_path):
    good = write_good(tmp_path)
    bad, reasons = write_bad(tmp_path)
    table = fitted(tmp_path, [good[0], *bad, *good[1:]])
    alone = fitted(tmp_path, good)
    done = table[table["reason"] == ""]
    pd.testing.assert_frame_equal(done[SAME].reset_index(drop=True), alone[SAME])
    failed = table[table["reason"] != ""].set_index("indicator")
    assert list(failed.index) == [row["id"] for row in bad]
    for name, words in reasons.items():
        assert words in failed.loc[name, "reason"], (name, failed.loc[name, "reason"])
        assert "\n" not in failed.loc[name, "reason"] and "fault of the program" not in failed.loc[name, "reason"]


def test_an_estimator_that_fails_leaves_the_other(tmp_path):
    rows = write_good(tmp_path, 1)
    frame = pd.read_csv(tmp_path / rows[0]["file"])
    # Every treated unit lacks a period: nothing is left of them where incomplete units are dropped.
    treated = waves_of(frame_of(0)).dropna()["unit"]
    frame.loc[frame["unit"].isin(treated) & (frame["period"] == "2015-02"), "value"] = np.nan
    frame.to_csv(tmp_path / rows[0]["file"], index=False)
    table = fitted(tmp_path, rows)
    assert list(table["estimator"]) == ["did", "did", "callaway_santanna"]
    assert list(table["reason"] != "") == [False, False, True]
    assert table["stage"].iloc[-1] == "estimate" and "taken as not observed" in table["note"].iloc[0]


def test_rates_financial_years_systems_and_units_left_out(tmp_path):
    rng = np.random.default_rng(1)
    units = [f"E{number:02d}" for number in range(12)]
    frame = pd.DataFrame([(unit, f"{year}/{(year + 1) % 100:02d}", int(rng.integers(20, 40)), 1000)
                          for unit in [*units, "England"] for year in range(2012, 2021)],
                         columns=["area", "year", "deaths", "people"])
    (tmp_path / "files").mkdir()
    frame.to_csv(tmp_path / "files" / "deaths.csv", index=False)
    pd.DataFrame({"unit": units, "system": [f"S{number // 2}" for number in range(12)]}).to_csv(
        tmp_path / "members.csv", index=False)
    pd.DataFrame({"system": ["S0", "S1"], "first_treated": ["2016-06", "2018-04"]}).to_csv(
        tmp_path / "waves.csv", index=False)
    row = {"id": "deaths", "file": "files/deaths.csv", "unit": "area", "period": "year", "numerator": "deaths",
           "denominator": "people", "per": "1000"}
    common = {"members": str(tmp_path / "members.csv")}
    refused = fitted(tmp_path, [row], **common)
    assert "choose --onset" in refused["reason"].iloc[0]
    for onset, wanted in (("containing", [4, 6]), ("first_full", [5, 6])):
        settings = Settings(waves=str(tmp_path / "waves.csv"), onset=onset, **common)
        entry = read_list(tmp_path / "list.csv", settings)[0]
        found, notes = panel_of(read(entry.file, entry.wanted), entry,
                                Waves(settings.waves, settings.members, onset=onset))
        assert list(found.units) == units and list(found.periods)[0] == "2012"
        assert list(np.unique(found.treated_from)) == [*wanted, 9]
        assert list(found.clusters["system"][:4]) == ["S0", "S0", "S1", "S1"]
        assert any("England" in note for note in notes)
        np.testing.assert_allclose(found.outcome.ravel(), frame["deaths"][:108])


def test_intensity_is_per_unit_of_dose(tmp_path):
    frame = panel(24, 10, {5: 11}, 0.5, seed=4, intensity=(7, 32), units_per_system=3)[0]
    (tmp_path / "files").mkdir()
    frame[["unit", "period", "outcome"]].to_csv(tmp_path / "files" / "a.csv", index=False)
    waves_of(frame).assign(dose=frame.drop_duplicates("unit")["intensity"]).to_csv(tmp_path / "waves.csv", index=False)
    table = fitted(tmp_path, [{"id": "a", "file": "files/a.csv", "value": "outcome"}], treatment="intensity",
                   estimators=("did",), inference="clustered")
    frame.to_csv(tmp_path / "single.csv", index=False)
    single, _ = load(tmp_path / "single.csv", Columns("outcome", "unit", "period", "cohort", clusters=("system",),
                                                      dose="intensity"))
    wanted = summarise(estimate("did", single), single)
    pd.testing.assert_frame_equal(table[SAME], wanted[SAME], check_dtype=False, rtol=1e-12)


def test_adjusted_p_values_equal_statsmodels():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"indicator": np.repeat([f"i{n}" for n in range(50)], 2), "cluster": ["unit", "system"] * 50,
                         "estimator": "did", "p_value": rng.uniform(0, 0.2, 100), "estimate": 1.0, "outcome_sd": 2.0})
    rows.loc[[4, 8], "p_value"] = np.nan
    rows.loc[10, "outcome_sd"] = 0.0
    others = ["title", "family", "std_error", "ci_low", "ci_high", "first_period", "last_period", "n_obs", "n_units",
              "n_treated", "n_clusters", "n_treated_clusters", "df", "inference", "measured_coverage", "note",
              "is_synthetic"]
    table = adjusted(rows.assign(**{name: 0 for name in others}))
    for _, here in table.groupby("cluster"):
        present = here["p_value"].notna()
        for column, method in (("p_benjamini_hochberg", "fdr_bh"), ("p_holm", "holm")):
            wanted = multipletests(here.loc[present, "p_value"], method=method)[1]
            np.testing.assert_allclose(here.loc[present, column], wanted, rtol=1e-14)
            assert here.loc[~present, column].isna().all()
        assert (here["n_tests"] == present.sum()).all()
    assert table["estimate_in_sd"].isna().sum() == 1 and table["estimate_in_sd"].dropna().eq(0.5).all()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_one_big_file_gives_what_a_list_gives(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    wanted = fitted(Path(), write_good(Path(), 5))
    frames = [pd.read_csv(f"files/good{number}.csv").assign(
        indicator=f"good{number}", title=f"Good {number}", family="made up", is_synthetic="yes" if number % 2 else "no")
        for number in range(5)]
    # Rows of the indicators lie mixed, as in a file sorted by period; the order of indicators is that of their first.
    big = pd.concat(frames).sort_values(["period", "unit", "indicator"], kind="stable")
    big.to_csv("big.csv", index=False) if ending == "csv" else big.to_parquet("big.parquet", index=False)
    settings, folders = Settings(waves="waves.csv"), Folders("big")
    entries, numbers = split(f"big.{ending}", "indicator", settings, folders, 2)
    assert numbers == [0, 0, 1, 1, 2] and [entry.id for entry in entries] == [f"good{number}" for number in range(5)]
    assert write_batches(folders, settings, f"big.{ending}", entries, 2, numbers) == 3
    before = {path: path.stat().st_mtime_ns for path in folders.work.rglob("*.*")}
    found = pd.concat([fit_batch(read_batch(folders.batch(label))) for label in folders.labels()], ignore_index=True)
    pd.testing.assert_frame_equal(found.drop(columns="file"), wanted.drop(columns="file"))
    assert split(f"big.{ending}", "indicator", settings, folders, 2) == (entries, numbers)
    write_batches(folders, settings, f"big.{ending}", entries, 2, numbers)
    assert {path: path.stat().st_mtime_ns for path in folders.work.rglob("*.*")} == before


def test_a_fault_in_a_big_file_names_the_row_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_good(Path(), 2)
    big = pd.concat([pd.read_csv(f"files/good{number}.csv", dtype=str).assign(indicator=f"good{number}")
                     for number in range(2)]).reset_index(drop=True)
    big.loc[300, "value"] = "many"
    big.to_csv("big.csv", index=False)
    settings, folders = Settings(waves="waves.csv"), Folders("big")
    entries, numbers = split("big.csv", "indicator", settings, folders, 50)
    write_batches(folders, settings, "big.csv", entries, 50, numbers)
    table = fit_batch(read_batch(folders.batch("00000")))
    assert table["reason"].iloc[-1].startswith("big.csv, row 302, column 'value': expected a number; found 'many'")
    assert (table["reason"].iloc[:-1] == "").all()


def test_only_the_batch_of_a_changed_file_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = write_good(Path(), 4)
    settings, folders = Settings(waves="waves.csv"), Folders("some")
    path = write_list(Path(), rows)
    write_batches(folders, settings, str(path), read_list(path, settings), 2)
    before = {label: folders.batch(label).read_bytes() for label in folders.labels()}
    with open("files/good3.csv", "a") as file:
        file.write("\n")
    write_batches(folders, settings, str(path), read_list(path, settings), 2)
    changed = [label for label in folders.labels() if folders.batch(label).read_bytes() != before[label]]
    assert changed == ["00001"]
    write_batches(folders, settings, str(path), read_list(path, settings)[:2], 2)
    assert folders.labels() == ["00000"]


def test_batches_are_cut_by_number_and_size():
    assert cut([1] * 5, 2, 100) == [0, 0, 1, 1, 2]
    assert cut([60, 60, 10, 200, 1], 50, 100) == [0, 1, 1, 2, 3]
    assert cut([], 50, 100) == []


@pytest.mark.parametrize(("waves", "words"), [
    ("area,first_treated\na,2016\n", "expected a column 'unit' or 'system'"),
    ("unit,first_treated\na,soon\n", "row 2, column 'first_treated'"),
    ("unit,first_treated\na,2016\na,\n", "row 3, column 'unit': expected each unit once; found 'a' again"),
    ("system,first_treated\na,2016\n", "--members"),
    ("unit,system,first_treated\na,,2016\n", "row 2, column 'system': expected a system"),
])
def test_a_wrong_waves_table_is_told_in_one_line(tmp_path, waves, words):
    (tmp_path / "waves.csv").write_text(waves)
    with pytest.raises(DidError, match="waves.csv") as error:
        Waves(tmp_path / "waves.csv")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_column_to_cluster_by_that_is_not_there_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waves.csv").write_text("unit,first_treated\na,2012\nb,\n")
    answer = CliRunner().invoke(main, ["sweep", "list.csv", "--waves", "waves.csv", "--cluster", "county"])
    assert answer.exit_code == 1 and answer.stderr.startswith("error: waves.csv: --cluster: expected one of")
    assert len(answer.stderr.splitlines()) == 1 and not (tmp_path / "results").exists()


def test_settings_and_list_are_checked(tmp_path):
    for wrong, words in (({"onset": "later"}, "--onset"), ({"estimators": ("dod",)}, "did you mean 'did'"),
                         ({"treatment": "intensity"}, "--estimator did"), ({"numerator": "n"}, "--denominator"),
                         ({"level": 5.0}, "--level"), ({"per": 0.0}, "--per")):
        with pytest.raises(DidError, match=words):
            Settings(waves="w.csv", **wrong).check()
    (tmp_path / "list.csv").write_text("id,fiel\na,b\n")
    with pytest.raises(DidError, match="found 'fiel'; did you mean 'file'"):
        read_list(tmp_path / "list.csv", Settings(waves="w.csv"))
    assert name_of("data/my list (2).csv", None) == "my_list_2"
    with pytest.raises(DidError, match="--name"):
        name_of("list.csv", "../up")


def test_nothing_estimated_still_gives_every_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_good(Path(), 1)
    settings, folders = Settings(waves="waves.csv"), Folders("none")
    path = write_list(Path(), [{"id": "gone", "file": "gone.csv"}])
    write_batches(folders, settings, "list.csv", read_list(path, settings), 50)
    table = fit_batch(read_batch(folders.batch("00000")))
    folders.done("00000").parent.mkdir(parents=True)
    seals.write(table, folders.done("00000"))
    collect(folders.plan, [str(folders.done("00000"))], folders.results)
    assert len(pd.read_csv(folders.results / "estimates.csv")) == 0
    assert "no estimate" in (folders.results / "volcano.txt").read_text()


# The command ---------------------------------------------------------------------------------------------------


def command(folder: Path, *words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "did"), "sweep", *words]


def did(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *words), cwd=folder, capture_output=True, text=True, check=False)


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((folder / "results/sweep/list").iterdir())}


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("a folder é")
    bad, _ = write_bad((folder, write_good(folder, 12))[0])
    write_list(folder, [*write_good(folder, 12), *bad])
    done = did(folder, "list.csv", "--waves", "waves.csv", "--batch-size", "3")
    assert done.returncode == 0, done.stderr
    assert "12 indicators estimated, 15 failed, 9 batches" in done.stdout
    return folder


def test_the_command_writes_tables_figure_and_page(swept):
    results = swept / "results/sweep/list"
    table = pd.read_csv(results / "estimates.csv")
    assert len(table) == 12 * 4 and table["indicator"].drop_duplicates().tolist() == [f"good{n}" for n in range(12)]
    assert table.groupby("indicator")["is_synthetic"].first().sum() == 6
    failures = pd.read_csv(results / "failures.csv", keep_default_na=False)
    assert len(failures) == 15 and (failures["reason"] != "").all()
    page = (results / "summary.md").read_text()
    assert page.startswith("# SYNTHETIC: list") and "6 of 27 indicators are made up" in page
    assert "SYNTHETIC" in (results / "volcano.svg").read_text()
    assert "SYNTHETIC" in (results / "volcano.txt").read_text()
    drawn = pd.read_csv(results / "volcano.csv")
    assert len(drawn) == 48 and drawn["is_synthetic"].all() and drawn["indicator_is_synthetic"].sum() == 24


def test_a_killed_and_spoilt_sweep_goes_on_and_ends_in_the_same_bytes(swept, tmp_path):
    folder = tmp_path / "again"
    folder.mkdir()
    bad, _ = write_bad((folder, write_good(folder, 12))[0])
    write_list(folder, [*write_good(folder, 12), *bad])
    done = folder / "data/interim/sweep/list/done"
    process = subprocess.Popen(command(folder, "list.csv", "--waves", "waves.csv", "--batch-size", "3", "--cores", "1"),
                               cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(done.glob("*.parquet"))) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in done.glob("*.parquet")}
    assert 2 <= len(kept) < 9 and not (folder / "results/sweep/list/summary.md").exists()
    spoilt = done / min(kept)
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.write_bytes(content)
    again = did(folder, "list.csv", "--waves", "waves.csv", "--batch-size", "3")
    assert again.returncode == 0, again.stderr
    assert f"not as written: {spoilt.relative_to(folder)}; made again" in again.stderr
    assert sums(folder) == sums(swept)
    stayed = [name for name, stamp in kept.items() if (done / name).stat().st_mtime_ns == stamp]
    assert spoilt.name not in stayed
    assert len(stayed) >= len(kept) - 2, "at most the batch that was at work is done again, and the spoilt one"
    assert not list(folder.rglob("*.part"))
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.*")}
    assert did(folder, "list.csv", "--waves", "waves.csv", "--batch-size", "3").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").rglob("*.*")} == before


def test_mistakes_are_told_in_one_line(swept, monkeypatch):
    monkeypatch.chdir(swept)
    for words, code, said in ((["list.csv"], 2, "--waves"), (["nowhere.csv", "--waves", "waves.csv"], 1, "no file"),
                              (["list.csv", "--waves", "files/good0.csv"], 1, "first_treated")):
        done = CliRunner().invoke(main, ["sweep", *words])
        assert done.exit_code == code and said in done.stderr and "Traceback" not in done.stderr
        assert code == 2 or len(done.stderr.strip().splitlines()) == 1
    assert json.loads((swept / "data/interim/sweep/list/plan.json").read_text())["indicators"] == 27


def test_an_unexpected_error_is_a_reason_too(tmp_path, monkeypatch):
    rows = write_good(tmp_path, 2)
    whole = fitted(tmp_path, rows)
    frame = pd.read_csv(tmp_path / rows[0]["file"])
    frame.to_parquet(tmp_path / "files" / "good0.parquet")
    raw = bytearray((tmp_path / "files" / "good0.parquet").read_bytes())
    raw[200:400] = bytes(200)
    (tmp_path / "files" / "good0.parquet").write_bytes(raw)
    table = fitted(tmp_path, [rows[0] | {"file": "files/good0.parquet"}, rows[1]])
    assert table["reason"].iloc[0] and (table["reason"].iloc[1:] == "").all()
    pd.testing.assert_frame_equal(table.iloc[1:][SAME].reset_index(drop=True),
                                  whole.iloc[4:][SAME].reset_index(drop=True))


def test_clusters_by_a_further_column_and_two_ways(tmp_path):
    from did.inference.two_way import summarise_two_way

    rows = write_good(tmp_path, 1)
    waves = pd.read_csv(tmp_path / "waves.csv", dtype=str)
    waves["region"] = [f"r{number % 4}" for number in range(len(waves))]
    waves.to_csv(tmp_path / "waves.csv", index=False)
    settings = Settings(str(tmp_path / "waves.csv"), inference="clustered", clusters=("region", "system,region"))
    pd.DataFrame(rows).to_csv(tmp_path / "list.csv", index=False)
    entries = read_list(tmp_path / "list.csv", settings.check())
    made = fit_batch(Batch(settings, tuple(entries), ""))
    assert made["cluster"].unique().tolist() == ["unit", "system", "region", "system,region"]
    table = read(entries[0].file, entries[0].wanted)
    own, _ = panel_of(table, entries[0], Waves(settings.waves, groupings=["region"]))
    for name in ("did", "callaway_santanna"):
        result = estimate(name, own)
        result = aggregate(result, own, "simple") if name == "callaway_santanna" else result
        known = summarise_two_way(result, own, ("system", "region")).iloc[0]
        found = made[made["estimator"].eq(name) & made["cluster"].eq("system,region")].iloc[0]
        for column in SAME:
            assert found[column] == pytest.approx(known[column], rel=1e-12)
        if name == "callaway_santanna":   # normal, without a factor, as its errors by one level
            by = [result.influence.groupby(labels).sum().to_numpy() for labels in (
                own.clusters["system"], own.clusters["region"], own.clusters["system"] + own.clusters["region"])]
            variance = sum(sign * (sums**2).sum() for sign, sums in zip((1, 1, -1), by, strict=True))
            assert known["std_error"] == pytest.approx(np.sqrt(variance)) and np.isnan(known["df"])
            assert known["ci_high"] - known["estimate"] == pytest.approx(1.959964 * known["std_error"], rel=1e-6)
    with pytest.raises(DidError, match="--cluster a,a: expected a column, or two different ones"):
        dataclasses.replace(settings, clusters=("a,a",)).check()
