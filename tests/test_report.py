"""The report stage on made-up panels: what it writes, and what becomes of outcomes that are not available."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from banners import says_synthetic
from did.evidence import CLAIM_COLUMNS
from did.project import result_files
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.readers.reference import read_reference
from did.report.content import evaluation_facts
from did.report.content.describe import effect_unit
from did.simulate.panels import panel
from did.stages import calibrate, diagnose, fit
from did.store import tables
from output_stages import write_outputs

ROOT = Path(__file__).resolve().parents[1]
INDICATORS = ["gpps_needs_met", "preventable_mortality"]


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def published_evaluation():
    return load_evaluation("config/ics.yaml")


@pytest.fixture
def small(published_evaluation, tmp_path):
    """The evaluation on two outcomes, one specification and made-up panels, fitted; and where its files are."""
    claims = read_reference("config/published/ics.csv", CLAIM_COLUMNS, ["claim"])
    claims.loc[claims["indicator"].isin(INDICATORS)].to_csv(tmp_path / "claims.csv", index=False)
    families = {name: family.model_copy(update={"headline": indicator, "parts": [], "sum_to_zero": []})
                for name, indicator in zip(["gpps", "mortality"], INDICATORS, strict=True)
                for family in [published_evaluation.families[name]]}
    specifications = {"default": published_evaluation.specifications["default"]}
    evaluation = published_evaluation.model_copy(update={
        "indicators": INDICATORS, "families": families, "specifications": specifications,
        "published": str(tmp_path / "claims.csv")})
    paths = Paths(data=tmp_path / "data", results=tmp_path / "results")
    for seed, name in enumerate(INDICATORS):
        indicator = load_indicator(name, evaluation.indicators_folder)
        window = indicator.windows["default"]
        n_periods = int(window.last) - int(window.first) + 1
        onset = int(str(indicator.onset(evaluation.waves.onset))) - int(window.first)
        frame, _ = panel(24, n_periods, {onset: 4}, 2.0, seed=seed, frequency="Y", first=window.first,
                         units_per_system=2, intensity=(7, 32))
        tables.write("panel", frame.assign(indicator=name), paths.panel(name))
        area_audit = pd.DataFrame({"indicator": name, "specification": "default", "area_code": frame["unit"].unique()})
        tables.write(
            "area_audit",
            area_audit.assign(
                area_name=area_audit["area_code"],
                fate="kept",
                unit=area_audit["area_code"],
                n_periods=n_periods,
                total=1.0,
                not_compared=False,
                reason="made up",
                is_synthetic=True,
            ),
            paths.area_audit(name),
        )
        for stage in (fit, calibrate, diagnose):
            stage.run(name, evaluation=evaluation, paths=paths)
        estimates = tables.read("estimates", paths.estimates(name))
        static = estimates["estimand"].eq("overall") & estimates["treatment"].isin(evaluation.treatments)
        overall = estimates.loc[static].assign(design="one_at_a_time", choices="", n_choices=0)
        tables.write("specifications", overall[list(tables.SCHEMAS["specifications"].columns)],
                     paths.specifications(name))
    return evaluation, paths


def test_what_is_written_is_what_was_listed_and_says_synthetic(small):
    evaluation, paths = small
    written = write_outputs(evaluation, paths, [])
    assert written == {*result_files.every_file(evaluation), result_files.MANIFEST}
    assert "> **SYNTHETIC DATA.**" in (paths.results / "summary.md").read_text(encoding="utf-8").split("\n\n")[1]
    assert [name for name in sorted(written) if not says_synthetic(paths.results / name)] == []


def test_rates_and_few_treated_units_are_marked_in_the_tables(small):
    evaluation, paths = small
    write_outputs(evaluation, paths, [])
    estimates = pd.read_csv(paths.results / "tables/estimates.csv", low_memory=False)
    rate = estimates["indicator"] == "preventable_mortality"
    assert estimates["note"].str.contains("combined over areas with population weights").equals(rate)
    assert estimates["note"].str.contains("rests on few treated units: 4, fewer than 5").all()
    for table in ("estimates", "diagnostics", "area_audit"):
        frame = pd.read_csv(paths.results / f"tables/{table}.csv", low_memory=False)
        kinds = frame.groupby("indicator")["aggregation"].unique()
        assert kinds["preventable_mortality"].tolist() == ["population_weighted"]
        assert kinds["gpps_needs_met"].tolist() == ["sum"]
    svg = (paths.results / "figures/coefficients_mortality_did.svg").read_text(encoding="utf-8")
    assert "weighted by population" in svg.replace("\n", " ") and ">† Rests on fewer treated areas" in svg
    assert "Office for National Statistics" in svg and "Ipsos" not in svg


def numbers(folder: Path) -> dict[str, object]:
    """The numbers of all tables, and the pictures, of a results folder; what its tables say in words left out."""
    found = {}
    for path in sorted(folder.rglob("*.csv")):
        frame = pd.read_csv(path, dtype=str)
        found[path.name] = frame.drop(columns=["note", "reason"], errors="ignore").to_csv()
    return found | {path.name: path.read_bytes() for path in sorted(folder.rglob("*"))
                    if path.suffix in (".svg", ".png", ".tex")}


def test_rewording_every_note_changes_no_number_and_no_figure(small):
    evaluation, paths = small
    write_outputs(evaluation, paths, [])
    before = numbers(paths.results)
    assert len(before) > 20 and "coefficients_mortality_did.svg" in before
    for name in INDICATORS:
        for table, column in (("estimates", "note"), ("diagnostics", "reason"), ("area_audit", "reason"),
                              ("specifications", "note")):
            path = getattr(paths, table)(name)
            frame = tables.read(table, path)
            assert (frame[column] != "").any() or table == "specifications"
            tables.write(table, frame.assign(**{column: "x"}), path)
    write_outputs(evaluation, paths, [])
    after = numbers(paths.results)
    assert [name for name in before if after[name] != before[name]] == []
    assert pd.read_csv(paths.results / "tables/diagnostics.csv")["reason"].str.startswith("x").all()


def test_an_outcome_that_cannot_be_had_leaves_nothing_behind(small):
    evaluation, paths = small
    without = ["gpps_needs_met"]
    before = write_outputs(evaluation, paths, [])
    after = write_outputs(evaluation, paths, without)
    assert after == {*result_files.every_file(evaluation, without), result_files.MANIFEST}
    assert before - after and all("gpps" in name for name in before - after)
    page = (paths.results / "summary.md").read_text(encoding="utf-8")
    assert "## Not available in this run" in page and "- **GP Patient Survey** (Needs met). " in page
    assert "did supply gpps" in page
    report = (paths.results / "report.html").read_text(encoding="utf-8")
    assert "Not available in this run" in report and 'id="mortality"' in report and 'id="gpps"' not in report
    table = pd.read_csv(paths.results / "tables/reproduction.csv")
    assert table.loc[table["status"] == "cannot run", "claim"].nunique() == 4


def test_files_of_the_published_evaluation(published_evaluation):
    families = result_files.families(published_evaluation)
    assert list(families) == list(published_evaluation.families)
    assert [name for names in families.values() for name in names] == published_evaluation.indicators
    figures = [name for indicator in published_evaluation.indicators
               for name in result_files.figures(published_evaluation, indicator, [])]
    claims = read_reference("config/published/ics.csv", CLAIM_COLUMNS, ["claim"])
    graphs = {f"trends_{name}" for name in claims["indicator"]}
    assert len(graphs) == 9 and graphs <= set(figures)
    survey = families["gpps"]
    left = result_files.every_file(published_evaluation, survey)
    assert not [name for name in left if "gpps" in name] and "figures/coefficients_mortality_did.svg" in left
    assert len(left) < 80
    one = result_files.families(published_evaluation, survey[1:])
    assert one["gpps"] == survey[:1] and one["dtoc"] == families["dtoc"]


def test_caveats_and_units_of_a_family_are_those_of_its_headline(published_evaluation):
    names = result_files.families(published_evaluation)["gpps"]
    members = {name: load_indicator(name, "config/indicators") for name in names}
    facts = evaluation_facts.family_facts("gpps", published_evaluation, without=[])
    assert facts.total == "gpps_preferred_sometimes" and facts.caveats == members[facts.total].caveats
    assert facts.measure == "% of patients with a preferred GP"
    # The others' are with them in the annex.
    alone = evaluation_facts.outcome_facts(facts, members["gpps_overall_good"], published_evaluation)
    assert alone.caveats == members["gpps_overall_good"].caveats != facts.caveats
    assert {effect_unit(each, published_evaluation) for each in members.values()} == {"percentage points"}
