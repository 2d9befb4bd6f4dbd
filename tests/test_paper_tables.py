"""Tables for papers: the same numbers in four formats, text that cannot become markup, CSV that runs no formula."""

from __future__ import annotations

import io
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.report.content import dictionary
from did.report.pages import paper_tables
from did.report.pages.paper_tables import SYNTHETIC, effects, family_table, latex, reproduction_table, side_by_side, tex
from did.report.writers import word
from did.store.result_csv import csv_text, read_csv, write_csv
from made_tables import FACTS, FRONT, UNITS, tables

ROOT = Path(__file__).resolve().parents[1]
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(params=[True, False], ids=["synthetic", "real"])
def made(request):
    frames = tables(request.param)
    return [family_table("effects_days", frames["estimates"], FACTS, UNITS),
            reproduction_table("reproduction", frames["reproduction"], FRONT)]


def test_both_clusterings_stand_in_one_row_with_every_digit():
    wide = effects(tables()["estimates"], FACTS, UNITS)
    assert len(wide) == 16 and wide["estimator"].tolist()[:2] == ["ldv", "did"]  # the published one first
    first = wide.iloc[0]
    assert (first["estimate"], first["std_error_unit"], first["std_error_system"]) == (11.0, 2.0, 4.0)
    assert (first["ci_low_unit"], first["ci_high_system"], first["n_clusters_system"]) == (7.0, 19.0, 42)
    units = wide.groupby(["indicator", "treatment"])["effect_unit"].first()
    assert units["days", "intensity"] == "days per 100,000 per extra partner"
    assert units["share", "binary"] == "percentage points"
    assert first["note"].startswith("one treated cluster") and first["note"].count("one treated") == 1


def test_a_level_that_a_row_has_not_is_missing():
    rows = tables()["estimates"].query("estimand == 'overall' and specification == 'default'")
    wide = side_by_side(rows.drop(index=1), paper_tables.CELL, clusters=["unit", "system"])
    assert np.isnan(wide["std_error_system"].iloc[0]) and wide["std_error_unit"].iloc[0] == 2.0


def test_words_are_the_numbers_without_stars(made):
    words = made[0].words
    assert words.loc[0, "Estimate"] == "11.0 (2.0) [4.0]"
    assert words.loc[0, ["95% by area", "95% by system", "N", "Areas", "Treated"]].tolist() == [
        "7.0 to 15.0", "3.0 to 19.0", "15,943", "149", "30"]
    assert words.loc[0, "Clusters by system (treated)"] == "42 (1)"
    assert made[1].words.loc[0, "Number by area"] == "differs"
    for table in made:
        assert "*" not in "".join(words.astype(str).to_numpy().ravel()) + " ".join(table.notes)


def test_synthetic_is_said_in_every_format(made, tmp_path):
    for table in made:
        paper_tables.write(table, tmp_path)
        for ending in ("tex", "html"):
            text = (tmp_path / f"{table.name}.{ending}").read_text(encoding="utf-8")
            assert ("SYNTHETIC DATA" in text) == table.is_synthetic
        with zipfile.ZipFile(tmp_path / f"{table.name}.docx") as archive:
            assert (SYNTHETIC in archive.read("word/document.xml").decode()) == table.is_synthetic
        assert (pd.read_csv(tmp_path / f"{table.name}.csv")["is_synthetic"] == table.is_synthetic).all()


def test_the_same_bytes_twice(made, tmp_path):
    for folder in ("one", "two"):
        for table in made:
            paper_tables.write(table, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 8
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_latex_is_balanced_and_escaped(made):
    for table in made:
        text = latex(table)
        bare = re.sub(r"\\[\\{}&%$#_]", "", re.sub(r"^%.*$", "", text, flags=re.M))
        depth = np.cumsum([{"{": 1, "}": -1}.get(letter, 0) for letter in bare])
        assert depth.min() >= 0 and depth[-1] == 0
        assert bare.count("$") % 2 == 0 and not re.search(r"[#_%^~]", re.sub(r"\\shortstack|~", "", bare))
        assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text) == ["longtable"]
        body = text.split("\\endlastfoot\n")[1].split("\\end{longtable}")[0].replace("\\addlinespace\n", "")
        rows = body.strip().split("\n")
        assert len(rows) == len(table.words)
        columns = {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows}
        assert columns == {len(table.words.columns)} and all(row.endswith(r" \\") for row in rows)
    assert r"Days\_100\% \{all\} \& more" in latex(made[0])


@given(st.text())
def test_no_text_becomes_a_latex_command(text):
    known = r"\\(textbackslash|textasciitilde|textasciicircum|dag)\{\}|\\[{}&%$#_]|\$[<>|-]\$|\{[\[\]*]\}"
    left = re.sub(known, "", tex(text))
    assert not re.search(r"[\\{}&%$#_^\[\]*]", left) and "\n" not in left


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.rows, self.scopes = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("th", "td"):
            self.rows[-1] += 1
        if tag == "th":
            self.scopes.append(dict(attrs)["scope"])
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_has_caption_scopes_and_no_markup_of_the_data(made):
    for table in made:
        text = paper_tables.web_page(table)
        page = _Page()
        page.feed(text)
        assert not page.open and page.tags.count("caption") == 1
        assert set(page.rows) == {len(table.words.columns)} and len(page.rows) == len(table.words) + 1
        assert page.scopes == ["col"] * len(table.words.columns) + ["row"] * len(table.words)
        assert "<waits>" not in text and 'lang="en-GB"' in text
        assert not re.search(r"(src|href|@import|url\()", text)


def test_word_has_one_plain_table_with_a_repeated_header(made):
    for table in made:
        content = word.document(table.words, title=table.title, caption=table.caption, notes=table.notes)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            trees = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        types = {part.get("PartName") for part in trees["[Content_Types].xml"] if part.get("PartName")}
        assert {name.lstrip("/") for name in types} <= set(trees)
        body = trees["word/document.xml"]
        rows = body.findall(f".//{W}tr")
        cells = [["".join(cell.itertext()) for cell in row.iter(f"{W}tc")] for row in rows]
        assert cells[0] == list(table.words.columns)
        words = table.words.fillna("").astype(str).to_numpy()
        assert cells[1:] == [[" ".join(cell.split()) for cell in row] for row in words]
        assert len(body.findall(f".//{W}tblHeader")) == 1 and not body.findall(f".//{W}gridSpan")
        styles = {style.get(f"{W}styleId") for style in trees["word/styles.xml"].iter(f"{W}style")}
        assert {used.get(f"{W}val") for used in body.iter(f"{W}pStyle")} <= styles


def test_an_evaluation_without_published_claims_has_an_empty_table(tmp_path):
    table = reproduction_table("reproduction", tables()["reproduction"].iloc[:0], FRONT)
    paper_tables.write(table, tmp_path)
    assert pd.read_csv(tmp_path / "reproduction.csv").empty
    assert latex(table).count("longtable") == 3


def test_csv_text_that_looks_like_a_formula_is_disarmed():
    texts = ["=1+1", "+A1", "-A1", "@x", "\tx", "- (n.s.)", "-1+1", "'=1", "+cmd|x"]
    kept = ["-", "+", "-0.3", "+40", "-1,000.5", "1e-3", "-2E+5", "-.5", "12%", "-5%", "p<0.01", "a=b"]
    lines = csv_text(pd.DataFrame({"text": [*texts, *kept], "x": -1.5})).split("\n")[1:-1]
    assert all(line.lstrip('"').startswith("'") for line in lines[:len(texts)])
    assert [line.removesuffix(",-1.5").strip('"') for line in lines[len(texts):]] == kept


@given(st.lists(st.text(alphabet="=+-@'\t\n\"a,0.%e", min_size=1), min_size=1, max_size=5))
def test_csv_reads_back_as_it_was(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    frame = pd.DataFrame({"text": texts, "n": range(len(texts))})
    write_csv(path, frame)
    back = read_csv(path, dtype={"text": str}, keep_default_na=False)
    assert back["text"].tolist() == texts
    assert not pd.read_csv(path, dtype=str, keep_default_na=False)["text"].str.match(r"[=@\t\n]").any()


def test_every_column_written_is_described(made, tmp_path):
    for table in made:
        file = f"tables/{table.name}.csv"
        assert list(table.numbers.columns) == list(dictionary.described(file)), file
    frames = tables()
    for name, frame in frames.items():
        more = ["aggregation"] if name in ("estimates", "diagnostics", "area_audit", "headline", "calibration") else []
        more += ["item"] if name == "diagnostics" else []
        assert set(dictionary.described(f"{name}.csv")) == {*frame.columns, *more}, name
    dictionary.write(tmp_path / "data_dictionary.csv", is_synthetic=True)
    written = pd.read_csv(tmp_path / "data_dictionary.csv")
    assert list(written.columns) == list(dictionary.described("data_dictionary.csv"))
    assert not written.isna().any(axis=None) and not written.duplicated(["file", "column"]).any()


def test_the_dictionary_in_the_documentation_is_the_one_written():
    page = (ROOT / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert page == dictionary.markdown(), "python -m did.report.content.dictionary > docs/data_dictionary.md"
