"""`did estimate` on files as people have them: against fixest's numbers, every kind of period, every fault."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from did.cli.commands import main
from did.errors import DidError
from did.estimators import estimate, names
from did.inference.methods import EXTRA, Question, infer
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.store import tables
from golden_files import golden_file, golden_results
from small_project import environment

DOCS = Path(__file__).resolve().parents[1] / "docs" / "estimate.md"
COLUMNS = ["--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g"]
NAMES = Columns("y", "id", "t", "g")


def command(*words: object):
    return CliRunner().invoke(main, ["estimate", *map(str, words)])


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table_of(n_units: int = 12, n_periods: int = 6) -> pd.DataFrame:
    """Units 1 to 4 treated from period 4, 5 to 7 from period 5, the others never; periods 1 to 6."""
    generator = np.random.default_rng(1)
    unit, period = (values.ravel() for values in np.meshgrid(np.arange(1, n_units + 1), np.arange(1, n_periods + 1),
                                                             indexing="ij"))
    cohort = np.select([unit <= 4, unit <= 7], [4, 5], 0)
    treated = (cohort > 0) & (period >= cohort)
    return pd.DataFrame({"id": unit, "t": period, "g": cohort, "c": (unit + 1) // 2, "w": 1.0 + unit % 3,
                         "d": np.where(cohort > 0, unit, 0),
                         "y": (generator.normal(size=len(unit)) + unit + 2 * treated).round(6)})


def save(frame: pd.DataFrame | str, name: str = "panel.csv", **options) -> str:
    if isinstance(frame, str):
        Path(name).write_bytes(frame.encode())
    else:
        frame.to_csv(name, index=False, **options)
    return name


def estimates(*words: object, inference: str = "clustered") -> pd.DataFrame:
    """The rows of the output file by one method: clustered errors, which are there whatever is shown."""
    outcome = command(*words, "--output", "estimates.csv")
    assert outcome.exit_code == 0, outcome.output
    rows = pd.read_csv("estimates.csv", dtype={"cohort": str, "period": str})
    return rows.loc[rows["inference"] == inference].reset_index(drop=True)


def fault(*words: object) -> str:
    outcome = command(*words)
    assert outcome.exit_code == 1, outcome.output
    assert len(outcome.output.splitlines()) == 1 and outcome.output.startswith("error: ")
    assert "Traceback" not in outcome.output and "unexpected" not in outcome.output
    return outcome.output


# The numbers --------------------------------------------------------------------------------------------------

GOLDEN_FILES = {
    "sim_40x12": ["--outcome", "y", "--unit", "id", "--period", "time", "--cohort", "g"],
    "base_stagg": ["--outcome", "y", "--unit", "id", "--period", "year", "--cohort", "year_treated"],
}


SIMULATED = (golden_file("data", "sim_40x12.csv"), *GOLDEN_FILES["sim_40x12"])


def golden(data: str, identity: str) -> dict:
    results = golden_results(f"{data}_fixest")
    return next(entry["value"] for entry in results if entry["id"] == identity)["cluster_default_ssc"]["coef"]


@pytest.mark.parametrize(("data", "identity", "more"), [
    ("sim_40x12", "", []), ("sim_40x12", "|weighted", ["--weights", "w"]), ("base_stagg", "", [])])
def test_numbers_equal_fixest(data, identity, more):
    rows = estimates(golden_file("data", f"{data}.csv"), *GOLDEN_FILES[data], *more)
    overall = rows.loc[rows["estimator"] == "did"]
    theirs = golden(data, f"twfe{identity}")
    np.testing.assert_allclose(overall["estimate"], theirs["estimate"], rtol=1e-8)
    np.testing.assert_allclose(overall["std_error"], theirs["se"], rtol=1e-6)
    theirs = golden(data, f"event_study{identity}")
    times = [int(term.rpartition("::")[2]) for term in theirs["term"]]
    dynamic = rows.loc[rows["estimator"] == "event_study"].set_index("event_time").loc[times]
    np.testing.assert_allclose(dynamic["estimate"], theirs["estimate"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(dynamic["std_error"], theirs["se"], rtol=1e-6)


def test_the_screen_says_who_was_compared_and_clustered_how():
    outcome = command(*SIMULATED, "--cluster", "cluster",
                      "--inference", "clustered")
    assert outcome.exit_code == 0
    assert "40 units x 12 periods (1 to 12)" in outcome.output
    assert "32 units treated, cohorts 5, 7, 9; 8 never treated" in outcome.output
    assert re.search(r"overall +0\.253 +0\.169 +-0\.109 to 0\.615 +0\.156 +40 +32 +15 by cluster", outcome.output)
    assert "event_time -1" in outcome.output and "reference" in outcome.output
    assert "*" not in outcome.output


def test_output_is_the_estimates_table_with_every_cluster_level_and_the_same_bytes_again():
    path = save(table_of())
    rows = estimates(path, *COLUMNS, "--cluster", "c")
    first = Path("estimates.csv").read_bytes()
    assert list(rows.columns) == [*tables.SCHEMAS["estimates"].columns, *EXTRA]
    assert set(rows["cluster"]) == {"unit", "c"}
    assert (rows[["indicator", "specification", "sample"]].drop_duplicates().values == [["y", "-", "full"]]).all()
    save(table_of().sample(frac=1, random_state=3), "panel.csv")
    estimates(path, *COLUMNS, "--cluster", "c")
    assert Path("estimates.csv").read_bytes() == first


def test_one_cohort_gives_the_difference_of_mean_changes():
    frame = table_of().query("g != 5")
    row = estimates(save(frame), *COLUMNS, "--estimator", "did").iloc[0]
    after = frame["t"] >= 4
    change = (frame[after].groupby("id")["y"].mean() - frame[~after].groupby("id")["y"].mean())
    treated = change.index <= 4
    assert row["estimate"] == pytest.approx(change[treated].mean() - change[~treated].mean(), rel=1e-10)


def test_a_dose_scales_the_effect():
    frame = table_of().assign(d=lambda f: np.where(f["g"] > 0, 4, 0))
    path = save(frame)
    binary = estimates(path, *COLUMNS)
    dose = estimates(path, *COLUMNS, "--dose", "d")
    np.testing.assert_allclose(dose["estimate"], binary["estimate"] / 4, rtol=1e-9, atol=1e-12)
    assert set(dose["treatment"]) == {"intensity"}


DID_NAMES = {"never_treated": "nevertreated", "not_yet_treated": "notyettreated"}


@pytest.mark.parametrize("control_group", list(DID_NAMES))
@pytest.mark.parametrize("base_period", ["varying", "universal"])
@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
def test_group_time_effects_equal_the_did_package(control_group, base_period, method):
    rows = estimates(*SIMULATED, "--estimator", "callaway_santanna",
                     "--control-group", control_group, "--base-period", base_period, "--method", method,
                     "--covariates", "x", "--anticipation", "1")
    results = golden_results("sim_40x12_did")
    identity = f"x=x|est={method}|control={DID_NAMES[control_group]}|base={base_period}|anticip=1"
    theirs = next(entry["value"]["att_gt"] for entry in results if entry["id"] == identity)
    ours = rows.loc[rows["estimand"] == "att_gt"].set_index(["cohort", "period"])
    cells = [(str(group), str(period)) for group, period in zip(theirs["group"], theirs["t"], strict=True)]
    ours = ours.loc[cells]
    np.testing.assert_allclose(ours["estimate"], theirs["att"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours["std_error"], np.array(theirs["se"], dtype=float), rtol=1e-6)


def test_averages_of_group_time_effects_are_on_the_screen():
    outcome = command(*SIMULATED, "--estimator", "callaway_santanna")
    assert outcome.exit_code == 0
    for effect in ("overall ", "event_time 0 ", "cohort 5 ", "calendar 12 "):
        assert f"  {effect}" in outcome.output
    assert "att_gt" not in outcome.output and "group-time effects are not shown" in outcome.output


@pytest.mark.parametrize("name", names())
def test_every_estimator_of_the_registry_fits_and_shows_the_files_own_periods(name):
    frame = table_of(n_units=20).assign(t=lambda f: f["t"] + 7, g=lambda f: f["g"].where(f["g"] == 0, f["g"] + 7))
    more = {"ldv": ["--lags", "last_2"], "spillover": ["--neighbours", "borders.csv"]}
    Path("borders.csv").write_text("unit,neighbour\n1,20\n19,20\n")
    rows = estimates(save(frame), *COLUMNS, "--estimator", name, *more.get(name, []))
    assert np.isfinite(rows["estimate"]).all() and len(rows)
    assert set(rows["cohort"].dropna()) <= {"11", "12"}
    assert set(rows["period"].dropna()) <= {str(period) for period in range(8, 14)}


def test_variant_and_level_of_synthetic_did_are_options():
    frame = table_of(n_units=20).assign(g=lambda f: f["g"].where(f["g"] != 5, 4))   # one cohort: the two-way estimate
    path = save(frame)
    expected = estimates(path, *COLUMNS, "--estimator", "did")["estimate"].iloc[0]
    found = estimates(path, *COLUMNS, "--estimator", "synthetic_did", "--variant", "did", "--aggregation", "simple")
    assert found["estimate"].iloc[0] == pytest.approx(expected, rel=1e-10)
    assert "variant did" in found["note"].iloc[0]
    line = fault(path, *COLUMNS, "--estimator", "synthetic_did", "--level", "region")
    assert "synthetic_did: level: expected one of unit" in line
    assert "--combine: expected an estimator that uses it (synthetic_did)" in fault(
        path, *COLUMNS, "--estimator", "did", "--combine", "sum")


def test_a_base_window_and_a_transformation_reach_their_estimators():
    path = save(table_of(n_units=20))
    panel, _ = load(path, Columns("y", "id", "t", "g"))
    for text, window in (("2", 2), ("all", "all")):
        rows = estimates(path, *COLUMNS, "--estimator", "callaway_santanna", "--base-window", text, "--aggregation",
                         "group_time")
        expected = estimate("callaway_santanna", panel, base_window=window).estimate
        np.testing.assert_allclose(rows[rows["cluster"] == "unit"]["estimate"], expected, atol=1e-12)
    options = {"transformation": "detrend", "errors": "homoskedastic", "control_group": "never_treated"}
    given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    rows = estimates(path, *COLUMNS, "--estimator", "rolling", *given, "--aggregation", "simple")
    expected = estimate("rolling", panel, **options, estimands="overall")
    row = rows[rows["cluster"] == "unit"].iloc[0]
    np.testing.assert_allclose(row[["estimate", "std_error", "df"]].astype(float),
                               [expected.estimate[0], *expected.unit_errors[0]])
    assert "--base-window" in fault(path, *COLUMNS, "--estimator", "did", "--base-window", "2")
    assert "found 'years'" in fault(path, *COLUMNS, "--estimator", "callaway_santanna", "--base-window", "years")


def test_covariates_and_options_are_said_or_refused():
    path = save(table_of(n_units=30))
    outcome = command(path, *COLUMNS, "--estimator", "ldv,callaway_santanna", "--covariates", "w")
    assert outcome.exit_code == 0, outcome.output
    assert "covariates w enter callaway_santanna by --method dr" in outcome.output
    assert "--covariates is for callaway_santanna; ldv does not use it" in outcome.output
    line = fault(path, *COLUMNS, "--estimator", "stacked", "--covariates", "w")
    assert line.startswith("error: --covariates: ") and "callaway_santanna" in line
    more = ["--estimator", "callaway_santanna", "--covariates", "w"]
    assert "--method" in fault(path, *COLUMNS, *more, "--method", "unconditional")
    assert "--method dr: expected --covariates" in fault(path, *COLUMNS, *more[:2], "--method", "dr")


@pytest.mark.parametrize("name", ["did", "event_study", "callaway_santanna", "sun_abraham", "imputation"])
def test_covariates_reach_every_estimator_that_takes_them(name):
    frame = table_of(n_units=30)
    frame["x"] = np.random.default_rng(2).normal(size=len(frame))
    path = save(frame)
    without, given = (estimates(path, *COLUMNS, "--estimator", name, *more) for more in ([], ["--covariates", "x"]))
    assert (without["estimate"] - given["estimate"]).abs().max() > 1e-3
    panel, _ = load(path, dataclasses.replace(NAMES, covariates=("x",)))
    options = {"method": "dr"} if name == "callaway_santanna" else {"covariates": ["x"]}
    expected = estimate(name, panel, **options).estimate
    np.testing.assert_allclose(given["estimate"].iloc[:len(expected)], expected, rtol=1e-12)


# Methods of inference -----------------------------------------------------------------------------------------

def clusters_of(n_clusters: int, treated: int, n_periods: int = 8) -> pd.DataFrame:
    """Clusters of four units, the first ``treated`` of them from period 5 (every second one 6); noise is shared."""
    generator = np.random.default_rng(4)
    unit, period = (values.ravel() for values in np.meshgrid(np.arange(4 * n_clusters), np.arange(1, n_periods + 1),
                                                             indexing="ij"))
    cluster = unit // 4
    cohort = np.where(cluster < treated, 5 + cluster % 2, 0)
    noise = generator.normal(size=(n_clusters, n_periods))[cluster, period - 1] + generator.normal(size=len(unit))
    return pd.DataFrame({"id": unit + 1, "t": period, "g": cohort, "c": cluster + 1, "r": unit % 7, "d": 0, "w": 1.0,
                         "y": (noise + 2.0 * ((cohort > 0) & (period >= cohort))).round(6)})


def test_methods_by_name_are_those_of_the_registry():
    path = save(clusters_of(14, 4))
    panel, _ = load(path, dataclasses.replace(NAMES, clusters=("c",)))
    for method in ("CR2", "jackknife", "wild_bootstrap_webb", "randomisation_estimate"):
        more = ["--cluster", "c", "--estimator", "did", "--inference", method]
        rows = estimates(path, *COLUMNS, *more, inference=method)
        expected = infer(method, Question(panel, "did", "c"))
        names = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "df"]
        np.testing.assert_allclose(rows[names], expected[names].astype(float), rtol=1e-12)
    lines = [json.loads(line) for line in command(path, *COLUMNS, *more, "--json").output.splitlines()]
    shown = next(line for line in lines if line.get("inference") == method)
    assert shown["p_value"] == expected["p_value"].item() and shown["interval_shape"] == "interval"
    line = fault(path, *COLUMNS, "--estimator", "imputation", "--inference", "CR2")
    assert "expected a method for imputation: clustered, jackknife" in line
    outcome = command(path, *COLUMNS, "--estimator", "did,imputation", "--inference", "CR2,jackknife", "--cluster", "c")
    assert "--inference CR2 is not for imputation, which takes clustered, jackknife" in outcome.output


def test_confidence_reaches_every_interval():
    path = save(clusters_of(14, 4))
    for method in ("clustered", "CR2", "jackknife", "wild_bootstrap", "randomisation", "conley_taber"):
        more = [path, *COLUMNS, "--cluster", "c", "--estimator", "did", "--inference", method]
        wide, narrow = (estimates(*more, "--confidence", share, inference=method).query("cluster == 'c'").iloc[0]
                        for share in ("0.9", "0.6"))
        assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]
        assert wide["p_value"] == narrow["p_value"]
    outcome = command(*more, "--confidence", "0.9")
    assert "90% intervals" in outcome.output and "90% interval " in outcome.output
    assert "found 95" in fault(*more, "--confidence", "95")


def test_calibration_is_that_of_the_panel():
    from did.inference.calibration import Settings, calibrate
    from did.inference.few_clusters import ORDER

    frame = clusters_of(14, 3)
    path = save(frame)
    more = [*COLUMNS, "--cluster", "c", "--estimator", "did", "--calibrate"]
    lines = [json.loads(line) for line in command(path, *more, "--json").output.splitlines()]
    measured = pd.DataFrame([line for line in lines if line["event"] == "calibration"])
    panel, _ = load(path, dataclasses.replace(NAMES, clusters=("c",)))
    expected = calibrate(panel, level="c", settings=Settings(order=ORDER))
    found, known = (table.loc[table["scheme"] == "never_treated"].set_index("method")["coverage"]
                    for table in (measured, expected))
    assert found.to_dict() == known.to_dict()
    text = command(path, *more).output
    assert "how many 95% intervals hold a true zero" in text and f"{100 * found['CR2']:.1f}%" in text


def test_two_way_clusters_are_one_option_with_a_comma():
    from did.inference.two_way import summarise_two_way

    path = save(clusters_of(45, 22))
    rows = estimates(path, *COLUMNS, "--cluster", "c,r", "--estimator", "did")
    assert set(rows["cluster"]) == {"unit", "c", "r", "c,r"}
    panel, _ = load(path, dataclasses.replace(NAMES, clusters=("c", "r")))
    expected = summarise_two_way(estimate("did", panel), panel, ("c", "r"))["std_error"].item()
    assert rows.set_index("cluster").loc["c,r", "std_error"] == pytest.approx(expected, rel=1e-12)
    assert "7 by c,r" in command(path, *COLUMNS, "--cluster", "c,r", "--estimator", "did").output
    assert "clusters two ways" in fault(path, *COLUMNS, "--cluster", "c,r,id")
    assert "two ways, which have" in fault(path, *COLUMNS, "--cluster", "c,r", "--inference", "CR2")


@pytest.mark.parametrize(("n_clusters", "treated", "words"), [
    (14, 3, ["few clusters (3 treated of 14 by c), so "]),
    (14, 1, ["one treated cluster of 14 by c: errors, bootstrap and jackknife say nothing of it"]),
    (6, 6, ["all 6 by c are treated, and earlier ones are compared with later ones", "event_study is not fitted"]),
    (2, 1, ["2 clusters by c: no method can tell an effect from what else differs between them"]),
])
def test_few_clusters_get_what_can_be_said_and_a_sentence_on_what_cannot(n_clusters, treated, words):
    outcome = command(save(clusters_of(n_clusters, treated)), *COLUMNS, "--cluster", "c")
    assert outcome.exit_code == 0, outcome.output
    for word in words:
        assert word in outcome.output
    row = re.search(r"overall +(\S+) +(\S+) +(.+?)  +(\S+) +\d+ +\d+ +\d+ by c", outcome.output)
    assert float(row.group(1)) == pytest.approx(2, abs=1.5)
    assert (row.group(4) == "-") == (n_clusters == 2)


def test_many_clusters_keep_clustered_errors_and_say_nothing():
    outcome = command(save(clusters_of(45, 22)), *COLUMNS, "--cluster", "c", "--estimator", "did")
    assert "few clusters" not in outcome.output and "inference" not in outcome.output


# Averages, windows and bands ----------------------------------------------------------------------------------

STAGGERED = ["--estimator", "callaway_santanna"]


@pytest.mark.parametrize(("limit", "more"), [
    ("dynamic", []), ("dynamic_balance_e1", ["--balance", "1"]), ("dynamic_min_e_m2_max_e_1",
     ["--min-event-time", "-2", "--max-event-time", "1"])])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_windows_of_the_average_by_event_time_equal_r(limit, more, base):
    results = golden_results("sim_40x12_did")
    identity = f"x=none|est=dr|control=notyettreated|base={base}|anticip=0"
    theirs = next(entry["value"]["aggte"] for entry in results if entry["id"] == identity)[limit]
    rows = estimates(*SIMULATED, *STAGGERED, "--base-period", base,
                     "--aggregation", "event_time", *more)
    assert list(rows["event_time"].dropna()) == theirs["table"]["egt"]
    np.testing.assert_allclose(rows["estimate"], [*theirs["table"]["att"], theirs["overall_att"]], rtol=1e-8,
                               atol=1e-11)


def test_aggregations_choose_the_rows_and_their_order():
    path = save(table_of(n_units=30))
    rows = estimates(path, *COLUMNS, *STAGGERED, "--aggregation", "cohort,simple")
    assert list(rows["estimand"].unique()) == ["cohort", "overall_cohort", "overall"]
    every = estimates(path, *COLUMNS, *STAGGERED)
    assert every["estimand"].iloc[0] == "att_gt" and "overall_calendar" in set(every["estimand"])
    outcome = command(path, *COLUMNS, *STAGGERED, "--aggregation", "group_time")
    assert "att_gt 4 2 -2" in outcome.output and "not shown" not in outcome.output
    rows = estimates(path, *COLUMNS, "--estimator", "imputation", "--aggregation", "calendar", "--aggregation",
                     "simple")
    assert list(rows["estimand"].unique()) == ["calendar", "overall"]


def test_bands_fill_their_columns_repeatably_and_cover_the_intervals():
    path = save(table_of(n_units=30))
    more = [*COLUMNS, "--estimator", "event_study,did", "--cluster", "c", "--bands"]
    rows = estimates(path, *more)
    first = Path("estimates.csv").read_bytes()
    estimates(path, *more, "--draws", "999", "--seed", "20170601")
    assert Path("estimates.csv").read_bytes() == first
    banded = (rows["estimator"] == "event_study") & rows["std_error"].notna()
    # By cluster the draws are few and lumpy: there the band may be no wider.
    assert (rows.loc[banded, "band_low"] <= rows.loc[banded, "ci_low"]).all()
    by_unit = banded & (rows["cluster"] == "unit")
    assert (rows.loc[by_unit, "band_low"] < rows.loc[by_unit, "ci_low"]).all()
    assert (rows.loc[by_unit, "band_high"] > rows.loc[by_unit, "ci_high"]).all()
    assert rows.loc[~banded, ["band_low", "band_high"]].isna().all().all()
    other = estimates(path, *more, "--seed", "2")
    assert (other.loc[banded, "band_low"] != rows.loc[banded, "band_low"]).any()
    np.testing.assert_array_equal(other["ci_low"], rows["ci_low"])
    outcome = command(path, *more)
    assert "95% band" in outcome.output and "few clusters (4 treated of 15 by c)" in outcome.output
    assert "no band, as no estimand" in command(path, *COLUMNS, "--estimator", "did", "--bands").output


def test_the_pretest_is_on_the_screen():
    outcome = command(save(table_of(n_units=60)), *COLUMNS, *STAGGERED, "--cluster", "c")
    text = "callaway_santanna: pre-test that every effect before treatment is zero, {} clusters: {}"
    assert text.format("unit", "chi-square") in outcome.output
    # 4 clusters of treated units for 2 cells of the first cohort and 3 of the second
    skipped = "skipped, 4 treated clusters for 5 cells: the joint test would over-reject"
    assert text.format("c", skipped) in outcome.output
    outcome = command("panel.csv", *COLUMNS, *STAGGERED, "--anticipation", "1")
    assert "pre-test that every effect more than 1 period before treatment is zero" in outcome.output


def heading(output: str) -> str:
    """The line that says how callaway_santanna was fitted."""
    return next(line for line in output.splitlines() if line.startswith("callaway_santanna ("))


@pytest.mark.parametrize(("more", "words"), [
    (["--min-event-time", "1"], ["min_event_time 1"]),
    (["--max-event-time", "1"], ["max_event_time 1"]),
    (["--min-event-time", "-2", "--max-event-time", "0"], ["min_event_time -2", "max_event_time 0"]),
    (["--balance", "1"], ["balance 1"])])
def test_a_window_reaches_every_average_and_is_in_the_heading(more, words):
    """The effect grows by 1 a period from 1, without noise: averages over a window hold its event times only."""
    frame = table_of(n_units=30)
    event_time = frame["t"] - frame["g"].where(frame["g"] > 0)
    frame["y"] = frame["id"] + frame["t"] + (event_time + 1).clip(lower=0).fillna(0)
    path = save(frame)
    output = command(path, *COLUMNS, *STAGGERED, *more).output
    assert all(word in heading(output) for word in words)
    assert "event_time" not in heading(command(path, *COLUMNS, *STAGGERED).output)
    rows = estimates(path, *COLUMNS, *STAGGERED, *more)
    if "--balance" in more:
        assert set(rows["estimand"]) == {"att_gt", "event_time", "overall_event_time"}
        assert "--balance is for the average by event time, which is the only one given" in output
        assert rows["event_time"].loc[rows["estimand"] == "event_time"].max() == 1
        return
    first = max(int(more[more.index("--min-event-time") + 1]) if "--min-event-time" in more else 0, 0)
    last = int(more[more.index("--max-event-time") + 1]) if "--max-event-time" in more else 2
    # cohort 4 (4 units) has event times 0 to 2, cohort 5 (3 units) 0 and 1
    cells = [(size, cohort, e) for size, cohort, until in ((4, 4, 2), (3, 5, 1))
             for e in range(first, min(last, until) + 1)]
    value = rows.set_index("estimand")["estimate"]
    assert value["overall"] == pytest.approx(sum(size * (e + 1) for size, _, e in cells) /
                                             sum(size for size, _, _ in cells))
    for cohort in (4, 5):
        own = [e + 1 for _, found, e in cells if found == cohort]
        row = rows[(rows["estimand"] == "cohort") & (rows["cohort"] == str(cohort))]
        assert row["estimate"].item() == pytest.approx(np.mean(own))
    calendar = rows[rows["estimand"] == "calendar"].set_index("period")["estimate"]
    assert set(calendar.index) == {str(cohort + e) for _, cohort, e in cells}
    for period, found in calendar.items():
        own = [(size, e + 1) for size, cohort, e in cells if str(cohort + e) == period]
        assert found == pytest.approx(sum(size * effect for size, effect in own) / sum(size for size, _ in own))


FEW_CLUSTERS = re.compile(r"^  few clusters \(([^)]*)\), so ", re.MULTILINE)


@pytest.mark.parametrize(("n_units", "n_treated", "said"), [
    (60, 20, None), (60, 19, "19 treated of 60 by unit"), (40, 20, None), (39, 20, "20 treated of 39 by unit")])
def test_few_clusters_are_told_in_one_line(n_units, n_treated, said):
    frame = table_of(n_units=n_units)
    frame["g"] = np.where(frame["id"] <= n_treated, 4, 0)
    path = save(frame)
    output = command(path, *COLUMNS).output
    assert FEW_CLUSTERS.findall(output) == ([said, said] if said else [])   # by each estimator
    # by the clusters asked for, which are fewer
    output = command(path, *COLUMNS, "--cluster", "c").output
    assert FEW_CLUSTERS.findall(output) == 2 * [f"{(n_treated + 1) // 2} treated of {(n_units + 1) // 2} by c"]
    notes = [json.loads(line) for line in command(path, *COLUMNS, "--json").output.splitlines() if '"note"' in line]
    told = [row["message"] for row in notes if row["event"] == "note" and "few clusters" in row["message"]]
    assert len(told) == 2 * bool(said)


def test_references_bins_and_leads_reach_the_estimators():
    path = save(table_of(n_units=30))
    rows = estimates(path, *COLUMNS, "--estimator", "event_study,sun_abraham", "--reference", "-2")
    assert (rows.loc[rows["note"].fillna("").str.startswith("reference"), "event_time"] == -2).all()
    rows = estimates(path, *COLUMNS, "--estimator", "event_study", "--reference", "-1,-3")
    assert list(rows.loc[rows["estimate"] == 0, "event_time"]) == [-3, -1]
    rows = estimates(path, *COLUMNS, "--estimator", "event_study,imputation_leads", "--bin-width", "2")
    assert set(rows["estimand"]) == {"event_bin_2"}
    rows = estimates(path, *COLUMNS, "--estimator", "imputation_leads", "--leads", "2")
    assert list(rows["event_time"]) == [-2, -1]
    rows = estimates(path, *COLUMNS, "--estimator", "stacked", "--leads", "2", "--max-event-time", "0",
                     "--control-group", "never_treated", "--control-weights", "corrected")
    assert list(rows["event_time"].dropna()) == [-2, -1, 0]


# Periods and cohorts ------------------------------------------------------------------------------------------

def as_months(number: int) -> str:
    return str(pd.Period("2016-09", "M") + number)


def as_quarters(number: int) -> str:
    return str(pd.Period("2016Q4", "Q") + number)


KINDS = {
    "years": (lambda n: str(2000 + n), "2001", "2006", "Y"),
    "years with decimals": (lambda n: f"{2000 + n}.0", "2001", "2006", "Y"),
    "whole numbers": (str, "1", "6", "Y"),
    "whole numbers from 8": (lambda n: str(n + 7), "8", "13", "Y"),
    "months": (as_months, "2016-10", "2017-03", "M"),
    "months of Stata": (lambda n: as_months(n).replace("-0", "m").replace("-", "m"), "2016-10", "2017-03", "M"),
    "quarters": (as_quarters, "2017Q1", "2018Q2", "Q"),
    "quarters with a space": (lambda n: as_quarters(n).replace("Q", " Q"), "2017Q1", "2018Q2", "Q"),
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("never", ["0", "", "inf", "Inf", "NA", "never"])
def test_every_kind_of_period_and_of_never_gives_the_same_panel(kind, never):
    write, first, last, frequency = KINDS[kind]
    frame = table_of()
    expected, _ = load(save(frame), NAMES)
    frame["t"] = frame["t"].map(write)
    frame["g"] = [write(g) if g else never for g in frame["g"]]
    panel, notes = load(save(frame, "other.csv"), NAMES)
    assert (panel.periods[0], panel.periods[-1], panel.frequency) == (first, last, frequency)
    np.testing.assert_array_equal(panel.treated_from, expected.treated_from)
    np.testing.assert_array_equal(panel.outcome, expected.outcome)
    assert notes == []


def test_whole_numbers_may_count_months():
    panel, _ = load(save(table_of()), NAMES, frequency="M")
    assert panel.frequency == "M" and list(panel.periods) == ["1", "2", "3", "4", "5", "6"]


def test_cohorts_outside_the_window_are_said():
    frame = table_of().replace({"g": {5: 10000}})
    outcome = command(save(frame), *COLUMNS, "--estimator", "did")
    assert outcome.exit_code == 0
    assert ("3 units first treated after the last period, 6 (cohort 10000), are never treated in the window"
            in outcome.output)
    panel, _ = load("panel.csv", NAMES)
    never, _ = load(save(table_of().replace({"g": {5: 0}}), "never.csv"), NAMES)
    np.testing.assert_array_equal(panel.treated_from, never.treated_from)

    frame = table_of().assign(t=lambda f: f["t"] + 2000, g=lambda f: f["g"].map({0: 0, 4: 2004, 5: 1998}))
    outcome = command(save(frame), *COLUMNS)
    assert outcome.exit_code == 0
    assert "3 units are always treated: first treated at or before the first period, 2001 (cohort 1998)" in \
        outcome.output


# Ways to write a file -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text,
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace(",", ";"),
    lambda text: text.replace(",", "\t"),
    lambda text: text + "\n\n,,,,,,\n",
    lambda text: re.sub(r"^(\d+),", r'"\1", ', text, flags=re.M),
], ids=["byte-order mark", "Windows line ends", "semicolons", "tabs", "empty rows", "quotes and spaces"])
def test_harmless_ways_to_write_a_file_give_the_same_panel(change):
    expected, _ = load(save(table_of()), NAMES)
    panel, _ = load(save(change(Path("panel.csv").read_text()), "other.csv"), NAMES)
    np.testing.assert_array_equal(panel.outcome, expected.outcome)
    np.testing.assert_array_equal(panel.treated_from, expected.treated_from)


def test_a_missing_outcome_and_an_absent_row_are_not_observed_and_said():
    frame = table_of().astype({"y": object})
    frame.loc[3, "y"] = "NA"
    outcome = command(save(frame.drop(index=10)), *COLUMNS)
    assert outcome.exit_code == 0
    assert "no outcome in panel.csv, row 5, column 'y'; taken as not observed" in outcome.output
    assert "1 of 72 unit-periods have no row" in outcome.output
    panel, _ = load("panel.csv", NAMES)
    assert np.isnan(panel.outcome).sum() == 2


# Faults -------------------------------------------------------------------------------------------------------

def edited(row: int, column: str, value: object):
    """A change of one cell; ``row`` counts the lines of the file, the header is line 1."""
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.loc[row - 2, column] = value
        return frame
    return change


# Other files than text, and what else is given ----------------------------------------------------------------


def file_of(frame: pd.DataFrame, kind: str) -> str:
    """The panel as a file of a kind, in the working folder."""
    name = f"panel.{kind}"
    if kind == "parquet":
        frame.to_parquet(name)
    elif kind == "dta":
        frame.to_stata(name, write_index=False)
    elif kind == "xlsx":
        with pd.ExcelWriter(name, engine="xlsxwriter") as book:
            pd.DataFrame({"about": ["made up"]}).to_excel(book, sheet_name="Notes", index=False)
            frame.to_excel(book, sheet_name="Data", index=False, startrow=3)
    else:
        frame.to_csv(name, index=False, sep="\t")
    return name


@pytest.mark.parametrize("kind", ["parquet", "dta", "xlsx", "tsv"])
def test_files_of_other_kinds_give_the_numbers_of_the_csv_file(kind):
    frame = table_of()
    wanted = estimates(save(frame), *COLUMNS, "--estimator", "did,callaway_santanna", "--weights", "w")
    found = estimates(file_of(frame, kind), *COLUMNS, "--estimator", "did,callaway_santanna", "--weights", "w")
    pd.testing.assert_frame_equal(found, wanted)


def test_the_panel_comes_from_standard_input_too():
    text = table_of().to_csv(index=False)
    outcome = CliRunner().invoke(main, ["estimate", "-", *COLUMNS, "--estimator", "did"], input=text)
    assert outcome.output.startswith("standard input: y, 12 units x 6 periods")
    assert outcome.output.partition("\n")[2] == command(save(table_of()), *COLUMNS, "--estimator",
                                                        "did").output.partition("\n")[2]


def test_dates_and_value_labels_of_stata_are_read():
    frame = table_of()
    dates = pd.date_range("2017-01-01", periods=6, freq="MS")
    frame = frame.assign(t=dates[frame["t"] - 1], id=pd.Categorical.from_codes(frame["id"] - 1, [f"u{place:02d}" for
                                                                                                 place in range(12)]))
    frame["g"] = pd.Series(dates[(frame["g"] - 1).clip(lower=0)]).where(frame["g"] > 0)
    frame.to_stata("panel.dta", write_index=False, convert_dates={"t": "tm", "g": "tm"})
    found = estimates("panel.dta", *COLUMNS, "--estimator", "did")
    wanted = estimates(save(table_of()), *COLUMNS, "--estimator", "did")
    np.testing.assert_allclose(found["estimate"], wanted["estimate"], rtol=1e-12)
    assert "2017-04, 2017-05" in command("panel.dta", *COLUMNS, "--estimator", "did").output


@pytest.mark.parametrize(("kind", "expected"), [
    ("parquet", "row 5, column 'y': expected a number; found 'low'"),
    ("xlsx", "panel.xlsx, sheet 'Data', row 8, column 'y': expected a number; found 'low'")])
def test_faults_of_other_files_name_their_row(kind, expected):
    frame = table_of().astype({"y": object})
    frame.loc[4 - (kind == "xlsx"), "y"] = "low"
    assert expected in fault(file_of(frame.astype({"y": str}) if kind == "parquet" else frame, kind), *COLUMNS)
    assert "--outcome: expected one of the columns" in fault(file_of(table_of(), kind), *COLUMNS[2:], "--outcome", "yy")
    Path("panel.dta").write_bytes(b"no such thing")
    assert "expected a Stata file" in fault("panel.dta", *COLUMNS)


def test_true_and_false_are_1_and_0_where_a_column_has_nothing_else():
    wanted = table_of().assign(y=lambda rows: (rows["y"] > rows["y"].median()) * 1.0)
    wanted.loc[3, "y"] = np.nan
    written = wanted["y"].map({1.0: "True", 0.0: "FALSE"}).fillna("")
    words = [*COLUMNS, "--estimator", "did"]
    pd.testing.assert_frame_equal(estimates(save(wanted.assign(y=written)), *words), estimates(save(wanted), *words))
    folder = Path("parts")
    folder.mkdir()
    wanted.assign(y=wanted["y"].astype("boolean")).to_parquet(folder / "a.parquet")
    words = [*COLUMNS, "--estimator", "callaway_santanna"]
    np.testing.assert_allclose(estimates(folder, *words)["estimate"], estimates(save(wanted), *words)["estimate"])
    for word in ("1", "yes"):
        line = fault(save(edited(4, "y", word)(wanted.assign(y=written))), *COLUMNS)
        assert "row 2, column 'y': expected a number; found 'FALSE'" in line


def test_treatment_in_place_of_cohorts():
    frame = table_of()
    frame["d"] = ((frame["g"] > 0) & (frame["t"] >= frame["g"])).astype(int)
    words = [*COLUMNS[:-2], "--treatment", "d", "--estimator", "did,event_study"]
    pd.testing.assert_frame_equal(estimates(save(frame), *words), estimates(save(frame), *COLUMNS, "--estimator",
                                                                            "did,event_study"))
    for more, found in ([], "neither"), (["--cohort", "g", "--treatment", "d"], "both"):
        outcome = command(save(frame), *COLUMNS[:-2], *more)
        assert outcome.exit_code == 2 and f"found {found}; name one of them" in outcome.output
    assert "to stay treated" in fault(save(edited(7, "d", 0)(frame)), *words)


def test_bounds_decomposition_and_a_picture():
    frame = pd.concat([table_of(24, 8), table_of(24, 8).assign(id=lambda rows: rows["id"] + 24)])
    words = [save(frame), *COLUMNS, "--estimator", "event_study,did", "--inference", "clustered"]
    outcome = command(*words, "--bounds", "--decompose", "--plot", "effects.svg")
    assert outcome.exit_code == 0, outcome.output
    for text in ("Bounds on the effects of event_study", "relative_magnitudes", "What the two-way estimate is made of",
                 "earlier vs later treated", "the figure is in effects.svg"):
        assert text in outcome.output
    first = Path("effects.svg").read_bytes()
    assert command(*words, "--plot", "effects.svg").exit_code == 0
    assert Path("effects.svg").read_bytes() == first and b"Event study, 95% intervals" in first
    lines = [json.loads(line) for line in command("--json", *words, "--bounds", "--decompose").output.splitlines()]
    pairs = [line for line in lines if line["event"] == "decomposition"]
    effect = next(line["estimate"] for line in lines if line.get("estimator") == "did" and line["event"] == "estimate")
    assert sum(pair["weight"] * pair["estimate"] for pair in pairs) == pytest.approx(effect)
    assert {line["event"] for line in lines} >= {"bounds", "estimate"}
    gap = command(save(frame.iloc[1:]), *COLUMNS, "--estimator", "did", "--decompose")
    assert gap.exit_code == 0 and "note: no decomposition: decomposition: unit 1, period 1" in gap.output
    assert "add --estimator event_study" in fault(*words[:-3], "did", "--bounds")
    assert "expected one of svg, png, pdf" in fault(*words, "--plot", "effects.bmp")
    assert "expected another file" in fault(*words, "--plot", words[0])


FAULTS = {
    "text in the outcome": (edited(5, "y", "low"), [], ["row 5, column 'y'", "'low'"]),
    "thousands": (edited(5, "y", "1,234"), [], ["row 5, column 'y'", "'1,234'", "write 1234, without thousands"]),
    "decimal comma": (edited(5, "y", "1,25"), [], ["row 5, column 'y'", "'1,25'", "write 1.25"]),
    "infinite outcome": (edited(5, "y", "inf"), [], ["row 5, column 'y'", "'inf'"]),
    "underscore": (edited(5, "y", "1_000"), [], ["row 5, column 'y'", "'1_000'"]),
    "no outcome at all": (lambda f: f.assign(y=""), [], ["column 'y'", "no number in 72 rows"]),
    "twice": (lambda f: pd.concat([f, f.iloc[[4]]]), [], ["row 74", "unit 1, period 5 again, first in row 6"]),
    "gap": (lambda f: f[f["t"] != 3], [], ["row 4, column 't'", "found 4 next after 2", "add rows for 3"]),
    "steps": (lambda f: f.assign(t=f["t"] * 2), [], ["column 't'", "2 apart: number them 1, 2, 3"]),
    "numbers as months": (lambda f: f.assign(t=f["t"] + 201700), [], ["row 2, column 't'", "201701",
                                                                      "write 2017-01"]),
    "days as months, cohorts as numbers": (lambda f: f.assign(t=f["t"].map("2017-{:02d}-01".format)), [],
                                           ["row 2, column 'g'", "such as 2017-01", "found '4'"]),
    "dates of no rhythm": (lambda f: f.assign(t=f["t"].map(dict(zip(range(1, 7), [
        "2017-01-01", "2017-01-20", "2017-02-01", "2017-03-01", "2017-04-01", "2017-05-01"], strict=True))), g=""), [],
        ["found 2017-01-20 next after 2017-01-01", "number the periods 1, 2, 3"]),
    "days of no order": (lambda f: f.assign(t=f["t"].map("{:02d}/01/2017".format)), [],
                         ["row 2, column 't'", "found '01/01/2017'"]),
    "mixed periods": (edited(5, "t", "2017-06"), [], ["row 5, column 't'", "as the first, '1'", "'2017-06'"]),
    "no period": (edited(5, "t", ""), [], ["row 5, column 't'", "found ''"]),
    "half a period": (edited(5, "t", "3.5"), [], ["row 5, column 't'", "'3.5'"]),
    "month 13": (lambda f: f.assign(t=f["t"].map("2017-{:02d}".format).replace("2017-06", "2017-13")), [],
                 ["row 7, column 't'", "'2017-13'"]),
    "period 0": (lambda f: f.assign(t=f["t"] - 1), [], ["'0', which could be the period 0", "write never"]),
    "time-varying cohort": (edited(5, "g", 5), [], ["row 5, column 'g'", "unit 1, as in row 2, '4'", "found '5'"]),
    "treatment as cohort": (lambda f: f.assign(g=((f["g"] > 0) & (f["t"] >= f["g"])).astype(int)), [],
                            ["column 'g'", "whether a row is treated"]),
    "cohort of another kind": (lambda f: f.assign(g=f["g"].replace(5, "2017-06").astype(str)), [],
                               ["column 'g'", "'2017-06'"]),
    "negative cohort": (lambda f: f.replace({"g": {5: -1}}), [], ["column 'g'", "'-1'"]),
    "no unit": (edited(5, "id", ""), [], ["row 5, column 'id'"]),
    "unit written twice": (edited(5, "id", "1.0"), [], ["row 5, column 'id'", "'1.0' and '1'"]),
    "nobody treated": (lambda f: f.assign(g=0), [], ["column 'g'", "none among 12 units"]),
    "everyone at once": (lambda f: f.assign(g=4), [], ["column 'g'", "all 12 first treated in 4"]),
    "all from the start": (lambda f: f.assign(g=f["g"].clip(0, 1)), [], ["column 'g'", "first period, 1"]),
    "one period": (lambda f: f[f["t"] == 4], [], ["column 'g'", "first period, 4"]),
    "cluster varies": (edited(5, "c", 6), ["--cluster", "c"], ["row 5, column 'c'", "unit 1, as in row 2, '1'"]),
    "no cluster": (edited(5, "c", ""), ["--cluster", "c"], ["row 5, column 'c'", "label of a cluster"]),
    "negative weight": (edited(5, "w", -1), ["--weights", "w"], ["row 5, column 'w'", "'-1'"]),
    "no weight": (edited(5, "w", ""), ["--weights", "w"], ["row 5, column 'w'", "found ''"]),
    "no dose": (lambda f: f.assign(d=f["d"] - 1), ["--dose", "d"], ["row 2, column 'd'", "positive dose for unit 1"]),
    "dose varies": (edited(5, "d", 9), ["--dose", "d"], ["row 5, column 'd'", "unit 1"]),
    "frequency": (lambda f: f.assign(t=f["t"] + 2000), ["--frequency", "M"], ["--frequency M", "'2001'"]),
    "unused option": (lambda f: f, ["--lags", "all"], ["--lags", "(ldv, ldv_ridge)", "add --estimator ldv"]),
    "unknown estimator": (lambda f: f, ["--estimator", "dd"], ["--estimator", "'dd'"]),
    "unknown lags": (lambda f: f, ["--estimator", "ldv", "--lags", "most"], ["panel.csv: ldv: lags", "'most'"]),
    "covariate of the cohort": (lambda f: f.assign(x=f["g"] * 2), ["--estimator", "callaway_santanna", "--covariates",
                                "x"], ["panel.csv: ", "covariate 'x'", "one value per cohort", "leave it out"]),
    "dose for cohorts": (lambda f: f, ["--dose", "d", "--estimator", "sun_abraham"], ["per treated unit", "stacked"]),
    "no donor": (lambda f: f.assign(g=f["g"].replace(0, 6)), ["--estimator", "synthetic_did"],
                 ["panel.csv: synthetic_did", "never treated"]),
    "weights that are not there": (lambda f: f, ["--estimator", "synthetic_did", "--cluster", "c", "--level", "c",
                                                 "--combine", "weighted_mean"], ["panel.csv: synthetic_did", "weight"]),
    "no count in a cohort": (lambda f: f.assign(y=(f["y"].clip(0) * (f["g"] != 5)).round()),
                             ["--estimator", "etwfe", "--family", "poisson"], ["cohort 5", "count above 0"]),
    "separation": (lambda f: f.assign(y=(f["y"] - f["y"].min()) / 20 * (f["g"] != 5)),
                   ["--estimator", "etwfe", "--family", "logit"], ["cohort 5", "found 0 in all"]),
    "dose that falls": (edited(5, "d", 0.5), ["--dose", "d", "--estimator", "dechaisemartin_dhaultfoeuille"],
                        ["row 5, column 'd'", "unit 1", "found '0.5'"]),
    "neighbours of nobody": (lambda f: f, ["--estimator", "spillover"], ["add --neighbours FILE.csv"]),
    "neighbours without a file": (lambda f: f, ["--estimator", "spillover", "--neighbours", "borders.csv"],
                                  ["borders.csv", "found no file"]),
    "neighbours for another": (lambda f: f, ["--estimator", "did", "--exposure", "w"], ["--exposure", "spillover"]),
    "exposure that is none": (lambda f: f, ["--estimator", "spillover", "--exposure", "near"], ["near"]),
    "unknown average": (lambda f: f, ["--estimator", "callaway_santanna", "--aggregation", "simpel"],
                        ["--aggregation", "did you mean 'simple'?"]),
    "average of none": (lambda f: f, ["--aggregation", "simple"], ["--aggregation", "callaway_santanna, imputation"]),
    "group time of imputation": (lambda f: f, ["--estimator", "imputation", "--aggregation", "group_time"],
                                 ["--aggregation", "found imputation"]),
    "balance of none": (lambda f: f, ["--balance", "1"], ["--balance", "(callaway_santanna)"]),
    "balance of the whole": (lambda f: f, ["--estimator", "callaway_santanna", "--aggregation", "simple", "--balance",
                                           "1"], ["--balance", "expected event_time", "found --aggregation simple"]),
    "balance among others": (lambda f: f, ["--estimator", "callaway_santanna", "--aggregation", "event_time,simple",
                                           "--balance", "1"], ["--balance", "event_time alone", "event_time, simple"]),
    "window of no average": (lambda f: f, ["--estimator", "callaway_santanna", "--aggregation", "group_time",
                                           "--max-event-time", "1"], ["--max-event-time", "expected an average"]),
    "window without an effect": (lambda f: f, ["--estimator", "callaway_santanna", "--balance", "9"],
                                 ["balance_event_time", "widen"]),
    "seed without bands": (lambda f: f, ["--seed", "1"], ["--seed", "add --bands"]),
    "reference in words": (lambda f: f, ["--reference", "first"], ["--reference", "found 'first'"]),
    "reference outside": (lambda f: f, ["--estimator", "event_study", "--reference", "-9"], ["reference", "-4 to 2"]),
    "two references": (lambda f: f, ["--estimator", "sun_abraham", "--reference", "-1,-2"], ["found [-1, -2]"]),
    "three clusters": (lambda f: f, ["--cluster", "c,id,w"], ["--cluster: expected one column, or two", "'c,id,w'"]),
    "one cluster twice": (lambda f: f, ["--cluster", "c,c,id"], ["two different ones", "found 'c,c,id'"]),
    "no cluster named": (lambda f: f, ["--cluster", ","], ["--cluster: expected names", "found ','"]),
    "no estimator named": (lambda f: f, ["--estimator", ","], ["--estimator: expected names with commas", "','"]),
    "a folder as output": (lambda f: f, ["--output", "."], ["--output: .: expected a file to write; found a folder"]),
    "more draws than memory": (lambda f: f, ["--bands", "--draws", "1000000000000000"],
                               ["expected enough memory; found less than was asked for", "fewer draws"]),
    "a device as output": (lambda f: f, ["--output", "/dev/zero"],
                           ["--output: /dev/zero: expected a file to write; found a device or a pipe"]),
    "a folder as picture": (lambda f: f, ["--plot", ".."], ["--plot: ..: expected a file to write; found a folder"]),
    "output over input": (lambda f: f, ["--output", "panel.csv"], ["--output", "panel.csv"]),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_each_fault_is_told_in_one_line(name):
    change, more, expected = FAULTS[name]
    line = fault(save(change(table_of())), *COLUMNS, *more)
    for text in expected:
        assert text in line
    assert line.count("found") >= 1


def test_an_absent_column_is_told_with_the_columns_there_are():
    line = fault(save(table_of()), "--outcome", "yy", *COLUMNS[2:])
    assert "--outcome" in line and "id, t, g, c, w, d, y" in line and "found 'yy'" in line
    assert "did you mean 'y'?" in fault("panel.csv", "--outcome", "Y", *COLUMNS[2:])
    line = fault(save(table_of().rename(columns={"y": "outcome"})), "--outcome", "outcom", *COLUMNS[2:])
    assert "did you mean 'outcome'?" in line


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "empty file"),
    (b"id,t,g,y\n", "found no row"),
    (b"id,t,g,y\n1,1,0\n", "row 2: expected 4 cells"),
    (b"id,t,g,y\n1,1,0,2,3\n", "row 2: expected 4 cells"),
    (b"id,t,g,y,y\n1,1,0,2,3\n", "one column 'y'"),
    (b"id,t,g,y\n\xe9,1,0,2\n", "row 2: expected UTF-8"),
    (b"PK\x03\x04 and so on", "a spreadsheet"),
    (b"id,t,g,y\n1,1,0,\x00\n", "binary data"),
])
def test_files_that_are_no_panel(content, expected):
    Path("panel.csv").write_bytes(content)
    assert expected in fault("panel.csv", *COLUMNS)


def test_a_file_that_is_not_there():
    save(table_of())
    assert "did you mean 'panel.csv'?" in fault("panle.csv", *COLUMNS)
    Path("folder").mkdir()
    assert "expected --estimator callaway_santanna, which folders are estimated by" in fault("folder", *COLUMNS)
    assert "expected Parquet files" in fault("folder", *COLUMNS, "--estimator", "callaway_santanna")


def test_leaving_out_a_column_is_wrong_usage():
    outcome = command(save(table_of()), *COLUMNS[2:])
    assert outcome.exit_code == 2 and "--outcome" in outcome.output


def test_an_event_study_that_cannot_be_fitted_is_said_beside_the_default_estimate():
    frame = table_of().replace({"g": {0: 5}})
    outcome = command(save(frame), *COLUMNS)
    assert outcome.exit_code == 0 and "event_study is not fitted: " in outcome.output
    assert "never-treated units" in fault("panel.csv", *COLUMNS, "--estimator", "event_study")


def test_loading_does_not_depend_on_the_order_of_rows():
    expected, _ = load(save(table_of()), NAMES)
    panel, _ = load(save(table_of().sample(frac=1, random_state=5), "other.csv"), NAMES)
    np.testing.assert_array_equal(panel.outcome, expected.outcome)


def commands_of(text: str) -> list[str]:
    return [line.removeprefix("$ ").strip() for line in text.splitlines() if line.strip().startswith("$ did estimate")]


@pytest.mark.parametrize("line", commands_of(DOCS.read_text(encoding="utf-8")))
def test_the_commands_of_the_docs_work_and_print_what_the_docs_show(line):
    Path("docs").mkdir()
    shutil.copy(DOCS.parent / "example_panel.csv", "docs")
    outcome = command(*shlex.split(line)[2:])
    assert outcome.exit_code == 0, outcome.output
    shown = DOCS.read_text(encoding="utf-8").partition(f"$ {line}\n")[2].partition("```")[0].strip()
    if shown and not shown.startswith("$"):
        assert outcome.output.strip() == shown


def test_the_docs_name_every_estimator():
    for name in names():
        assert f"| `{name}` |" in DOCS.read_text(encoding="utf-8")


def test_the_examples_of_the_help_work():
    frame = table_of().rename(columns={"t": "time", "c": "cluster"})
    save(frame)
    Path("parts").mkdir()
    frame.to_parquet("parts/one.parquet")
    text = command("--help").output
    examples = re.findall(r"^ +did estimate (.+)$", text, flags=re.M)
    assert len(examples) == 8
    for example in examples:
        if "--cores" in example:   # starts processes, whose output is theirs
            done = subprocess.run([sys.executable, "-c", "from did.cli.entry import main; main()", "estimate",
                                   *shlex.split(example)], env=environment(DOCS.parents[1]), capture_output=True,
                                  text=True)
            assert done.returncode == 0, done.stderr
        else:
            outcome = command(*shlex.split(example))
            assert outcome.exit_code == 0, outcome.output


@pytest.mark.parametrize("scale", [1e-9, 1e7])
def test_the_screen_keeps_three_digits_at_any_scale(scale):
    frame = table_of()
    expected = estimates(save(frame), *COLUMNS, "--estimator", "did")["estimate"].iloc[0] * scale
    outcome = command(save(frame.assign(y=frame["y"] * scale)), *COLUMNS, "--estimator", "did")
    shown = re.search(r"overall +(\S+) ", outcome.output).group(1)
    assert float(shown) == pytest.approx(expected, rel=5e-3)


def test_utf16_as_spreadsheets_save_it_is_read():
    expected, _ = load(save(table_of()), NAMES)
    Path("other.csv").write_bytes(Path("panel.csv").read_text().replace(",", "\t").encode("utf-16"))
    panel, notes = load("other.csv", NAMES)
    np.testing.assert_array_equal(panel.outcome, expected.outcome)
    assert notes == ["the cells of other.csv are separated by tabs"]


def test_an_unknown_frequency_is_refused():
    with pytest.raises(DidError, match="--frequency"):
        load(save(table_of()), NAMES, frequency="W")
