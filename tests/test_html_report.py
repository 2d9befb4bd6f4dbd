"""The report in a real browser, opened from disk with the network off: what it says, sorts and lets one reach."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import xml.dom.minidom
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

from browser import opened, started
from did.evidence import CLAIM_COLUMNS
from did.project import result_files
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import Paths
from did.readers.reference import read_reference
from did.report.pages import report as report_page
from did.report.writers.html import TEMPLATES, data_uri
from did.simulate.panels import panel
from did.stages import calibrate, diagnose, fit, report
from did.store import tables
from did.store.result_csv import read_csv
from did.words import number, p_value, short_decimals
from output_stages import write_outputs

ROOT = Path(__file__).resolve().parents[1]
INDICATORS = ["gpps_needs_met", "preventable_mortality"]
MARKUP = "<script>alert(1)</script> <b>bold</b> & \"quotes\" 'single'"
WIDTHS = (360, 768, 1280)
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on two made-up outcomes, one of them with markup in its texts: the evaluation and its paths."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        evaluation = _evaluation(folder)
        paths = Paths(data=folder / "data", results=folder / "results")
        for seed, name in enumerate(INDICATORS):
            _outcome(name, seed, evaluation, paths)
        write_outputs(evaluation, paths)
    return evaluation, paths


def _evaluation(folder: Path):
    evaluation = load_evaluation(ROOT / "config" / "ics.yaml")
    claims = read_reference("config/published/ics.csv", CLAIM_COLUMNS, ["claim"])
    claims = claims.loc[claims["indicator"].isin(INDICATORS)]
    claims.loc[claims.index[0], "as_printed"] = MARKUP
    claims.to_csv(folder / "claims.csv", index=False)
    shutil.copytree(evaluation.indicators_folder, folder / "indicators")
    path = folder / "indicators" / f"{INDICATORS[0]}.yaml"
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(entry | {"title": MARKUP, "label": MARKUP, "caveats": [MARKUP]}), encoding="utf-8")
    families = {name: evaluation.families[name].model_copy(update={"headline": indicator, "parts": [],
                                                                   "sum_to_zero": []})
                for name, indicator in zip(["gpps", "mortality"], INDICATORS, strict=True)}
    return evaluation.model_copy(
        update={
            "indicators": INDICATORS,
            "families": families,
            "specifications": {"default": evaluation.specifications["default"]},
            "published": str(folder / "claims.csv"),
            "indicators_folder": str(folder / "indicators"),
            "draws": 99,
        }
    )


def _outcome(name: str, seed: int, evaluation, paths: Paths) -> None:
    indicator = load_indicator(name, evaluation.indicators_folder)
    window = indicator.windows["default"]
    n_periods = int(window.last) - int(window.first) + 1
    onset = int(str(indicator.onset(evaluation.waves.onset))) - int(window.first)
    frame, _ = panel(24, n_periods, {onset: 4}, 2.0, seed=seed, frequency="Y", first=window.first, units_per_system=2,
                     intensity=(7, 32))
    tables.write("panel", frame.assign(indicator=name), paths.panel(name))
    area_audit = pd.DataFrame({"indicator": name, "specification": "default", "area_code": frame["unit"].unique()})
    area_audit = area_audit.assign(area_name=area_audit["area_code"], fate="kept", unit=area_audit["area_code"],
                             n_periods=n_periods, total=1.0, not_compared=False, reason=MARKUP, is_synthetic=True)
    area_audit.loc[0, ["fate", "unit"]] = ["excluded", None]
    tables.write("area_audit", area_audit, paths.area_audit(name))
    for stage in (fit, calibrate, diagnose):
        stage.run(name, evaluation=evaluation, paths=paths)
    estimates = tables.read("estimates", paths.estimates(name))
    static = estimates["estimand"].eq("overall") & estimates["treatment"].isin(evaluation.treatments)
    overall = estimates.loc[static].assign(design="one_at_a_time", choices="", n_choices=0)
    tables.write("specifications", overall[list(tables.SCHEMAS["specifications"].columns)], paths.specifications(name))


@pytest.fixture(scope="module")
def browser():
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser, made):
    """The report, opened wide, its annex unfolded."""
    with opened(browser, made[1].results / result_files.REPORT) as (page, heard):
        page.evaluate(UNFOLD)
        yield page, heard


def test_opens_without_a_network_and_without_complaint(page):
    opened_page, heard = page
    opened_page.wait_for_load_state("networkidle")
    asked = [url for url in heard.requests if not url.startswith("data:")]
    assert asked == [opened_page.url] and opened_page.url.startswith("file:")
    assert heard.complaints == []
    # Every picture was decoded: the page's policy allows what it needs.
    assert opened_page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth > 0)")
    assert opened_page.evaluate("document.images.length") >= 10


def test_text_from_files_is_shown_as_text(page):
    opened_page, _ = page
    assert opened_page.evaluate("document.scripts.length") == 1
    assert opened_page.locator("b").count() == 0
    assert opened_page.locator(f"h4#{INDICATORS[0]}").inner_text() == MARKUP
    section = opened_page.locator(f"details.outcome:has(#{INDICATORS[0]})").inner_text()
    assert section.count(MARKUP) >= 4  # heading, printed claim, why an area was left out, caveat


def test_the_annex_has_every_outcome_with_its_numbers(page, made):
    opened_page, _ = page
    estimates = read_csv(made[1].results / "tables/estimates.csv")
    for name in INDICATORS:
        section = opened_page.locator(f"details.outcome:has(#{name})")
        headings = section.locator("h5").all_inner_texts()
        assert {"What was published", "The estimate", "Before treatment", "Not done, and why", "Figures",
                "The data"} <= set(headings)
        rows = estimates.query("indicator == @name and estimand == 'overall' and cluster == 'unit'")
        table = section.locator(f"table[id^='effects-{name.replace('_', '-')}']")
        assert table.locator("tbody tr").count() == len(rows)
        row = rows.query("estimator == 'did' and treatment == 'binary' and sample == 'full'").iloc[0]
        shown = table.locator("tbody tr", has_text="DiD").first.inner_text()
        assert f"{abs(row['estimate']):.2f}"[:3] in shown and f"{row['n_units']} ({row['n_treated']})" in shown
        said = section.inner_text()
        assert "excluded" in said and f"did trace {name}" in said and section.locator(
            "a[href^='#trace-']").count() and re.search("exact|close|agrees|differs", said)


def test_ten_pages_at_most_and_the_rest_is_folded(browser, made, tmp_path):
    """What is before the annex prints on ten pages in 4,000 words; the annex is folded, on paper too."""
    with opened(browser, made[1].results / result_files.REPORT) as (page, _):
        folds = page.locator("section.annex > details")
        assert folds.count() >= len(INDICATORS) + 4 and not any(
            folds.evaluate_all("all => all.map(each => each.open)"))
        link = page.locator("section.first h3 a").first
        link.click()
        assert page.locator(f"details.outcome:has({link.get_attribute('href')})").evaluate("each => each.open")
    with opened(browser, made[1].results / result_files.REPORT) as (page, _):
        page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    text = subprocess.run(["pdftotext", tmp_path / "report.pdf", "-"], check=True, capture_output=True, text=True)
    sheets = text.stdout.split("\f")
    annex = next(place for place, sheet in enumerate(sheets) if "Folded: open what you need" in sheet)
    assert annex <= 10
    assert sum(len(sheet.split()) for sheet in sheets[:annex]) <= 4_000


def test_the_first_screen_is_the_answer(page, made):
    """Each printed number with ours and a sentence, one figure and nothing else, within a laptop's screen."""
    opened_page, _ = page
    verdicts = pd.read_csv(made[1].results / "tables/verdicts.csv")
    printed = verdicts.loc[verdicts["published_value"].notna()]
    first = opened_page.locator("section.first")
    lines = first.locator(".lines li")
    assert lines.count() == len(printed) > 0
    said = first.inner_text()
    for value in printed["published_value"]:
        assert re.search(rf"printed\s+{re.escape(number(value, short_decimals(value), signed=True))}\b", said)
    assert len(f"{opened_page.locator('header').inner_text()} {said}".split()) <= 250
    assert first.locator("img").count() == 1 and "Chart of one estimate" in first.locator("img").get_attribute("alt")
    opened_page.set_viewport_size({"width": 1280, "height": 800})
    assert first.bounding_box()["y"] + first.bounding_box()["height"] <= 800
    links = first.locator("h3 a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert all(opened_page.locator(link).count() == 1 for link in links)
    summary = (made[1].results / "summary.md").read_text(encoding="utf-8")
    for line in lines.locator("p:last-child strong").all_inner_texts():
        assert line in summary


def test_each_family_has_its_headline_with_margin_and_measured_coverage(page, made):
    """In a sentence and a table, from the headline table, with the printed figures alongside ours and one figure."""
    opened_page, _ = page
    headline = read_csv(made[1].results / "tables/headline.csv")
    for family, name in zip(("gpps", "mortality"), INDICATORS, strict=True):
        section = opened_page.locator(f"section.family[aria-labelledby={family}]")
        said = section.inner_text()
        for treatment, place in (("binary", 0), ("intensity", 1)):
            own, = headline[headline["indicator"].eq(name) & headline["treatment"].eq(treatment)
                            & headline["estimator"].eq("did") & headline["sample"].eq("full")].itertuples()
            line = section.locator(f"#headline-{family} tbody tr", has_text="DiD").nth(place).inner_text()
            assert p_value(own.p_value).removeprefix("p = ").removeprefix("p ") in line
            assert f"{100 * own.coverage:.1f}%" in line
        assert "The margin of error runs from" in said and "of the time" in said and "treated areas" in said
        assert section.locator("img").count() == 1 and section.locator("table").count() == 2
        assert "Printed, full sample" in said and "Ours, full sample" in said


def test_synthetic_is_said_at_the_top_and_in_every_section(page):
    opened_page, _ = page
    assert opened_page.title().startswith("SYNTHETIC")
    assert "SYNTHETIC DATA" in opened_page.locator("header").inner_text()
    for section in opened_page.locator("details.outcome, section.family").all():
        assert "SYNTHETIC DATA" in section.inner_text()


def test_files_named_in_the_page_are_there(page, made):
    opened_page, _ = page
    links = opened_page.eval_on_selector_all("a[href]", "all => all.map(each => each.getAttribute('href'))")
    files = {link for link in links if not link.startswith(("#", "http"))}
    assert {link for link in files if not (made[1].results / link).is_file()} == set()
    targets = {link[1:] for link in links if link.startswith("#")}
    assert {target for target in targets if opened_page.locator(f"[id='{target}']").count() != 1} == set()


def test_every_figure_and_table_names_the_file_that_has_it_in_full(page, made):
    opened_page = page[0]
    assert opened_page.locator("figure, .block").count() >= opened_page.locator("table").count() > 20
    for block in opened_page.locator("figure, .block").all():
        files = block.locator("a:has(code)").evaluate_all("all => all.map(each => each.getAttribute('href'))")
        assert files and all((made[1].results / file).is_file() for file in files), block.inner_text()[:80]


def test_every_file_of_the_run_is_in_the_list_with_what_it_is_for(page, made):
    listed = page[0].locator("details:has(#all-files) dt").all_inner_texts()
    summary = (made[1].results / "summary.md").read_text(encoding="utf-8")
    assert all(f"- `{name}`: " in summary for name in listed)
    stems = {part for name in listed for part in (f"{name.partition('.')[0]}{ending.strip(', ')}"
                                                  for ending in re.findall(r"[, ]*(\.\w+)", name))}
    written = {str(path.relative_to(made[1].results)) for path in made[1].results.rglob("*") if path.is_file()}
    assert {name for name in written if not name.startswith("figures/")} == {
        name for name in stems if not name.startswith("figures/")}
    assert page[0].locator("nav a[href='workbook.xlsx']").count() == 1


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler: apt-get install poppler-utils")
def test_paper_says_synthetic_on_every_sheet(browser, made, tmp_path):
    with opened(browser, made[1].results / result_files.REPORT) as (page, _):
        page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    text = subprocess.run(["pdftotext", tmp_path / "report.pdf", "-"], check=True, capture_output=True, text=True)
    sheets = text.stdout.removesuffix("\f").split("\f")
    assert len(sheets) > 5 and all("SYNTHETIC" in sheet for sheet in sheets)


def test_tables_sort_by_mouse_and_by_keyboard(page):
    opened_page, _ = page
    table = opened_page.locator("#headline-mortality")
    heading = table.locator("thead th", has_text="Estimate").last
    cells = ("[...document.querySelectorAll('#headline-mortality tbody tr')]"
             ".map(row => +row.cells[2].textContent.replace('\u2212', '-'))")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert opened_page.evaluate(cells) == sorted(opened_page.evaluate(cells))
    heading.locator("button").focus()
    opened_page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert opened_page.evaluate(cells) == sorted(opened_page.evaluate(cells), reverse=True)
    assert "descending" in opened_page.locator("#status").inner_text()
    table.locator("thead button").first.click()
    assert heading.get_attribute("aria-sort") is None
    assert table.locator("[aria-sort]").count() == 1


def test_a_filter_hides_rows_and_says_how_many(page):
    opened_page, _ = page
    table = opened_page.locator("details.outcome table[id^='diagnostics-'][data-filter]").first
    rows, name = table.locator("tbody tr").count(), table.get_attribute("id")
    box = opened_page.get_by_label("Show rows with").and_(opened_page.locator(f"#{name}-filter"))
    box.fill("cr2 system")
    shown = table.locator("tbody tr:visible").all_inner_texts()
    assert 0 < len(shown) < rows and all("cr2" in text and "system" in text for text in shown)
    assert opened_page.locator("#status").inner_text() == f"{len(shown)} of {rows} rows shown."
    box.fill("")
    assert table.locator("tbody tr:visible").count() == rows


def test_the_keyboard_reaches_everything_from_the_skip_link_on(browser, made):
    with opened(browser, made[1].results / result_files.REPORT) as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        found = set()
        page.evaluate("document.querySelector('details.outcome').open = true")
        for _ in range(200):
            page.keyboard.press("Tab")
            seen = page.evaluate("(() => { const at = document.activeElement, style = getComputedStyle(at);"
                                 "return [at.tagName, at.getAttribute('role') || '', style.outlineStyle]; })()")
            assert seen[2] != "none", f"{seen}: the focus cannot be seen"
            found.add((seen[0], seen[1]))
        assert {("A", ""), ("BUTTON", ""), ("INPUT", ""), ("SUMMARY", ""), ("DIV", "region")} <= found


def test_an_address_with_a_lone_percent_sign_harms_nothing(browser, made):
    with opened(browser, made[1].results / result_files.REPORT) as (page, heard):
        for address in ("#%", "#100%", "#%E0%A4%A"):
            page.evaluate("address => { location.hash = address; }", address)
            page.reload()
            assert page.locator("th button").count(), "the script ran to its end"
        assert heard.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_an_accessibility_checker_finds_nothing(browser, made, dark):
    """With everything unfolded, and three rows of each table: the others are made by the same line of the template."""
    with opened(browser, made[1].results / result_files.REPORT, dark=dark) as (page, _):
        page.evaluate(UNFOLD)
        page.evaluate("document.querySelectorAll('tbody tr:nth-child(n+4)').forEach(each => each.remove())")
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
                                                     "best-practice"]})
    wrong = [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
             for each in found.response["violations"]]
    assert wrong == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser, made, width):
    with opened(browser, made[1].results / result_files.REPORT, width=width) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_everything_is_there_and_it_prints(browser, made, tmp_path):
    with opened(browser, made[1].results / result_files.REPORT, script=False) as (page, heard):
        assert page.locator("details.outcome").count() == len(INDICATORS)
        assert page.locator("button, input").count() == 0
        page.pdf(path=tmp_path / "report.pdf")
        assert heard.complaints == []
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


def test_headings_are_in_order(made):
    text = (made[1].results / result_files.REPORT).read_text(encoding="utf-8")
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    names = re.findall(r' id="([^"]+)"', text)
    assert len(names) == len(set(names))


def test_the_page_allows_itself_nothing_else(made):
    text = (made[1].results / result_files.REPORT).read_text(encoding="utf-8")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    assert re.search(r'(src|action|srcset|poster)="(?!data:)', text) is None
    assert re.search(r"<[^>]+ (style|on\w+)=\"", text) is None
    assert re.search(r"@import|url\(", text.partition("<style>")[2].partition("</style>")[0]) is None


def test_words_stand_out_from_what_is_behind_them():
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), in light and dark; the checker cannot tell under scrolling."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8").partition("@media print")[0]
    themes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", style)]
    assert len(themes) == 2
    for theme in themes:
        for words, behind in [("ink", "page"), ("ink", "soft"), ("ink", "marked"), ("quiet", "page"), ("link", "page"),
                              ("link", "soft"), ("focus", "focused")]:
            light, dark = sorted((_luminance(theme[words]), _luminance(theme[behind])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (words, behind)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place:place + 2], 16) / 255 for place in (0, 2, 4)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_small_and_the_same_twice(made, monkeypatch):
    evaluation, paths = made
    path = paths.results / result_files.REPORT
    before = path.read_bytes()
    monkeypatch.chdir(ROOT)
    report.run(evaluation=evaluation, paths=paths)
    assert path.read_bytes() == before
    assert len(before) < report_page.MOST_BYTES


def test_an_svg_in_the_page_keeps_its_text_and_loses_its_bulk(made):
    path = made[1].results / "figures" / f"event_study_{INDICATORS[0]}.svg"
    svg = path.read_text(encoding="utf-8")
    short = str(data_uri(svg))
    assert '"' not in short and len(short) < 0.8 * len(svg)
    documents = [xml.dom.minidom.parseString(text) for text in (svg, unquote(html.unescape(short.partition(",")[2])))]
    texts = [[" ".join(node.firstChild.data.split()) for node in document.getElementsByTagName("text")]
             for document in documents]
    assert texts[0] == texts[1]
    assert any(MARKUP.split()[0] in text for text in texts[0])
