"""A folder of files summed to its cohorts gives what the same rows in one file give."""

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators.moments import Rows
from did.readers.panel_columns import Columns
from did.readers.parquet_folder import read_folder
from did.stages import estimate, estimate_folder
from did.stages.estimate import Outputs

COLUMNS = Columns("y", "id", "t", "g", ("s",))
CHOSEN = {"estimators": ["callaway_santanna"]}


def rows(never: bool = True) -> pd.DataFrame:
    """A made-up panel in disorder: cohorts before, in and after the window, clusters that cut across files and cohorts,
    some outcomes missing."""
    generator = np.random.default_rng(3)
    n_units, n_periods = 240, 7
    cohort = np.repeat(generator.choice([0, 2003, 2005, 2006, 1999, 2050] if never else [2003, 2005, 2006], n_units),
                       n_periods)
    time = np.tile(np.arange(2001, 2001 + n_periods), n_units)
    unit = np.repeat(np.arange(n_units), n_periods)
    walk = generator.normal(size=(n_units, n_periods)).cumsum(axis=1).ravel()
    frame = pd.DataFrame({"id": [f"u{number:03}" for number in unit], "t": time, "g": cohort, "s": unit % 60,
                          "y": 1e4 + walk + 2.0 * ((cohort > 0) & (time >= cohort))})
    frame.loc[generator.choice(len(frame), 6, replace=False), "y"] = np.nan
    return frame.sample(frac=1.0, random_state=1)


def written(frame: pd.DataFrame, folder) -> str:
    """The rows in three files, each unit's in one; one file in a folder of its own."""
    (folder / "parts" / "more").mkdir(parents=True)
    place = frame["id"].str[1:].astype(int).to_numpy()
    for number, name in enumerate(("a", "b", "more/c")):
        frame[place % 3 == number].to_parquet(folder / "parts" / f"{name}.parquet", index=False)
    return str(folder / "parts")


@pytest.mark.parametrize("never, options", [
    (True, {}), (True, {"control_group": "never_treated", "anticipation": 1}), (False, {"base_period": "universal"}),
    (True, {"base_window": "all", "aggregation": ["simple", "event_time"], "max_event_time": 1})])
def test_a_folder_gives_what_one_file_gives(never, options, tmp_path):
    frame = rows(never)
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    tables = []
    for run, path in ((estimate.run, tmp_path / "panel.parquet"), (estimate_folder.run, written(frame, tmp_path))):
        table = tmp_path / "estimates.csv"
        shown = run(path, COLUMNS, options=options, outputs=Outputs(table=table), **CHOSEN)
        assert "treated, cohorts 2003, 2005, 2006" in shown
        tables.append(pd.read_csv(table))
    whole, parts = (table[table["inference"] == "clustered"].reset_index(drop=True) for table in tables)
    assert set(parts["cluster"]) == {"unit", "s"} and parts["std_error"].notna().sum() > 10
    numbers = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]
    np.testing.assert_allclose(parts[numbers], whole[numbers], rtol=1e-9, atol=1e-9)
    # Units that are left out are named in a note on one file, and counted in one on a folder.
    pd.testing.assert_frame_equal(parts.drop(columns=[*numbers, "note"]), whole.drop(columns=[*numbers, "note"]))


def test_moments_do_not_depend_on_how_units_are_dealt_to_files(tmp_path):
    frame = rows().dropna(subset="y")
    folder = read_folder(written(frame, tmp_path), COLUMNS)
    wide = frame.pivot(index="id", columns="t", values="y").dropna()
    first = frame.groupby("id")["g"].first()[wide.index].map({0: 7, 2050: 7, 1999: 0, 2003: 2, 2005: 4, 2006: 5})
    expected = Rows(wide.to_numpy(), None, np.searchsorted(folder.summed.first, first), 5).moments()
    assert folder.summed.first.tolist() == [0, 2, 4, 5, 7] and folder.n_units == 240
    for name in ("units", "weight", "mean", "cross", "squares"):
        np.testing.assert_allclose(getattr(folder.summed.moments, name), getattr(expected, name), rtol=1e-9, atol=1e-7)
    assert f"{240 - len(wide)} of 240 units without an outcome in a period, left out" in folder.notes


def changed(frame, folder, name, change):
    path = written(frame, folder)
    file = f"{path}/{name}.parquet"
    change(pd.read_parquet(file)).to_parquet(file, index=False)
    return path


@pytest.mark.parametrize("change, said", [
    (lambda part: pd.concat([part, rows().query("id == 'u000'")]),
     "expected the rows of a unit in one file; found unit u000 in a.parquet, b.parquet"),
    (lambda part: part.assign(g=np.where(part.index == 4, 2005, 2003)), "expected one cohort for unit"),
    (lambda part: part.drop(columns="g"), "--cohort: expected one of the columns"),
    (lambda part: part.assign(y="x"), "column 'y': expected finite numbers"),
    (lambda part: pd.concat([part, part.iloc[:1]]), "a unit and period twice"),
    (lambda part: part.assign(t=part["t"].astype(str).replace("2003", "three")),
     r"row \d+ of b.parquet, column 't': expected a period such as"),
    (lambda part: part.assign(s=part["s"] + (part.index == 4)), "column 's': expected a cluster label"),
    (lambda part: part.assign(id=part["id"].where(part["t"] > 2001)), "b.parquet: column 'id': expected whole numbers"),
])
def test_what_is_wrong_names_the_file(change, said, tmp_path):
    with pytest.raises(DidError, match=said) as caught:
        estimate_folder.run(changed(rows(), tmp_path, "b", change), COLUMNS, **CHOSEN)
    assert "\n" not in str(caught.value)


def test_what_needs_each_unit_is_refused(tmp_path):
    path = written(rows(), tmp_path)
    for asked, said in (({"estimators": ["did"]}, "callaway_santanna"), ({"estimators": []}, "callaway_santanna"),
                        (CHOSEN | {"options": {"method": "dr"}}, "--method"),
                        (CHOSEN | {"outputs": Outputs(bounds=True)}, "--bounds")):
        with pytest.raises(DidError, match=said):
            estimate_folder.run(path, COLUMNS, **asked)
    with pytest.raises(DidError, match="--weights"):
        estimate_folder.run(path, Columns("y", "id", "t", "g", weight="s"), **CHOSEN)
    with pytest.raises(DidError, match="found none"):
        estimate_folder.run(tmp_path / "parts" / "none", COLUMNS, **CHOSEN)
