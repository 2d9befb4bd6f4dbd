"""`did supply`: publishers' downloads as they come, recognised by what is in them, put where the run expects them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import gpps_files as gpps
from did.cli.commands import main
from did.errors import DidError
from did.fetch.by_hand import supply
from did.project.paths import Paths
from did.project.registry import RawFileEntry, Source, load_source
from did.stages import observe
from did.store.provenance import sha256
from gpps_files import YEARS, practice
from workbooks import write_dtoc

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "config" / "sources"
# As the publisher names its downloads, by year.
NAMES = {entry.period: entry.note.split('"')[1] for entry in load_source(SOURCES / "gpps.yaml").files}


def content(year: str, n_practices: int = 3) -> str:
    return gpps.text(year, [practice(f"A{n:05d}", f"{n:03d}") for n in range(n_practices)])


def survey(tmp_path: Path) -> Source:
    """The survey's own source, with its reference table found from anywhere and no registered edition."""
    source = load_source(SOURCES / "gpps.yaml")
    files = [entry.model_copy(update={"sha256": None}) for entry in source.files]
    return source.model_copy(update={"options": {"reference": str(ROOT / "data" / "reference")}, "files": files})


def placed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_year_in_the_publishers_own_names_and_zips_is_put_in_place_at_once(tmp_path):
    downloads, folder = tmp_path / "Downloads", tmp_path / "raw"
    downloads.mkdir()
    for year in YEARS[:4]:
        (downloads / NAMES[year]).write_text(content(year))
    # As a browser names what it has downloaded before, or a site that renames its files.
    (downloads / "gpps-2019-practice-data (weighted) (1).csv").write_text(content("2019"))
    with zipfile.ZipFile(downloads / "practice data.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for year in YEARS[4:7]:
            packed.writestr(f"practice/{NAMES[year]}", content(year))
        packed.writestr("practice/read me.txt", "about the survey")
        packed.writestr("__MACOSX/practice/._x.csv", "no file")
    (downloads / "older").mkdir()
    with zipfile.ZipFile(downloads / "older" / "all.zip", "w") as outer:
        inner = tmp_path / "inner.zip"
        with zipfile.ZipFile(inner, "w") as packed:
            for year in YEARS[8:]:
                packed.writestr(NAMES[year], content(year))
        outer.write(inner, "inner.zip")
    outcome = supply(survey(tmp_path), folder, [downloads])
    assert outcome.refused == [] and outcome.missing == [] and outcome.passed_over == 1
    assert sorted(found.entry.period for found in outcome.placed) == YEARS
    for year in YEARS:
        assert (folder / f"gpps_practice_weighted_{year}.csv").read_bytes() == content(year).encode()
    # What the run takes: a manifest with every file, its checksum and how it came.
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {record["how"] for record in manifest["files"].values()} == {"manual"}
    assert not (folder / ".partial").exists() and placed(folder)[-1] == "manifest.json"


def test_wrong_files_are_refused_in_a_line_each_and_hinder_no_other(tmp_path):
    downloads, folder = tmp_path / "d", tmp_path / "raw"
    downloads.mkdir()
    wrong = {
        "page.csv": ("<!doctype html><html>", "found a web page (HTML)"),
        "ccg.csv": ("CCG_Code,CCG_Name,received\n00C,X,5\n", "'practice_code' first; found 3 others"),
        "empty.csv": ("", "found an empty file"),
        "cut.csv": (content("2014")[:-200], "expected"),
        "percent.csv": (content("2015").replace("0.43", "43"), "a fraction of at most 1"),
        "broken.zip": ("PK\x03\x04 not a zip", "found a workbook or zip file"),
    }
    for name, (text, _) in wrong.items():
        (downloads / name).write_text(text)
    (downloads / NAMES["2013"]).write_text(content("2013"))
    outcome = supply(survey(tmp_path), folder, [downloads, downloads / "broken.zip"])
    assert [found.entry.period for found in outcome.placed] == ["2013"]
    assert len(outcome.refused) == len(wrong) and all("\n" not in line for line in outcome.refused)
    for name, (_, expected) in wrong.items():
        assert [line for line in outcome.refused if f"{name}" in line and expected in line], (name, outcome.refused)
    assert placed(folder) == ["gpps_practice_weighted_2013.csv", "manifest.json"]


def test_a_file_twice_is_skipped_and_two_editions_of_a_year_are_refused(tmp_path):
    folder = tmp_path / "raw"
    one, two, other = (tmp_path / name for name in ("2013.csv", "2013 (1).csv", "2013 (2).csv"))
    one.write_text(content("2013"))
    two.write_text(content("2013"))
    other.write_text(content("2013", 4))
    first = supply(survey(tmp_path), folder, [one, two])
    assert [candidate.name for candidate, _ in first.skipped] == ["2013 (1).csv"]
    assert first.skipped[0][1] == f"the same file as {one}"
    again = supply(survey(tmp_path), folder, [two])
    assert not again.placed and again.skipped[0][1].startswith("already at ")
    third = supply(survey(tmp_path), folder, [other])
    assert not third.placed and "another edition" in third.refused[0] and "--accept" in third.refused[0]
    both = supply(survey(tmp_path), tmp_path / "empty", [one, other], accept=True)
    assert not both.placed and len(both.refused) == 2 and "expected one file of 2013" in both.refused[0]
    assert supply(survey(tmp_path), folder, [other], accept=True).placed
    assert (folder / "gpps_practice_weighted_2013.csv").read_bytes() == content("2013", 4).encode()


def test_a_registered_edition_is_known_by_its_checksum_and_another_only_taken_when_accepted(tmp_path):
    downloads, folder = tmp_path / "d", tmp_path / "raw"
    downloads.mkdir()
    (downloads / "right.csv").write_text(content("2019"))
    (downloads / "other.csv").write_text(content("2019", 4))
    source = survey(tmp_path)
    files = [entry.model_copy(update={"sha256": sha256(downloads / "right.csv") if entry.period == "2019" else None})
             for entry in source.files]
    source = source.model_copy(update={"files": files})
    both = supply(source, folder, [downloads])
    assert [found.candidate.name for found in both.placed] == ["right.csv"]
    assert "right.csv, which is the registered edition; leave this one out" in both.refused[0]
    shutil.rmtree(folder)
    alone = supply(source, folder, [downloads / "other.csv"])
    assert not alone.placed and "expected the registered edition of gpps_practice_weighted_2019.csv" in alone.refused[0]
    assert not folder.exists()
    supply(source, folder, [downloads / "other.csv"], accept=True)
    record = json.loads((folder / "manifest.json").read_text())["files"]["gpps_practice_weighted_2019.csv"]
    assert record["accepted"] is True and record["sha256"] == sha256(downloads / "other.csv")


def test_made_up_files_are_never_taken_for_a_publishers(tmp_path):
    made_up = tmp_path / "demo"
    made_up.mkdir()
    (made_up / "gpps_practice_weighted_2019.csv").write_text(content("2019"))
    (made_up / "manifest.json").write_text('{"mode": "demo"}')
    outcome = supply(survey(tmp_path), tmp_path / "raw", [made_up])
    assert not outcome.placed and "found demonstration data, which are made up" in outcome.refused[0]


def test_workbooks_are_recognised_by_their_month_and_a_table_by_its_columns(tmp_path):
    downloads = tmp_path / "d"
    months = ["2017-05", "2017-06"]
    for month, name in zip(months, ("LA Type B May (2).xls", "download.xls"), strict=True):
        downloads.mkdir(exist_ok=True)
        write_dtoc(downloads / name, month)
    (downloads / "table.csv").write_text("area,when,n\nE1,2019,4\n")
    dtoc = load_source(SOURCES / "nhs_england_dtoc.yaml")
    files = [entry.model_copy(update={"sha256": None}) for entry in dtoc.files if entry.period in months]
    options = {"reference": str(ROOT / "data" / "reference")}
    dtoc = dtoc.model_copy(update={"files": files, "options": options})
    outcome = supply(dtoc, tmp_path / "raw", [downloads])
    assert outcome.refused == [] and outcome.missing == [] and outcome.passed_over == 1
    for month, name in zip(months, ("LA Type B May (2).xls", "download.xls"), strict=True):
        assert sha256(tmp_path / "raw" / f"LA-Type-B-{month}.xls") == sha256(downloads / name)
    table = Source(id="counts", title="Counts", publisher="P", landing_page="unknown", licence="OGL-3.0",
                   reader="tidy_csv", files=[RawFileEntry(name="counts.csv")],
                   options={"layout": "wide", "period_column": "when", "frequency": "Y", "area_code_column": "area",
                            "area_type": "district", "measures": {"count": "n"}})
    outcome = supply(table, tmp_path / "counts", [downloads / "table.csv", downloads / "download.xls"])
    assert [found.candidate.name for found in outcome.placed] == ["table.csv"] and len(outcome.refused) == 1


def test_the_command_puts_files_where_the_run_reads_them(tmp_path, monkeypatch):
    for part in ("config", "data/reference"):
        shutil.copytree(ROOT / part, tmp_path / part)
    downloads = tmp_path / "Downloads"
    downloads.mkdir()
    for year in ("2012", "2013"):
        (downloads / NAMES[year]).write_text(content(year))
    (downloads / "invoice.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["supply", "gpps", "Downloads"])
    assert result.exit_code == 1 and result.stderr.count("error: ") == 1 and "invoice.csv" in result.stderr
    assert "gpps: 2 of 11 files are there; the others are at https://gp-patient.co.uk" in result.stdout
    assert 'missing: 2019, downloads as "GPPS_2019_Practice_data_(weighted)_(csv)_PUBLIC.csv"' in result.stdout
    assert "2 files, " in observe.run("gpps", sources_folder="config/sources", paths=Paths.of("live"))
    gone = CliRunner().invoke(main, ["supply", "gpps", "nowhere.csv"])
    assert gone.exit_code == 1 and gone.stderr.strip() == (
        "error: nowhere.csv: expected a file or folder; found none; correct the path")
    own = load_source(SOURCES / "gpps.yaml").model_copy(update={"files": [RawFileEntry(name="a.csv", path="a.csv")]})
    with pytest.raises(DidError, match="found files of your own"):
        supply(own, tmp_path / "raw", ["Downloads"])
