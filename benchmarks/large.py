"""Panels as large as memory and larger, made up in pieces with a known truth, through `did estimate`; Markdown.

    python benchmarks/large.py --quick                     # 100,000 units x 10 periods in 10 files
    python benchmarks/large.py                             # 1,000,000 units in 10 files
    python benchmarks/large.py --units 10000000 --files 100

Exits with 1 if the folder and one file of a tenth of its units disagree, an estimate is more than five standard errors
from the truth, or the folder took 2 GB or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from measuring import Used, number, run, table
from pyarrow import parquet

PERIODS = np.arange(2001, 2011)
# First treated year -> share of the units; the others are never treated. Effects at event time e are 1 + e / 10.
COHORTS = {2004: 0.2, 2006: 0.2, 2008: 0.2}
MEMORY_MB, SECONDS = 2_000, 3_000
COLUMNS = ("--outcome", "y", "--unit", "id", "--period", "t", "--cohort", "g", "--estimator", "callaway_santanna")
# What the command imports.
IMPORTS = ("import did.cli.panels, did.stages.estimate, did.stages.estimate_folder, pyarrow.parquet, scipy.stats, "
           "did.diagnostics.group_time_pretest, did.estimators.callaway_santanna; did.cli.panels.estimator_options()")


def write(folder: Path, n_units: int, n_files: int) -> None:
    """Write the panel of ``n_units`` into files, each made by itself; random walks about a level of each unit's own."""
    per_file = n_units // n_files
    for number_of in range(n_files):
        generator = np.random.default_rng([20170601, number_of])
        cohort = generator.choice([0, *COHORTS], per_file, p=[1 - sum(COHORTS.values()), *COHORTS.values()])
        since = PERIODS - np.where(cohort > 0, cohort, 9999)[:, None]
        outcome = 100 + 20 * generator.standard_normal((per_file, 1)) + np.where(since >= 0, 1 + since / 10, 0.0)
        outcome += generator.standard_normal((per_file, len(PERIODS))).cumsum(axis=1)
        unit = np.arange(number_of * per_file, (number_of + 1) * per_file)
        parquet.write_table(pa.table({
            "id": np.repeat(unit, len(PERIODS)), "t": np.tile(PERIODS, per_file), "g": np.repeat(cohort, len(PERIODS)),
            "y": outcome.ravel()}), folder / f"part_{number_of:04d}.parquet")


def estimated(source: Path, folder: Path) -> tuple[Used, pd.DataFrame | None]:
    """Return what `did estimate` of a file or folder took, and its table."""
    output = folder / "estimates.csv"
    used = run(["did", "estimate", str(source), *COLUMNS, "--output", str(output)], folder, SECONDS)
    if used.failure:
        return used, None
    found = pd.read_csv(output)
    return used, found[found["inference"] == "clustered"].reset_index(drop=True)


def from_truth(found: pd.DataFrame) -> float:
    """Return how many standard errors the effects by event time are from the truth, at most."""
    rows = found[found["estimand"] == "event_time"]
    truth = np.where(rows["event_time"] >= 0, 1 + rows["event_time"] / 10, 0.0)
    return float(((rows["estimate"] - truth) / rows["std_error"]).abs().max())


def main(arguments: list[str] | None = None) -> int:
    """Print the section; return 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=10, help="a multiple of 10")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    n_units = 100_000 if given.quick else given.units
    rows, wrong = [], False
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "parts").mkdir()
        (folder / "tenth").mkdir()
        write(folder / "parts", n_units, given.files)
        tenth = sorted((folder / "parts").glob("*.parquet"))[:given.files // 10]
        for part in tenth:
            (folder / "tenth" / part.name).symlink_to(part)
        parquet.write_table(pa.concat_tables([parquet.read_table(part) for part in tenth]), folder / "tenth.parquet")
        tables = {}
        imports = run([sys.executable, "-c", IMPORTS], folder, SECONDS)
        for name, source, n in (("one file", folder / "tenth.parquet", n_units // 10),
                                ("the same as a folder", folder / "tenth", n_units // 10),
                                ("the whole folder", folder / "parts", n_units)):
            used, found = estimated(source, folder)
            tables[name] = found
            megabytes = n * len(PERIODS) * 8 / 1e6
            rows.append([name, f"{n:,}", number(megabytes), used.failure or number(used.seconds),
                         number(used.processor), number(used.megabytes),
                         number((used.megabytes - imports.megabytes) * 2**20 / 1e6 / megabytes, 2)
                         if name == "one file" else "",
                         "" if found is None else number(from_truth(found))])
            wrong |= found is None or from_truth(found) > 5
            wrong |= name == "the whole folder" and not used.megabytes < MEMORY_MB
        one, same = tables["one file"], tables["the same as a folder"]
        gap = np.nan
        if one is not None and same is not None:
            numbers = ["estimate", "std_error"]
            gap = float(((same[numbers] - one[numbers]).abs() / one["std_error"].mean()).max().max())
            wrong |= not gap < 1e-9
    print("\n".join([
        "## Panels larger than memory", "",
        f"{n_units:,} units x {len(PERIODS)} periods in {given.files} Parquet files, made up in pieces: three cohorts "
        "of a fifth of the units, effects known. `did estimate`, from the start of the program to the table on the "
        "screen and in a file: group-time effects, all averages, errors by unit. A folder is read one file at a time "
        "and summed to the moments of its cohorts, so that memory grows with the largest file, and by eight bytes a "
        f"unit. Imports alone hold {number(imports.megabytes)} MB.", "",
        *table(["", "units", "outcomes, MB", "seconds", "processor time, s", "largest process, MB",
                "above its imports, times the outcomes", "standard errors from the truth, at most"], rows), "",
        f"One file and the same rows as a folder differ by {gap:.0e} standard errors at most."]))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
