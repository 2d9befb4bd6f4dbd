"""A panel from Arrow's own columns is the one that is read cell by cell, and whatever is not plain is left to that."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import did
from did.readers.any_table import read_any
from did.readers.frame_table import frame_table
from did.readers.large_panel import from_frame, from_parquet
from did.readers.panel_columns import Columns
from did.readers.panel_file import load, of_table

COLUMNS = Columns("y", "id", "t", "g", ("s",), None, ("x",))
MONTHS = {0: None, 2004: "2017-04", 2006: "2017-06", 2050: "2018-01", 1999: "2016-01"}


def made() -> pd.DataFrame:
    """Rows in disorder, some missing, some without an outcome; cohorts before, in and after the window."""
    generator = np.random.default_rng(1)
    unit, time = np.repeat(np.arange(50), 8), np.tile(np.arange(2001, 2009), 50)
    frame = pd.DataFrame({
        "id": unit, "t": time, "g": np.repeat(generator.choice([0, 2004, 2006, 2050, 1999], 50), 8),
        "y": generator.normal(size=400), "s": "s" + pd.Series(unit % 7).astype(str), "x": generator.normal(size=400)})
    frame.loc[[3, 9], "y"] = np.nan
    return frame.sample(frac=0.95, random_state=1)


PLAIN = {
    "numbers": lambda frame: frame,
    "texts": lambda frame: frame.assign(id="u" + frame["id"].astype(str)),
    "numbers as texts": lambda frame: frame.assign(id=frame["id"].astype(str)),
    "leading zeros": lambda frame: frame.assign(id=frame["id"].map(lambda number: f"{number:03d}")),
    "categories": lambda frame: frame.assign(id=frame["id"].astype("category"), s=frame["s"].astype("category")),
    "cohorts with gaps": lambda frame: frame.assign(g=frame["g"].where(frame["g"] > 0)),
    "months": lambda frame: frame.assign(t=(frame["t"] - 2000).map(lambda month: f"2017-{month:02d}"),
                                         g=frame["g"].map(MONTHS)),
    "dates": lambda frame: frame.assign(
        t=pd.to_datetime(frame["t"].astype(str) + "-01-01"),
        g=pd.to_datetime(frame["g"].where(frame["g"] > 0).astype("Int64").astype("str") + "-01-01", errors="coerce")),
    "financial years": lambda frame: frame.assign(
        t=frame["t"].map(lambda year: f"{year}/{(year + 1) % 100:02d}"),
        g=frame["g"].map(lambda year: f"{year}/{(year + 1) % 100:02d}" if year else "never")),
}
ODD = {
    "a number in two ways": lambda frame: frame.assign(id=frame["id"].astype(str).replace("7", "7.0")),
    "two numbers": lambda frame: frame.assign(id=frame["id"].astype(str).replace({"7": "07", "8": "7"})),
    "spaces": lambda frame: frame.assign(id=" " + frame["id"].astype(str)),
    "fractions": lambda frame: frame.assign(id=frame["id"] + 0.5),
    "no unit": lambda frame: frame.assign(id=frame["id"].where(frame["id"] != 7)),
    "a row twice": lambda frame: pd.concat([frame, frame.iloc[[5]]]),
    "two cohorts": lambda frame: frame.assign(g=frame["g"].where(np.arange(len(frame)) != 8, 2005)),
    "two clusters": lambda frame: frame.assign(s=frame["s"].where(np.arange(len(frame)) != 8, "other")),
    "a gap": lambda frame: frame[frame["t"] != 2004],
    "no period": lambda frame: frame.assign(t=frame["t"].astype(str).replace("2003", "three")),
    "numbers as text": lambda frame: frame.assign(y=frame["y"].astype(str)),
    "infinite": lambda frame: frame.assign(y=frame["y"].where(np.arange(len(frame)) != 8, np.inf)),
    "no outcome": lambda frame: frame.assign(y=np.nan),
    "a column less": lambda frame: frame.drop(columns="x"),
}


def check_equal(found, expected):
    for each in dataclasses.fields(found):
        ours, theirs = getattr(found, each.name), getattr(expected, each.name)
        if isinstance(ours, dict):
            assert list(ours) == list(theirs)
            # Labels of the clusters that are the units stay in the index's own array: a million texts take 60 MB.
            ours, theirs = ({name: np.asarray(labels, dtype=object) if name == "unit" else labels
                             for name, labels in each.items()} for each in (ours, theirs))
            for name in ours:
                assert ours[name].dtype == theirs[name].dtype, name
                pd.testing.assert_frame_equal(pd.DataFrame(ours[name]), pd.DataFrame(theirs[name]))
        elif isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype, each.name
            np.testing.assert_array_equal(ours, theirs)
        elif isinstance(ours, pd.Index):
            pd.testing.assert_index_equal(ours, theirs)
        else:
            assert ours == theirs, each.name


@pytest.mark.parametrize("name", PLAIN)
def test_columns_of_arrow_give_the_panel_of_cells(name, tmp_path):
    frame, file = PLAIN[name](made()), tmp_path / "panel.parquet"
    frame.to_parquet(file)
    for found, table in ((from_parquet(file, COLUMNS, "auto"), read_any(file, COLUMNS.named())[0]),
                         (from_frame(frame, COLUMNS, "auto", "DataFrame"), frame_table(frame, COLUMNS.named()))):
        expected, notes = of_table(table, [], COLUMNS)
        assert found is not None and found.notes == notes
        check_equal(found.panel, expected)
    panel = did.Panel(frame, outcome="y", unit="id", period="t", cohort="g")
    assert set(panel.labels.values()) == set(frame["t"].dt.to_pydatetime() if name == "dates" else frame["t"])
    assert list(panel.labels) == list(panel.data.periods)


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_plain_is_left_to_the_cells(name, tmp_path):
    frame, file = ODD[name](made()), tmp_path / "panel.parquet"
    frame.to_parquet(file)
    assert from_parquet(file, COLUMNS, "auto") is None
    assert from_frame(frame, COLUMNS, "auto", "DataFrame") is None


def test_treatment_weights_and_doses_are_left_to_the_cells(tmp_path):
    frame = made().assign(d=1.0, w=2.0, on=1)
    for other in (dataclasses.replace(COLUMNS, dose="d"), dataclasses.replace(COLUMNS, weight="w"),
                  dataclasses.replace(COLUMNS, cohort=None, treatment="on")):
        assert from_frame(frame, other, "auto", "DataFrame") is None


def test_a_file_that_is_cut_says_so(tmp_path):
    file = tmp_path / "panel.parquet"
    made().to_parquet(file)
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(did.errors.DidError, match="expected a Parquet file"):
        load(file, COLUMNS)
