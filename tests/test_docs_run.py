"""The shell commands of README.md and the docs do what they say: each block is run as written, in the pages' order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import gpps_files
import small_project
from did.simulate.panels import panel

ROOT = Path(__file__).resolve().parents[1]
# Pages in the order of a first day: a run, then what builds on it. The reference page of the command line is made from
# the help texts; test_docs.py parses its examples.
PAGES = ["docs/firewall.md", "docs/gpps.md", "README.md", "docs/add_an_indicator.md",
         "docs/evaluate_another_rollout.md", "docs/sweep.md", "docs/cluster.md"]
REFERENCE = ["docs/reference_cli.md"]
# What is not run, and why. The same workflow is run by the blocks that call `did run`.
SKIPPED = {
    ("README.md", "make run"): "builds .venv from the package index first, then a minute of demonstration",
    ("README.md", "make test"): "runs these tests",
    ("README.md", "make run DATA=mirror:../shared/mirror"): "the publishers' own files",
    ("docs/firewall.md", "make run"): "as on README.md",
    ("docs/cluster.md", "make run PROFILE=profiles/slurm"): "a Slurm cluster; tests/cluster runs one",
    ("docs/cluster.md", "make run PROFILE=profiles/slurm DATA=mirror:/shared/mirror"): "the same",
}


def blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(?:sh|bash|shell)\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def test_every_page_with_commands_is_run_and_what_is_skipped_is_there():
    listed = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    assert {page for page in listed if blocks(page)} == {*PAGES, *REFERENCE}
    lines = {(page, line) for page in PAGES for block in blocks(page) for line in block.splitlines()}
    assert set(SKIPPED) <= lines
    assert {line for line in lines if line[1].startswith("make")} == {line for line in SKIPPED}


def test_commands_of_the_docs_run_as_written(tmp_path):
    project = _project(tmp_path)
    for page in PAGES:
        for name in ("ae_four_hour", "waiting"):   # each page begins without the outcomes that another adds
            for path in project.glob(f"config/*/{name}.yaml"):
                path.unlink()
        for block in blocks(page):
            kept = "\n".join(line for line in block.splitlines() if (page, line) not in SKIPPED)
            environment = small_project.environment(project) | {"HOME": str(tmp_path)}
            done = subprocess.run(["bash", "-e", "-c", kept], cwd=project, env=environment, capture_output=True,
                                  text=True)
            assert done.returncode == 0, f"{page}:\n{kept}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
    assert (project / "data/raw/gpps/gpps_practice_weighted_2017.csv").is_file()
    assert (project / "results/figures/evidence_ae_four_hour.svg").is_file()
    assert (project / "results/elsewhere/figures/evidence_prescriptions.svg").is_file()
    assert pd.read_csv(project / "results/sweep/practices/estimates.csv")["indicator"].nunique() == 2
    assert pd.read_csv(project / "results/sweep/indicators/failures.csv").empty


def _project(folder: Path) -> Path:
    """A small project that stands for the user's own: made-up publishers' files in ../shared/mirror, the environment
    in .venv, and the files that the pages speak of."""
    project = small_project.make(folder / "project")
    (folder / "shared").mkdir()
    (folder / "mirror").rename(folder / "shared/mirror")
    (project / "FOLDER").symlink_to("../shared/mirror")
    (project / ".venv").symlink_to(sys.prefix)
    place = project / "config/ics.yaml"
    evaluation = yaml.safe_load(place.read_text(encoding="utf-8")) | {"data": "mirror:../shared/mirror"}
    evaluation["specifications"]["all_ages"]["families"] = ["dtoc"]   # no other outcome has that denominator
    evaluation["specifications"]["lags_last_12"] = {"families": ["dtoc"], "lags": "last_6"}   # named on a page
    place.write_text(yaml.safe_dump(evaluation, sort_keys=False), encoding="utf-8")
    (project / "docs").mkdir()
    shutil.copy(ROOT / "docs/example_panel.csv", project / "docs")
    _downloads(folder, project)
    _own_files(project / "mydata")
    _sweep_files(project)
    return project


def _downloads(home: Path, project: Path) -> None:
    """What a browser has downloaded: a file of the GP survey, and the population's files in a zip file."""
    (home / "Downloads").mkdir()
    name = "GPPS 2017 Practice data (weighted) (csv) PUBLIC (1).csv"
    practices = [gpps_files.practice(f"A{n:05d}") for n in range(3)]
    (home / "Downloads" / name).write_text(gpps_files.text("2017", practices), encoding="utf-8")
    shutil.copy(ROOT / "data/reference/gpps_questions.csv", project / "data/reference")
    with zipfile.ZipFile(project / "ukmidyearestimates (2).zip", "w") as packed:
        for path in sorted((home / "shared/mirror/ons_population").iterdir()):
            packed.write(path, f"estimates/{path.name}")


def _own_files(folder: Path) -> None:
    """Monthly counts by commissioning group, as the page shows them, a workbook of quarterly rates, and yearly counts
    of the districts of `did new`."""
    folder.mkdir()
    draw = np.random.default_rng(1)
    groups = pd.read_csv(ROOT / "data/reference/ccg_systems.csv", dtype=str)
    groups = groups.drop_duplicates("unit").iloc[::4]
    months = pd.period_range("2016-10", "2018-03", freq="M").strftime("%b-%y")
    table = groups[["unit"]].merge(pd.DataFrame({"Month": months}), how="cross").rename(columns={"unit": "CCG code"})
    seen = draw.integers(2_000, 9_000, len(table))
    table = table.assign(**{"CCG name": "NHS " + table["CCG code"] + " CCG", "Attendances": seen,
                            "Seen within 4 hours": draw.binomial(seen, 0.9)})
    for column in ("Attendances", "Seen within 4 hours"):
        table[column] = table[column].map("{:,}".format)
    columns = ["Month", "CCG code", "CCG name", "Attendances", "Seen within 4 hours"]
    table[columns].to_csv(folder / "ae.csv", index=False)
    quarters = [f"{year} Q{quarter}" for year in (2016, 2017, 2018) for quarter in (1, 2, 3, 4)]
    rates = pd.DataFrame(draw.normal(50, 5, (len(small_project.UNITS), 12)).round(2), columns=quarters)
    rates.insert(0, "Code", list(small_project.UNITS))
    rates.to_excel(folder / "rates.xlsx", sheet_name="Rates", index=False, engine="xlsxwriter")
    units = [f"D{place:02d}" for place in range(1, 41)]   # of the made-up evaluation
    items = pd.MultiIndex.from_product([units, range(2010, 2022)], names=["district", "year"]).to_frame(index=False)
    items = items.assign(items=draw.integers(100, 200, len(items)), residents=1000)
    items.to_csv(folder / "prescriptions.csv", index=False)


def _sweep_files(folder: Path) -> None:
    """Two indicators of 24 units x 10 months, as a list of files and as one big file, and waves by unit and system."""
    made = [panel(24, 10, {5: 6, 7: 6}, 3.0, seed=seed, units_per_system=3)[0].rename(columns={
        "outcome": "value", "cohort": "first_treated"}) for seed in (1, 2)]
    for number, frame in enumerate(made):
        frame = frame.assign(count=(frame["value"] * 10).round(), patients=1000)
        frame[["unit", "period", "value", "count", "patients"]].to_csv(folder / f"figures_{number}.csv", index=False)
    pd.DataFrame({"id": ["first", "second"], "file": ["figures_0.csv", "figures_1.csv"]}).to_csv(
        folder / "indicators.csv", index=False)
    rows = pd.concat([frame.assign(indicator=name) for name, frame in zip(["first", "second"], made, strict=True)])
    rows = rows.rename(columns={"unit": "practice", "period": "month", "value": "rate"})
    rows[["indicator", "practice", "month", "rate"]].to_parquet(folder / "practices.parquet")
    units = made[0].drop_duplicates("unit")
    units[["unit", "system", "first_treated"]].to_csv(folder / "waves.csv", index=False)
    units[["unit", "system"]].to_csv(folder / "systems.csv", index=False)
    units.drop_duplicates("system")[["system", "first_treated"]].to_csv(folder / "ics_waves.csv", index=False)
