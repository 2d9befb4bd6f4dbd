"""Tables between the stages: what keeps a contract and what breaks it, and reading some of the rows."""

from __future__ import annotations

import pandas as pd
import pytest

from did.errors import DidError
from did.store import seals, tables
from typed_tables import check_same


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    """Texts of pandas are kept as they are in a run, whatever was imported before."""
    with pd.option_context("mode.string_storage", "python"):
        yield


ROWS = pd.DataFrame({
    "indicator": "visits", "specification": ["a", "a", "b"], "sample": "full", "period": ["2017", "2018", "2018"],
    "group": ["treated", "treated", "control"], "observed_mean": [1, 2, None], "linear_trend": [1.5, None, 2.0],
    "n_units": [3.0, 4.0, 5.0], "is_synthetic": [1, 0, 1]})


def test_a_table_that_keeps_its_contract_is_typed_as_pandera_would(monkeypatch):
    schema = tables.SCHEMAS["trends"]
    expected = schema.validate(ROWS)
    monkeypatch.setattr(type(schema), "validate", None)   # which takes longer, and is asked only what is wrong
    check_same(tables.check("trends", ROWS.set_axis([5, 6, 7])), expected)


@pytest.mark.parametrize(("column", "values", "said"), [
    ("group", ["treated", "treated", "both"], "column 'group' of the trends table fails .*isin.*found 'both'"),
    ("n_units", [3, 4.5, 5], "column 'n_units' of the trends table is of type int64; found '4.5'"),
    ("observed_mean", [1, 2, "many"], "column 'observed_mean' of the trends table fails .*float64.*found 'many'"),
    ("is_synthetic", [True, "perhaps", True], "column 'is_synthetic' .* is of type bool; found 'perhaps'"),
    ("period", ["2017", None, "2018"], "column 'period' of the trends table fails not_nullable"),
    ("period", ["2017", "2017", "2018"], "key .* must be unique; found .*'2017', 'treated'.* more than once"),
])
def test_what_breaks_the_contract_is_named(column, values, said):
    with pytest.raises(DidError, match=f"somewhere: {said}"):
        tables.check("trends", ROWS.assign(**{column: values}), "somewhere")


@pytest.mark.parametrize("many", [0, 10_000])
def test_some_rows_of_a_table_are_those_that_a_selection_keeps(tmp_path, monkeypatch, many):
    monkeypatch.setattr(seals, "MANY", many)
    monkeypatch.setattr(seals, "SMALL", 0)   # read anew, whatever was kept
    tables.write("trends", ROWS, tmp_path / "trends.parquet")
    whole = tables.read("trends", tmp_path / "trends.parquet")
    check_same(whole, tables.check("trends", ROWS))
    some = tables.read("trends", tmp_path / "trends.parquet", specification=["b", "c"], group=["control"])
    check_same(some, whole.iloc[2:].reset_index(drop=True))
    assert tables.read("trends", tmp_path / "trends.parquet", specification=["c"]).empty


def test_a_table_that_is_kept_is_that_of_the_bytes_and_nobody_else_s(tmp_path):
    path = tmp_path / "trends.parquet"
    tables.write("trends", ROWS, path)
    first, whole = tables.read("trends", path), tables.check("trends", ROWS)
    first["n_units"] = 0
    first.loc[0, "group"] = "control"
    first.attrs["mine"] = True
    again = tables.read("trends", path)
    check_same(again, whole)
    assert not again.attrs and not again["linear_trend"].to_numpy().flags.writeable
    later = ROWS.assign(n_units=[6, 7, 8])
    tables.write("trends", later, path)
    check_same(tables.read("trends", path), tables.check("trends", later))
    path.write_bytes(path.read_bytes().replace(b"treated", b"trusted"))
    with pytest.raises(DidError, match="bytes that were changed since"):
        tables.read("trends", path)
