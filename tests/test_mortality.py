"""Preventable mortality by clinical commissioning group: from two configurations of areas to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from did import readers
from did.areas import boundaries
from did.project import registry
from did.readers import RawFile

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(__file__).resolve().parents[2] / "shared"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not alongside the checkout")
YEARS = [str(year) for year in range(2005, 2020)]


def observations(name: str) -> pd.DataFrame:
    source = registry.load_source(ROOT / "config" / "sources" / f"{name}.yaml")
    files = [RawFile(SHARED / "tidy" / entry.name, entry.name, entry.period) for entry in source.files]
    return readers.read(source.reader, source.id, files, source.options)


@pytest.fixture(scope="module")
def mortality():
    return observations("preventable_mortality")


@pytest.fixture(scope="module")
def population():
    return observations("ccg_population")


@pytest.fixture(scope="module")
def aligned(mortality, population):
    chain, date = boundaries.load("ccg_2020", ROOT / "data" / "reference")
    areas = mortality.loc[mortality["area_type"] != "country"]
    return boundaries.align(areas, chain, date, where="preventable mortality", weights=population)


def test_registry_names_the_editions_that_are_there():
    from did.store.provenance import sha256

    for name in ("preventable_mortality", "ccg_population"):
        for entry in registry.load_source(ROOT / "config" / "sources" / f"{name}.yaml").files:
            path = SHARED / "tidy" / entry.name
            assert (sha256(path), path.stat().st_size) == (entry.sha256, entry.bytes)


def test_observations_are_marked_as_rates(mortality):
    assert mortality["note"].eq("rate; no count published: combined with population weights").all()
    assert mortality["numerator"].isna().all() and mortality["denominator"].isna().all()
    sizes = mortality.groupby(["area_type", "period"]).size()
    assert all(sizes["ccg_2019", year] == 191 for year in YEARS[:-1]) and sizes["ccg_2020", "2019"] == 135
    england = mortality.loc[mortality["area_type"] == "country"]
    assert england["area_code"].eq("E92000001").all() and england["period"].tolist() == YEARS[6:]
    assert len(sizes) == 14 + 1 + 9


def test_191_areas_become_135_in_every_year(aligned):
    moved, area_audit = aligned
    assert sorted(moved["period"].unique()) == YEARS
    assert moved.groupby("period")["area_code"].nunique().eq(135).all() and moved["value"].notna().all()
    assert len(moved) == 135 * 15
    # 191 areas of 2019, and the 18 new ones of 2020 in the last year.
    assert len(area_audit) == 191 + 18 and area_audit["fate"].value_counts().to_dict() == {"kept": 135, "merged": 74}
    assert area_audit["unit"].nunique() == 135


def test_population_is_preserved_to_the_person(aligned, population):
    weights = aligned[0].groupby("period")["weight"].sum()
    published = population.groupby("period")["value"].sum()
    # England at mid-2018, as published; the one year in which every area has its own figure.
    assert weights["2018"] == published["2018"] == 55_977_178
    first = population.sort_values("period").drop_duplicates("area_code").set_index("area_code")["value"]
    late = first[["E38000229", "E38000230"]].sum()   # Derby and Derbyshire, Devon: no figure before 2018
    for year in YEARS[7:13]:
        assert weights[year] == published[year] + late
    for year in YEARS[:7]:
        assert weights[year] == published["2012"] + late
    last = population.sort_values("period").drop_duplicates("area_code", keep="last")["value"].sum()
    assert weights["2019"] == last


def test_status_of_the_weights(aligned):
    status = aligned[0].groupby("period")["status"].value_counts().unstack(fill_value=0)
    assert status.loc["2018"].to_dict() == {"carried_forward": 0, "estimated": 0, "ok": 135}
    assert status.loc["2019"].to_dict() == {"carried_forward": 18, "estimated": 0, "ok": 117}
    assert status.loc["2012", "estimated"] == 2 and status.loc["2011", "estimated"] == 135


def test_areas_that_did_not_merge_keep_their_published_rate(aligned, mortality):
    chain, _ = boundaries.load("ccg_2020", ROOT / "data" / "reference")
    published = mortality.loc[mortality["area_type"] == "ccg_2019"]
    unit = chain.to_ods(published["area_code"], "2019-04-01")
    alone = unit.isin(chain.codes_at("2020-04-01")["code"])
    moved = aligned[0].set_index(["area_code", "period"])["value"]
    key = pd.MultiIndex.from_arrays([unit[alone], published.loc[alone, "period"]])
    assert alone.sum() == 117 * 14 and (moved[key].to_numpy() == published.loc[alone, "value"].to_numpy()).all()


def test_merged_rates_lie_within_their_parts_and_agree_with_a_hand_calculation(aligned, mortality, population):
    moved = aligned[0].set_index(["area_code", "period"])["value"]
    rates = mortality.set_index(["area_code", "period"])["value"]
    people = population.set_index(["area_code", "period"])["value"]
    # Surrey Heartlands: East Surrey, Guildford and Waverley, North West Surrey, Surrey Downs.
    parts = ["E38000054", "E38000214", "E38000128", "E38000177"]
    for year in ("2016", "2018"):
        weights = np.array([people[code, year] for code in parts])
        values = np.array([rates[code, year] for code in parts])
        assert moved["92A", year] == pytest.approx(values @ weights / weights.sum(), rel=1e-12)
        assert values.min() < moved["92A", year] < values.max()


def test_england_beside_the_mean_of_areas(aligned, mortality):
    """All-age weights and age-standardised rates do not give England's rate, but come close in every year.

    Poorer areas are younger, so the mean lies above: by 1.4% to 2.1%.
    """
    moved, _ = aligned
    england = mortality.loc[mortality["area_type"] == "country"].set_index("period")["value"]
    mean = (moved["value"] * moved["weight"]).groupby(moved["period"]).sum() / moved.groupby("period")["weight"].sum()
    ratio = (mean / england).dropna()
    assert len(ratio) == 9 and ratio.between(1.01, 1.025).all()
    # Moving areas does not change the mean: it is that of the 191.
    rates = mortality.loc[mortality["area_type"] == "ccg_2019"]
    assert mean["2018"] == pytest.approx(_mean_of_2018(rates))


def _mean_of_2018(rates: pd.DataFrame) -> float:
    people = observations("ccg_population").set_index(["area_code", "period"])["value"]
    rates = rates.loc[rates["period"] == "2018"].set_index("area_code")["value"]
    weights = people.xs("2018", level="period")[rates.index]
    return float((rates * weights).sum() / weights.sum())


def test_indicator_names_what_the_sources_have(mortality, population):
    import yaml

    indicator = yaml.safe_load((ROOT / "config" / "indicators" / "preventable_mortality.yaml").read_text())
    rate = indicator["rate"]
    assert rate["source"] == mortality["source"].iloc[0] and {rate["measure"]} == set(mortality["measure"])
    weights = rate["weights"]
    assert weights["source"] == population["source"].iloc[0] and {weights["measure"]} == set(population["measure"])
    window = indicator["windows"]["default"]
    assert [str(window["first"]), str(window["last"])] == [YEARS[0], YEARS[-1]]
