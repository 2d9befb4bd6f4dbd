"""The specification curve: small made tables with known answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from did.errors import DidError
from did.project.loading import load_evaluation, load_indicator
from did.report.content.names import choice_words, value_words
from did.report.figures.key import Published
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from framed import assert_legible, draw_framed, saved_figures
from made_alternatives import made_tables

DEFAULT = {"window": "default", "lags": "all"}
REPORTED = {"specification": "default", "sample": "full", "estimator": "ldv"}
WORDS = {"title": "Waits", "subtitle": "Days, somewhere.", "source": "nobody; own calculation", "unit": "days"}


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    """The tables at the level that leads."""
    return {name: table[table["cluster"].eq("system")] for name, table in made_tables().items()}


@pytest.fixture(scope="module")
def curve(made) -> pd.DataFrame:
    return curve_rows(made["specifications"], made["estimates"], default=DEFAULT,
                      staggered={"by_date": DEFAULT | {"window": "short"}})


def test_specifications_are_sorted_and_repeats_are_drawn_once(curve):
    assert len(curve) == 6
    drawn = curve[curve["place"].notna()]
    assert drawn["estimate"].tolist() == sorted(drawn["estimate"]) and drawn["place"].tolist() == [0, 1, 2, 3, 4]
    repeated = curve[curve["place"].isna()].iloc[0]
    assert (repeated["specification"], repeated["same_as"]) == ("window_short", "default, full, ldv")
    product = curve[curve["specification"].eq("lags=last_12; window=short")].iloc[0]
    assert (product["lags"], product["window"]) == ("last_12", "short")
    assert curve.loc[curve["specification"].eq("by_date"), "window"].eq("short").all()


@pytest.mark.parametrize("rounding", [-1e-13, 1e-13])
def test_rounding_does_not_decide_which_of_two_equal_estimates_comes_first(made, curve, rounding):
    first, second = curve[curve["place"].notna()].head(2).itertuples()
    tables = {name: table.copy() for name, table in made.items()}
    for table in tables.values():
        for row, value in ((first, 1.0), (second, 1.0 + rounding)):
            its = (table[["specification", "sample", "estimator"]] == [row.specification, row.sample, row.estimator])
            table.loc[its.all(axis=1), "estimate"] = value
    tied = curve_rows(tables["specifications"], tables["estimates"], default=DEFAULT,
                      staggered={"by_date": DEFAULT | {"window": "short"}}).head(2)
    assert tied["estimate"].sub(1).abs().max() < 1e-12 and tied["place"].tolist() == [0, 1]
    assert tied["specification"].tolist() == sorted([first.specification, second.specification])


def test_the_curve_draws_choices_that_vary(curve, tmp_path):
    options = dict(choices=["window", "lags"], reported=REPORTED, stem=tmp_path / "curve",
                   published=Published(40.0), **WORDS)
    with saved_figures() as figures:
        draw_framed(specification_curve, curve, **options)
    assert_legible(figures[0])
    first, again = ([path.read_bytes() for path in draw_framed(specification_curve, curve, **options)]
                    for _ in range(2))
    assert first == again
    svg, words = (tmp_path / "curve.svg").read_text("utf-8"), (tmp_path / "curve.txt").read_text("utf-8")
    for name in ("Estimator", "Period", "Lags", "the last 12", "Published +40", "Ours", "SYNTHETIC"):
        assert f">{name}<" in svg, name
    assert ">Sample<" not in svg  # the same in all
    assert "5 specifications, sorted; 1 more give the same number" in words
    assert "from 1.0 to 10.0, median 6.0; 5 of 5 above zero" in words and "number 5 from below" in words
    assert "Published +40: 5 of 5 estimates are below it." in words
    numbers = pd.read_csv(tmp_path / "curve.csv")
    assert len(numbers) == len(curve) and numbers["estimate"].sum() == pytest.approx(curve["estimate"].sum())


def test_a_curve_of_many_has_one_shade_of_intervals(curve, tmp_path):
    own = curve[curve["place"].notna()].iloc[:1]
    many = pd.concat([own.assign(place=place, estimate=float(place), ci_low=place - 5.0, ci_high=place + 5.0)
                      for place in range(81)], ignore_index=True).astype({"place": "Int64"})
    sizes = [draw_framed(specification_curve, table, choices=[], reported=REPORTED, stem=tmp_path / name, **WORDS)[0]
             .read_text("utf-8").count("<path ") for name, table in (("many", many), ("few", many.iloc[:20]))]
    assert sizes[0] <= sizes[1]
    assert "75 of 81 intervals leave out zero" in (tmp_path / "many.txt").read_text("utf-8")


def test_a_curve_of_nothing_is_an_error(curve, tmp_path):
    with pytest.raises(DidError, match="specification curve: expected an estimate; found none"):
        draw_framed(specification_curve, curve.assign(place=pd.NA), choices=[], reported=REPORTED,
                    stem=tmp_path / "none", **WORDS)


def test_choices_of_a_specification_are_named_in_words(monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    evaluation = load_evaluation("config/ics.yaml")
    total = load_indicator("dtoc_total", evaluation.indicators_folder)
    default = choices_of(evaluation.specifications["default"], total)
    assert default["denominator"] == "adults" and default["drop_periods"] == "none" and "families" not in default
    changed = choices_of(evaluation.specifications["onset_left_out"], total)
    assert {name for name in default if default[name] != changed[name]} == {"drop_periods"}
    said = [value_words(name, value) for specification in evaluation.specifications.values()
            for name, value in choices_of(specification, total).items()]
    assert not [text for text in said if "_" in text]
    assert choice_words("lags=last_12; partial=any_part") == "Lags: the last 12; areas partly in: count in full"
    assert choice_words("") == "default"
