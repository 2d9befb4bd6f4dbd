"""Estimators side by side: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel
from did.inference.clustered import summarise
from did.inference.multiplier import add_bands
from did.report.content.facts import DAGGER
from did.report.figures import style
from did.report.figures.event_time import _average, effects_by_event_time
from did.report.figures.key import Published
from did.simulate.panels import panel
from framed import assert_legible, draw_framed, saved_figures

NAMES = {"did": "Two-way fixed effects", "event_study": "Two-way fixed effects by event time",
         "callaway_santanna": "Callaway and Sant'Anna", "imputation": "Imputation", "stacked": "Stacked"}


@pytest.fixture(scope="module")
def estimates() -> pd.DataFrame:
    """Two cohorts, a planted effect of 2, fitted by three estimators."""
    frame, _ = panel(40, 10, {4: 8, 6: 6}, 2.0, seed=5, units_per_system=2, noise=0.5, frequency="Y", first="2005")
    data = Panel.from_frame(frame)
    group_time = estimate("callaway_santanna", data, base_period="universal")
    results = [estimate("did", data), estimate("event_study", data), estimate("imputation", data),
               aggregate(group_time, data, "simple"), aggregate(group_time, data, "event_time")]
    rows = pd.concat([add_bands(summarise(result, data), result, data, draws=199, seed=3) for result in results],
                     ignore_index=True)
    rows = rows[rows["cluster"].eq("system")]
    return rows.assign(indicator="made_up", specification="waves_by_date", sample="full", treatment="binary",
                       few_treated=False, is_synthetic=True)


def draw(rows, folder, **options):
    over_time, averages = (rows[rows["estimand"] == estimand] for estimand in ("event_time", "overall"))
    panes = {words: pd.concat([over_time[over_time["estimator"] == name], averages[
        averages["estimator"] == {"event_study": "did"}.get(name, name)]]) for name, words in NAMES.items()
        if (over_time["estimator"] == name).any()}
    return draw_framed(effects_by_event_time, panes, stem=folder / "side", title="A made-up outcome",
                       subtitle="Points, somewhere.", source="nobody; own calculation", label="Years since onset",
                       **options)


def test_numbers_and_words_are_those_of_the_estimates(estimates, tmp_path):
    paths = draw(estimates, tmp_path)
    assert sorted(path.suffix for path in paths) == [".csv", ".svg", ".txt"]
    numbers = pd.read_csv(tmp_path / "side.csv")
    for estimand in ("event_time", "overall"):
        drawn = estimates[estimates["estimand"] == estimand]
        kept = numbers[numbers["estimand"] == estimand]
        assert len(kept) == len(drawn) and set(kept["estimator"]) == set(drawn["estimator"])
        for column in ("estimate", "ci_low", "ci_high", "band_low", "band_high"):
            assert kept[column].sum() == pytest.approx(drawn[column].sum()), column
    assert numbers["band_low"].notna().any() and numbers["published_value"].isna().all()
    words = (tmp_path / "side.txt").read_text()
    assert f"Imputation: average {overall(estimates, 'imputation'):.2f}" in words and "SYNTHETIC" in words
    svg = (tmp_path / "side.svg").read_text()
    assert ">Treated systems at each tick<" in svg and ">Stacked<" not in svg
    assert "Published" not in svg and DAGGER not in svg
    assert ">95% band for all times at once<" in svg and ">Estimate, 95% interval clustered by system<" in svg
    assert svg.count(">not estimated<") == 1


def overall(rows, estimator):
    return rows.loc[(rows["estimand"] == "overall") & (rows["estimator"] == estimator), "estimate"].iloc[0]


def test_two_way_effects_stand_under_their_one_coefficient(estimates, tmp_path):
    draw(estimates, tmp_path)
    words, svg = (tmp_path / "side.txt").read_text(), (tmp_path / "side.svg").read_text()
    assert f"Two-way fixed effects by event time: one coefficient {overall(estimates, 'did'):.2f} (" in words
    assert f">One coefficient {overall(estimates, 'did'):.2f} (" in svg and ">Two-way fixed effects<" not in svg
    assert _average(estimates, None) == "No average"


def test_a_printed_number_is_a_named_line_in_every_panel(estimates, tmp_path):
    with saved_figures() as figures:
        draw(estimates, tmp_path, published=Published(-1.5, "lagged dependent variable"))
    assert_legible(figures[0])
    svg, words = (tmp_path / "side.svg").read_text(), (tmp_path / "side.txt").read_text()
    assert svg.count(">Published −1.5, lagged dependent variable<") == 1 and "Published −1.5, lagged" in words
    assert pd.read_csv(tmp_path / "side.csv")["published_value"].eq(-1.5).all()


def test_a_far_printed_number_and_every_interval_are_inside_the_axes(estimates):
    ends = estimates.loc[estimates["estimand"] == "event_time", ["ci_low", "ci_high"]].to_numpy(float)
    low, high = style.limits(np.append(ends, 40.0), 0.08)
    assert low < np.nanmin(ends) and high > 40.0
    assert style.limits(ends, 0.08)[1] > np.nanmax(ends)


def test_counts_of_few_treated_are_marked(estimates, tmp_path):
    few = estimates.assign(few_treated=estimates["event_time"].eq(4).fillna(False).astype(bool))
    draw(few, tmp_path)
    svg = (tmp_path / "side.svg").read_text()
    assert svg.count(f"{DAGGER}<") == 1 and f"{DAGGER} Rests on fewer" in svg


def test_the_same_figure_has_the_same_bytes(estimates, tmp_path):
    first, second = draw(estimates, tmp_path / "a"), draw(estimates.sample(frac=1, random_state=1), tmp_path / "b")
    for one, other in zip(sorted(first), sorted(second), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_nothing_to_draw_is_an_error(estimates, tmp_path):
    with pytest.raises(DidError, match="no effect over event time"):
        draw(estimates[estimates["estimand"] == "overall"], tmp_path)
