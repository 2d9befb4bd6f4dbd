"""Whatever stands in a text or path of a config is text: nothing of it is run, and nothing of it stops a run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_config

import small_project
from did.workflow.launch import PACKED, packed, unpacked
from did.workflow.plan import quoted

HOSTILE = "it's \"$(touch X)\" `touch X`; touch X # a: b {x} {} %s \\ é"


def edit(path: Path, change) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def fill_texts(project: Path, text: str) -> None:
    """Put ``text`` into every free text of the project's evaluation, indicator and sources."""
    def evaluation(found: dict) -> None:
        found.update(dict.fromkeys(["title", "question", "place", "units", "dose", "dose_counted", "contact"], text))
        found["publication"] |= {"citation": text, "conclusion": text, "context": [{"text": text}]}
        found["families"]["dtoc"] |= {"title": text, "figure": text}
        left_out = next(iter(found["robustness"]["leave_out"].values()))
        found["robustness"] |= {"leave_out": {text: left_out}, "ends": {text: "2018-02"}}

    def indicator(found: dict) -> None:
        found.update(dict.fromkeys(["title", "label", "family_title"], text), caveats=[text])
        found["unit_of_measure"] = text.replace("{x} {}", "")   # whose braces are those of a placeholder

    def source(found: dict) -> None:
        found.update(dict.fromkeys(["title", "publisher", "licence"], text), quirks=[text])
        for entry in found["files"]:
            entry["note"] = text

    edit(project / "config/ics.yaml", evaluation)
    edit(project / "config/indicators/dtoc_total.yaml", indicator)
    for name in ("nhs_england_dtoc", "ons_population"):
        edit(project / f"config/sources/{name}.yaml", source)


def test_commands_in_texts_and_paths_are_not_run_and_odd_paths_work(tmp_path):
    base = tmp_path / "it's #1: {a} $(touch X) é"
    project = small_project.make(base / "project")
    fill_texts(project, HOSTILE)
    mirror = base / "m'$(touch X)'y {} {z} #: ü"
    (base / "mirror").rename(mirror)
    config = project / "config/my \"small\" '$(touch X)' {x} {{y}} {} # a: b é 試.yaml"
    (project / "config/ics.yaml").rename(config)
    folders = {"sources_folder": "sources", "indicators_folder": "indicators", "published": "published/ics.csv"}
    (project / "config").rename(project / "con {fig}'s")
    config = project / "con {fig}'s" / config.name
    edit(config, lambda found: found.update(
        {key: f"con {{fig}}'s/{name}" for key, name in folders.items()}, data=f"mirror:{mirror}"))
    name = str(config.relative_to(project))
    done = small_project.run(project, "run", name)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("X"))
    again = small_project.run(project, "run", name, "--verbose")
    assert again.returncode == 0 and "starts:" not in again.stderr, again.stderr
    edit(config, lambda found: found.update(title="Changed"))
    changed = small_project.run(project, "run", name)
    assert changed.returncode == 0 and "report results" in changed.stderr, changed.stderr


def test_texts_as_long_as_they_may_be_are_shown(tmp_path):
    project = small_project.make(tmp_path / "project")
    fill_texts(project, f"{'w' * 300} {'long ' * 39}".strip())
    done = small_project.run(project, "run", "--data", "mirror:../mirror")
    assert done.returncode == 0, done.stderr


def test_a_text_too_long_for_a_figure_is_refused_before_the_run(tmp_path):
    project = small_project.make(tmp_path / "project")
    edit(project / "config/ics.yaml", lambda found: found.update(units="w" * 501))
    done = small_project.run(project, "run", "--data", "mirror:../mirror")
    assert done.returncode == 1
    assert "key 'units': expected text of at most 500 characters; found 501; shorten it" in done.stderr


@pytest.mark.parametrize("value", [HOSTILE, "", "-x", "{0}", "{{}}", "a\nb", "'", "\\", "~", "*", "$HOME"])
def test_a_quoted_value_is_one_word_of_the_shell_as_it_is(value):
    line = f"printf %s --x={quoted(value)}".format()
    assert subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout.decode() == f"--x={value}"


@pytest.mark.parametrize("value", [HOSTILE, "12", "1e5", "yes", "null", "", "[a]", "'a'", "\udcff", "a=b", "007"])
def test_settings_reach_the_workflow_as_they_are_in_a_word_that_no_shell_reads(value):
    word = packed({"evaluation": value})
    assert re.fullmatch(r"[A-Za-z0-9_-]+", word)
    assert unpacked(parse_config([f"{PACKED}={word}"])) == {"evaluation": value}
    assert unpacked({"evaluation": value}) == {"evaluation": value}   # by hand


@pytest.mark.parametrize(("file", "change", "key"), [
    ("ics.yaml", lambda found: found.update(families={"v$(touch X)": found["families"]["dtoc"]}), "families"),
    ("ics.yaml", lambda found: found["specifications"].update({"v$(touch X)": {}}), "specifications"),
    ("ics.yaml", lambda found: found["indicators"].append("v$(touch X)"), "indicators.12"),
    ("ics.yaml", lambda found: found.update(id="v$(touch X)"), "id"),
    ("ics.yaml", lambda found: found.update(folder="v$(touch X)"), "folder"),
    ("ics.yaml", lambda found: found.update(id="v" * 61), "id"),
    ("indicators/dtoc_total.yaml", lambda found: found.update(family="v$(touch X)"), "family"),
    ("indicators/dtoc_total.yaml", lambda found: found["numerator"].update(source="v$(touch X)"), "numerator.source"),
    ("sources/ons_population.yaml", lambda found: found.update(id="v$(touch X)"), "id"),
])
def test_names_that_become_parts_of_commands_and_paths_are_plain(tmp_path, file, change, key):
    shutil.copytree(small_project.ROOT / "config", tmp_path / "config")
    shutil.copytree(small_project.ROOT / "data/reference", tmp_path / "data/reference")
    shutil.copy(small_project.ROOT / "Snakefile", tmp_path)
    edit(tmp_path / "config" / file, change)
    done = subprocess.run([*small_project.DID, "run"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    told = next(line for line in done.stderr.splitlines() if "expected a name of at most 60 small letters" in line)
    assert told.startswith(f"error: config/{file}") and f"key '{key}" in told, told
    assert not list(tmp_path.rglob("X"))
