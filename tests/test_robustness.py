"""Is it real? What counts as surviving, what is drawn and what is listed: small made tables with known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.inference.change import Change
from did.project.loading import load_indicator
from did.report.content.facts import Facts
from did.report.content.notes import change
from did.report.content.outcome_tables import counts_table
from did.report.content.robustness_rows import alternatives, leaves_out_zero
from did.report.figures.event_study import Selection
from did.report.figures.robustness import MOST, forest_rows, robustness_forest
from did.report.figures.specification_curve import choices_of, curve_rows, specification_curve
from did.report.figures.staggered import PublishedNumber
from did.store import tables
from framed import draw_framed

SIZES = {"n_obs": 400, "n_units": 40, "n_treated": 12, "n_clusters": 10, "n_treated_clusters": 4}
OTHERS = ["Avon", "Bath, Bristol and beyond", "Camden"]
DEFAULT = {"window": "default", "lags": "all"}


def row(schema: str, **values) -> dict:
    """A row of a table, with values that its columns allow where none are given."""
    empty = {"float64": np.nan, "int64": 0, "Int64": pd.NA, "bool": False}
    always = {"indicator": "waits", "sample": "full", "treatment": "binary", "specification": "default",
              "is_synthetic": True} | ({"state": "estimated"} if schema == "estimates" else {})
    columns = tables.SCHEMAS[schema].columns
    return {name: empty.get(str(column.dtype), "") for name, column in columns.items()} | always | values


def spans(value: float, half: float) -> dict:
    return {"std_error": half / 2, "ci_low": value - half, "ci_high": value + half, "p_value": 0.04}


def estimate(value, half, **values) -> list[dict]:
    """Rows of both cluster levels; by system the interval is twice as long."""
    return [row("estimates", estimand="overall", cohort=None, period=None, event_time=pd.NA, estimate=value,
                cluster=cluster, **spans(value, half * (1 + (cluster == "system"))), **SIZES | values)
            for cluster in ("unit", "system")]


def diagnostic(name, change, value, half, *, cluster="system", estimator="ldv", **values) -> dict:
    known = SIZES | {"status": "done"} | spans(value, half) | values
    return row("diagnostics", diagnostic=name, value=value, cluster=cluster, estimator=estimator,
               **change.columns() | known)


def without(name, label) -> Change:
    return Change("without_cluster", left_out=label, called=name)


@pytest.fixture
def made() -> dict[str, pd.DataFrame]:
    """An estimate of 10 that is 4 to 16 by area and -2 to 22 by system, and what was tried with it."""
    estimates = [*estimate(10.0, 6.0, estimator="ldv"), *estimate(12.0, 4.0, estimator="did"),
                 *estimate(9.0, 8.0, estimator="ldv", sample="wave_two_removed")]
    for name, value in (("did", 8.0), ("stacked", 1.0)):
        estimates += estimate(value, 5.0, estimator=name, specification="by_date")
    found = [diagnostic("bias_reduced_cr2", Change(), 10.0, 11.0, n_units=pd.NA, n_treated=pd.NA),
             diagnostic("wild_bootstrap", Change(), 10.0, 9.0, std_error=np.nan)]
    for cluster in ("unit", "system"):
        for name, lost, value in (("North", 8, 2.0), ("South", 3, 14.0), ("East", 1, 11.0)):
            found.append(diagnostic("leave_one_out", without(name, f"{name[0]}1"), value, 5.0, cluster=cluster,
                                    n_treated=12 - lost, n_units=40 - lost))
        found += [diagnostic("leave_one_out", without(name, name), 10.0 + place, 5.0, cluster=cluster)
                  for place, name in enumerate(OTHERS)]
        found += [diagnostic("drop_year", Change("without_year", left_out=year), 10.0, 5.0, cluster=cluster)
                  for year in ("2015", "2016")]
        found += [diagnostic("placebo_onset", Change("placebo_onset", period="2014"), -7.0, 5.0, cluster=cluster),
                  diagnostic("by_system", Change("one_cluster", part="N1", called="North"), 20.0, 3.0, cluster=cluster,
                             n_treated_clusters=1 if cluster == "system" else 4)]
    found.append(diagnostic("left_out", Change("without_group", left_out="reviewed"), np.nan, np.nan, status="skipped",
                            reason="none of its areas is in the panel", **dict.fromkeys(SIZES, pd.NA)))
    fitted = [(specification, design, choices, value) for specification, design, choices, value in (
        ("default", "one_at_a_time", "", 10.0), ("lags_last_12", "one_at_a_time", "lags=last_12", 6.0),
        ("window_short", "one_at_a_time", "window=short", 10.0),
        ("lags=last_12; window=short", "product", "lags=last_12; window=short", 5.0))]
    specifications = [
        row(
            "specifications",
            specification=specification,
            design=design,
            choices=choices,
            n_choices=choices.count("="),
            cluster=cluster,
            estimator="ldv",
            estimate=value,
            **spans(value, 6.0),
            **SIZES,
        )
        for specification, design, choices, value in fitted
        for cluster in ("unit", "system")
    ]
    frames = {"estimates": estimates, "diagnostics": found, "specifications": specifications}
    return {name: tables.check(name, pd.DataFrame(rows)) for name, rows in frames.items()}


@pytest.fixture
def rows(made) -> pd.DataFrame:
    return alternatives(indicator="waits", specification="default", estimators=["ldv", "did"], **made)


@pytest.fixture
def facts() -> Facts:
    return Facts(estimator="ldv", other_estimator="did",
                 title="Waits", question="Did they fall?", outcomes={"waits": "All waits"}, total="waits",
                 measure="days", first="2010", last="2020", onset="2017", n_published=1, n_published_numbers=1,
                 frequency="Y")


def test_what_survives_is_what_lies_wholly_on_the_same_side():
    ends = pd.DataFrame({"ci_low": [1.0, -3.0, -1.0, np.nan, 0.0], "ci_high": [2.0, -1.0, 1.0, 4.0, 2.0]})
    assert leaves_out_zero(ends, 40).tolist() == [True, False, False, False, False]
    assert leaves_out_zero(ends, -0.3).tolist() == [False, True, False, False, False]
    assert leaves_out_zero(ends).tolist() == [True, True, False, False, False]


def test_every_alternative_is_in_its_group_once(rows):
    assert rows.groupby("group", sort=False).size().to_dict() == {
        "default": 4, "few_clusters": 2, "staggered": 4, "specifications": 4, "combinations": 2, "treated_systems": 6,
        "other_systems": 6, "years": 4, "left_out": 3, "placebo": 2}
    assert not rows.duplicated(["group", "key", "estimator", "cluster"]).any()
    assert rows.loc[0, "estimator"] == "ldv"  # the published estimator first
    cr2 = rows[rows["what"].eq("CR2")].iloc[0]
    assert (cr2["n_units"], cr2["n_treated"]) == (40, 12)  # of the estimate it is about
    lost = rows[rows["status"].eq("skipped")]
    assert lost["what"].tolist() == ["without reviewed"] and lost["estimate"].isna().all()
    assert "none of its areas" in lost["note"].iloc[0]


def test_names_with_commas_are_kept_whole(made):
    rows = made["diagnostics"][made["diagnostics"]["diagnostic"].eq("leave_one_out")]
    assert "without Bath, Bristol and beyond" in set(map(change, rows.to_dict("records")))


def test_a_missing_reported_estimate_is_an_error(made):
    with pytest.raises(DidError, match="expected a did estimate of waits .* found none; run the fit stage"):
        alternatives(indicator="waits", specification="default", estimators=["did"], diagnostics=made["diagnostics"],
                     estimates=made["estimates"].query("estimator != 'did'"), specifications=made["specifications"])


def test_counts_are_of_the_side_that_is_checked(made, facts):
    tables = made | {"reproduction": claims(40.0)}
    above, below = (shown(counts_table(facts, made | {"reproduction": claims(value)})) for value in (40.0, -0.3))
    without = above.set_index(["Check", "By"]).loc[("Without one treated system", "LDV")]
    assert without.tolist() == ["3", "2.0 to 14.0", "2 of 3", "2 of 3"]
    assert below.set_index(["Check", "By"]).loc[("Without one treated system", "LDV")].tolist()[-2:] == ["0 of 3"] * 2
    assert above.set_index(["Check", "By"]).loc[("CR2", "LDV")].tolist()[1:] == ["10.0 to 10.0", "", "0 of 1"]
    assert "Intervals wholly above zero, by area" in above and "Intervals wholly below zero, by area" in below
    assert "the printed +40." in counts_table(facts, tables).notes[0]
    assert "our own estimate" in counts_table(facts, made | {"reproduction": claims(np.nan)}).notes[0]


def claims(value) -> pd.DataFrame:
    return pd.DataFrame([{"indicator": "waits", "treatment": "binary", "sample": "full", "estimator": "ldv",
                          "estimand": "overall", "cluster": "unit", "specification": "default",
                          "published_value": value}])


def shown(table) -> pd.DataFrame:
    return pd.DataFrame(list(table.texts()), columns=[column.heading for column in table.shown])


def test_forest_sorts_within_groups_and_names_ranges(rows):
    drawn, shown = forest_rows(rows[rows["status"].eq("done")], "ldv", ["unit", "system"], 40.0)
    for group in {row.group for row in drawn}:
        values = [row.estimate for row in drawn if row.group == group]
        assert values == sorted(values), group
    names = [row.name for row in drawn]
    assert names[:3] == ["Lagged dependent variable", "Difference-in-differences", "Published number"]
    assert "North" in names and "Each of the 3 other systems left out" in names and "CR2, LDV" in names
    assert next(row for row in drawn if row.group == "other_systems").ends == (10.0, 12.0)
    assert [row.bold for row in drawn].count(True) == 1
    assert set(shown) == {"point", "range"}


def test_more_rows_than_can_be_read_become_ranges(rows):
    years = rows[rows["group"].eq("years")].iloc[:2]
    more = [years.assign(key=str(year), left_out=str(year)) for year in range(1900, 1900 + MOST + 5)]
    many = pd.concat([rows, *more], ignore_index=True)
    drawn, _ = forest_rows(many[many["status"].eq("done")], "ldv", ["unit", "system"])
    assert len(drawn) <= MOST and [row.name for row in drawn if row.group == "years"] == ["Each of 77 years left out"]


REPORTED = Selection("out_a", "default", "full", "binary", "ldv")


def draw(rows, folder, **options):
    return draw_framed(robustness_forest, rows, estimator="ldv", stem=folder / "forest", title="Waits",
                       subtitle="Days, somewhere.", source="nobody; own calculation", value_label="days", **options)


def test_forest_keeps_every_number_and_its_bytes(rows, tmp_path):
    first = [path.read_bytes() for path in draw(rows, tmp_path, published=PublishedNumber(40.0))]
    assert first == [path.read_bytes() for path in draw(rows, tmp_path, published=PublishedNumber(40.0))]
    numbers = pd.read_csv(tmp_path / "forest.csv")
    assert len(numbers) == len(rows) and numbers["published_value"].eq(40).all() and numbers["is_synthetic"].all()
    assert numbers["estimate"].sum() == pytest.approx(rows["estimate"].sum())
    assert numbers["shown"].value_counts().to_dict() == {"point": 28, "range": 8, "no": 1}
    svg, words = (tmp_path / "forest.svg").read_text(), (tmp_path / "forest.txt").read_text()
    assert ">SYNTHETIC<" in svg and ">Published number<" in svg and ">Placebo onsets: nothing to find<" in svg
    assert "Ours: 10.0; published +40." in words
    assert "Without one treated system: 3 rows, 2.0 to 14.0; 4 of 6 intervals leave out zero." in words


def test_forest_without_a_printed_number_says_so(rows, tmp_path):
    draw(rows, tmp_path)
    words = (tmp_path / "forest.txt").read_text()
    assert "prints no number" in words and "Published number" not in (tmp_path / "forest.svg").read_text()
    with pytest.raises(DidError, match="expected a reported estimate by ldv"):
        draw(rows[rows["group"].ne("default")], tmp_path)


@pytest.fixture
def curve(made) -> pd.DataFrame:
    return curve_rows(made["specifications"], made["estimates"], default=DEFAULT,
                          staggered={"by_date": DEFAULT | {"window": "short"}})


def test_specifications_are_sorted_and_repeats_are_drawn_once(curve):
    once = curve.drop_duplicates(["specification", "sample", "estimator"])
    assert len(once) == 6 and len(curve) == 12
    drawn = once[once["place"].notna()]
    assert drawn["estimate"].tolist() == sorted(drawn["estimate"]) and drawn["place"].tolist() == [0, 1, 2, 3, 4]
    repeated = once[once["place"].isna()].iloc[0]
    assert (repeated["specification"], repeated["same_as"]) == ("window_short", "default, full, ldv")
    product = once[once["specification"].eq("lags=last_12; window=short")].iloc[0]
    assert (product["lags"], product["window"]) == ("last_12", "short")
    assert once.loc[once["specification"].eq("by_date"), "window"].eq("short").all()
    assert once.loc[once["specification"].eq("lags_last_12"), "window"].eq("default").all()


def test_specification_curve_draws_choices_that_vary(curve, tmp_path):
    options = dict(choices=["window", "lags"], reported=REPORTED, stem=tmp_path / "curve",
                   title="Waits", subtitle="Days, somewhere.", source="nobody; own calculation", value_label="days",
                   published=PublishedNumber(40.0))
    first = [path.read_bytes() for path in draw_framed(specification_curve, curve, **options)]
    assert first == [path.read_bytes() for path in draw_framed(specification_curve, curve, **options)]
    svg, words = (tmp_path / "curve.svg").read_text(), (tmp_path / "curve.txt").read_text()
    for name in ("Estimator", "Window", "Lags", "last 12", "Published +40", "SYNTHETIC"):
        assert f">{name}<" in svg, name
    assert ">Sample<" not in svg  # the same in all
    assert "5 specifications, sorted; 1 more give the same number" in words
    assert "from 1.0 to 10.0, median 6.0; 5 of 5 above zero" in words and "number 5 from below" in words
    assert "Published +40: 5 of 5 estimates are below it." in words
    numbers = pd.read_csv(tmp_path / "curve.csv")
    assert len(numbers) == len(curve) and numbers["estimate"].sum() == pytest.approx(curve["estimate"].sum())


def test_a_curve_of_nothing_is_an_error(curve, tmp_path):
    with pytest.raises(DidError, match="no estimate clustered by area"):
        draw_framed(specification_curve, curve.assign(place=pd.NA), choices=[], reported=REPORTED, title="",
              stem=tmp_path / "none", subtitle="", source="", value_label="")


def test_choices_of_a_specification_are_words(monkeypatch):
    from pathlib import Path

    from did.project.loading import load_evaluation

    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    evaluation = load_evaluation("config/ics.yaml")
    total = load_indicator("dtoc_total", evaluation.indicators_folder)
    default = choices_of(evaluation.specifications["default"], total)
    assert default["denominator"] == "adults" and default["drop_periods"] == "none" and "families" not in default
    changed = choices_of(evaluation.specifications["onset_left_out"], total)
    assert {key for key in default if default[key] != changed[key]} == {"drop_periods"}
