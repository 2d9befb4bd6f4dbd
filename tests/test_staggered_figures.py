"""Estimators side by side: what is drawn is what the tables hold."""

import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel
from did.inference.clustered import summarise
from did.outputs.staggered_figures import estimators_over_event_time
from did.simulate.panels import panel

NAMES = {"callaway_santanna": "Callaway and Sant'Anna", "imputation": "Imputation", "stacked": "Stacked"}


@pytest.fixture(scope="module")
def estimates() -> pd.DataFrame:
    """Two cohorts, a planted effect of 2, fitted by three estimators."""
    frame, _ = panel(40, 10, {4: 8, 6: 6}, 2.0, seed=5, units_per_system=2, noise=0.5, frequency="Y", first="2005")
    data = Panel.from_frame(frame)
    group_time = estimate("callaway_santanna", data, base_period="universal")
    results = [aggregate(group_time, data, "simple"), aggregate(group_time, data, "event_time"),
               estimate("imputation", data)]
    rows = pd.concat([summarise(result, data) for result in results], ignore_index=True)
    return rows.assign(indicator="made_up", reading="waves_by_date", is_synthetic=True)


def draw(rows, folder):
    return estimators_over_event_time(rows, estimators=NAMES, stem=folder / "side", title="A made-up outcome",
                                      subtitle="Points, somewhere.", source="nobody; own calculation",
                                      time_label="Years since onset", tick_every=1)


def test_numbers_and_words_are_those_of_the_estimates(estimates, tmp_path):
    paths = draw(estimates, tmp_path)
    assert sorted(path.suffix for path in paths) == [".csv", ".png", ".svg", ".txt"]
    numbers = pd.read_csv(tmp_path / "side.csv")
    drawn = estimates[estimates["estimand"] == "event_time"]
    assert len(numbers) == len(drawn) and set(numbers["estimator"]) == {"callaway_santanna", "imputation"}
    assert numbers["estimate"].sum() == pytest.approx(drawn["estimate"].sum())
    imputed = (estimates["estimand"] == "overall") & (estimates["estimator"] == "imputation")
    overall = estimates.loc[imputed, "estimate"].iloc[0]
    words = (tmp_path / "side.txt").read_text()
    assert f"Imputation: average {overall:.2f}" in words and "SYNTHETIC" in words
    svg = (tmp_path / "side.svg").read_text()
    assert ">Treated systems at each tick<" in svg and ">Stacked<" not in svg


def test_the_same_figure_has_the_same_bytes(estimates, tmp_path):
    first, second = draw(estimates, tmp_path / "a"), draw(estimates.sample(frac=1, random_state=1), tmp_path / "b")
    for one, other in zip(sorted(first), sorted(second), strict=True):
        if one.suffix in (".png", ".svg"):
            assert one.read_bytes() == other.read_bytes()


def test_nothing_to_draw_is_an_error(estimates, tmp_path):
    with pytest.raises(DidError, match="no effect over event time"):
        draw(estimates[estimates["estimand"] == "overall"], tmp_path)
