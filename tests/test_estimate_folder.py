"""A folder of files summed to its cohorts gives what the same rows in one file give."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from did.api.judged import Inference
from did.cli.commands import main
from did.errors import DidError
from did.estimators.moments import Rows
from did.readers import parquet_shards
from did.readers.panel_columns import Columns
from did.readers.parquet_folder import BATCH_BYTES, batches, layout_of, read_folder, sum_file
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


# By jobs ----------------------------------------------------------------------------------------------------------

WORDS = ["estimate", "parts", "--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g", "--cluster", "s",
         "--estimator", "callaway_santanna", "--output", "estimates.csv"]


# In each process a file is a batch, as large ones are.
SMALL = [sys.executable, "-c", "import sys, did.readers.parquet_folder as folder; folder.BATCH_BYTES = 1; "
         "from did.cli.commands import main; main(sys.argv[1:], prog_name='did')"]


def did(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([*SMALL, *WORDS, *words], cwd=folder, capture_output=True, text=True, timeout=300,
                          check=False)


def shards(folder: Path) -> dict[str, int]:
    """File summed by a job -> time of its table."""
    work = folder / "data/interim/folders/parts"
    return {path.stem: path.stat().st_mtime_ns for path in work.glob("shards/*.parquet")} | {
        "total": (work / "total.parquet").stat().st_mtime_ns if (work / "total.parquet").exists() else 0}


def test_a_shard_and_its_layout_come_back_as_they_were_written(tmp_path):
    files, layout = layout_of(written(rows(), tmp_path), COLUMNS, "auto", 1)
    again = parquet_shards.of_json(parquet_shards.as_json(layout))
    assert again == layout and again.n_used == layout.n_used and again.firsts.tolist() == layout.firsts.tolist()
    shard = sum_file(files[0], layout)
    parquet_shards.write(shard, tmp_path / "shard.parquet")
    found = parquet_shards.read(tmp_path / "shard.parquet", "did estimate")
    assert found.counts == shard.counts and sum(found.counts.values()) == len(found.hashes) == 80
    pairs = [(shard.hashes, found.hashes)]
    for one, other in ((shard.moments, found.moments), (shard.groups["s"], found.groups["s"])):
        pairs += [(value, getattr(other, name)) for name, value in vars(one).items()]
    for one, other in pairs:
        assert np.array_equal(one, other) and np.asarray(one).dtype == np.asarray(other).dtype
        assert np.asarray(other).flags["C_CONTIGUOUS"]


def test_small_files_are_one_batch_and_large_ones_each_their_own(tmp_path):
    sizes = {"a": 10, "b": BATCH_BYTES - 10, "c": 1, "d": BATCH_BYTES + 1, "e": 1, "f": 1}
    files = [tmp_path / name for name in sizes]
    for file, size in zip(files, sizes.values(), strict=True):
        with open(file, "wb") as handle:
            handle.truncate(size)
    assert [[file.name for file in batch] for batch in batches(files)] == [["a", "b"], ["c"], ["d"], ["e", "f"]]


def test_jobs_give_every_byte_that_one_process_gives_and_only_what_changed_is_done_again(tmp_path):
    written(rows(), tmp_path)
    here = did(tmp_path)
    one = (tmp_path / "estimates.csv").read_bytes()
    there = did(tmp_path, "--cores", "2")
    assert here.returncode == there.returncode == 0, there.stderr
    assert here.stdout == there.stdout and (tmp_path / "estimates.csv").read_bytes() == one
    before = shards(tmp_path)
    assert len(before) == 4 and did(tmp_path, "--cores", "2").stdout == here.stdout and shards(tmp_path) == before
    # One file is another, one table has another byte.
    part = pd.read_parquet(tmp_path / "parts/b.parquet")
    part.assign(y=part["y"] + 1).to_parquet(tmp_path / "parts/b.parquet", index=False)
    spoilt = next(path for path in (tmp_path / "data/interim/folders/parts/shards").iterdir()
                  if "more/c" in (path.parents[1] / "batches" / f"{path.stem}.json").read_text())
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.write_bytes(content)
    changed_too = did(tmp_path, "--cores", "2")
    after = shards(tmp_path)
    assert changed_too.returncode == 0 and sum(before[name] == time for name, time in after.items()) == 1
    by_jobs = (tmp_path / "estimates.csv").read_bytes()
    assert did(tmp_path).returncode == 0 and (tmp_path / "estimates.csv").read_bytes() == by_jobs


def test_a_killed_run_is_taken_up_again(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(12):
        frame = rows()
        frame.assign(id=f"{number}" + frame["id"]).to_parquet(tmp_path / f"parts/{number}.parquet", index=False)
    process = subprocess.Popen([*SMALL, *WORDS, "--cores", "1"], cwd=tmp_path, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(shards(tmp_path)) < 4:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = shards(tmp_path)
    assert kept["total"] == 0
    (tmp_path / "logs/folders/parts/.00000.log.1.part").write_text("half")   # of what may be under way
    done = did(tmp_path, "--cores", "2")
    by_jobs, after = (tmp_path / "estimates.csv").read_bytes(), shards(tmp_path)
    assert done.returncode == 0 and len(after) == 13
    assert sum(after[name] == time for name, time in kept.items()) >= len(kept) - 2, "but the one at work and the sum"
    assert not list(tmp_path.rglob("*.part"))
    assert did(tmp_path).returncode == 0 and (tmp_path / "estimates.csv").read_bytes() == by_jobs


def test_a_mistake_in_a_file_is_told_and_the_others_are_kept(tmp_path):
    path = written(rows(), tmp_path)
    whole = (tmp_path / "parts/b.parquet").read_bytes()
    part = pd.read_parquet(f"{path}/b.parquet")
    part.assign(y="x").to_parquet(f"{path}/b.parquet", index=False)
    done = did(tmp_path, "--cores", "2")
    assert done.returncode == 1 and "Traceback" not in done.stderr and len(shards(tmp_path)) == 3
    assert "error: parts/b.parquet: column 'y': expected finite numbers" in done.stderr
    (tmp_path / "parts/b.parquet").write_bytes(whole)
    assert did(tmp_path, "--cores", "2").returncode == 0
    pd.concat([part, rows().query("id == 'u000'")]).to_parquet(f"{path}/b.parquet", index=False)
    assert "found unit u000 in a.parquet, b.parquet" in did(tmp_path, "--cores", "2").stderr


@pytest.mark.parametrize("n_clusters", [14, 75])
def test_a_folder_of_few_clusters_leads_with_the_jackknife_of_one_file(n_clusters, tmp_path):
    frame = rows()
    frame["s"] = frame["id"].str[1:].astype(int) % n_clusters
    # Cohorts of whole clusters, fewer than 20 of them treated.
    frame["g"] = frame["s"].map(lambda number: {1: 2003, 2: 2005, 3: 2006}.get(number % 5, 0) if number < 26 else 0)
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    tables, shown = [], []
    for run, path, asked in ((estimate.run, tmp_path / "panel.parquet", Inference(("s",), ("jackknife",))),
                             (estimate_folder.run, written(frame, tmp_path), Inference(("s",)))):
        shown.append(run(path, COLUMNS, outputs=Outputs(table=tmp_path / "estimates.csv"), inference=asked, **CHOSEN))
        table = pd.read_csv(tmp_path / "estimates.csv")
        tables.append(table[table["inference"] == "jackknife"].reset_index(drop=True))
    whole, parts = tables
    numbers = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "df"]
    assert parts["std_error"].notna().sum() > 10
    np.testing.assert_allclose(parts[numbers], whole[numbers], rtol=1e-8, atol=1e-9)
    assert f"few clusters ({9 if n_clusters == 14 else 15} treated of {n_clusters} by s), so jackknife" in shown[1]
    clustered = estimate_folder.run(tmp_path / "parts", COLUMNS, inference=Inference(("s",), ("clustered",)), **CHOSEN)
    assert "may be too small" in clustered


def test_a_folder_with_one_treated_cluster_has_no_interval(tmp_path):
    frame = rows()
    frame["s"] = frame["id"].str[1:].astype(int) % 12
    frame["g"] = np.where(frame["s"] == 4, 2005, 0)
    shown = estimate_folder.run(written(frame, tmp_path), COLUMNS, inference=Inference(("s",)), **CHOSEN)
    assert "(1 treated of 12 by s): sums of a folder say nothing of the error" in shown


def test_files_without_rows_and_of_other_kinds(tmp_path):
    path = written(rows(), tmp_path)
    before = estimate_folder.run(path, COLUMNS, **CHOSEN)
    rows().iloc[:0].to_parquet(f"{path}/empty.parquet", index=False)
    (tmp_path / "parts/_SUCCESS").touch()
    assert estimate_folder.run(path, COLUMNS, **CHOSEN) == before
    rows().to_csv(f"{path}/more.csv", index=False)
    assert "note: not read, as their names do not end in .parquet: more.csv" in estimate_folder.run(path, COLUMNS,
                                                                                                 **CHOSEN)


def test_units_are_of_one_type_in_all_files(tmp_path):
    path, frame = written(rows(), tmp_path), rows()
    numbered = frame[frame["id"] == "u000"].assign(id=7)
    numbered.to_parquet(f"{path}/d.parquet", index=False)
    with pytest.raises(DidError, match="column 'id': expected labels of one type in all files; found texts in "
                                       "a.parquet and whole numbers in d.parquet"):
        estimate_folder.run(path, COLUMNS, **CHOSEN)


def test_one_file_is_no_folder_of_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows().to_parquet("parts", index=False)
    done = CliRunner().invoke(main, [*WORDS, "--cores", "2"])
    assert done.exit_code == 1 and "--cores and --profile: expected a folder" in done.stderr
    done = CliRunner().invoke(main, ["estimate", "nowhere", *WORDS[2:], "--cores", "2"])
    assert done.exit_code == 1 and done.stderr.startswith("error: nowhere: expected a folder of Parquet files")
    (tmp_path / "job.json").write_text("{}")
    done = CliRunner().invoke(main, ["sum", "job.json", "out"])
    assert done.exit_code == 1 and "job.json: expected what a job of a folder needs" in done.stderr
