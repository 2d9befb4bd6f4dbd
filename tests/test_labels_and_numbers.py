"""Labels, numbers and periods as people write them: one specification from CSV, Parquet and data frames, or one
line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from did.cli.commands import main
from did.errors import DidError, DidErrors, listed, printable
from did.estimators import estimate
from did.estimators.base import Panel
from did.estimators.labels import is_never, label, same_number
from did.inference.clustered import summarise
from did.project.waves_table import first_month
from did.readers import RawFile
from did.readers.numerals import thousands_dot
from did.readers.panel_columns import Columns
from did.readers.panel_file import load
from did.readers.tidy_csv import observations
from did.sweep.listing import Settings, read_list
from did.sweep.panels import panel_of
from did.sweep.rows import header_of, read
from did.sweep.treatment import Waves

NAMES = Columns("y", "id", "t", "g", clusters=("c",))
WORDS = ["panel.csv", "--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g"]
ZEROS = ["0", "0.0", "0.", "00", "+0", "-0", "-0.0", "000.00", ".0"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(n_units: int = 12) -> pd.DataFrame:
    """Units 0 to 11 in clusters 0 to 5 over 2001 to 2006; 1 to 4 treated from 2004, 5 to 7 from 2005."""
    rng = np.random.default_rng(5)
    unit, year = (cells.ravel() for cells in np.meshgrid(np.arange(n_units), np.arange(2001, 2007), indexing="ij"))
    cohort = np.select([(unit > 0) & (unit <= 4), (unit > 4) & (unit <= 7)], [2004, 2005], 0)
    y = (rng.normal(size=len(unit)) + unit + 2 * ((cohort > 0) & (year >= cohort))).round(6)
    return pd.DataFrame({"id": unit, "t": year, "g": cohort, "c": unit // 2, "y": y})


def saved(frame: pd.DataFrame, name: str = "panel.csv", **options) -> str:
    frame.to_csv(name, index=False, **options)
    return name


def estimated(*words: str):
    return CliRunner().invoke(main, ["estimate", *words])


def refusal(*words: str) -> str:
    outcome = estimated(*words)
    assert outcome.exit_code == 1, outcome.output
    lines = outcome.output.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < 500
    return lines[0]


def of_frame(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame.rename(columns={"id": "unit", "t": "period", "g": "cohort", "y": "outcome"}).assign(
        frequency="Y"), cluster_columns=["c"])


def swept(frame: pd.DataFrame, waves: pd.DataFrame, name: str = "one.csv") -> tuple[Panel, list[str]]:
    columns = frame[["id", "t", "y"]].rename(columns={"id": "unit", "t": "period", "y": "value"})
    columns.to_parquet(name, index=False) if name.endswith("parquet") else columns.to_csv(name, index=False)
    waves.to_csv("waves.csv", index=False)
    pd.DataFrame({"id": ["one"], "file": [name]}).to_csv("list.csv", index=False)
    entry = read_list("list.csv", Settings(waves="waves.csv"))[0]
    return panel_of(read(entry.file, entry.wanted), entry, Waves("waves.csv"))


def waves_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop_duplicates("id")[["id", "g", "c"]].set_axis(["unit", "first_treated", "system"], axis=1)


def same(found: Panel, wanted: Panel) -> None:
    assert list(found.units) == list(wanted.units)
    np.testing.assert_array_equal(found.treated_from, wanted.treated_from)
    np.testing.assert_array_equal(found.outcome, wanted.outcome)
    np.testing.assert_array_equal(found.clusters[list(found.clusters)[-1]], wanted.clusters["c"])


# Labels -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("value", "text"), [
    (7, "7"), (7.0, "7"), (np.float32(7), "7"), (np.int64(7), "7"), ("7", "7"), ("7.0", "7"), ("7.", "7"), ("+7", "7"),
    (" 7 ", "7"), ("-7", "-7"), (-0.0, "0"), ("-0", "0"), ("07", "07"), ("00", "00"), ("5E1", "5E1"), ("1.10", "1.10"),
    (1.5, "1.5"), ("E06000001", "E06000001"), (1e16, "10000000000000000"), ("007.0", "007.0"), (True, "True")])
def test_a_whole_number_is_one_label_and_a_code_stays_as_it_is(value, text):
    assert label(value) == text
    assert label(label(value)) == text


@pytest.mark.parametrize("pair", [("1", "1.0"), ("0", "0.0"), ("07", "7"), ("+7", "7"), ("0", "-0"), ("00", "0"),
                                  ("1.5", "1.50"), (1, "1"), ("0", "-0.00")])
def test_one_number_in_two_ways_is_found_and_different_ones_are_not(pair):
    assert same_number(["a", *pair]) == (2, 1)
    assert same_number(["1", "-1", "10", "1.5", "0.1", "0", "5E1", "50", "a", "100"]) is None


WAYS = {"floats": float, "one decimal": lambda n: f"{n}.0", "signs": lambda n: f"+{n}", "a point": lambda n: f"{n}."}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_of_writing_whole_labels_gives_the_same_panel(way):
    plain, other = table(), table()
    wanted, _ = load(saved(plain), NAMES)
    for column in ("id", "c", "g"):
        other[column] = other[column].map(WAYS[way])
    same(load(saved(other), NAMES)[0], wanted)
    by_frame = of_frame(other)
    order = np.argsort(by_frame.units)     # of numbers, a frame keeps the order
    assert list(by_frame.units[order]) == list(wanted.units)
    np.testing.assert_array_equal(by_frame.outcome[order], wanted.outcome)
    np.testing.assert_array_equal(by_frame.treated_from[order], wanted.treated_from)
    np.testing.assert_array_equal(by_frame.clusters["c"][order], wanted.clusters["c"])
    same(swept(other, waves_of(plain))[0], wanted)
    same(swept(plain, waves_of(other))[0], wanted)


def test_numbers_of_parquet_are_the_units_and_periods_of_text():
    frame = table()
    wanted, _ = load(saved(frame), NAMES)
    same(swept(frame.astype({"id": float, "t": float}), waves_of(frame), "one.parquet")[0], wanted)


@pytest.mark.parametrize("column", ["id", "c"])
@pytest.mark.parametrize("way", [*WAYS, "zeros"])
def test_two_ways_of_writing_in_one_column_are_refused(column, way):
    write = {**WAYS, "zeros": lambda n: f"0{n}"}[way]
    frame = table().astype({column: object})
    half = frame["id"] % 2 == 1 if column == "c" else frame["t"] > 2003
    frame.loc[half, column] = frame.loc[half, column].map(lambda n: str(write(n)))
    line = refusal(saved(frame), *WORDS[1:], "--cluster", "c")
    assert f"column '{column}'" in line and "expected one way of writing" in line and re.search(r"row \d+", line)
    with pytest.raises(DidError, match=r"expected one way of writing a label"):
        of_frame(frame)


def test_mixed_types_of_a_frame_are_told_in_a_line():
    frame = table().astype({"c": object})
    frame.loc[frame["id"] == 1, "c"] = "0"
    with pytest.raises(DidError, match=r"column 'c': expected one way of writing a label; found '0' and '0'"):
        of_frame(frame)


@pytest.mark.parametrize("word", ["", "nan", "NA"])
def test_a_text_for_nothing_is_no_label(word):
    frame = table().astype({"c": str})
    frame.loc[frame["c"] == "3", "c"] = word
    with pytest.raises(DidError, match="column 'c': expected a label"):
        of_frame(frame)


def test_leading_zeros_stay():
    frame = table().assign(id=lambda rows: rows["id"].map("{:03d}".format))
    units, _ = load(saved(frame), NAMES)
    assert list(units.units) == list(of_frame(frame).units) == [f"{number:03d}" for number in range(12)]
    with pytest.raises(DidError, match=r"found none of them"):
        swept(frame[frame["id"] >= "008"], waves_of(table().query("id < 8")))
    with pytest.raises(DidError, match=r"expected unit '\d+' as waves.csv has it; found '00\d'"):
        swept(frame.assign(id=frame["id"].str.replace("011", "11")), waves_of(table()))


@pytest.mark.parametrize("zero", ZEROS)
def test_zero_in_any_spelling_is_never_treated(zero):
    frame = table()
    wanted, _ = load(saved(frame), NAMES)
    other = frame.assign(g=frame["g"].map(lambda year: str(year) if year else zero))
    panel, notes = load(saved(other), NAMES)
    same(panel, wanted)
    assert not notes and is_never(zero) and first_month(zero) is None
    same(of_frame(other.assign(id=other["id"].astype(str))), wanted)
    same(swept(frame, waves_of(other))[0], wanted)
    numbered = other.assign(t=other["t"] - 2000, g=other["g"].map(lambda g: str(int(g) - 2000) if g > "2" else g))
    same(load(saved(numbered), NAMES)[0], wanted)
    from_zero = numbered.assign(t=numbered["t"] - 1)
    assert f"found '{zero}', which could be the period 0" in refusal(saved(from_zero), *WORDS[1:])


def test_cohorts_of_a_frame_may_be_numbers_with_gaps():
    frame = table()
    wanted = of_frame(frame)
    same(of_frame(frame.assign(g=frame["g"].replace(0, np.nan))), wanted)
    same(of_frame(frame.assign(g=frame["g"].astype(float).replace(0, np.inf))), wanted)


# Numbers ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("words", "semicolons", "place"), [
    (["594", "1.056", "2.069"], False, 1), (["594", "1.056"], True, 1), (["1.056", "12.345", "-7.000"], True, 0),
    (["", "1.056", "NA"], True, 1), (["0", "1.056"], False, None), (["1.056", "2.069"], False, None),
    (["594", "1.056", "0.594"], True, None), (["594", "1.056", "2.5"], True, None), (["1.0560", "594"], True, None),
    (["1.056", "..", "594"], False, 0), (["594", "2069"], True, None), (["0.125", "0.250"], True, None),
    (["1.056e3", "1.056", "594"], True, None), (["1.056", "-594"], False, 0)])
def test_a_dot_is_a_decimal_point_unless_it_may_separate_thousands(words, semicolons, place):
    assert thousands_dot(words, semicolons=semicolons) == place


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("gap", [False, True])
def test_thousands_with_dots_are_refused_at_the_first(separator, gap):
    frame = table().assign(y=lambda rows: [f"{value:,.0f}".replace(",", ".") for value in
                                           (rows["id"] * 300 + rows["t"] - 1500)])
    if gap:
        frame.loc[3, "y"] = ""
    row = frame.index[frame["y"].str.contains(".", regex=False)][0]
    line = refusal(saved(frame, sep=separator), *WORDS[1:])
    assert f"row {row + 2}, column 'y'" in line and f"write {frame['y'][row].replace('.', '')} if" in line
    plain = frame.assign(y=frame["y"].str.replace(".", ""))
    assert np.nanmax(load(saved(plain, sep=separator), NAMES)[0].outcome) == 11 * 300 + 506


@pytest.mark.parametrize(("word", "separator", "advice"), [
    ("1,056", ",", "write 1056, without"), ("1,056", ";", "write 1056 if the comma separates thousands, or 1.056 if"),
    ("1056,4", ";", "write 1056.4, with a decimal point"), ("1.056,4", ";", "write 1056.4, with"),
    ("1 056", ",", "write 1056, without"), ("1\xa0056", ",", "write 1056, without"),
    ("1\u202f056,5", ";", "write 1056.5, with"), ("1'056", ",", "write 1056, without"),
    ("1\u2019056.5", ",", "write 1056.5, without"), ("1.056.000", ";", "write 1056000, without"),
    ("1,056,000.5", ",", "write 1056000.5, without")])
def test_other_ways_of_writing_numbers_are_refused_with_what_to_write(word, separator, advice):
    frame = table().astype({"y": object})
    frame.loc[4, "y"] = word
    line = refusal(saved(frame, sep=separator), *WORDS[1:])
    assert "row 6, column 'y'" in line and advice in line
    with pytest.raises(DidError, match=re.escape(advice.partition(",")[0])):
        swept(frame, waves_of(table())) if separator == "," else load("panel.csv", NAMES)


def test_values_of_an_indicator_are_refused_too():
    options = {"layout": "long", "period_column": "year", "frequency": "Y", "area_code_column": "area",
               "area_type": "utla", "measure_column": "what", "value_column": "value"}
    header = ["area", "year", "what", "value"]
    raw = RawFile("a.csv", Path("a.csv"), "", False)

    def values(*cells) -> pd.Series:
        rows = [header, *(["a", str(2001 + at), what, value] for at, (what, value) in enumerate(cells))]
        return observations("a", [(raw, rows, list(range(1, len(rows) + 1)))], options)["value"]

    with pytest.raises(DidError, match=r"a.csv, row 3, column 'value': .* found '1.056'; write 1056 if"):
        values(("count", "594"), ("count", "1.056"))
    with pytest.raises(DidError, match=r"found '1.056'; write 1056 if"):
        values(("count", 594.0), ("count", "1.056"))      # a sheet: a number, and a text
    assert list(values(("count", "594"), ("rate", "1.056"))) == [594, 1.056]
    assert list(values(("count", 594.0), ("count", 1.056))) == [594, 1.056]


# Financial years --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("write", ["{}/{:02d}", "{}-{:02d}", "FY {}/{:02d}"])
def test_financial_years_are_read_as_by_a_sweep(write):
    frame = table()
    wanted, _ = load(saved(frame), NAMES)

    def financial(year: int) -> str:
        return write.format(year, (year + 1) % 100) if year else ""

    other = frame.assign(t=frame["t"].map(financial), g=frame["g"].map(financial))
    panel, notes = load(saved(other), NAMES)
    same(panel, wanted)
    assert list(panel.periods) == list(wanted.periods) and panel.frequency == "Y"
    by_sweep, sweep_notes = swept(other, waves_of(other))
    same(by_sweep, wanted)
    assert notes == sweep_notes == ["financial years are named by the year they begin in"]
    line = refusal(saved(other.assign(g=frame["g"])), *WORDS[1:])
    assert "such as 2001/02" in line and "found '2004'" in line


def test_every_spelling_of_a_month_and_quarter_is_read():
    frame = table()
    wanted, _ = load(saved(frame), NAMES)
    for spell, kind in (("%b-%y", "M"), ("%B %Y", "M"), ("%Y-%m", "M"), ("Q%q %Y", "Q"), ("%Y Q%q", "Q")):
        def written(year: int, spell=spell, kind=kind) -> str:
            return (pd.Period("2016-10", kind) + (year - 2001)).strftime(spell) if year else "0"

        other = frame.assign(t=frame["t"].map(written), g=frame["g"].map(written))
        panel, _ = load(saved(other), NAMES)
        same(panel, wanted)
        assert panel.frequency == kind and panel.periods[0] == str(pd.Period("2016-10", kind))
        same(swept(other, waves_of(other))[0], wanted)


# Files ------------------------------------------------------------------------------------------------------------

def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("_", "."), content)
    return stream.getvalue()


def test_gzip_and_a_zip_of_one_file_are_read():
    content = Path(saved(table())).read_bytes()
    wanted, _ = load("panel.csv", NAMES)
    for name, packed in (("panel.csv.gz", gzip.compress(content)), ("panel.zip", zipped(panel_csv=content)),
                         ("named_wrongly.csv", gzip.compress(content))):
        Path(name).write_bytes(packed)
        same(load(name, NAMES)[0], wanted)
        assert header_of(name) == ["id", "t", "g", "c", "y"]


@pytest.mark.parametrize(("content", "words"), [
    (bz2.compress(b"id,t,g,y\n"), "compressed by bzip2; unpack it"), (lzma.compress(b"id"), "compressed by xz"),
    (gzip.compress(b"id,t,g,y\n" * 99)[:-9], "compressed by gzip; found one that cannot be unpacked"),
    (gzip.compress(b"id,t,g,y\n")[:10] + b"nonsense", "compressed by gzip; found one that cannot be unpacked"),
    (zipped(a_csv=b"id", b_csv=b"id"), "found a.csv, b.csv; unpack it and name one"),
    (zipped(mimetype=b"x", content_xml=b""), "found a spreadsheet"),
    (gzip.compress(bytes(30_000_000)), "at most 200 times its size"),
    (zipped(a_csv=bytes(30_000_000)), "at most 200 times its size")],
    ids=["bzip2", "xz", "cut short", "damaged", "two files", "spreadsheet", "gzip bomb", "zip bomb"])
def test_other_compressed_files_are_told_for_what_they_are(content, words):
    Path("panel.csv").write_bytes(content)
    assert words in refusal(*WORDS)


def test_unpacked_size_has_a_limit(monkeypatch):
    monkeypatch.setenv("DID_LIMIT_UNPACKED_MB", "1")
    Path("panel.csv").write_bytes(gzip.compress(np.random.default_rng(1).bytes(1_200_000)))
    assert "DID_LIMIT_UNPACKED_MB" in refusal(*WORDS)


# Units seen once --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("estimator", ["did", "callaway_santanna", "event_study"])
def test_repeated_cross_sections_are_told_in_a_line(estimator):
    frame = table(600)
    once = frame.assign(id="u" + frame["id"].astype(str) + "_" + frame["t"].astype(str))
    line = refusal(saved(once), *WORDS[1:], "--estimator", estimator)
    assert "no unit is seen twice" in line and "3,600 units" in line and "u0_2001" not in line
    rows = frame.assign(y=frame["y"].where(frame["t"] == 2001 + frame["id"] % 6))
    assert "600 units, of which no unit is seen twice" in refusal(saved(rows), *WORDS[1:], "--estimator", estimator)
    for read_panel in (lambda rows: estimate(estimator, of_frame(rows)), lambda rows: swept(rows, waves_of(rows))):
        with pytest.raises(DidError, match="no unit is seen twice"):
            read_panel(rows)


# Messages ---------------------------------------------------------------------------------------------------------

def test_lists_are_cut_and_numbers_sorted_as_numbers():
    assert listed(["10", "9", "2", "101"]) == "2, 9, 10, 101"
    assert listed(["b", "a"]) == "b, a" and listed([]) == ""
    assert listed(range(1500, 0, -1)) == "1, 2, 3, 4, 5 and 1,495 more"
    assert listed(f"u{number}" for number in range(7)) == "u0, u1, u2, u3, u4 and 2 more"
    assert len(listed(["x" * 5000])) < 100


def test_no_message_lists_all_units_that_are_left_out():
    frame = table(400)
    gaps = frame.assign(y=frame["y"].where((frame["t"] != 2002) | (frame["id"] % 2 == 0)))
    outcome = estimated(saved(gaps), *WORDS[1:], "--estimator", "callaway_santanna,ldv,imputation")
    assert outcome.exit_code == 0
    assert "1, 3, 5, 7, 9 and 195 more" in outcome.output
    assert max(map(len, outcome.output.splitlines())) < 500


SIGNS = "\x1b[31m\x07\x9b\u202e\x7f"


def test_control_characters_never_reach_the_terminal():
    assert printable("caf\xe9 \u4e2d\n") == "caf\xe9 \u4e2d\n"
    for text in (str(DidError(f"found '{SIGNS}'")), *DidErrors([f"a {SIGNS}", f"b {SIGNS}"]).lines, printable(SIGNS)):
        assert text.isprintable() and "\\u001b[31m" in text

    frame = table().astype({"id": str})
    named = frame.assign(id=frame["id"] + SIGNS, y=frame["y"].where(frame["t"] != frame["id"].astype(int) % 2 + 2001))
    for change in (named, frame.assign(y=SIGNS), frame.assign(c=SIGNS)):
        for more in ([], ["--json"], ["--estimator", "callaway_santanna"]):
            outcome = estimated(saved(change), *WORDS[1:], "--cluster", "c", *more)
            assert all(sign not in outcome.output for sign in SIGNS if not sign.isprintable())
            if "--json" in more:
                assert all(json.loads(line) for line in outcome.output.splitlines())


def test_clusters_that_are_labels_give_the_same_errors_as_their_numbers():
    """24 units in 6 clusters: the standard error is that of 6 clusters however all of them are written."""
    frame = table(24).assign(c=lambda rows: rows["id"] % 6)
    first = load(saved(frame), NAMES)[0]
    other = load(saved(frame.astype({"c": float})), NAMES)[0]
    rows = [summarise(estimate("did", panel), panel).query("cluster == 'c'") for panel in (first, other)]
    assert rows[0]["n_clusters"].tolist() == [6]
    pd.testing.assert_frame_equal(*rows)


@pytest.mark.parametrize(("given", "said"), [
    ({"covariates": ("x", "y")}, "--covariates: expected another column than the outcome"),
    ({"weight": "y"}, "--weights: expected another column than the outcome"),
    ({"clusters": ("y",)}, "--cluster: expected another column than the outcome"),
    ({"dose": "t"}, "--dose: expected another column than that of the periods"),
])
def test_a_column_has_one_role(given, said):
    with pytest.raises(DidError, match=said):
        Columns("y", "id", "t", "g", **given).check()
    Columns("y", "id", "t", "g", ("id",), covariates=("x",), weight="x").check()
