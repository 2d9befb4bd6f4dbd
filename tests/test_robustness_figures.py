"""Figures of one estimate's alternatives: small made tables with known answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from did.errors import DidError
from did.project.loading import load_evaluation, load_indicator
from did.report.content.choice_words import choice_words, value_words
from did.report.content.evidence_rows import OURS, PRINTED, RANGE
from did.report.content.robustness_rows import alternatives
from did.report.figures.robustness import HEADINGS, MOST, forest_lines, robustness_forest
from did.report.figures.specification_curve import MANY, choices_of, curve_rows, specification_curve
from did.report.figures.staggered import PublishedNumber
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
def rows(made) -> pd.DataFrame:
    return alternatives(indicator="waits", specification="default", estimators=["ldv", "did"], **made)


@pytest.fixture(scope="module")
def curve(made) -> pd.DataFrame:
    return curve_rows(made["specifications"], made["estimates"], default=DEFAULT,
                      staggered={"by_date": DEFAULT | {"window": "short"}})


def draw(rows, folder, **options):
    return draw_framed(robustness_forest, rows, estimator="ldv", stem=folder / "forest", **WORDS | options)


def test_lines_go_up_within_groups_and_ranges_are_named(rows):
    lines = forest_lines(rows[rows["status"].eq("done")], "ldv", 40.0)
    names = lines["words"].tolist()
    assert names[:3] == ["Published number", "Lagged dependent variable", "Difference-in-differences"]
    assert lines["kind"].tolist()[:2] == [PRINTED, OURS] and lines["kind"].eq(OURS).sum() == 1
    for heading in set(HEADINGS.values()) - {HEADINGS["default"]}:
        values = lines.loc[lines["group"].eq(heading) & lines["kind"].ne(RANGE), "estimate"]
        assert values.is_monotonic_increasing, heading
    others = lines[lines["words"].eq("Each of 3 other systems")].iloc[0]
    assert (others["smallest"], others["largest"]) == (10.0, 12.0)
    assert {"CR2", "Lags: the last 12", "Stacked", "Wave two removed", "Each of 3 treated systems"} <= set(names)
    assert "_" not in "".join(names)


def test_more_lines_than_can_be_read_become_ranges(rows):
    own = rows[rows["group"].eq("specifications")].iloc[:1]
    more = [own.assign(key=str(place), what=str(place), estimate=20.0 + place) for place in range(MOST)]
    lines = forest_lines(pd.concat([rows, *more])[lambda all_: all_["status"].eq("done")], "ldv")
    assert len(lines) <= MOST and "52 specifications" in set(lines["words"])


def test_the_headline_interval_stands_on_ours_alone(rows, tmp_path):
    headline = pd.DataFrame({"estimator": ["ldv"], "ci_low": [-1.25], "ci_high": [33.5]})
    _, numbers, words = draw(rows, tmp_path, headline=headline)
    table = pd.read_csv(numbers).set_index("words")
    assert table.loc["Lagged dependent variable", ["ci_low", "ci_high"]].tolist() == [-1.25, 33.5]
    assert table.loc["Difference-in-differences", "ci_low"] == 4.0
    assert "The estimate: Lagged dependent variable: +10.0 (\N{MINUS SIGN}1.2 to 33.5)." in words.read_text("utf-8")


def test_the_forest_says_each_number_and_has_the_same_bytes_twice(rows, tmp_path):
    with saved_figures() as figures:
        first = [path.read_bytes() for path in draw(rows, tmp_path, published=PublishedNumber(40.0))]
    assert_legible(figures[0])
    assert first == [path.read_bytes() for path in draw(rows, tmp_path, published=PublishedNumber(40.0))]
    svg, words = (tmp_path / "forest.svg").read_text("utf-8"), (tmp_path / "forest.txt").read_text("utf-8")
    for text in ("SYNTHETIC", "Published number", "Placebo onsets: nothing to find", "The printed number",
                 "Several estimates, lowest to highest, without their margins"):
        assert f">{text}<" in svg, text
    assert "Published number: +40." in words and "Each of 3 treated systems: 2.0 to 14.0." in words
    assert pd.read_csv(tmp_path / "forest.csv")["is_synthetic"].all()


def test_a_forest_without_a_printed_number_says_so(rows, tmp_path):
    draw(rows, tmp_path)
    assert "No number was printed" in (tmp_path / "forest.txt").read_text("utf-8")
    assert "ublished number" not in (tmp_path / "forest.svg").read_text("utf-8")
    with pytest.raises(DidError, match="expected a reported estimate by ldv"):
        draw(rows[rows["group"].ne("default")], tmp_path)


def test_specifications_are_sorted_and_repeats_are_drawn_once(curve):
    assert len(curve) == 6
    drawn = curve[curve["place"].notna()]
    assert drawn["estimate"].tolist() == sorted(drawn["estimate"]) and drawn["place"].tolist() == [0, 1, 2, 3, 4]
    repeated = curve[curve["place"].isna()].iloc[0]
    assert (repeated["specification"], repeated["same_as"]) == ("window_short", "default, full, ldv")
    product = curve[curve["specification"].eq("lags=last_12; window=short")].iloc[0]
    assert (product["lags"], product["window"]) == ("last_12", "short")
    assert curve.loc[curve["specification"].eq("by_date"), "window"].eq("short").all()


def test_the_curve_draws_choices_that_vary(curve, tmp_path):
    options = dict(choices=["window", "lags"], reported=REPORTED, stem=tmp_path / "curve",
                   published=PublishedNumber(40.0), **WORDS)
    with saved_figures() as figures:
        first = [path.read_bytes() for path in draw_framed(specification_curve, curve, **options)]
    assert_legible(figures[0])
    assert first == [path.read_bytes() for path in draw_framed(specification_curve, curve, **options)]
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
                      for place in range(MANY + 1)], ignore_index=True).astype({"place": "Int64"})
    few = many.iloc[:MANY]
    sizes = [draw_framed(specification_curve, table, choices=[], reported=REPORTED, stem=tmp_path / name, **WORDS)[0]
             .read_text("utf-8").count("<path ") for name, table in (("many", many), ("few", few))]
    assert sizes[0] < sizes[1]
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
    assert choice_words("") == ""
