"""An evaluation with a choice changed for one run: another specification, a system or a period left out."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from did.errors import DidError
from did.panels.samples import kept
from did.project.change import Change
from did.project.config import Sample
from did.project.file_checks import check_files
from did.project.loading import load_evaluation
from did.project.variants import write

ROOT = Path(__file__).parents[1]
DTOC = ["dtoc_total", "dtoc_nhs", "dtoc_social_care", "dtoc_both"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "data/reference", tmp_path / "data/reference")
    monkeypatch.chdir(tmp_path)


def test_a_system_is_left_out_of_every_sample_and_all_else_stays(project):
    path, indicators = write("config/ics.yaml", Change(without_systems=("QOP",)))
    before, after = load_evaluation("config/ics.yaml"), load_evaluation(path, also=check_files)
    assert [each.without_systems for each in after.samples.values()] == [["QOP"], ["QOP"]]
    assert (after.own_folder, after.title) == ("without_qop", f"{before.title} (without QOP)")
    assert indicators == before.indicators
    changed = {name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"title", "folder", "samples", "published"}
    assert pd.read_csv(after.published, dtype=str).equals(pd.read_csv(before.published, dtype=str))


def test_a_specification_of_one_family_and_a_month_are_about_that_family_alone(project):
    path, indicators = write("config/ics.yaml", Change("lags_last_12", without_periods=("2015-04 to 2015-06",)))
    after = load_evaluation(path, also=check_files)
    assert indicators == DTOC and list(after.families) == ["dtoc"]
    assert after.default_specification == "lags_last_12" and after.own_folder.startswith("specification_lags_last_12_w")
    assert all("2015-04 to 2015-06" in each.drop_periods for each in after.specifications.values())
    claimed = pd.read_csv(after.published, dtype=str)["indicator"]
    assert set(claimed) <= set(DTOC) and len(claimed)


@pytest.mark.parametrize(("change", "expected"), [
    (Change("lags_last_21"), "did you mean 'lags_last_24'?"),
    (Change(without_systems=("QPO",)), "system: expected one of"),
    (Change("log_of_the_rate"), "key 'specifications.log_of_the_rate.scale' must be level in the default"),
    (Change(without_periods=("May",)), "expected a month (2017-06), quarter (2017Q2), year (2017), or a span"),
    (Change(without_periods=("2017Q2",)), "expected an outcome that this is about; found none"),
    (Change("lags_last_12", without_periods=("2017",)), "expected an outcome that this is about; found none"),
])
def test_what_cannot_be_is_one_line_and_leaves_no_file(project, change, expected):
    with pytest.raises(DidError, match="^[^\n]+$") as caught:
        write("config/ics.yaml", change)
    assert expected in str(caught.value)
    assert not list(Path("data").rglob("variants/*"))


def test_samples_leave_out_waves_systems_and_units():
    rows = pd.DataFrame({"unit": list("abcd"), "system": list("xyyz"), "wave": [1, 2, pd.NA, 3]})
    sample = Sample(without_waves=[3], without_systems=["x"], without_units=["c"])
    assert rows["unit"][kept(rows, sample)].tolist() == ["b"] and kept(rows, Sample()).all()


def test_a_run_without_a_system_has_a_folder_of_its_own_and_outlives_its_reader(tmp_path):
    """The reader of its words ends after the first line."""
    did = [sys.executable, "-c", "from did.cli.commands import main; main(prog_name='did')"]
    subprocess.run([*did, "new", "schools"], cwd=tmp_path, check=True, capture_output=True)
    config = tmp_path / "config/schools.yaml"
    config.write_text(config.read_text().replace("draws: 999", "draws: 99"))
    table = pd.read_csv(tmp_path / "data/schools/reference/waves.csv", dtype=str)
    system = table.loc[table["first_treated"].ne("never"), "system"].iloc[0]
    running = subprocess.Popen([*did, "run", "schools", "--without-system", system], cwd=tmp_path,
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr.readline().startswith(f"data/variants/schools_without_{system.lower()}.yaml: ")
    running.stderr.close()
    assert running.wait(timeout=400) == 0
    results = tmp_path / "results" / f"schools_without_{system.lower()}"
    held = pd.read_csv(results / "tables/estimates.csv")
    units = table.loc[table["system"].ne(system)]
    assert held.loc[held["estimand"].eq("overall"), "n_units"].max() <= len(units)
    assert f"(without {system})" in (results / "summary.md").read_text()
