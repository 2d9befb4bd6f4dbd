"""The evidence on one's own panel, as an object and as a page in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner

import did
from browser import opened, started
from did.api import ladder
from did.cli.commands import main

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"outcome": "visits", "unit": "clinic", "period": "year", "cohort": "first_year"}
WORDS = [str(ROOT / "docs/example_panel.csv"),
         *(word for name, column in NAMES.items() for word in (f"--{name}", column))]


@pytest.fixture(scope="module")
def panel() -> did.Panel:
    return did.Panel(did.example(), **NAMES, cluster="network")


@pytest.fixture(scope="module")
def found(panel) -> did.Evidence:
    told: list[str] = []
    made = did.evidence(panel, published="2.86", tell=told.append)
    assert told[0] == "effect by callaway_santanna" and "leave one out" in told
    return made


def test_the_sentences_hold_the_numbers_of_the_fits(panel, found):
    lead = did.callaway_santanna(panel).aggregate("simple")
    row = lead.to_frame().iloc[0]
    first = found.sentences()[0]
    assert f"{row['estimate']:.3f}, 95% interval {row['ci_low']:.3f} to {row['ci_high']:.3f}; 20 of 36 units" in first
    assert "5 of 9 clusters by network" in first
    text = found.summary()
    assert "The printed number 2.86 comes out again by did: 2.8573 here." in text
    without = [did.callaway_santanna(did.Panel(frame, **NAMES, cluster="network")).aggregate("simple").params["overall"]
               for name, frame in ((name, did.example().query("network != @name")) for name in did.example()["network"]
                                   .unique())]
    leave = found.findings["leave_one_out"].to_frame().query("estimator == 'callaway_santanna'")
    np.testing.assert_allclose(sorted(leave["value"]), sorted(without), rtol=1e-12)
    assert "Without one cluster the effect is 2.400 to 2.930; the sign is kept in 9 of 9." in text
    assert f"{min(without):.3f} to {max(without):.3f}" in text
    assert "bounds" in found.skipped and "singular covariance" in found.skipped["bounds"]


def test_a_number_that_does_not_come_out_and_an_interval_with_zero_are_told_so(panel):
    frame = did.example()
    quiet = did.Panel(frame.assign(visits=np.random.default_rng(1).normal(size=len(frame)).round(3)), **NAMES)
    found = did.evidence(quiet, "did", published=0.6)
    assert found.headline.estimator == "did"
    text = found.summary()
    assert "The printed number 0.6 does not come out again by did" in text
    assert "The interval includes zero: an effect is not shown, which is not the same as no effect." in text
    for wrong, expected in (({"published": "much"}, "expected a number as it was printed"),
                            ({"estimator": "event_study"}, "estimator with one effect"),
                            ({"published": 1, "published_estimator": "dib"}, "did you mean 'did'")):
        with pytest.raises(did.OptionError, match=expected):
            did.evidence(quiet, **wrong)


def test_its_tables_have_the_columns_of_the_stages(found):
    tables = ladder.tables(found)
    assert tables["headline"].iloc[0][["indicator", "specification", "sample", "estimator"]].tolist() == [
        "visits", "-", "full", "callaway_santanna"]
    assert set(tables["diagnostics"]["diagnostic"]) == {"placebo_in_time", "placebo_in_time_share", "leave_one_out",
                                                        "detrended", "own_dates"}


def test_shifting_the_outcome_changes_nothing_that_is_said(found):
    frame = did.example()
    moved = did.Panel(frame.assign(visits=frame["visits"] + 1024), **NAMES, cluster="network")
    assert did.evidence(moved, published="2.86").summary() == found.summary()


def test_the_ladder_answers_from_the_fits(panel, found):
    verdicts = found.ladder.verdicts.set_index("target")
    assert verdicts.index.tolist() == ["printed", "visits"]
    fits = {"printed": did.did(panel), "visits": did.callaway_santanna(panel).aggregate("simple")}
    for target, fit in fits.items():
        row = fit.to_frame().iloc[0]
        assert verdicts.loc[target, ["estimate", "ci_low", "ci_high"]].tolist() == pytest.approx(
            row[["estimate", "ci_low", "ci_high"]].tolist())
        assert verdicts.loc[target, "coverage"] == pytest.approx(row["measured_coverage"])
    assert verdicts.loc["printed", "number"] == "exact" and verdicts["verdict"].tolist() == ["holds", "holds"]
    steps = found.ladder.evidence.set_index(["target", "step"])
    assert steps.loc[("printed", 0), "answer"] == "yes"   # linearmodels gives it too
    line = did.rolling(panel, transformation="detrend").aggregate("simple").params.iloc[0]
    assert steps.loc[("visits", 3), "estimate"] == pytest.approx(line)
    treated = did.leave_one_out(panel, estimator="did").to_frame().query("n_treated < 20")
    assert steps.loc[("printed", 5), ["n_tried", "smallest", "largest"]].tolist() == pytest.approx(
        [len(treated), treated["value"].min(), treated["value"].max()])
    other = did.Panel(did.example(), **NAMES, cluster="network")
    wrong = did.evidence(other, "did", published="3.4").ladder.verdicts.iloc[0]
    assert (wrong["number"], wrong["verdict"]) == ("differs", "holds")


def test_the_workbench_has_every_estimator_method_and_cluster(panel, found, tmp_path):
    path = found.report(tmp_path / "evidence.html")
    rows = found.workbench.choices
    lead = rows.query("left_out == 'nothing' and inference == 'leading'").set_index("estimator")["estimate"]
    assert lead.to_dict() == pytest.approx({name: fit.params["overall"] for name, fit in found.comparison.fits.items()})
    with started() as browser, opened(browser, path) as (page, heard):
        for row in rows.query("estimator in ['did', 'imputation']").to_dict("records"):
            page.evaluate("""address => new Promise(done => {
              if (decodeURI(location.hash) === `#${address}`) done();
              addEventListener("hashchange", () => done(), {once: true});
              location.hash = address;
            })""", f"estimator={row['estimator']}&left_out={row['left_out']}&inference={row['inference']}")
            assert float(page.locator("#estimate").inner_text()) == pytest.approx(row["estimate"], abs=0.00501)
            text = page.locator("#interval").inner_text()
            assert (text == "No interval") == bool(np.isnan(row["ci_low"]))
            if text != "No interval":
                assert float(text.split(" interval ")[1].split(" to ")[0]) == pytest.approx(row["ci_low"], abs=0.00501)
        assert heard.complaints == [] and "+2.86 by" in page.locator("#place").inner_text()
    left_out = did.Panel(did.example().query("network != 'N3'"), **NAMES, cluster="network")
    own = rows.query("estimator == 'stacked' and left_out == 'N3'")["estimate"].item()
    assert own == pytest.approx(did.stacked(left_out).aggregate("simple").params.iloc[0], rel=1e-9)


def test_the_page_opens_offline_without_faults(found, tmp_path):
    path = found.report(tmp_path / "evidence.html")
    assert path.stat().st_size < 1_000_000
    first = path.read_bytes()
    assert found.report(path).read_bytes() == first
    with started() as browser:
        for width, dark in ((1280, False), (390, True)):
            with opened(browser, path, width=width, dark=dark, script=True) as (page, heard):
                assert [url for url in heard.requests if not url.startswith(("file:", "data:"))] == []
                assert heard.complaints == []
                assert page.locator("h2").first.inner_text() and page.locator("table").count() >= 5
                assert page.evaluate("[...document.images].every(each => each.naturalWidth > 0)")
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
        # Its policy lets no script in, which the checker is: it looks at the page without the policy.
        bare = tmp_path / "bare.html"
        policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
        bare.write_text(re.sub(policy, "", first.decode()), encoding="utf-8")
        with opened(browser, bare) as (page, _):
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            faults = Axe().run(page).response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []


def test_the_command_writes_the_page_and_says_what_was_found(found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["report", *WORDS, "--cluster", "network", "--published", "2.86"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [*found.sentences(), "the page is report.html"]
    assert Path("report.html").read_text(encoding="utf-8").count("<figure>") == 5
    wrong = CliRunner().invoke(main, ["report", *WORDS, "--output", WORDS[0]])
    assert wrong.exit_code == 1 and "expected another file than the panel" in wrong.output
    assert CliRunner().invoke(main, ["report", WORDS[0]]).exit_code == 2


def test_names_from_the_file_are_text_and_never_markup(tmp_path):
    frame = did.example().rename(columns={"visits": "<b>visits</b>"})
    frame["network"] = frame["network"].map(lambda name: f"<script>{name}</script>")
    panel = did.Panel(frame, **NAMES | {"outcome": "<b>visits</b>"}, cluster="network")
    text = did.evidence(panel, "did").report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>" not in text and text.count("<script") == 2 and "&lt;script&gt;N1" in text   # its data, and its script


def test_one_treated_unit_and_gaps_are_reported_as_skipped():
    frame = did.example()
    kept = frame["first_year"].isna() | frame["clinic"].eq("C01")
    one = did.Panel(frame.loc[kept & ~(frame["clinic"].eq("C30") & frame["year"].eq(2014))], **NAMES)
    found = did.evidence(one)
    assert found.headline.estimator == "did" and "decompose" in found.skipped
    assert "One treated cluster of" in found.summary()
    assert isinstance(found.to_frame(), pd.DataFrame)


@pytest.mark.parametrize(("words", "expected"), [
    (["--published", "0.6", "--published-estimator", "dib"], "--published-estimator: expected one of did, "),
    (["--published", "sixty"], "--published: expected a number as it was printed, such as 0.60; found 'sixty'"),
    (["--published-estimator", "did"], "--published-estimator did: expected --published with it"),
    (["--estimator", "dib"], "--estimator with one effect: expected one of did, "),
    (["--cluster", "nets"], "panel.csv: --cluster: expected one of the columns clinic, "),
    (["--outcome", "visit"], "panel.csv: --outcome: expected one of the columns clinic, "),
    (["--cohort", "late"], "panel.csv: --cohort: expected one of the columns clinic, "),
])
def test_a_mistake_is_one_line_that_names_the_option(words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    did.example().to_csv("panel.csv", index=False)
    done = CliRunner().invoke(main, ["report", "panel.csv", *WORDS[1:], *words])
    assert done.exit_code == 1 and done.output.startswith(f"error: {expected}"), done.output
    assert done.output.count("\n") == 1 and not Path("report.html").exists()


@pytest.mark.parametrize(("text", "expected"), [
    ("", "panel.csv: expected a header and rows; found an empty file"),
    ("clinic,year,first_year,visits\n", "panel.csv: expected one row per unit and period below the header"),
    ("clinic,year,treated,visits\n" + "".join(f"{unit},{year},{int(unit == 1 and year == 2012)},{year * unit}\n"
                                              for unit in (1, 2) for year in range(2010, 2015)),
     "panel.csv, row 5, column 'treated': expected unit 1 to stay treated"),
])
def test_a_file_that_cannot_be_used_is_refused_in_one_line(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("panel.csv").write_text(text)
    treatment = ["--treatment", "treated"] if "treated" in text else ["--cohort", "first_year"]
    names = [word for name in ("outcome", "unit", "period") for word in (f"--{name}", NAMES[name])]
    done = CliRunner().invoke(main, ["report", "panel.csv", *names, *treatment])
    assert done.exit_code == 1 and done.output.startswith(f"error: {expected}"), done.output
    assert done.output.count("\n") == 1 and not Path("report.html").exists()
