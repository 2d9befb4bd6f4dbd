"""Tables for papers: the same numbers in three formats, text that cannot become markup, CSV that runs no formula."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.report.content import dictionary
from did.report.content.dictionary import RESULTS
from did.report.content.facts import having
from did.report.content.table import SYNTHETIC, side_by_side
from did.report.pages import paper
from did.report.pages.paper import family_table
from did.report.writers import latex
from did.report.writers.latex import tex
from did.store.result_csv import csv_text, joined, read_csv, write_csv
from made_tables import FACTS, FRONT, tables

ROOT = Path(__file__).resolve().parents[1]
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture
def made():
    frames = tables()
    return paper.tables(frames, FRONT)


@pytest.fixture(params=[True, False], ids=["synthetic", "real"])
def folder(request, made, tmp_path):
    """A folder with the three files, and whether their data are made up."""
    paper.write(made, tmp_path, title=FRONT.title, is_synthetic=request.param)
    return tmp_path, request.param


def test_effects_and_what_was_reproduced_are_the_tables(made):
    assert [table.name for table in made] == ["effects-days", "reproduction"] and len(made[0].rows) == 16
    frames = tables()
    alone = paper.tables(frames | {"reproduction": frames["reproduction"].iloc[:0]}, FRONT)
    assert [table.name for table in alone] == ["effects-days"]


def test_a_level_that_a_row_has_not_is_missing():
    rows = tables()["estimates"].query("estimand == 'overall' and specification == 'default'")
    wide = side_by_side(rows.drop(index=1), ["indicator", "treatment", "sample", "estimator"],
                        clusters=["unit", "system"], by_cluster=["std_error"])
    assert np.isnan(wide["std_error_system"].iloc[0]) and wide["std_error_unit"].iloc[0] == 2.0
    assert wide["note"].iloc[1].count("one treated cluster") == 1


def test_words_are_the_numbers_without_stars(made):
    first = dict(zip([column.heading for column in made[0].shown], next(made[0].texts()), strict=True))
    assert first["Estimate"] == "+11.0" and first["Estimator"] == "LDV"  # the published one first
    assert first["95% interval by area (p)"] == "7.0 to 15.0 (< 0.001)"
    assert first["95% interval by system (p)"] == "3.0 to 19.0 (< 0.001)"
    assert (first["Observations"], first["Areas (treated)"], first["Systems (treated)"]) == (
        "15,943", "149 (30)", "42 (1)")
    assert not any("*" in cell for table in made for row in table.texts() for cell in row)
    frames = tables()
    assert [first[name] for name in ("Headline 95% interval (p)", "Method", "Measured coverage")] == [
        "4.0 to 19.0 (0.012)", "wild cluster bootstrap", "94.4%"]
    order = [column.heading for column in made[0].shown]
    assert order.index("Headline 95% interval (p)") < order.index("95% interval by area (p)")
    assert family_table(frames["estimates"], frames["headline"], FACTS).rows["effect_unit"].nunique() == 4


def test_synthetic_is_said_in_every_format_at_every_table(folder, made):
    path, synthetic = folder
    assert sorted(file.name for file in path.iterdir()) == ["paper.docx", "paper.md", "paper.tex"]
    for name, times in (("paper.tex", len(made)), ("paper.md", 1)):
        assert (path / name).read_text(encoding="utf-8").count(SYNTHETIC) == times * synthetic
    with zipfile.ZipFile(path / "paper.docx") as archive:
        assert archive.read("word/document.xml").decode().count(SYNTHETIC) == len(made) * synthetic


def test_the_same_bytes_twice(folder, made, tmp_path):
    path, synthetic = folder
    paper.write(made, tmp_path / "again", title=FRONT.title, is_synthetic=synthetic)
    for file in (tmp_path / "again").iterdir():
        assert file.read_bytes() == (path / file.name).read_bytes(), file.name


def test_latex_is_balanced_and_escaped(made):
    for table in made:
        text = latex.document([table], banner=SYNTHETIC)
        bare = re.sub(r"\\[\\{}&%$#_]", "", re.sub(r"^%.*$", "", text, flags=re.M))
        depth = np.cumsum([{"{": 1, "}": -1}.get(letter, 0) for letter in bare])
        assert depth.min() >= 0 and depth[-1] == 0
        assert bare.count("$") % 2 == 0 and not re.search(r"[#_%^~]", re.sub(r"\\shortstack|~", "", bare))
        assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text) == ["longtable"]
        body = text.split("\\endlastfoot\n")[1].split("\\end{longtable}")[0]
        rows = body.strip().split("\n")
        assert len(rows) == len(table.rows)
        columns = {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows}
        assert columns == {len(table.shown)} and all(row.endswith(r" \\") for row in rows)
    assert r"Days\_100\% \{all\} \& more" in latex.document(made[:1])


def test_markdown_tables_are_whole_and_escaped(folder):
    text = (folder[0] / "paper.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.M)
    assert len(blocks) == 2 and "<waits>" not in text and "&lt;waits>" in text
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@given(st.text())
def test_no_text_becomes_a_latex_command(text):
    known = r"\\(textbackslash|textasciitilde|textasciicircum|dag)\{\}|\\[{}&%$#_]|\$[<>|-]\$|\{[\[\]*]\}"
    left = re.sub(known, "", tex(text))
    assert not re.search(r"[\\{}&%$#_^\[\]*]", left) and "\n" not in left


def test_word_has_plain_tables_with_a_repeated_header(folder, made):
    with zipfile.ZipFile(folder[0] / "paper.docx") as archive:
        trees = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    types = {part.get("PartName") for part in trees["[Content_Types].xml"] if part.get("PartName")}
    assert {name.lstrip("/") for name in types} <= set(trees)
    body = trees["word/document.xml"]
    found = body.findall(f".//{W}tbl")
    assert len(found) == len(made) == len(body.findall(f".//{W}tblHeader")) and not body.findall(f".//{W}gridSpan")
    for tree, table in zip(found, made, strict=True):
        cells = [["".join(cell.itertext()) for cell in row.iter(f"{W}tc")] for row in tree.findall(f".//{W}tr")]
        assert cells[0] == [column.heading for column in table.shown]
        assert cells[1:] == [[" ".join(cell.split()) for cell in row] for row in table.texts()]
    styles = {style.get(f"{W}styleId") for style in trees["word/styles.xml"].iter(f"{W}style")}
    assert {used.get(f"{W}val") for used in body.iter(f"{W}pStyle")} <= styles


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


@given(st.lists(st.tuples(
    st.text(alphabet="'a, \"\né0").map("b{}".format) | st.sampled_from(["", None]),
    st.floats() | st.sampled_from([0.0, -0.0]), st.integers(-2**63, 2**63 - 1), st.booleans(),
    st.integers(0, 3) | st.none()), max_size=6), st.integers(1, 5))
def test_csv_is_what_the_csv_module_writes_cell_by_cell(rows, n_columns):
    columns = {"text": "str", "float": float, "whole": "int64", "yes": bool, "perhaps": "Int64"}
    frame = pd.DataFrame(rows, columns=list(columns)).astype(columns).iloc[:, :n_columns]
    into = io.StringIO()
    writer = csv.writer(into, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(["" if each is None or each != each else each for each in row[:n_columns]] for row in rows)
    assert csv_text(frame) == into.getvalue()


def test_a_carriage_return_in_a_text_does_not_end_a_line():   # as it does by Python 3.11's csv module
    assert csv_text(pd.DataFrame({"text": ["a\rb"], "n": 1})) == 'text,n\n"a\rb",1\n'


def test_files_joined_have_all_columns_and_every_text_as_it_was(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1.50, np.nan], "said": ["a, b\rc", "two\nlines"]}))
    (tmp_path / "b.csv").write_text("y,x\n0.10,1e-05\n")
    whole = joined({"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"}, "figure")
    assert whole == ('figure,x,said,y\na,1.5,"a, b\rc",\na,,"two\nlines",\nb,1e-05,,0.10\n')


def test_rows_having_values_are_those_that_equal_them():
    rows = pd.DataFrame({"name": pd.Series(["a", "b", None, "a"], dtype="str"), "n": [1.0, np.nan, 2.0, 2.0]})
    assert list(having(rows, name="a", n=2.0).index) == [3]
    assert list(having(rows, name=["b", "a"]).index) == [0, 1, 3]
    assert having(rows, name=None).empty and having(rows, n=np.nan).empty and having(rows, name=[]).empty


def test_every_column_written_is_described(tmp_path):
    for name, frame in tables().items():
        more = ["aggregation"] if name in ("estimates", "diagnostics", "area_audit", "headline", "calibration") else []
        more += ["item"] if name == "diagnostics" else []
        assert set(RESULTS[f"tables/{name}.csv"].columns) == {*frame.columns, *more}, name
    write_csv(tmp_path / "data_dictionary.csv", dictionary.dictionary().assign(is_synthetic=True))
    written = pd.read_csv(tmp_path / "data_dictionary.csv")
    assert list(written.columns) == list(RESULTS["tables/data_dictionary.csv"].columns)
    assert not written.isna().any(axis=None) and not written.duplicated(["file", "column"]).any()


def test_the_dictionary_in_the_documentation_is_the_one_written():
    page = (ROOT / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert page == dictionary.markdown(), "python -m did.report.content.dictionary > docs/data_dictionary.md"
