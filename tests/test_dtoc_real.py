"""The published evaluation on the publishers' own files, against sums made another way."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from did import fetch, readers
from did.estimators import Panel, estimate
from did.inference.clustered import summarise
from did.panels import build
from did.project import registry
from did.project.data_mode import parse_mode
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.report.content.evaluation_facts import family_facts
from did.report.content.facts import only
from did.report.content.family_text import headline_sentences
from did.stages import calibrate, diagnose, fit
from did.store import tables

ROOT = Path(__file__).resolve().parents[1]
MIRROR = ROOT.parent / "shared" / "mirror"
pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason="the publishers' files are not alongside this checkout")


@pytest.fixture(scope="module")
def observations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    found = {}
    for name in ("nhs_england_dtoc", "nhs_england_dtoc_2020", "ons_population"):
        source = registry.load_named(name, ROOT / "config/sources")
        manifest = fetch.fetch(source, folder / name, mode=parse_mode(f"mirror:{MIRROR}"))
        files = [readers.RawFile(path=folder / name / file, name=file, period=entry["period"])
                 for file, entry in sorted(manifest["files"].items())]
        options = source.options | ({"reference": str(ROOT / "data/reference")}
                                    if source.reader == "dtoc_la_workbook" else {})
        found[name] = readers.read(source.reader, name, files, options)
    return found


@pytest.fixture(scope="module")
def built(observations):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evaluation = load_evaluation("config/ics.yaml")
        frames = {name: build.build(load_indicator(name, "config/indicators"), evaluation, "default", observations)
                  for name in evaluation.indicators if name.startswith("dtoc")}
    return {name: tables.check("panel", frame) for name, (frame, _) in frames.items()}


def test_the_published_numbers_of_observations(built):
    for frame in built.values():
        assert len(frame) == 15_943 and frame["unit"].nunique() == 149
        assert (frame["period"] >= "2017-06").sum() == 4_917


@pytest.fixture(scope="module")
def diagnosed(observations, tmp_path_factory):
    """Estimates and diagnostics of all delays, and the facts of the family's page."""
    folder = tmp_path_factory.mktemp("diagnosed")
    paths = Paths(data=folder / "data", results=folder / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evaluation = load_evaluation("config/ics.yaml")
        frame, _ = build.build_all(load_indicator("dtoc_total", "config/indicators"), evaluation, observations)
        tables.write("panel", frame, paths.panel("dtoc_total"))
        for stage in (fit, calibrate, diagnose):
            stage.run("dtoc_total", evaluation=evaluation, paths=paths)
        facts = family_facts("dtoc", evaluation, without=[])
    return facts, *(tables.read(name, getattr(paths, name)("dtoc_total"))
                    for name in ("estimates", "diagnostics", "headline"))


def test_what_the_40_days_rest_on(diagnosed):
    """Clustered intervals lie above zero; that of measured coverage for 8 treated systems does not.

    Figures are to within what a revision of the population may move.
    """
    facts, estimates, diagnostics, headline = diagnosed
    cell = {"specification": "default", "sample": "full"}
    binary = only(headline, **cell, treatment="binary", estimator="ldv")
    assert binary["estimate"] == pytest.approx(41.4, abs=1)
    assert binary["holds"] and binary["coverage"] == pytest.approx(0.95, abs=0.02)
    assert binary["p_value"] == pytest.approx(0.27, abs=0.03) and binary["ci_low"] < 0 < binary["ci_high"]
    assert (binary["n_treated_clusters"], binary["n_clusters"]) == (8, 42)
    intensity = only(headline, **cell, treatment="intensity", estimator="ldv")
    assert intensity["holds"] and intensity["ci_low"] < 0 < intensity["ci_high"]
    left = diagnostics[diagnostics["diagnostic"].eq("leave_one_out") & diagnostics["estimator"].eq("ldv")
                       & diagnostics["called"].eq("Greater Manchester") & diagnostics["cluster"].eq("system")
                       & diagnostics["treatment"].eq("binary")]
    assert left["value"].item() == pytest.approx(23.2, abs=1)
    effect, margin, *_ = map(str, headline_sentences(facts, {"headline": headline, "diagnostics": diagnostics}))
    assert "the outcome of the 30 treated areas, in 8 of 42 systems, was 41 " in effect
    assert "It includes zero: the difference could be chance." in margin
    dated = estimates[estimates["specification"].eq(facts.staggered) & estimates["cluster"].eq("system")
                      & estimates["estimand"].eq("overall")]
    values = dated.loc[~dated["estimator"].eq("event_study"), "estimate"]
    assert (len(values), values.min(), values.max()) == pytest.approx((5, 10.2, 51.3), abs=1)


def test_months_add_up_to_england_less_residents_of_elsewhere(built, observations):
    for indicator, measure in {"dtoc_total": "total", "dtoc_nhs": "nhs", "dtoc_social_care": "social_care",
                               "dtoc_both": "both"}.items():
        rows = observations["nhs_england_dtoc"].loc[lambda frame, name=measure: frame["measure"] == name]
        england = rows.query("area_type == 'country'").set_index("period")["value"]
        elsewhere = rows.query("area_type == 'outside_england'").groupby("period")["value"].sum()
        ours = built[indicator].groupby("period")["numerator"].sum()
        assert len(england) == 105
        pd.testing.assert_series_equal(ours[england.index], england - elsewhere, check_names=False)


def test_the_last_two_months_are_the_published_england_totals(built):
    """The published England series includes residents of elsewhere, a few hundred days a month."""
    published = pd.read_csv(MIRROR.parent / "tidy/dtoc_england_totals.csv").set_index("month")["total"]
    ours = built["dtoc_total"].groupby("period")["numerator"].sum()
    gap = published[["2020-01", "2020-02"]] - ours[["2020-01", "2020-02"]]
    assert ((gap > 0) & (gap < 1500)).all()


def test_population_of_england(built):
    """Mid-2019 and mid-2012 adults of the units, and of the Isles of Scilly, are ONS's England counts; those of
    mid-2011 are between the Census and mid-2012."""
    adults = built["dtoc_total"].groupby("period")["weight"].sum()
    assert 44_263_393 - 2_000 < adults["2019-01"] < 44_263_393
    assert 42_070_419 - 2_000 < adults["2012-01"] < 42_070_419
    assert adults["2011-04"] == pytest.approx(41_750_000, abs=10_000)
    status = built["dtoc_total"].groupby(built["dtoc_total"]["period"].str[:4])["denominator_status"].agg(set)
    assert status.to_dict() == {"2011": {"estimated"}, "2020": {"carried_forward"}} | {
        str(year): {"ok"} for year in range(2012, 2020)}


def test_the_ldv_estimate_by_ordinary_least_squares_on_post_period_means(built):
    """With regressors fixed over the post period, the pooled coefficient is that of a regression of unit means."""
    frame = built["dtoc_total"]
    wide = frame.pivot(index="unit", columns="period", values="outcome")
    units = frame.drop_duplicates("unit").set_index("unit").loc[wide.index]
    lags = wide.loc[:, wide.columns < "2017-06"].to_numpy()
    after = wide.loc[:, wide.columns >= "2017-06"].mean(axis=1).to_numpy()
    for treatment, dose in {"binary": units["cohort"].notna(), "intensity": units["intensity"]}.items():
        design = np.column_stack([dose.astype(float), np.ones(len(lags)), lags])
        expected = np.linalg.lstsq(design, after, rcond=None)[0][0]
        data = Panel.from_frame(frame, treatment=treatment)
        rows = summarise(estimate("ldv", data), data)
        assert rows["estimate"].to_numpy() == pytest.approx(expected, rel=1e-9)
    assert rows.set_index("cluster").loc["unit", "n_obs"] == 4_917


def test_the_did_effects_of_the_parts_add_up_to_that_of_the_total(built):
    effects = {name: float(estimate("did", Panel.from_frame(frame)).estimate[0]) for name, frame in built.items()}
    parts = effects["dtoc_nhs"] + effects["dtoc_social_care"] + effects["dtoc_both"]
    assert parts == pytest.approx(effects["dtoc_total"], rel=1e-9)


def test_the_printed_effects_are_within_reach(built):
    """+40 and +2 lie in the intervals of the default specification; what is printed as p < 0.01 is below 0.01."""
    for treatment, printed in {"binary": 40, "intensity": 2}.items():
        data = Panel.from_frame(built["dtoc_total"], treatment=treatment)
        row = summarise(estimate("ldv", data), data).query("cluster == 'unit'").iloc[0]
        assert row["ci_low"] < printed < row["ci_high"] and row["p_value"] < 0.01
