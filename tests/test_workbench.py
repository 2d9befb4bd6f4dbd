"""The workbench in a real browser: a reader picks a choice and gets the numbers that the run's tables hold for it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from browser import opened, started
from did.project.loading import load_evaluation
from did.project.paths import Paths
from did.report.workbench.model import COUNTS, Dimension, Published, Workbench, chance, embedded, tidied
from did.report.workbench.run import GROUPS, page
from did.store import tables

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def browser():
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def run(finished) -> tuple[Path, dict[str, pd.DataFrame]]:
    """The page of the finished run, and its tables of the one outcome."""
    paths = Paths(finished / "data", finished / "results")
    names = ("specifications", "headline", "diagnostics", "calibration", "evidence")
    return (finished / "results/workbench.html",
            {name: tables.read(name, getattr(paths, name)("dtoc_total")) for name in names})


@pytest.fixture
def shown(browser, run):
    with opened(browser, run[0]) as (page, heard):
        yield page
        assert heard.complaints == [] and [url for url in heard.requests if not url.startswith("file:")] == []


def pick(page, **choice: str) -> None:
    """Go to the address of a choice."""
    words = "&".join(f"{name}={value}" for name, value in choice.items())
    page.evaluate("""address => new Promise(done => {
      if (decodeURI(location.hash) === `#${address}`) done();
      addEventListener("hashchange", () => done(), {once: true});
      location.hash = address;
    })""", words)


def number(text: str) -> float:
    return float(text.replace(MINUS, "-").replace("+", "").replace(",", ""))


def answer(page) -> dict[str, object]:
    """What the page says of the choice: numbers, counts by their terms, and the words."""
    text = page.locator("#interval").inner_text()
    ends = re.search(rf"interval ([{MINUS}\d.,]+) to ([{MINUS}\d.,]+?)(?:\.\s|$)", text)
    return {"estimate": number(page.locator("#estimate").inner_text()),
            "ends": [number(end) for end in ends.groups()] if ends else None, "interval": text,
            "chance": page.locator("#chance").inner_text(),
            **dict(zip(page.locator("#facts dt").all_inner_texts(), page.locator("#facts dd").all_inner_texts(),
                       strict=True))}


def test_each_choice_shows_the_numbers_of_the_tables(shown, run):
    rows = run[1]["specifications"].dropna(subset=["estimate"])
    denominators = {"default": "adults", "all_ages": "all_ages"}
    assert set(rows["specification"]) == {*denominators} and len(rows) >= 24
    for row in rows.to_dict("records"):
        pick(shown, outcome="dtoc_total", **{name: row[name] for name in ("treatment", "sample", "estimator")},
             denominator=denominators[row["specification"]], inference=f"clustered by {row['cluster']}")
        found = answer(shown)
        assert found["estimate"] == pytest.approx(row["estimate"], abs=0.0501)
        assert found["ends"] == pytest.approx([row["ci_low"], row["ci_high"]], abs=0.0501)
        assert [found[name] for name in ("Units", "Treated units", "Clusters", "Treated clusters", "Observations")] == [
            f"{row[name]:,}" for name in ("n_units", "n_treated", "n_clusters", "n_treated_clusters", "n_obs")]
    without = run[1]["diagnostics"].query("diagnostic == 'leave_one_out' and status == 'done' and estimator == 'did' "
                                          "and cluster == 'system' and sample == 'full'")
    assert len(without)
    for row in without.to_dict("records"):
        pick(shown, estimator="did", left_out=f"without_cluster {row['left_out']}", inference="clustered by system")
        assert answer(shown)["estimate"] == pytest.approx(row["value"], abs=0.0501)
        assert answer(shown)["Units"] == f"{row['n_units']:,}"


def test_the_leading_interval_is_judged_as_in_the_evidence(shown, run):
    heads, steps = run[1]["headline"], run[1]["evidence"].query("step == 2")
    judged = 0
    for row in steps.to_dict("records"):
        own = heads
        for name in ("specification", "sample", "treatment", "estimator"):
            own = own.loc[own[name].eq(row[name])]
        if own.empty or row["answer"] == "not_applicable":
            continue
        judged += 1
        lead = own.iloc[0]
        pick(shown, **{name: row[name] for name in ("treatment", "sample", "estimator")}, inference="leading")
        found = answer(shown)
        assert found["ends"] == pytest.approx([lead["ci_low"], lead["ci_high"]], abs=0.0501)
        assert found["Its intervals hold a true zero in"].startswith(f"{100 * lead['coverage']:.1f}%")
        said = "Unlikely to be chance." if lead["holds"] else "Chance cannot be ruled out."
        assert found["chance"] == (said if row["answer"] == "yes" else "It could be chance.")
    assert judged


def test_what_was_not_run_says_so_and_leads_to_what_was(shown):
    pick(shown, denominator="all_ages", left_out="without_year 2016")
    assert shown.locator("#estimate").inner_text() == "Not run" and shown.locator("#facts").is_hidden()
    assert "Not run" in shown.locator("#said").inner_text()
    near = shown.locator("#nearest button").all_inner_texts()
    assert 1 <= len(near) <= 3 and near[0] in ("Denominator: adults", "Left out: nothing")
    shown.locator("#nearest button").first.click()
    assert np.isfinite(answer(shown)["estimate"]) and shown.locator("#missing").is_hidden()
    marked = shown.locator("select[name=left_out] option").all_inner_texts()
    assert any(text.endswith("(not run)") for text in marked) or shown.locator("[name=left_out]").count() == 0


def test_an_interval_that_was_not_made_is_replaced_by_one_that_was_and_this_is_said(shown):
    pick(shown, denominator="all_ages", inference="leading")
    found = answer(shown)
    assert "the interval chosen was not made for this choice" in found["interval"]
    assert found["Interval by"] == "clustered errors, by system"
    assert found["Its intervals hold a true zero in"] == "not measured for this choice"


def test_an_address_brings_back_the_choice_and_a_wrong_one_harms_nothing(browser, run):
    with opened(browser, run[0]) as (page, _):
        page.locator("input[name=denominator]").nth(1).check()
        page.locator("input[name=sample]").nth(1).check()
        address, before = page.url, answer(page)
    assert "denominator=all_ages" in address and "sample=wave_two_removed" in address
    with opened(browser, run[0]) as (page, heard):
        page.goto(address)
        assert answer(page) == before
        for wrong in ("#outcome=<img src=x onerror=alert(1)>", "#estimator=none&x", "#%zz=%zz&sample=%E0", "#content"):
            page.goto(run[0].resolve().as_uri() + wrong)
            assert np.isfinite(answer(page)["estimate"])
        assert heard.complaints == [] and page.locator("img").count() == 0


def test_the_keyboard_changes_a_choice_and_a_screen_reader_hears_the_answer(shown):
    shown.locator("input[name=sample]").first.focus()
    before = shown.locator("#said").inner_text()
    shown.keyboard.press("ArrowDown")
    assert shown.evaluate("document.activeElement.name") == "sample"
    said = shown.locator("#said").inner_text()
    assert said != before and said.startswith(shown.locator("#estimate").inner_text())
    assert shown.locator("#said").get_attribute("role") == "status"
    assert shown.locator("#picture svg").get_attribute("aria-labelledby") == "place-heading place"
    shown.locator("#back").focus()
    shown.keyboard.press("Enter")
    assert shown.locator("#said").inner_text() == before


def test_the_place_among_all_counts_each_estimate_once(shown, run):
    rows = run[1]["specifications"].dropna(subset=["estimate"]).query("treatment == 'binary' and cluster == 'system'")
    pick(shown, outcome="dtoc_total")
    text, dots = shown.locator("#place").inner_text(), shown.locator("#picture .dot").count()
    place, total = map(int, re.match(r"Number (\d+) of (\d+) from the lowest", text).groups())
    assert total == dots > len(rows) and 1 <= place <= total
    assert "Diamond: printed, +40" in text and shown.locator("#picture .printed").count() == 1
    assert shown.locator("#picture .here").count() == 1


@pytest.mark.parametrize("dark", [False, True])
def test_an_accessibility_checker_finds_nothing(browser, run, tmp_path, dark):
    # Its policy lets no other script in, which the checker is: it looks at the page without the policy.
    bare = tmp_path / "bare.html"
    text = run[0].read_text(encoding="utf-8")
    bare.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8")
    for script in (True, False) if not dark else (True,):
        if not script:   # what is shown without scripts, to a checker that is one
            text = re.sub(r"<(/?)noscript>", r"<\1div>", bare.read_text(encoding="utf-8"))
            bare.write_text(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL), encoding="utf-8")
        with opened(browser, bare, dark=dark) as (page, _):
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            faults = Axe().run(page).response["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser, run, width):
    with opened(browser, run[0], width=width) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_every_choice_is_in_a_table(browser, run):
    with opened(browser, run[0], script=False) as (page, heard):
        assert heard.complaints == [] and page.locator("#workbench").is_hidden()
        rows = page.locator("noscript tbody tr").count()
        data = json.loads(page.locator("#workbench-data").text_content())
        of = {tuple(column[at] for name, column in data["rows"].items() if name != "inference")
              for at in range(len(data["estimate"]))}
        assert rows == len(of) > 30


# Made-up workbenches -------------------------------------------------------------------------------------------


def bench(n_outcomes: int, label: str = "Outcome") -> Workbench:
    """Made-up choices: 24 of each estimator, sample, treatment and window, with two intervals each."""
    values = {"outcome": n_outcomes, "treatment": 2, "sample": 2, "estimator": 4, "window": 3, "lags": 4, "left_out": 2,
              "inference": 2}
    dimensions = [Dimension(name, f"{label} {name}", {f"{name}{at}": f"{label} {name} {at}" for at in range(n)})
                  for name, n in values.items()]
    codes = pd.MultiIndex.from_product([list(each.values) for each in dimensions], names=list(values)).to_frame(
        index=False)
    draw = np.random.default_rng(3)
    estimate, half = draw.normal(3, 10, len(codes)), draw.uniform(5, 20, len(codes))
    choices = codes.assign(estimate=estimate, ci_low=estimate - half, ci_high=estimate + half, p_value=0.1,
                           method="CR2", coverage=draw.choice([0.9, 0.95, np.nan], len(codes)), n_draws=999,
                           holds=False, **dict.fromkeys(COUNTS, 100))
    choices["holds"] = choices["coverage"].eq(0.95)
    dimensions, choices = tidied(dimensions, choices)
    firsts = choices.drop_duplicates("outcome").index.tolist()
    units = {(f"outcome{at}", f"treatment{of}"): "days" for at in range(n_outcomes) for of in range(2)}
    return Workbench(dimensions, choices, firsts, ["outcome", "treatment"], units,
                     [Published({"outcome": "outcome0"}, 4.0, "+4")], is_synthetic=True)


def test_a_large_run_is_small_and_answers_at_once(browser, tmp_path):
    made = bench(16)
    assert len(made.choices) == 24_576 // 2
    text = page(made, title="Large")
    assert len(text.encode()) < 2_000_000 and page(bench(16), title="Large") == text
    path = tmp_path / "large.html"
    path.write_text(text, encoding="utf-8")
    with opened(browser, path) as (shown, _):
        took = shown.evaluate("""() => {
          const select = document.querySelector("select[name=estimator]"), times = [];
          for (let at = 0; at < 12; at++) {
            select.selectedIndex = at % 4;
            const began = performance.now();
            select.dispatchEvent(new Event("change", {bubbles: true}));
            document.body.getBoundingClientRect();
            times.push(performance.now() - began);
          }
          return times;
        }""")
    assert np.median(took) < 100


def test_text_of_a_file_is_never_markup(browser, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_text(page(bench(2, "</script><script>alert(1)</script><b>&\"'"), title="<i>x</i>"), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<b>" not in text and "<i>" not in text
    with opened(browser, path) as (shown, heard):
        assert heard.complaints == [] and shown.locator("b, i").count() == 0
        assert "<script>alert(1)" in shown.locator("select[name=estimator] option").first.inner_text()


def test_its_policy_allows_its_own_style_and_script_alone(run):
    text = run[0].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "unsafe" not in policy
    assert re.findall(r'(?:src|href)="(?!#|report\.html)([^"]*)"', text) == []


def test_numbers_keep_six_digits_and_what_is_missing_is_null():
    made = bench(1)
    made.choices.loc[0, ["ci_low", "ci_high"]] = np.nan
    made.choices.loc[1, "ci_high"] = np.inf
    data = json.loads(embedded(made))
    np.testing.assert_allclose(data["estimate"], made.choices["estimate"], rtol=5e-6)
    assert data["ci_low"][0] is None and data["ci_high"][1] is None
    facts = [dict(zip(data["fields"], data["facts"][at], strict=True)) for at in data["fact"]]
    assert [fact["chance"] for fact in facts] == chance(made.choices).tolist()
    assert facts[0]["chance"] == "no_interval"
    assert dataclasses.replace(made, reported=[0]).reported == [0]


def test_every_dimension_is_in_a_group(run):
    data = json.loads(re.search(r'id="workbench-data">(.*?)</script>', run[0].read_text(encoding="utf-8"), re.S)[1])
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(each["name"] for each in data["dimensions"]) == sorted(grouped)
    evaluation = load_evaluation(Path(__file__).resolve().parents[1] / "config/ics.yaml")
    used = {key for each in evaluation.specifications.values() for key in each.model_fields_set}
    assert used - {"families"} <= set(grouped)
