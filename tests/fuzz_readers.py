"""Every reader, config and claims files and `did estimate` on spoilt files: read, or refused with one line.

`pytest tests/test_hostile.py` runs a little of it; ``DID_FUZZ_EXAMPLES=2000 pytest tests/fuzz_readers.py`` more.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpps_files
from did import readers
from did.cli.commands import main
from did.errors import DidError
from did.fetch.mirror import read_index
from did.project import loading
from did.project.claims import load_claims, printed_range, rounds_to
from did.project.registry import load_source
from did.readers import RawFile
from hostile_files import MOST_CHARACTERS, READ, REFUSED, TRIED, spoilt_bytes, spoilt_table, survived
from test_fingertips_csv import HEADER
from workbooks import AREAS, write_dtoc, write_mye2

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = {"reference": str(ROOT / "data" / "reference")}
FUZZ = settings(max_examples=int(os.environ.get("DID_FUZZ_EXAMPLES", "60")), deadline=None, database=None,
                derandomize="DID_FUZZ_EXAMPLES" not in os.environ, print_blob=False,
                suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


WIDE = rows_of("code,name,period,type,numerator,denominator,a,b\n" + "".join(
    f"E0600000{n},Area {n},201{n}-0{n},utla,{n},100,{n}.5,*\n" for n in range(1, 6)))
LONG = rows_of("code,parent,period,measure,value\n" + "".join(
    f"P{n},C{n % 2},201{n % 5}/1{n % 5 + 1},{m},{n}\n" for n in range(10) for m in ("one", "two")))
ACROSS = rows_of("code,2017 Q1,2017 Q2,note\nE06000001,1,2,x\nE06000002,3,,y\n")
SHAPES = {
    "wide": (WIDE, {"layout": "wide", "frequency": "M", "period_column": "period", "area_code_column": "code",
                    "area_name_column": "name", "area_type_column": "type", "measures": {"one": "a", "two": "b"},
                    "suppressed": ["*"]}),
    "long": (LONG, {"layout": "long", "frequency": "FY", "period_column": "period", "area_code_column": "code",
                    "parent_column": "parent", "area_type": "ccg", "measure_column": "measure",
                    "value_column": "value"}),
    "periods": (ACROSS, {"layout": "periods", "frequency": "Q", "area_code_column": "code", "area_type": "lad",
                         "measure": "m"}),
}
FINGERTIPS = rows_of(HEADER + "\n" + "".join(
    f'93721,N,Y56,P,{code},NHS,{kind},Persons,<75 yrs,,,{year},{n}.5,1,2,1,2,{n},1000,,,,,{year}0000,,\n'
    for n, (code, kind) in enumerate([("E92000001", "England"), ("E38000004", "CCGs (2019/20)"),
                                      ("E38000005", "CCGs (2019/20)")]) for year in (2017, 2018)))


def _read(folder: Path, reader: str, content: bytes, options: dict, period: str | None = None,
          ending: str = ".csv") -> None:
    path = folder / f"spoilt{ending}"
    path.write_bytes(content)
    survived(f"Fuzzed files: reader {reader}",
             lambda: readers.read(reader, "source", [RawFile(path, path.name, period)], options))


def _sound(folder: Path, reader: str, table: list[list[str]], options: dict, period: str | None = None) -> None:
    """What is spoilt is sound before: else every file would be refused for one and the same reason."""
    path = folder / "sound.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(table)
    assert len(readers.read(reader, "source", [RawFile(path, path.name, period)], options))


@pytest.mark.parametrize("shape", SHAPES)
def test_tidy_csv(folder, shape):
    table, options = SHAPES[shape]
    _sound(folder, "tidy_csv", table, options)

    @FUZZ
    @given(spoilt_table(table))
    def tried(content):
        _read(folder, "tidy_csv", content, options)

    tried()


def test_fingertips_csv(folder):
    options = {"indicator_id": 93721, "measure": "m", "area_type": "CCGs (2019/20)", "count_measure": "n",
               "denominator_measure": "d"}
    _sound(folder, "fingertips_csv", FINGERTIPS, options)

    @FUZZ
    @given(spoilt_table(FINGERTIPS))
    def tried(content):
        _read(folder, "fingertips_csv", content, options)

    tried()


def test_gpps_practice_csv(folder):
    practices = [gpps_files.practice(f"A8100{n}", f"00{'CD'[n % 2]}") for n in range(4)]
    table = rows_of(gpps_files.text("2017", practices))
    _sound(folder, "gpps_practice_csv", table, REFERENCE, "2017")

    @FUZZ
    @given(spoilt_table(table))
    def tried(content):
        _read(folder, "gpps_practice_csv", content, REFERENCE, "2017")

    tried()


def test_ons_mye_csv(folder):
    rebased = rows_of("ladcode20,laname20,country,population_2001,births_2002,population_2002\n"
                      "E06000001,Hartlepool,E,90152,1017,89993\nE06000060,Bucks,E,480000,1,481000\n"
                      "W06000024,Merthyr,W,56207,600,55996\n")
    ages = [["MYE2: Population Estimates, mid-2014", *[""] * 93], ["CODE", "NAME", "ALL AGES", *map(str, range(91))],
            *([code, "X", "91", *["1"] * 91] for code in ("E92000001", "E12000001", "E06000001"))]

    _sound(folder, "ons_mye", rebased, {})
    census = [["name", "mnemonic", "Age under 1", *(f"Age {age}" for age in range(1, 100)), "Age 100 and over"],
              ["Hartlepool", "E06000001", *["1"] * 101]]
    _sound(folder, "ons_mye", ages, {})
    _sound(folder, "ons_mye", census, {})

    @FUZZ
    @given(spoilt_table(rebased) | spoilt_table(ages) | spoilt_table(census))
    def tried(content):
        _read(folder, "ons_mye", content, {})

    tried()


def test_workbooks(folder):
    dtoc = write_dtoc(folder / "a.xls", "2017-07", AREAS).read_bytes()
    population = write_mye2(folder / "b.xls", 2016, [("E92000001", "E", [1] * 91),
                             ("E12000001", "R", [1] * 91), ("E06000001", "B", [1] * 91)])
    population = population.read_bytes()
    table = _xlsx_table()
    for name, reader, options in (("a.xls", "dtoc_la_workbook", REFERENCE), ("b.xls", "ons_mye", {}),
                                  ("c.xlsx", "excel_table", {"sheet": "Data"} | SHAPES["wide"][1])):
        (folder / "c.xlsx").write_bytes(table)
        assert len(readers.read(reader, "source", [RawFile(folder / name, name)], options))

    @FUZZ
    @given(st.one_of(st.tuples(st.just("dtoc_la_workbook"), spoilt_bytes(dtoc)),
                     st.tuples(st.just("ons_mye"), spoilt_bytes(population)),
                     st.tuples(st.just("excel_table"), spoilt_bytes(table))))
    def tried(case):
        reader, content = case
        options = {"dtoc_la_workbook": REFERENCE, "ons_mye": {}}.get(reader, {"sheet": "Data"} | SHAPES["wide"][1])
        _read(folder, reader, content, options, ending=".xlsx" if reader == "excel_table" else ".xls")

    tried()


def _xlsx_table() -> bytes:
    import xlsxwriter

    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        page = book.add_worksheet("Data")
        for row, cells in enumerate(WIDE):
            for column, word in enumerate(cells):
                page.write(row, column, word)
    return stream.getvalue()


def test_excel_cells(folder):
    import xlsxwriter

    from hostile_files import NASTY_CELLS

    @FUZZ
    @given(st.integers(0, 5), st.integers(0, 7), st.sampled_from(NASTY_CELLS) | st.floats(allow_nan=False,
           allow_infinity=False) | st.booleans() | st.datetimes() | st.integers())
    def tried(row, column, value):
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
            page = book.add_worksheet("Data")
            for at, cells in enumerate(WIDE):
                page.write_row(at, 0, cells)
            try:
                page.write(row, column, value)
            except (ValueError, TypeError, OverflowError):  # no such cell can be in a workbook
                return
        _read(folder, "excel_table", stream.getvalue(), {"sheet": "Data"} | SHAPES["wide"][1], ending=".xlsx")

    tried()


def test_claims(folder):
    table = rows_of((ROOT / "config" / "published" / "ics.csv").read_text(encoding="utf-8"))[:12]
    known = {row[table[0].index("indicator")] for row in table[1:]}
    path = folder / "claims.csv"

    def use():
        claims = load_claims(path, known)
        for printed, rounding in zip(claims["value"], claims["rounding"], strict=True):
            if printed:
                rounds_to(1.5, printed, rounding)
                printed_range(printed, rounding)

    @FUZZ
    @given(spoilt_table(table))
    def tried(content):
        path.write_bytes(content)
        survived("Fuzzed files: claims", use)

    tried()


def test_mirror_index(folder):
    table = rows_of("url,path,sha256\nhttps://example.org/a,source/a.csv,00\n,source/b.csv,11\n")

    @FUZZ
    @given(spoilt_table(table))
    def tried(content):
        (folder / "index.csv").write_bytes(content)
        survived("Fuzzed files: a mirror's index", lambda: read_index(folder))

    tried()


YAML_WORDS = ["!!int x", "!!python/object/apply:os.system [id]", "&a [*a]", "*a", "&a", "<<: *a", "{", "[", "]", "}",
              ": ", "- ", "? ", "|", ">", "%YAML 9", "---", "...", "\t", "~", "yes", ".nan", ".inf", "1" * 200,
              "1:" + "59:" * 90 + "59", "0x" + "f" * 300, "2001-01-01", '"\\ud800"', '"\\0"', "'", "\x07", "\u0085",
              "# ", "null", "-1", "1e999", "../../x", "/etc/passwd", "file:///etc/passwd", "C:\\x", "a: &b {c: *b}"]


@st.composite
def spoilt_yaml(draw: st.DrawFn, text: str) -> bytes:
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["value", "value", "line", "drop", "twice", "indent"]))
        word = draw(st.sampled_from(YAML_WORDS) | st.text(max_size=8))
        if what == "value" and ":" in lines[at]:
            lines[at] = lines[at].split(":")[0] + ": " + word
        elif what == "line":
            lines.insert(at, word)
        elif what == "drop":
            del lines[at]
        elif what == "twice":
            lines.insert(at, lines[at])
        else:
            lines[at] = " " * draw(st.integers(0, 9)) + lines[at].lstrip()
        text = "\n".join(lines) or "\n"
    content = text.encode("utf-8", "surrogatepass")
    return draw(spoilt_bytes(content)) if draw(st.integers(0, 4)) == 0 else content


def test_registry(folder):
    names = ["gpps", "ons_population", "nhs_england_dtoc"]
    texts = ["\n".join((ROOT / "config" / "sources" / f"{name}.yaml").read_text(encoding="utf-8").split("\n")[:60])
             for name in names]
    path = folder / "source.yaml"

    @FUZZ
    @given(st.sampled_from(texts).flatmap(spoilt_yaml))
    def tried(content):
        path.write_bytes(content)
        survived("Fuzzed files: registry", lambda: load_source(path))

    tried()


def test_config(folder, monkeypatch):
    import shutil

    project = folder / "project"
    for part in ("config", "data/reference"):
        shutil.copytree(ROOT / part, project / part, dirs_exist_ok=True)
    monkeypatch.chdir(project)
    path = project / "config" / "ics.yaml"
    text = path.read_text(encoding="utf-8")

    @FUZZ
    @given(spoilt_yaml(text))
    def tried(content):
        path.write_bytes(content)
        survived("Fuzzed files: config", lambda: loading.load_evaluation(path))

    tried()


def panel() -> list[list[str]]:
    generator = np.random.default_rng(1)
    rows = [["y", "id", "t", "g", "c", "w"]]
    for unit in range(1, 9):
        cohort = 2005 if unit < 4 else 2006 if unit < 6 else 0
        rows += [[f"{generator.normal() + (year >= cohort > 0):.4f}", f"u{unit}", str(year), str(cohort),
                  f"s{unit % 4}", "1.5"] for year in range(2003, 2009)]
    return rows


def test_did_estimate(folder):
    path = folder / "panel.csv"
    words = ["estimate", str(path), "--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g", "--cluster",
             "c", "--weights", "w"]

    @FUZZ
    @given(spoilt_table(panel()))
    def tried(content):
        path.write_bytes(content)
        outcome = CliRunner().invoke(main, words)
        assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
        assert outcome.exit_code in (0, 1), outcome.output
        if outcome.exit_code:
            assert outcome.stderr.startswith("error: ") and len(outcome.stderr.splitlines()) == 1, outcome.stderr[:500]
            assert len(outcome.stderr) < MOST_CHARACTERS and "unexpected" not in outcome.stderr, outcome.stderr[:500]
        TRIED["Fuzzed files: did estimate", REFUSED if outcome.exit_code else READ] += 1

    tried()


__all__ = [name for name in dir() if name.startswith("test_")] + ["folder", "DidError"]
