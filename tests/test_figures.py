"""Figures: what is written, that it repeats byte for byte, and that texts are large, inside and apart."""

from __future__ import annotations

import contextlib
import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.inference.joint_test import BLANK
from did.report.content.facts import DAGGER
from did.report.figures import style, svg
from did.report.figures.coefficients import coefficients
from did.report.figures.event_time import effects_by_event_time, treated_words
from did.report.figures.means import means_over_time, trend_rows, trend_words
from did.store.result_csv import csv_text
from did.store.tables import check
from did.words import (
    decimals_for,
    interval,
    listed,
    markdown_cell,
    markdown_table,
    number,
    p_value,
    period_name,
    plural,
)
from framed import assert_legible, draw_framed, marks, saved_figures

OUTCOMES = {"out_a": "All causes", "out_b": "A rather long name of an outcome", "out_c": "Both"}
WORDS = {"title": "Effect of the policy on the outcome, by part",
         "subtitle": "Days per 100,000, England, 2011 to 2020.", "source": "a publisher."}


def row(**values):
    """One row of the estimates table; ``estimate`` and ``std_error`` give the interval (t of 2)."""
    base = dict(indicator="out_a", specification="default", sample="full", treatment="binary", estimator="ldv",
                estimand="overall", cohort=None, period=None, event_time=None, cluster="unit", estimate=1.0,
                std_error=0.5, band_low=np.nan, band_high=np.nan, p_value=0.04, p_adjusted=np.nan, n_obs=4917,
                n_units=149, n_treated=30, n_clusters=149, n_treated_clusters=30, n_parameters=108, df=148.0,
                state="estimated", few_treated=False, minimum_treated=1, headline=False,
                note="", is_synthetic=False) | values
    base["ci_low"] = base["estimate"] - 2 * base["std_error"]
    base["ci_high"] = base["estimate"] + 2 * base["std_error"]
    return base


@pytest.fixture
def estimates():
    rows = []
    cells = itertools.product(OUTCOMES, ["full", "wave_two_removed"], ["binary", "intensity"], ["unit", "system"])
    for place, (indicator, sample, treatment, cluster) in enumerate(cells):
        scale = 1.0 if treatment == "binary" else 0.05
        rows.append(row(indicator=indicator, sample=sample, treatment=treatment, cluster=cluster,
                        estimate=scale * (41.37 - 7 * (place // 2)), std_error=scale * (15.5 + place),
                        n_clusters=149 if cluster == "unit" else 42,
                        n_treated_clusters=30 if cluster == "unit" else 8))
    return check("estimates", pd.DataFrame(rows)[list(check_columns())])


def check_columns():
    from did.store.tables import SCHEMAS

    return SCHEMAS["estimates"].columns


def path_of_effects(times, clusters=("system",)):
    rows = [row(estimator="event_study", estimand="event_time", cluster=cluster, event_time=time,
                estimate=0.0 if time == -1 else 30 * np.sin(time / 9) + 2 * time,
                std_error=np.nan if time == -1 else 20.0 + abs(time) / (4 if cluster == "unit" else 2),
                state="reference" if time == -1 else "estimated", n_treated_clusters=30 if cluster == "unit" else 8)
            for cluster in clusters for time in times]
    return check("estimates", pd.DataFrame(rows)[list(check_columns())])


def trends(periods, gap=60.0):
    steps = np.arange(len(periods))
    frames = [pd.DataFrame({"sample": "full", "period": periods, "group": group,
                            "observed_mean": 300 + lift + 40 * np.sin(steps / 6),
                            "linear_trend": 300 + lift + 0.5 * steps, "n_units": n})
              for group, lift, n in (("treated", gap, 30), ("control", 0.0, 119))]
    return pd.concat(frames, ignore_index=True)


TEST = pd.Series(BLANK | {"treatment": "binary", "cluster": "system", "value": 1.69, "statistic": 3.801161, "df": 1.0,
                          "df_denominator": 148.0, "p_value": 0.053107, "status": "done", "reason": ""})
MONTHS = [str(month) for month in pd.period_range("2011-04", "2020-02", freq="M")]
PUBLISHED = pd.DataFrame([["out_a", "binary", "full", 40.0], ["out_b", "intensity", "full", -0.3],
                          ["out_c", "binary", "full", np.nan]],
                         columns=["indicator", "treatment", "sample", "estimate"]).assign(cluster="printed")
UNITS = {"binary": "days per 100,000", "intensity": "days per 100,000, per organisation"}
CALLED = {"treatment": {"binary": "Binary", "intensity": "Intensity"},
          "sample": {"full": "full sample", "wave_two_removed": "wave two removed"}, "indicator": OUTCOMES,
          "cluster": {"unit": "by area", "system": "by system", "printed": "as printed"}}
EVENT = dict(unit="Days per 100,000, difference from reference", label="Months since onset", **WORDS)
TREND = dict(sample="full", unit="Days of delay", **WORDS)


def with_printed(estimates):
    return pd.concat([estimates, PUBLISHED], ignore_index=True)


def draw_panes(rows, stem, **options):
    frame = style.Frame(stem, **WORDS, **{name: options.pop(name) for name in ("is_synthetic",) if name in options})
    return coefficients(rows, frame, **{"called": CALLED, "units": UNITS} | options)


def event_study(rows, frame, **options):
    return effects_by_event_time({"Event study": rows}, frame, **options)


def draw(kind, stem, estimates, **options):
    if kind == "panes":
        return draw_panes(with_printed(estimates), stem, **options)
    if kind == "months":
        return draw_framed(event_study, path_of_effects(range(-74, 33)), stem=stem, per_year=12, **EVENT | options)
    if kind == "years":
        return draw_framed(event_study, path_of_effects(range(-6, 3)), stem=stem, **EVENT | options)
    return draw_framed(means_over_time, trend_rows(trends(MONTHS), "2017-06"), stem=stem, **TREND | options)


KINDS = ["panes", "months", "years", "trends"]


@pytest.mark.parametrize("kind", KINDS)
def test_three_files_the_same_bytes_twice(kind, tmp_path, estimates):
    first = draw(kind, tmp_path / "one" / "figure", estimates)
    second = draw(kind, tmp_path / "two" / "figure", estimates)
    assert [path.name for path in first] == ["figure.svg", "figure.csv", "figure.txt"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(path.name for path in first)
    svg = first[0].read_text(encoding="utf-8")
    assert WORDS["title"] in svg and "dc:date" not in svg


@pytest.mark.parametrize("kind", KINDS)
def test_one_tick_draws_what_a_tick_of_matplotlibs_at_each_place_does(kind, tmp_path, estimates):
    one, *_ = draw(kind, tmp_path / "one" / kind, estimates)
    with saved_figures():
        each, *_ = draw(kind, tmp_path / "each" / kind, estimates)
    assert len(marks(one)) > 50 and marks(one) == marks(each)


def test_letters_are_as_high_as_matplotlib_finds_them(tmp_path, estimates, monkeypatch):
    ours, *_ = draw("years", tmp_path / "ours" / "figure", estimates)
    monkeypatch.delattr(svg._Renderer, "_get_font_height_metrics")
    theirs, *_ = draw("years", tmp_path / "theirs" / "figure", estimates)
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_matplotlib_are_left_alone(kind, tmp_path, estimates):
    before = dict(matplotlib.rcParams)
    draw(kind, tmp_path / "figure", estimates)
    assert dict(matplotlib.rcParams) == before


def _odd(name: str, value):
    """Another value than ``value`` that the setting ``name`` takes; None if there is no other."""
    others = {bool: [not value], int: [value + 3, value - 1], float: [value * 1.7 + 0.3, value / 2]} if isinstance(
        value, bool | int | float) else {str: ["#ff0000", "serif", "in", "round", "right", "dashed", "tight", "y"]}
    for other in others.get(type(value), []):
        with contextlib.suppress(ValueError), matplotlib.rc_context({name: other}):
            if matplotlib.rcParams[name] != value:
                return other
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_settings_of_matplotlib_change_no_figure(kind, tmp_path, estimates):
    right = draw(kind, tmp_path / "right" / "figure", estimates)
    # What needs a TeX of its own, and what is no setting of figures.
    kept = ("text.usetex", "pgf.", "backend", "interactive", "toolbar", "webagg", "animation.", "keymap.", "date.epoch")
    odd = {name: other for name, value in matplotlib.rcParamsDefault.items() if not name.startswith(kept)
           and (other := _odd(name, value)) is not None}
    assert len(odd) > 150
    style._letter_width.cache_clear()
    with matplotlib.rc_context(odd):
        found = draw(kind, tmp_path / "odd" / "figure", estimates)
    for one, other in zip(right, found, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("synthetic", [False, True])
def test_texts_are_large_horizontal_inside_and_apart(kind, synthetic, tmp_path, estimates):
    with saved_figures() as figures:
        draw(kind, tmp_path / "figure", estimates, is_synthetic=synthetic)
    assert_legible(figures[0])


def test_panes_numbers_equal_the_input(tmp_path, estimates):
    draw("panes", tmp_path / "figure", estimates)
    numbers = pd.read_csv(tmp_path / "figure.csv")
    key = ["indicator", "sample", "treatment", "cluster"]
    both = numbers.merge(estimates, on=key, suffixes=("", "_in"), validate="one_to_one")
    assert len(both) == len(estimates) == 24
    for column in ("estimate", "ci_low", "ci_high"):
        assert (both[column] == both[f"{column}_in"]).all()
    printed = numbers[numbers["kind"].eq("printed")].set_index("indicator")["estimate"]
    assert printed.to_dict() == {"out_a": 40.0, "out_b": -0.3}
    assert not numbers["is_synthetic"].any()


def test_panes_alternative_text_says_the_estimates(tmp_path, estimates):
    draw("panes", tmp_path / "figure", estimates)
    text = (tmp_path / "figure.txt").read_text(encoding="utf-8")
    assert "Binary, full sample: 30 of 149 areas; N = 4,917: All causes, by area: +41.4 (10.4 to 72.4)." in text
    assert "All causes, as printed: +40." in text and "as printed: \N{MINUS SIGN}0.3." in text
    for value in estimates.loc[estimates["cluster"] == "unit", ["estimate", "std_error"]].itertuples():
        assert number(value.estimate, decimals_for(value.std_error)) in text


def test_panes_of_one_outcome_and_of_five(tmp_path, estimates):
    one = draw_panes(estimates, tmp_path / "one", called=CALLED | {"indicator": {"out_a": "Mortality"}})
    more = pd.concat([estimates, estimates.assign(indicator=estimates["indicator"] + "2")], ignore_index=True)
    five = {"out_a": "Met", "out_b": "Partially met", "out_c": "Always", "out_a2": "Sometimes", "out_b2": "Good"}
    draw_panes(with_printed(more), tmp_path / "five", called=CALLED | {"indicator": five})
    assert len(pd.read_csv(one[1])) == 8 and len(pd.read_csv(tmp_path / "five.csv")) == 42


def test_each_treatment_has_its_own_axis_and_each_sample_its_heading(tmp_path, estimates):
    with saved_figures() as figures:
        draw_panes(with_printed(estimates), tmp_path / "figure")
    binary, intensity = figures[0].axes
    for axes, treatment in ((binary, "binary"), (intensity, "intensity")):
        here = estimates[estimates["treatment"] == treatment]
        low, high = axes.get_xlim()
        assert low < here["ci_low"].min() and high > here["ci_high"].max()
        points = [x for line in axes.lines for x in line.get_xdata()]
        assert set(here["estimate"]) <= set(points)
        assert axes.get_xlabel().replace("\n", " ") == UNITS[treatment]
    assert binary.get_xlim()[1] > 5 * intensity.get_xlim()[1]
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    order = [svg.index(f">{name}: 30 of 149 areas; N = 4,917<") for name in (
        "Binary, full sample", "Binary, wave two removed", "Intensity, full sample", "Intensity, wave two removed")]
    assert order == sorted(order)


def drawn(function, rows, **options):
    """The figures that ``function`` saves."""
    with saved_figures() as found:
        draw_framed(function, rows, **options)
    return found


def test_few_treated_units_get_a_mark_and_a_footnote(tmp_path, estimates):
    few = estimates.assign(few_treated=estimates["indicator"].eq("out_a"))
    svg = draw("panes", tmp_path / "figure", few)[0].read_text(encoding="utf-8")
    assert svg.count(f"{DAGGER}<") == 8 and f">{DAGGER} Rests on fewer treated areas" in svg
    assert DAGGER not in draw("panes", tmp_path / "plain", estimates)[0].read_text(encoding="utf-8")


def test_event_study_marks_event_times_on_few_treated(tmp_path):
    frame = path_of_effects(range(-6, 3))
    frame.loc[frame["event_time"] == 2, "few_treated"] = True
    paths = draw_framed(event_study, frame, stem=tmp_path / "figure", **EVENT)
    svg = paths[0].read_text(encoding="utf-8")
    assert svg.count(f">8{DAGGER}<") == 1 and f">{DAGGER} Rests on fewer" in svg
    assert DAGGER in paths[2].read_text(encoding="utf-8")


def test_panes_without_an_interval_or_an_estimate(tmp_path, estimates):
    estimates.loc[estimates["indicator"] == "out_b", ["std_error", "ci_low", "ci_high", "p_value"]] = np.nan
    estimates = estimates[~((estimates["indicator"] == "out_c") & (estimates["sample"] == "full"))]
    draw_panes(with_printed(estimates), tmp_path / "figure")
    text = (tmp_path / "figure.txt").read_text(encoding="utf-8")
    assert text.count("Both, by area: ") == 2 and "A rather long name of an outcome, by area: +13.37. " in text


def test_panes_errors_name_what_is_wrong(tmp_path, estimates):
    with pytest.raises(DidError, match="no estimate of nothing"):
        draw_panes(estimates, tmp_path / "f", called=CALLED | {"indicator": {"nothing": "Nothing"}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_is_said_everywhere(kind, tmp_path, estimates):
    if kind == "panes":  # the rows' own mark is enough
        paths = draw(kind, tmp_path / "figure", estimates.assign(is_synthetic=True))
    else:
        paths = draw(kind, tmp_path / "figure", estimates, is_synthetic=True)
    svg = paths[0].read_text(encoding="utf-8")
    assert ">SYNTHETIC<" in svg and f">SYNTHETIC: {WORDS['title'][:20]}" in svg
    assert ">SYNTHETIC data, not the publishers'." in svg
    assert "made-up data in the publishers' formats (a publisher" in svg
    assert svg.count(">SYNTHETIC<") == 1 + (kind == "panes")  # twice where it is high
    assert pd.read_csv(paths[1])["is_synthetic"].all()
    assert paths[2].read_text(encoding="utf-8").startswith("SYNTHETIC data")
    plain = draw(kind, tmp_path / "plain", estimates)
    assert "SYNTHETIC" not in plain[0].read_text(encoding="utf-8")


def test_a_tall_figure_has_the_watermark_twice():
    for height, times in ((4, 1), (11, 2)):
        figure, _ = style.page(height, style.Frame("figure", **WORDS, is_synthetic=True))
        assert [text.get_gid() for text in figure.texts].count("synthetic") == times


def test_event_study_counts_units_and_draws_every_number(tmp_path):
    frame = path_of_effects(range(-74, 33))
    axes = drawn(event_study, frame, stem=tmp_path / "figure", **EVENT)[0].axes[0]
    assert any(np.array_equal(line.get_ydata(), frame["estimate"]) for line in axes.lines)
    numbers = pd.read_csv(tmp_path / "figure.csv")
    assert numbers["event_time"].tolist() == list(range(-74, 33))
    assert np.array_equal(numbers["estimate"], frame["estimate"])
    text = (tmp_path / "figure.txt").read_text(encoding="utf-8")
    assert treated_words(frame, "areas") == "30 treated areas in 8 systems, 119 comparison areas."
    after = frame.loc[frame["event_time"] >= 0, "estimate"]
    assert f"from {number(after.min(), 1)} to {number(after.max(), 1)}" in text
    assert "95% interval clustered by system" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def test_a_unit_is_said_once(tmp_path):
    frame = path_of_effects(range(-6, 3))
    said = dict(EVENT, subtitle="Days per 100,000, England.")
    for unit, times in (("days per 100,000", 1), ("points", 1)):
        svg = draw_framed(event_study, frame, stem=tmp_path / "f", **said | {"unit": unit})[0].read_text("utf-8")
        texts = svg.split("</metadata>")[1].lower()
        assert texts.count(f">{unit}") == times, unit


def test_event_study_names_what_was_not_estimated_and_draws_bands(tmp_path):
    frame = path_of_effects(range(-6, 3))
    frame.loc[frame["event_time"] == 2, ["estimate", "std_error", "ci_low", "ci_high"]] = np.nan
    frame["band_low"], frame["band_high"] = frame["ci_low"] - 10, frame["ci_high"] + 10
    paths = draw_framed(event_study, frame, stem=tmp_path / "figure", **EVENT)
    assert "Not estimated at event times 2." in paths[2].read_text(encoding="utf-8")
    assert pd.read_csv(paths[1])["band_low"].notna().any()


def test_trends_print_the_test_or_why_it_was_skipped(tmp_path):
    assert trend_words(TEST, "2017-06", "system") == (
        "Were trends parallel before June 2017? Test of a straight line: p = 0.053, errors clustered by system.")
    text = draw("trends", tmp_path / "figure", None)[2].read_text(encoding="utf-8")
    frame = trends(MONTHS)
    before = frame.loc[(frame["group"] == "treated") & (frame["period"] < "2017-06"), "observed_mean"].mean()
    assert number(before, 1) in text
    skipped = TEST.copy()
    skipped[["status", "reason"]] = "skipped", "1 cluster: no clustered covariance"
    assert trend_words(skipped, "2017-06", "system").endswith("Not tested: 1 cluster: no clustered covariance.")


def test_trends_draw_one_sample_and_keep_the_numbers_of_all(tmp_path):
    frame = trends(MONTHS)
    both = pd.concat([frame, frame.assign(sample="wave_two_removed", observed_mean=frame["observed_mean"] + 1000)])
    axes = drawn(means_over_time, trend_rows(both, "2017-06"), stem=tmp_path / "figure", **TREND)[0].axes[0]
    assert max(max(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) > 2) < 1000
    numbers = pd.read_csv(tmp_path / "figure.csv")
    for series, column in (("observed", "observed_mean"), ("linear_trend", "linear_trend")):
        own = numbers[numbers["series"] == series]
        assert own["sample"].tolist() == both["sample"].tolist() and np.array_equal(own["mean"], both[column])


def test_trends_of_half_a_year(tmp_path):
    frame = trends([str(month) for month in pd.period_range("2017-04", "2017-09", freq="M")])
    paths = draw_framed(means_over_time, trend_rows(frame, "2017-06"), stem=tmp_path / "figure", **TREND)
    svg = paths[0].read_text(encoding="utf-8")
    assert ">2017-04<" in svg and ">2017-09<" in svg


@pytest.mark.parametrize("gap", [0.0, 0.5, -80.0])
def test_trends_by_year_and_with_lines_that_meet(gap, tmp_path):
    frame = trends([str(year) for year in range(2012, 2019)], gap=gap)
    frame.loc[3, "observed_mean"] = np.nan
    paths = draw_framed(means_over_time, trend_rows(frame, "2018"), stem=tmp_path / "figure", **TREND)
    assert all(path.stat().st_size > 0 for path in paths)


def test_numbers_in_words():
    assert [decimals_for(error) for error in (120, 15.5, 3.1, 0.68, 0.16, 0.05, 0, np.nan)] == [1, 1, 1, 2, 2, 3, 2, 2]
    assert number(-1234.56, 1) == "−1,234.6" and number(40, 0, signed=True) == "+40"
    assert number(-0.04, 1) == "0.0" and number(np.nan) == "not available"
    assert interval(-1, 2.25, 2) == "−1.00 to 2.25" and interval(np.nan, 2) == "not available"
    assert [p_value(p) for p in (0.0004, 0.0084, 0.0498, 0.0502, 0.99996, np.nan)] == [
        "p < 0.001", "p = 0.008", "p = 0.0498", "p = 0.0502", "p > 0.999", "p not available"]
    assert [period_name(p) for p in ("2017-06", "2018", "2017Q2")] == ["June 2017", "2018", "quarter 2 of 2017"]
    with pytest.raises(DidError, match="period '2017-13'"):
        period_name("2017-13")
    assert listed([]) == "none" and listed("ab") == "a and b" and listed("abcd", at_most=2) == "a, b and 2 more"
    assert plural(1, "area") == "1 area" and plural(4917, "row") == "4,917 rows"


def test_cells_cannot_break_a_table():
    frame = pd.DataFrame({"name": ["a|b", "line\nbreak", "<b>*x*</b>", None], "value": [1, 2, 3, 4]})
    lines = markdown_table(frame, right=["value"]).split("\n")
    assert len(lines) == 6 and lines[1] == "| --- | ---: |"
    assert lines[2] == "| a\\|b | 1 |" and lines[3] == "| line break | 2 |"
    assert markdown_cell("<b>*x*</b>") == "&lt;b>\\*x\\*&lt;/b>" and markdown_cell("p < 0.01") == "p < 0.01"


def test_csv_keeps_every_digit_and_runs_no_formula(tmp_path):
    values = np.array([0.1 + 0.2, 1 / 3, -1e-17, np.nan])
    frame = pd.DataFrame({"x": values, "text": ["=1+1", "+40", "-", "@x"],
                          "sign": ["-0.3", "- (n.s.)", "+cmd|x", None]})
    text = csv_text(frame)
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    back = pd.read_csv(tmp_path / "t.csv", dtype={"text": str, "sign": str})
    assert np.array_equal(back["x"], values, equal_nan=True)
    assert back["text"].tolist() == ["'=1+1", "+40", "-", "'@x"]
    assert back["sign"].tolist()[:3] == ["-0.3", "'- (n.s.)", "'+cmd|x"]
    assert "\r" not in text
