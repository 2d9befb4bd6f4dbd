"""The public face: frames of every kind give the numbers of `did estimate` and of R, and mistakes one line each."""

from __future__ import annotations

import datetime
import doctest
import json
import pickle
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import did
from did.api.evidence_sentences import _of_headline
from did.cli.commands import main
from did.estimators import entries
from did.estimators.registry import COHORT_PERIOD, NEIGHBOURS
from did.inference.methods import available

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT.parent / "shared" / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="the shared golden numbers are not alongside the "
                                                              "checkout")
NAMES = {"outcome": "visits", "unit": "clinic", "period": "year", "cohort": "first_year"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return example()


def example() -> pd.DataFrame:
    """The example with whole numbers as cohorts, 0 = never treated."""
    return did.example().fillna({"first_year": 0}).astype({"first_year": int})


@pytest.fixture(scope="module")
def panel(frame) -> did.Panel:
    return did.Panel(frame, **NAMES, cluster="network")


# The same numbers as the command and as R -------------------------------------------------------------------------


def by_command(tmp_path: Path, *words: str) -> pd.DataFrame:
    output = tmp_path / "estimates.csv"
    outcome = CliRunner().invoke(main, [
        "estimate", str(ROOT / "docs/example_panel.csv"), "--outcome", "visits", "--unit", "clinic", "--period", "year",
        "--cohort", "first_year", *words, "--output", str(output)])
    assert outcome.exit_code == 0, outcome.output
    return pd.read_csv(output, dtype={"cohort": "Int64", "period": "Int64"})


@pytest.mark.parametrize("name", list(entries()))
def test_every_registered_estimator_gives_the_numbers_of_the_command(tmp_path, panel, name):
    options = {"lags": "all"} if name == "ldv" else {"leads": 3} if name == "imputation_leads" else {}
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    if NEIGHBOURS in entries()[name].needs:
        pairs = [("C20", "C21"), ("C01", "C22")]
        pd.DataFrame(pairs, columns=["unit", "neighbour"]).to_csv(tmp_path / "borders.csv", index=False)
        panel = did.Panel(did.example(), **NAMES, cluster="network", neighbours=pairs)
        words += ["--neighbours", str(tmp_path / "borders.csv")]
    theirs = by_command(tmp_path, "--estimator", name, "--cluster", "network", "--inference", "clustered", *words)
    fit = getattr(did, name)(panel, **options)
    fits = [fit] if entries()[name].kind != COHORT_PERIOD else [
        fit, *(fit.aggregate(kind) for kind in ("simple", "event_time", "cohort", "calendar"))]
    ours = pd.concat([each.inference("clustered").to_frame() for each in fits], ignore_index=True)
    theirs = theirs.loc[theirs["cluster"] == "network"].reset_index(drop=True)
    assert ours["estimand"].tolist() == theirs["estimand"].tolist()
    for column in ("estimate", "std_error", "ci_low", "ci_high", "p_value", "n_units", "n_treated", "n_clusters"):
        np.testing.assert_array_equal(ours[column].to_numpy(float), theirs[column].to_numpy(float))
    for place in ("cohort", "period", "event_time"):
        np.testing.assert_array_equal(pd.to_numeric(ours[place]).to_numpy(float, na_value=np.nan),
                                      theirs[place].to_numpy(float, na_value=np.nan))


@pytest.mark.parametrize("method", ["wild_bootstrap", "randomisation", "CR2", "jackknife", "headline"])
def test_inference_gives_the_numbers_of_the_command(tmp_path, panel, method):
    theirs = by_command(tmp_path, "--estimator", "did", "--cluster", "network", "--inference", method).iloc[-1]
    ours = did.did(panel).inference(method).to_frame().iloc[0]
    assert ours["inference"] == theirs["inference"]
    for column in ("std_error", "ci_low", "ci_high", "p_value", "measured_coverage"):
        np.testing.assert_array_equal(ours[column], theirs[column])


def test_the_summary_is_the_screen_of_the_command(panel):
    words = ["estimate", str(ROOT / "docs/example_panel.csv"), "--outcome", "visits", "--unit", "clinic", "--period",
             "year", "--cohort", "first_year", "--cluster", "network", "--estimator", "event_study"]
    screen = CliRunner().invoke(main, words).output
    assert did.event_study(panel).summary().replace("DataFrame:", "example_panel.csv:") == screen.rstrip("\n")


@needs_golden
@pytest.mark.parametrize("control", ["never_treated", "not_yet_treated"])
def test_callaway_santanna_equals_r(control):
    raw = pd.read_csv(GOLDEN / "data/base_stagg.csv")
    raw["year_treated"] = raw["year_treated"].where(raw["year_treated"] < 10_000, np.inf)
    results = json.loads((GOLDEN / "r/base_stagg_did.json").read_text())["results"]
    word = control.replace("_", "")
    theirs = next(each["value"] for each in results
                  if each["id"].startswith("x=none") and f"control={word}" in each["id"] and "anticip=0" in each["id"])
    base = next(each["id"] for each in results if each["value"] is theirs).split("base=")[1].split("|")[0]
    panel = did.Panel(raw, outcome="y", unit="id", period="year", cohort="year_treated")
    fit = did.callaway_santanna(panel, control_group=control, base_period=base).inference("clustered")
    assert fit.index.tolist() == list(zip(theirs["att_gt"]["group"], theirs["att_gt"]["t"], strict=True))
    np.testing.assert_allclose(fit.params, np.array(theirs["att_gt"]["att"], float), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(fit.std_errors, np.array(theirs["att_gt"]["se"], float), rtol=1e-6)


# Frames of every kind ---------------------------------------------------------------------------------------------


def months(frame: pd.DataFrame, freq: str = "MS") -> tuple[pd.Series, dict[int, pd.Timestamp]]:
    """The years of the frame as ten dates one after another, and the date of each year."""
    dates = dict(zip(range(2012, 2022), pd.date_range("2017-01-01", periods=10, freq=freq), strict=True))
    return frame["year"].map(dates), dates


def variants(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The example in other types; what is compared are the numbers, which do not depend on them."""
    cohort = frame["first_year"]
    never = cohort.eq(0)
    found = {
        "floats with NaN": frame.assign(first_year=cohort.astype(float).mask(never)),
        "floats with inf": frame.assign(first_year=cohort.astype(float).mask(never, np.inf)),
        "nullable integers": frame.assign(first_year=cohort.astype("Int64").mask(never, pd.NA)),
        "objects with None": frame.assign(first_year=cohort.astype(object).mask(never, None)),
        "texts": frame.assign(first_year=cohort.astype(str), year=frame["year"].astype(str)),
        "categories": frame.assign(clinic=frame["clinic"].astype("category"), first_year=cohort.astype("category"),
                                   network=frame["network"].astype("category")),
        "integer units": frame.assign(clinic=frame["clinic"].str[1:].astype(int)),
        "arrow types": frame.convert_dtypes(dtype_backend="pyarrow"),
        "nullable types": frame.convert_dtypes(),
        "numbered periods": frame.assign(year=frame["year"] - 2011, first_year=(cohort - 2011).clip(lower=0)),
        "numbered from 0": frame.assign(year=frame["year"] - 2012,
                                        first_year=(cohort - 2012).astype(float).mask(never)),
        "index": frame.set_index(["clinic", "year"]),
        "shuffled": frame.sample(frac=1, random_state=3),
        "odd index": frame.set_axis(np.arange(len(frame)) * 7 % 11),
    }
    for name, freq in (("years", "YS"), ("ends of years", "YE"), ("quarters", "QS"), ("months", "MS"),
                       ("ends of months", "ME"), ("weeks", "W-WED"), ("days", "D")):
        year, dates = months(frame, freq)
        found[name] = frame.assign(year=year, first_year=cohort.map(dates))
        found[f"{name} as dates"] = frame.assign(
            year=[each.date() for each in year],
            first_year=[None if none else dates[value].date() for value, none in zip(cohort, never, strict=True)])
    for freq in ("Y", "Q", "M", "W", "D"):
        dates = dict(zip(range(2012, 2022), pd.period_range("2017-01-01", periods=10, freq=freq), strict=True))
        found[f"Periods {freq}"] = frame.assign(year=frame["year"].map(dates), first_year=cohort.map(dates))
    year, dates = months(frame, "YS")
    found["Timestamps and float cohorts"] = frame.assign(year=year, first_year=(cohort + 5.0).mask(never),
                                                         clinic=frame["clinic"].str[1:].astype(int))
    found["with a time zone"] = frame.assign(year=year.dt.tz_localize("Europe/London"),
                                             first_year=cohort.map(dates).dt.tz_localize("Europe/London"))
    found["years and dates of cohorts"] = frame.assign(
        first_year=pd.to_datetime(cohort.where(~never).astype("Int64").astype("string") + "-01-01"))
    return found


@pytest.mark.parametrize("kind", list(variants(example())))
def test_frames_of_every_kind_give_the_same_numbers_and_stay_as_they_are(frame, panel, kind):
    made = variants(frame)[kind]
    before = made.copy(deep=True)
    other = did.Panel(made, **NAMES, cluster="network")
    pd.testing.assert_frame_equal(made, before)
    wanted, found = did.callaway_santanna(panel), did.callaway_santanna(other)
    np.testing.assert_allclose(found.params, wanted.params, rtol=1e-12)
    ours, theirs = (fit.aggregate("event_time").inference("clustered").std_errors.to_numpy() for fit in (found, wanted))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    held = made.reset_index() if kind == "index" else made
    assert set(found.effects["period"]) <= set(held["year"])   # labelled by the frame's own values


def test_arrow_and_the_stream_interface(frame, panel):
    class Streamed:
        """What polars, duckdb and others have: nothing but the stream."""

        def __arrow_c_stream__(self, requested_schema=None):
            return pa.Table.from_pandas(frame).__arrow_c_stream__(requested_schema)

    for made in (pa.Table.from_pandas(frame), Streamed(), frame.to_dict("list")):
        found = did.did(did.Panel(made, **NAMES, cluster="network"))
        assert found.params.equals(did.did(panel).params)


def test_polars(frame, panel):
    polars = pytest.importorskip("polars")
    made = polars.DataFrame({"clinic": frame["clinic"].tolist(), "visits": frame["visits"].tolist(),
                             "year": [datetime.date(year, 1, 1) for year in frame["year"]],
                             "first_year": [float(year) or None for year in frame["first_year"]]})
    found = did.callaway_santanna(did.Panel(made, **NAMES))
    assert found.params.to_numpy().tolist() == did.callaway_santanna(panel).params.to_numpy().tolist()
    assert found.effects["period"].iloc[0] == datetime.date(2013, 1, 1)
    with pytest.raises(did.PanelError, match=r"call .collect\(\) first"):
        did.Panel(made.lazy(), **NAMES)


def test_a_file_is_a_panel_too(panel):
    found = did.Panel(ROOT / "docs/example_panel.csv", **NAMES, cluster="network")
    pd.testing.assert_frame_equal(did.did(found).to_frame(), did.did(panel).to_frame())


def test_treatment_in_place_of_a_cohort(frame, panel):
    treated = frame["first_year"].between(1, frame["year"])
    names = {name: column for name, column in NAMES.items() if name != "cohort"}
    for column in (treated, treated.astype(int), treated.astype(float)):
        found = did.Panel(frame.assign(d=column), **names, treatment="d")
        assert did.did(found).params.equals(did.did(panel).params)
    with pytest.raises(did.PanelError, match="cohort: expected a column of first treated periods, or treatment"):
        did.Panel(frame, **names)


# What a fit can do ------------------------------------------------------------------------------------------------


def test_every_method_of_inference_is_there_by_its_registration(panel):
    fit = did.did(did.Panel(did.example(), **NAMES, cluster="network"))
    assert fit.methods == available("did")
    for method in fit.methods:
        frame = fit.inference(method, draws=49 if "randomisation" in method or "boot" in method else None).to_frame()
        assert frame["inference"].tolist() == [method] and frame["p_value"].notna().all(), method


def test_covariance_errors_and_intervals_belong_together(panel):
    fit = did.callaway_santanna(panel).aggregate("event_time").by("unit").inference("clustered")
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov)), fit.std_errors, rtol=1e-12)
    ends = fit.conf_int(0.9)
    np.testing.assert_allclose(ends.mean(axis=1), fit.params, rtol=1e-12)
    assert (ends["upper"] < fit.conf_int()["upper"]).all()
    one = fit.wald([0])
    assert one.p_value == pytest.approx(fit.pvalues[0], rel=1e-9)
    assert fit.wald("after").df == 6 and fit.wald("before").labels == (-6, -5, -4, -3, -2, -1)
    pd.testing.assert_series_equal(fit.influence.pow(2).sum().pow(0.5), fit.std_errors, check_names=False)


def test_two_way_clusters_and_levels(frame):
    panel = did.Panel(frame, **NAMES, cluster=[("clinic", "network")])
    fit = did.did(panel)
    assert fit.to_frame()["inference"].tolist() == ["clustered"]
    assert fit.by("network").inference("clustered").std_errors["overall"] > 0
    with pytest.raises(did.OptionError, match="did you mean 'network'"):
        fit.by("netwrk")
    with pytest.raises(did.InferenceError, match="two ways"):
        fit.cov  # noqa: B018


def test_bounds_are_those_of_an_event_study_against_one_base(panel):
    fit = did.callaway_santanna(panel).by("unit")
    found, again = fit.bounds().to_frame(), did.callaway_santanna(panel, base_period="universal").by("unit").bounds()
    pd.testing.assert_frame_equal(found, again.to_frame())
    original = found.loc[found["method"].eq("original") & found["target"].eq("first")].iloc[0]
    assert original["estimate"] == pytest.approx(fit.aggregate("event_time").params[0])
    assert "base_period universal" in fit.bounds().title and "universal" not in again.title


def test_results_are_frozen_and_come_back_from_a_pickle(panel):
    fit = did.callaway_santanna(panel).aggregate("event_time").inference("jackknife")
    fit.to_frame()
    for each in (fit, panel, fit.bounds(), did.compare(panel, ["did", "imputation"])):
        again = pickle.loads(pickle.dumps(each))
        assert repr(again) == repr(each)
        with pytest.raises(AttributeError):
            each.panel = None
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(fit)).to_frame(), fit.to_frame())


def test_covariates_enter_as_the_command_has_them(tmp_path, frame):
    panel = did.Panel(frame, **NAMES, covariates=["size"])
    theirs = by_command(tmp_path, "--estimator", "callaway_santanna", "--covariates", "size", "--aggregation", "simple",
                        "--inference", "clustered")
    found = did.callaway_santanna(panel).aggregate("simple")
    assert found.params["overall"] == theirs["estimate"].iloc[0]
    without = did.callaway_santanna(panel, covariates=[]).aggregate("simple")
    assert without.params["overall"] == did.callaway_santanna(did.Panel(frame, **NAMES)).aggregate().params["overall"]


def test_tables_hold_what_the_screen_holds(panel):
    fit = did.event_study(panel)
    for text in (fit.to_markdown(), fit.to_latex(), fit._repr_html_()):
        assert "3.970" in text and "0.636" in text and "jackknife" in text and text.count("2.503 to 5.437") == 1
    assert fit.to_markdown().count("\n| ") == 15 and r"event\_time 0" in fit.to_latex()


def test_pictures_take_axes_and_return_them(panel, frame):
    from matplotlib import pyplot

    fit = did.callaway_santanna(panel)
    study = fit.aggregate("event_time")
    drawn = [fit, study, fit.aggregate("cohort"), fit.aggregate("calendar"), fit.aggregate(), did.event_study(panel),
             study.by("unit").bounds(), did.decompose(panel), did.compare(panel, ["did", "imputation"])]
    for each in drawn:
        _, axes = pyplot.subplots()
        assert each.plot(axes) is axes and axes.has_data()
    axes = study.plot()
    heights = {round(float(y), 9) for line in axes.lines for y in line.get_ydata()}
    assert {round(value, 9) for value in study.params.drop("overall_event_time")} <= heights
    pyplot.close("all")
    with pytest.raises(did.InferenceError, match="singular covariance"):
        study.bounds().plot()


def test_a_comparison_says_who_is_left_out_and_why(panel):
    found = did.compare(panel, ["did", "event_study", "callaway_santanna"]).to_frame().set_index("estimator")
    assert found["status"].to_dict() == {"did": "done", "callaway_santanna": "done", "event_study": "skipped"}
    assert found.loc["did", "estimate"] == did.did(panel).params["overall"]
    assert found.loc["event_study", "reason"] == "has no one effect"
    assert list(did.compare(panel, "did").fits) == list(did.compare(panel, did.did(panel)).fits) == ["did"]


# Names and help ---------------------------------------------------------------------------------------------------


def test_importing_loads_nothing_and_names_are_those_of_the_registry():
    code = ("import sys, did; assert not {'pandas', 'numpy', 'scipy', 'matplotlib', 'snakemake'} & set(sys.modules); "
            "assert 'callaway_santanna' in dir(did); assert 'matplotlib' not in sys.modules; "
            "assert 'snakemake' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(entries()) <= set(dir(did))
    with pytest.raises(AttributeError, match="did you mean 'callaway_santanna'"):
        did.callaway_santana  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(dir(did)) - {"__version__"}))
def test_every_name_has_help_and_its_example_runs(name):
    found = getattr(did, name)
    assert found.__doc__
    tests = doctest.DocTestFinder(recurse=False).find(found, name, module=False, globs={})
    results = [doctest.DocTestRunner().run(test) for test in tests]
    assert sum(each.attempted for each in results) > 0 and not any(each.failed for each in results)


def test_the_page_runs(tmp_path, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)

    found = doctest.testfile(str(ROOT / "docs/python.md"), module_relative=False)
    pyplot.close("all")
    assert found.attempted > 10 and found.failed == 0


def test_the_types_of_the_names_are_as_the_registries():
    from did.api.names import stub

    path = ROOT / "src/did/__init__.pyi"
    assert path.read_text(encoding="utf-8") == stub(), "run: python -m did.api.names > src/did/__init__.pyi"


def test_the_example_is_the_file_of_the_docs():
    assert (ROOT / "src/did/api/example.csv").read_bytes() == (ROOT / "docs/example_panel.csv").read_bytes()


# Mistakes ---------------------------------------------------------------------------------------------------------


def broken(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    made = frame.copy()
    made[column] = made[column].astype(object)
    made.iloc[row, made.columns.get_loc(column)] = value
    return made


FAULTS = {
    "column": (lambda f: f, {"outcome": "Visits"}, "DataFrame: outcome: expected one of the columns .*did you mean "
                                                   "'visits'"),
    "twice": (lambda f: pd.concat([f, f.iloc[[4]]]), {}, "row at position 360.*unit C01, period 2016 again, first in "
                                                         "row at position 4"),
    "text": (lambda f: broken(f, 5, "visits", "low"), {}, "DataFrame, row at position 5, column 'visits'.*'low'"),
    "infinite": (lambda f: f.assign(visits=np.inf), {}, "column 'visits': expected a number; found 'inf'"),
    "cohort varies": (lambda f: broken(f, 5, "first_year", 2019), {}, "one cohort for unit C01.*position 0, '2016'"),
    "mixed labels": (lambda f: broken(broken(f, 0, "clinic", 1), 1, "clinic", "1"), {}, "values of one type; found '1' "
                                                                                        "and 1"),
    "0 among periods from 0": (lambda f: f.assign(year=f["year"] - 2012, first_year=(f["first_year"] - 2012).clip(0)),
                               {}, "could be the period 0 or never treated"),
    "no frame": (lambda f: f["visits"], {}, "expected a data frame .*found one column"),
    "empty": (lambda f: f.iloc[:0], {}, "found no row"),
    "gap in weeks": (lambda f: f.assign(year=pd.Timestamp("2017-01-04") + pd.to_timedelta(
        7 * (f["year"] - 2012 + (f["year"] > 2015)), "D"), first_year=None), {},
                     "found 2017-02-08 next after 2017-01-25; add rows for 2017-02-01"),
    "day of another rhythm": (lambda f: f.assign(
        year=pd.to_datetime(f["year"].astype(str) + "-01-01"),
        first_year=pd.Timestamp("2016-06-15")), {}, "such as 2012, or 0.*found '2016-06-15'"),
    "covariate": (lambda f: f, {"covariates": ["sise"]}, "covariates: expected one of the columns.*'size'"),
    "both": (lambda f: f, {"treatment": "size"}, "cohort: .*found both"),
    "no outcome named": (lambda f: f, {"outcome": None}, "outcome: expected the name of a column; found None"),
    "weights in a list": (lambda f: f, {"weights": ["size"]}, "weights: expected the name of a column; found list"),
    "number as cluster": (lambda f: f, {"cluster": 5}, "cluster: expected names of columns; found 5"),
    "number as covariate": (lambda f: f, {"covariates": 5}, "covariates: expected names of columns; found 5"),
    "text as neighbours": (lambda f: f, {"neighbours": "abc"}, r"neighbours: expected pairs of units.*found 'a'"),
    "half a pair": (lambda f: f, {"neighbours": [("C01",)]}, r"neighbours: expected pairs.*found \('C01',\)"),
    "lists in cells": (lambda f: f.assign(visits=[[1, 2]] * len(f)), {}, "position 0, column 'visits'.*found a list"),
    "same cluster twice": (lambda f: f, {"cluster": [("network", "network")]}, "two different ones"),
    "three ways": (lambda f: f, {"cluster": [("a", "b", "c")]}, "cluster: expected one column, or two different ones"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_wrong_frame_is_told_in_one_line(frame, name):
    change, more, expected = FAULTS[name]
    with pytest.raises((did.PanelError, did.OptionError), match=expected) as caught:
        did.Panel(change(frame), **NAMES | more)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)
    assert caught.value.__cause__ is None and isinstance(caught.value, did.DidError)


SWITCHES = {
    "off": ([0, 0, 1, 1, 0, 1], "to stay treated, as it was in 4; found 0 in 5; .*did_multiplegt_dyn"),
    "neither": ([0, 0, 1, 2, 1, 1], "1 where the row is treated, else 0; found '2'"),
}


@pytest.mark.parametrize("name", list(SWITCHES))
def test_treatment_that_is_no_onset_is_refused(name):
    rows, expected = SWITCHES[name]
    made = pd.DataFrame({"id": np.repeat([1, 2], 6), "t": list(range(1, 7)) * 2, "y": np.arange(12.0),
                         "d": [*rows, *[0] * 6]})
    with pytest.raises(did.PanelError, match=expected):
        did.Panel(made, outcome="y", unit="id", period="t", treatment="d")
    whole = made.assign(d=[0, 0, 0, 1, 1, 1, *[0] * 6])
    with pytest.raises(did.PanelError, match="expected a row of unit 1 in 3, which says whether"):
        did.Panel(whole.drop(index=2), outcome="y", unit="id", period="t", treatment="d")


def test_wrong_options_are_told_in_one_line(panel, frame):
    for call, expected in (
        (lambda: did.callaway_santanna(panel, control="x"), "callaway_santanna: control: expected one of"),
        (lambda: did.callaway_santanna(panel, control_group="nevertreated"), "did you mean 'never_treated'"),
        (lambda: did.callaway_santanna(frame), "expected a did.Panel; found DataFrame"),
        (lambda: did.did(panel).inference("bootstrap"), "inference: expected one of .*wild_bootstrap"),
        (lambda: did.imputation(panel).inference("CR2"), "expected a method for imputation"),
        (lambda: did.did(panel).conf_int(95), "confidence: expected a share between 0 and 1"),
        (lambda: did.did(panel).aggregate("event_time"), "aggregate: event_time: expected what did gives"),
        (lambda: did.did(panel).wald([3]), "wald: expected all, before, after, or labels"),
        (lambda: did.did(panel).inference("wild_bootstrap", draws="x"), "draws: expected a whole number.*found 'x'"),
        (lambda: did.did(panel).inference("wild_bootstrap", draws=9.5), "draws: expected a whole number.*found 9.5"),
        (lambda: did.did(panel).inference("wild_bootstrap", seed=-1), "seed: expected a whole number.*found -1"),
        (lambda: did.did(panel).conf_int("x"), "confidence: expected a share between 0 and 1.*found 'x'"),
        (lambda: did.did(panel).plot(ax=5), "plot: ax: expected axes of matplotlib; found int"),
        (lambda: did.did(panel).plot(colour="red"), "plot: expected settings of matplotlib's lines.*found colour"),
        (lambda: did.did(panel).by(5), "by: expected a cluster level; found 5"),
        (lambda: did.did(panel).by(("network", "network")), "by: expected one cluster level, or two different"),
        (lambda: did.did(panel).wald(5), "wald: expected all, before, after, or labels; found 5"),
        (lambda: did.event_study(panel).bounds(m_bars=5), "bounds: m_bars: expected numbers; found 5"),
        (lambda: did.callaway_santanna(panel, aggregation=5), "aggregation: expected words; found 5"),
        (lambda: did.evidence(frame), "evidence: expected a did.Panel; found DataFrame"),
        (lambda: did.compare(panel, 5), "compare: estimators: expected names of estimators, or fits; found 5"),
        (lambda: did.compare(panel, ["dic"]), "compare: estimator.*did you mean 'did'"),
        (lambda: did.did(panel, covariates=["size"]), "covariates: expected one of those named in did.Panel"),
    ):
        with pytest.raises(did.OptionError, match=expected) as caught:
            call()
        assert "--" not in str(caught.value)


def test_what_cannot_be_estimated_says_so(frame):
    treated = did.Panel(frame.loc[frame["first_year"] > 0], **NAMES)
    with pytest.raises(did.EstimationError, match="event_study"):
        did.event_study(treated)
    with pytest.raises(did.InferenceError, match="by event time"):
        did.did(treated).bounds()
    one = did.Panel(frame.loc[frame["first_year"].eq(0) | frame["clinic"].eq("C01")], **NAMES)
    shown = did.did(one).to_frame().iloc[0]
    assert shown["inference"] == "conley_taber" and np.isnan(shown["std_error"])


def test_the_first_sentences_say_how_many_units_are_left_out():
    frame = did.example().copy()
    frame.loc[frame["clinic"].isin(["C01", "C02", "C03"]) & frame["year"].eq(2021), "visits"] = np.nan
    panel = did.Panel(frame, outcome="visits", unit="clinic", period="year", cohort="first_year")
    said = _of_headline(did.callaway_santanna(panel).aggregate("simple"))
    assert any(line.startswith("3 of the panel's 36 units are not in it: 3 units without an outcome") for line in said)
