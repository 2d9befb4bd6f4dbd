"""Demonstration data: the same bytes each time, accepted by the normal readers, with what was planted found again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xlwt
from scipy import stats

from did import readers
from did.diagnostics.pretrends import linear_pretrend
from did.errors import DidError
from did.estimators import estimate
from did.estimators.base import Panel
from did.inference.clustered import summarise
from did.project.loading import load_evaluation, load_indicator
from did.project.registry import RawFileEntry, load_named
from did.readers import RawFile
from did.readers.gpps_practice_csv import OUTCOMES
from did.simulate import WRITERS, sheets, write_source
from did.simulate.panels import ar1, shared_noise
from did.simulate.panels import panel as made_up
from did.simulate.truth import DERIVED, load_demo, planted, waves_of
from did.store import provenance

ROOT = Path(__file__).resolve().parents[1]
DTOC = ["nhs_england_dtoc", "nhs_england_dtoc_2020", "ons_population"]
CCG = ["gpps", "preventable_mortality", "ccg_population"]
REFERENCE = ROOT / "data" / "reference"
# Files of every layout, few enough to be made twice.
SOME = {
    "nhs_england_dtoc": ["LA-Type-B-2011-04.xls", "LA-Type-B-2015-07.xls", "LA-Type-B-2017-04.xls",
                         "LA-Type-B-2019-05.xls"],
    "nhs_england_dtoc_2020": ["dtoc_2020-01_2020-02.csv"],
    "ons_population": ["census-2011-QS103EW.csv", "mid-2012-single-year-of-age.csv", "MYE2-mid-2014.csv",
                       "MYE2-mid-2019.xls", "MYEB3-2001-2019.csv"],
    "gpps": ["gpps_practice_weighted_2012.csv", "gpps_practice_weighted_2018.csv"],
    "preventable_mortality": ["preventable_mortality_ccg.csv"],
    "ccg_population": ["ccg_population_covariates.csv"],
}


@pytest.fixture(autouse=True)
def in_project(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def demo():
    return load_demo(ROOT / "config" / "demo.yaml")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo")


def write(source_id: str, folder: Path, demo) -> list[RawFile]:
    source = load_named(source_id, ROOT / "config" / "sources")
    paths = write_source(source, folder / source_id, demo, reference=REFERENCE)
    return [RawFile(path, entry.name, entry.period, is_synthetic=True)
            for path, entry in zip(paths, source.files, strict=True)]


def observed(source_id: str, folder: Path, demo) -> pd.DataFrame:
    source = load_named(source_id, ROOT / "config" / "sources")
    options = source.options | ({} if source.reader in ("tidy_csv", "ons_mye") else {"reference": str(REFERENCE)})
    return readers.read(source.reader, source.id, write(source_id, folder, demo), options)


@pytest.fixture(scope="session")
def dtoc(folder, demo):
    return {source: observed(source, folder, demo) for source in DTOC}


@pytest.fixture(scope="session")
def ccg(folder, demo):
    return {source: observed(source, folder, demo) for source in CCG}


@pytest.fixture(scope="session")
def evaluation():
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        return load_evaluation("config/ics.yaml")
    finally:
        os.chdir(here)


# --- the same bytes --------------------------------------------------------------------------------------


def test_another_process_writes_the_same_bytes(tmp_path, demo):
    """Whatever the order of sets, and whichever of the files are written together."""
    script = ("import sys; from did.project.registry import load_named; from did.simulate import write_source; "
              "from did.simulate.truth import load_demo; demo = load_demo(); "
              f"[write_source(load_named(name, 'config/sources'), sys.argv[1] + '/' + name, demo, names=names) "
              f"for name, names in {SOME!r}.items()]")
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=True, cwd=ROOT,
                   env=os.environ | {"PYTHONHASHSEED": "1"})
    for name, names in SOME.items():
        for file in names:  # one at a time, here
            source = load_named(name, ROOT / "config" / "sources")
            write_source(source, tmp_path / "b" / name, demo, names=[file], reference=REFERENCE)
            first, second = tmp_path / "a" / name / file, tmp_path / "b" / name / file
            assert provenance.sha256(first) == provenance.sha256(second), file


def test_another_seed_writes_other_figures(tmp_path, demo):
    other = demo.model_copy(update={"seed": demo.seed + 1})
    source = load_named("preventable_mortality", ROOT / "config" / "sources")
    texts = [write_source(source, tmp_path / str(place), settings, reference=REFERENCE)[0].read_text()
             for place, settings in enumerate([demo, other])]
    assert texts[0] != texts[1] and len(texts[0].splitlines()) == len(texts[1].splitlines())


def test_every_source_of_an_indicator_can_be_made():
    registered = {path.stem for path in (ROOT / "config" / "sources").glob("*.yaml")}
    assert set(WRITERS) <= registered
    assert set(DTOC + CCG) == set(WRITERS)


# --- what the readers make of it -------------------------------------------------------------------------


def test_every_row_says_that_it_is_synthetic(dtoc, ccg):
    for source, table in (dtoc | ccg).items():
        registered = load_named(source, ROOT / "config" / "sources")
        assert table["is_synthetic"].all()
        assert set(table["file"]) == {entry.name for entry in registered.files}


def test_no_figure_of_a_workbook_is_left_as_the_publishers(folder, dtoc):
    from did.readers.spreadsheet import read_sheet

    path = folder / "nhs_england_dtoc" / "LA-Type-B-2018-01.xls"
    for name in ("england", "la - by type of care", "la - by responsible org", "la - by reason"):
        sheet = read_sheet(path, path.name, lambda found, name=name: found == name, name)
        assert any("SYNTHETIC" in str(cell) for row in sheet.grid for cell in row)
        if name != "england":
            england = next(row for row in sheet.grid if "England" in row)
            last = 8 if "reason" not in name else len(england) - 1
            total = england[{"la - by type of care": 7, "la - by responsible org": 8}.get(name, last)]
            assert total == dtoc["nhs_england_dtoc"].query(
                "period == '2018-01' and measure == 'total' and area_type == 'country'")["value"].item()


def test_quirks_of_the_dtoc_workbooks(dtoc):
    table = dtoc["nhs_england_dtoc"].set_index(["area_code", "period", "measure"]).sort_index()
    assert set(table.loc[("E06000029", "2019-04")]["status"]) == {"zero_by_rule", "ok"}
    wight = table.xs("total", level="measure").loc["E06000046", "value"]
    assert (wight == 0).sum() == 13 and wight[wight == 0].index.max() == "2013-07"
    assert table.loc[("E08000008", "2011-06", "total"), "value"] == 0
    periods = dtoc["nhs_england_dtoc"].groupby("area_code")["period"].agg(["min", "max"])
    assert periods.loc["E10000009"].tolist() == ["2011-04", "2019-04"]
    assert periods.loc["E06000058"].tolist() == ["2019-05", "2019-12"]
    codes = set(dtoc["nhs_england_dtoc_2020"]["area_code"])
    assert {"E06000058", "E06000059", "E06000060"} <= codes and "E10000002" not in codes and len(codes) == 150


def test_the_reorganisation_of_dorset_loses_no_days(demo):
    from did.simulate import dtoc as made

    delays = made.make(demo, REFERENCE)
    for period in ("2019-03", "2019-04", "2019-05", "2020-02"):
        _, days = made.on_boundaries(delays, period)
        assert days.sum() == delays.days[:, made.PERIODS.index(period)].sum() and (days >= 0).all()


def test_population_adds_up_on_every_code(dtoc):
    table = dtoc["ons_population"]
    lads = table.loc[table["area_type"] == "lad"].groupby(["measure", "period"])["value"].sum()
    # Revised after the books of mid-2012 to mid-2016 were made: other districts, the same England.
    for year in range(2012, 2020):
        assert lads["population_all", str(year)] == lads["population_all_rebased", str(year)]
    wide = table.query("period == '2016' and area_type == 'lad'").pivot(index="area_code", columns="measure",
                                                                        values="value").dropna()
    assert (wide["population_all"] != wide["population_all_rebased"]).mean() > 0.9
    assert 0.75 < lads["population_adult", "2016"] / lads["population_all", "2016"] < 0.82
    assert 0.75 < lads["census_adult", "2011"] / lads["census_all", "2011"] < 0.82
    assert lads["census_all", "2011"] == pytest.approx(lads["population_all_rebased", "2011"], rel=0.01)


def test_population_of_2011_and_2012_is_on_the_codes_of_its_time(dtoc):
    table = dtoc["ons_population"].query("area_type == 'lad'")
    codes = {period: set(table.loc[table["measure"].isin(["census_all", "population_all"])
                                   & (table["period"] == period), "area_code"]) for period in ("2011", "2012", "2013")}
    assert codes["2011"] == codes["2012"]
    assert codes["2012"] - codes["2013"] == {"E06000048", "E08000020", "E07000097", "E07000101"}
    assert codes["2013"] - codes["2012"] == {"E06000057", "E08000037", "E07000242", "E07000243"}


def test_quirks_of_the_gp_survey(ccg):
    table = ccg["gpps"]
    n_ccgs = table.query("area_type == 'ccg'").groupby("period")["area_code"].nunique().to_dict()
    assert [n_ccgs[str(year)] for year in range(2013, 2022)] == [211, 211, 209, 209, 207, 195, 191, 135, 106]
    unplaced = table.query("area_type == 'unplaced_practice'")
    # Those years have no CCG column, and some practices are in no other year's file.
    assert set(unplaced["period"]) <= {"2012", "2022"} and (unplaced["period"] == "2012").sum() >= 3
    assert table["note"].str.contains("suppressed").any()
    assert table["note"].str.contains("placed by the 2013 file").any()
    assert (table["value"].dropna() >= 0).all()
    assert (table["value"].dropna() % 1 != 0).any()


def test_quirks_of_mortality(ccg):
    rates = ccg["preventable_mortality"]
    n_areas = rates.query("area_type != 'country'").groupby("period")["area_code"].nunique()
    assert set(n_areas.loc[:"2018"]) == {191} and n_areas["2019"] == 135
    assert rates.query("area_type == 'country'")["period"].min() == "2011"
    people = ccg["ccg_population"].groupby("period")["area_code"].nunique()
    assert people.to_dict() == {**{str(year): 189 for year in range(2012, 2018)}, "2018": 191, "2019": 117}


# --- what was planted ------------------------------------------------------------------------------------


def test_truth_of_sums(demo):
    truth = planted(demo).set_index(["indicator", "wave"])
    for wave in demo.waves:
        for indicator, terms in DERIVED.items():
            total = sum(sign * truth.loc[(term, wave), "effect"] for term, sign in terms.items())
            assert truth.loc[(indicator, wave), "effect"] == pytest.approx(total)
    assert (truth.loc["dtoc_both", "effect"] == 0).all()
    assert (truth.loc["dtoc_social_care", "diverging"] != 0).all()
    assert not truth.duplicated().all() and truth["effect"].nunique() > 5
    assert truth.loc[("dtoc_nhs", 2), "first_period"] == "2018-05"
    assert truth.loc[("gpps_needs_met", 1), "first_period"] == "2018"
    needs = truth.loc[[f"gpps_needs_{word}" for word in ("met", "partially_met", "not_met")], "effect"]
    assert needs.groupby(level="wave").sum().abs().max() == pytest.approx(0)


def built(names, evaluation, observations):
    from did.panels import build

    here = Path.cwd()
    os.chdir(ROOT)
    try:
        return {name: build.build(load_indicator(name, "config/indicators"), evaluation, "default", observations)[0]
                for name in names}
    finally:
        os.chdir(here)


@pytest.fixture(scope="session")
def panels(evaluation, dtoc):
    return built(["dtoc_total", "dtoc_nhs", "dtoc_social_care", "dtoc_both"], evaluation, dtoc)


def test_panel_is_that_of_the_published_design(panels):
    total = panels["dtoc_total"]
    assert len(total) == 149 * 107 and total["is_synthetic"].all()
    assert total.loc[total["cohort"].notna(), "unit"].nunique() == 30
    parts = sum(panels[name].set_index(["unit", "period"])["numerator"]
                for name in ("dtoc_nhs", "dtoc_social_care", "dtoc_both"))
    pd.testing.assert_series_equal(total.set_index(["unit", "period"])["numerator"], parts)


def test_effects_are_planted_in_the_areas_the_default_specification_treats(panels):
    units = panels["dtoc_nhs"].drop_duplicates("unit")
    units = units.loc[~units["unit"].str.contains(r"\+")]  # Dorset: all three of its authorities are listed
    wave = waves_of(REFERENCE / "table_a1_upper_tier.csv", units["unit"])
    assert (wave == units["wave"].fillna(0).to_numpy()).all()
    dorset = waves_of(REFERENCE / "table_a1_upper_tier.csv", ["E06000028", "E06000029", "E10000009"])
    assert dorset.tolist() == [1, 1, 1]


def levels(frame: pd.DataFrame) -> tuple[float, float, float]:
    """Mean of units, spread of their means and first autocorrelation of what units and months leave."""
    wide = frame.pivot(index="unit", columns="period", values="outcome")
    rest = wide.sub(wide.mean(axis=1), axis=0).sub(wide.mean(), axis=1).to_numpy()
    lag = np.median([np.corrcoef(row[1:], row[:-1])[0, 1] for row in rest])
    return wide.to_numpy().mean(), wide.mean(axis=1).std(), lag


# Mean, spread and autocorrelation in NHS England's workbooks, over 149 units and 107 months.
@pytest.mark.parametrize(("name", "real"), [("dtoc_nhs", (186, 78, 0.71)), ("dtoc_both", (21, 24, 0.72))])
def test_magnitudes_are_those_of_the_real_files(panels, name, real):
    mean, between, lag = levels(panels[name])
    assert mean == pytest.approx(real[0], rel=0.25)
    assert between == pytest.approx(real[1], rel=0.3)
    assert lag == pytest.approx(real[2], abs=0.15)


def panel_of(*arguments):
    from did.stages import fit

    return fit.panel_of(*arguments)


def fitted(data: Panel, estimator: str, cluster: str = "system") -> pd.Series:
    return summarise(estimate(estimator, data), data).query("cluster == @cluster").iloc[0]


@pytest.mark.parametrize("name", ["dtoc_nhs", "dtoc_both"])
@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_planted_effect_is_recovered(panels, evaluation, demo, name, estimator):
    truth = planted(demo).set_index(["indicator", "wave"]).loc[(name, 1), "effect"]
    row = fitted(panel_of(panels[name], "wave_two_removed", "binary", evaluation), estimator)
    assert row.ci_low < truth < row.ci_high
    assert (row.p_value < 0.05) == (truth != 0)


def test_diverging_trends_are_flagged_and_bias_the_estimate(panels, evaluation, demo):
    flagged = {}
    for name, frame in panels.items():
        data = panel_of(frame, "wave_two_removed", "binary", evaluation)
        flagged[name] = linear_pretrend(data)["p_value"].max() < 0.01
    assert flagged == {"dtoc_total": True, "dtoc_nhs": False, "dtoc_social_care": True, "dtoc_both": False}
    truth = planted(demo).set_index(["indicator", "wave"]).loc[("dtoc_social_care", 1), "effect"]
    data = panel_of(panels["dtoc_social_care"], "wave_two_removed", "binary", evaluation)
    for estimator in ("did", "ldv"):
        assert fitted(data, estimator).ci_low > truth


@pytest.fixture(scope="session")
def ccg_panels(evaluation, ccg):
    return built([*OUTCOMES, "preventable_mortality"], evaluation, ccg)


def test_the_docs_say_what_is_planted(demo):
    lines = (ROOT / "docs" / "demo.md").read_text().splitlines()
    cells = {line.split("|")[1].strip().strip("`"): [cell.strip() for cell in line.split("|")[2:]]
             for line in lines if line.startswith("| `")}
    for indicator, rows in planted(demo).groupby("indicator"):
        said = cells[indicator]
        assert [float(cell) for cell in said[:2]] == pytest.approx(rows.sort_values("wave")["effect"].to_list())
        assert ("diverging" in said[3]) == (rows["diverging"] != 0).any()


@pytest.mark.parametrize("name", [*OUTCOMES, "preventable_mortality"])
@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_effects_by_ccg_are_recovered_on_april_2020_boundaries(ccg_panels, evaluation, demo, name, estimator):
    data = panel_of(ccg_panels[name], "wave_two_removed", "binary", evaluation)
    assert data.n_units == 135 - 10 and (~data.never_treated).sum() == 32
    truth = planted(demo).set_index(["indicator", "wave"]).loc[(name, 1), "effect"]
    row = fitted(data, estimator)
    assert row.ci_low < truth < row.ci_high
    assert linear_pretrend(data)["p_value"].min() > 0.01


def test_effects_by_ccg_that_are_planted_are_found(ccg_panels, evaluation):
    p_values = {name: fitted(panel_of(frame, "wave_two_removed", "binary", evaluation), "did").p_value
                for name, frame in ccg_panels.items()}
    found = {name for name, p_value in p_values.items() if p_value < 0.05}
    assert {"gpps_needs_met", "gpps_preferred_sometimes", "preventable_mortality"} <= found
    assert not {"gpps_preferred_always", "gpps_overall_good"} & found


# --- mistakes --------------------------------------------------------------------------------------------


def message(call, *arguments, **options) -> str:
    with pytest.raises(DidError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mistakes_in_what_is_asked_for(tmp_path, demo):
    source = load_named("nhs_england_dtoc", ROOT / "config" / "sources")
    assert "did you mean 'ons_population'" in message(
        write_source, source.model_copy(update={"id": "ons_populations"}), tmp_path, demo)
    assert "LA-Type-B-2011-04.xls" in message(write_source, source, tmp_path, demo, names=["LA-Type-B-2011-4.xls"])
    later = RawFileEntry(name="LA-Type-B-2021-01.xls", period="2021-01")
    text = message(write_source, source.model_copy(update={"files": [later]}), tmp_path, demo, reference=REFERENCE)
    assert "LA-Type-B-2021-01.xls" in text and "2011-04 to 2019-12" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("growth_spread:", "growth_spred:", ["population.growth_spred", "did you mean 'growth_spread'"]),
    ("{1: -12, 2: -12}", "{1: -12, 3: -12}", ["planted.dtoc_social_care names wave 3", "1, 2"]),
    ("persistence: 0.88", "persistence: 1.2", ["dtoc.parts.social_care.noise.persistence", "below 1"]),
    ("system: 0.06, region: 0.06", "system: 0.6, region: 0.6", ["must not exceed 1; found 1.2"]),
])
def test_mistakes_in_the_settings(tmp_path, old, new, expected):
    text = (ROOT / "config" / "demo.yaml").read_text()
    assert old in text
    path = tmp_path / "demo.yaml"
    path.write_text(text.replace(old, new, 1))
    found = message(load_demo, path)
    assert all(words in found for words in ["demo.yaml", *expected]), found


def test_effects_on_all_answers_must_add_up_to_nothing(tmp_path, demo):
    more = demo.planted | {"gpps_needs_not_met": demo.planted["gpps_needs_met"]}
    source = load_named("gpps", ROOT / "config" / "sources")
    text = message(write_source, source, tmp_path, demo.model_copy(update={"planted": more}), reference=REFERENCE)
    assert "must add up to 0" in text and "needs_no" in text


# --- panels with known truth -----------------------------------------------------------------------------


def test_noise_has_the_moments_asked_for():
    rng = np.random.default_rng(1)
    series = ar1(20_000, 30, 0.7, rng)
    assert series.std(axis=0) == pytest.approx(np.ones(30), abs=0.03)
    assert np.mean(series[:, 1:] * series[:, :-1]) == pytest.approx(0.7, abs=0.02)
    labels = np.repeat(np.arange(500), 4)
    shared = shared_noise([(labels, 0.3)], 10, 0.0, rng)
    assert shared.std() == pytest.approx(1, abs=0.02)
    assert np.mean(shared[::4] * shared[1::4]) == pytest.approx(0.3, abs=0.04)


def test_without_noise_the_truth_is_found_exactly():
    frame, truth = made_up(12, 10, {6: 4}, 5.0, seed=1, noise=0.0, dynamic=1.0)
    data = Panel.from_frame(frame)
    assert estimate("did", data).estimate[0] == pytest.approx(truth["effect"].mean())
    study = estimate("event_study", data)
    events = pd.Series(study.estimate, index=study.parameters["event_time"])
    by_event = truth.groupby("event_time")["effect"].mean()
    assert events.loc[by_event.index].to_numpy() == pytest.approx(by_event.to_numpy())
    assert events[events.index < 0].to_numpy() == pytest.approx(0)


def test_panels_have_what_is_asked_for():
    frame, truth = made_up(40, 8, {3: 8, 5: 4}, {3: 2.0, 5: 7.0}, seed=3, units_per_system=4, intensity=(7, 32))
    units = frame.drop_duplicates("unit")
    assert units["cohort"].value_counts().to_dict() == {"2015-04": 8, "2015-06": 4}
    assert units["wave"].value_counts().to_dict() == {1: 8, 2: 4} and units["system"].nunique() == 10
    dose = units.set_index("unit")["intensity"]
    assert dose[units.set_index("unit")["cohort"].notna()].between(7, 32).all() and (dose.iloc[12:] == 0).all()
    first = truth.query("cohort == '2015-04'")
    assert first["effect"].to_numpy() == pytest.approx(2 * dose[first["unit"]].to_numpy())
    pd.testing.assert_frame_equal(made_up(40, 8, {3: 8}, seed=3)[0], made_up(40, 8, {3: 8}, seed=3)[0])
    from did.store import tables
    tables.check("panel", frame)


@pytest.mark.parametrize(("arguments", "expected"), [
    ((10, 5, {7: 2}), "from 0 to 4; found 7"), ((10, 5, {2: 10}), "fewer than 10 treated units")])
def test_panels_that_cannot_be_made(arguments, expected):
    assert expected in message(made_up, *arguments, seed=1)


REPLICATIONS = 60


def covered(diverging: float) -> dict[str, np.ndarray]:
    """Whether each replication's interval covers, by estimator, and whether the trend test rejects at 5%."""
    found: dict[str, list[bool]] = {"did": [], "ldv": [], "flagged": []}
    for number in range(REPLICATIONS):
        frame, _ = made_up(150, 10, {6: 40}, 5.0, seed=number, persistence=0.5, diverging=diverging)
        data = Panel.from_frame(frame, cluster_columns=[])
        for name in ("did", "ldv"):
            row = fitted(data, name, "unit")
            found[name].append(bool(row.ci_low <= 5.0 <= row.ci_high))
        found["flagged"].append(linear_pretrend(data)["p_value"].item() < 0.05)
    return {name: np.array(values) for name, values in found.items()}


def test_intervals_cover_where_trends_are_parallel():
    found = covered(diverging=0.0)
    low, high = stats.binom.interval(0.999, REPLICATIONS, 0.95)
    assert low <= found["did"].sum() <= high
    assert low <= found["ldv"].sum() <= high
    assert found["flagged"].sum() <= stats.binom.ppf(0.999, REPLICATIONS, 0.05)


def test_did_and_ldv_fail_where_trends_diverge_and_the_test_says_so():
    found = covered(diverging=1.5)
    assert found["did"].mean() < 0.5 and found["ldv"].mean() < 0.5
    assert found["flagged"].mean() > 0.8


def test_a_saved_workbook_has_the_bytes_of_one_written_cell_by_cell(tmp_path):
    values = [0, 7, -3, 2**29 - 1, 2**29, -2**29, 5_368_709.11, 5_368_709.12, 1.25, -0.01, 1 / 3, 1e300, "-", "Region",
              "ü", "Name", None]
    drawn = np.random.default_rng(5).integers(len(values), size=(2, 40, 9))
    grids = {f"Sheet {number}": {(row, column + 2): values[each[row, column]] for row in (7, *range(5, 40), 3)
                                 for column in range(9)} for number, each in enumerate(drawn)}
    book = xlwt.Workbook()
    for title, grid in grids.items():
        sheet = book.add_sheet(title, cell_overwrite_ok=True)
        for (row, column), value in grid.items():
            if value is not None:
                sheet.write(row, column, value)
    book.save(str(tmp_path / "cell by cell.xls"))
    sheets.save(tmp_path / "saved.xls", grids)
    assert (tmp_path / "saved.xls").read_bytes() == (tmp_path / "cell by cell.xls").read_bytes()
