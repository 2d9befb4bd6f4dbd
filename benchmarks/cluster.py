"""A folder of files as jobs of a one-node Slurm that is brought up for it, by how many jobs at a time; Markdown.

    python benchmarks/cluster.py --quick                              # 100,000 units x 10 periods in 10 files
    make bench ARGS="--only cluster"                                  # 10,000,000 units in 100 files

Needs what `make cluster-test` installs: Slurm's programs, and its plugin for Snakemake on PYTHONPATH. Exits with 1 if a
table differs by a byte from that of one process, or a process took 2 GB or more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from large import COLUMNS, MEMORY_MB, SECONDS, write
from measuring import number, run, table

from did.readers.parquet_folder import batches

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "slurm-no-accounting"
JOBS = (1, 2, 4, 8)


def rows_of(folder: Path, environment: Mapping[str, str]) -> tuple[list[list[str]], bool]:
    """Return a row for one process, two of this machine's, and each number of Slurm jobs; and whether one is wrong."""
    ways = {"one process": (), "2 jobs at a time, without Slurm": ("--cores", "2"), **{
        f"{jobs} Slurm job{'s' * (jobs > 1)} at a time": ("--profile", PROFILE, "--cores", str(jobs)) for jobs in JOBS}}
    os.environ.update(environment)
    rows, wrong, first, alone = [], False, b"", np.nan
    for name, options in ways.items():
        shutil.rmtree(folder / "data", ignore_errors=True)
        output = folder / "estimates.csv"
        output.unlink(missing_ok=True)
        used = run(["did", "estimate", "parts", *COLUMNS, "--output", output.name, *options], folder, SECONDS,
                   jobs=True)
        found = output.read_bytes() if output.exists() else b""
        first, alone = first or found, used.seconds if np.isnan(alone) else alone
        # What a job of the queue takes is in nobody's sum here.
        own = [number(used.processor), number(used.megabytes)] if "Slurm job" not in name else ["", ""]
        wrong |= bool(used.failure) or found != first or not used.megabytes < MEMORY_MB
        rows.append([name, used.failure or number(used.seconds), number(used.seconds / alone, 2), *own,
                     "same" if found == first else "OTHER"])
    return rows, wrong


def main(arguments: list[str] | None = None) -> int:
    """Print the section; return 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=10_000_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    n_units, n_files = (100_000, 10) if given.quick else (given.units, given.files)
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    from slurm import CPUS, cluster

    with tempfile.TemporaryDirectory() as place, cluster() as environment:
        folder = Path(place)
        (folder / "parts").mkdir()
        write(folder / "parts", n_units, n_files)
        profile = (ROOT / "profiles" / PROFILE / "config.yaml").read_text(encoding="utf-8")
        (folder / PROFILE).mkdir()
        # The queue here is our own: it may be looked at more often than others expect.
        (folder / PROFILE / "config.yaml").write_text(profile.replace("status-checks: 20", "status-checks: 2"))
        n_batches = len(batches(sorted((folder / "parts").iterdir())))
        rows, wrong = rows_of(folder, environment)
    print("\n".join([
        "## A folder as jobs, here and through Slurm", "",
        f"{n_units:,} units x 10 periods in {n_files} files, by `did estimate FOLDER`, without and with `--cores` and "
        f"`--profile`: files of up to 128 MB together are a job, here {n_batches}, and one job adds. Slurm is one "
        f"node with {CPUS} cores, on which more than {CPUS} jobs wait for each other; a job of its queue costs "
        "seconds before it begins, which here are much of the whole.", "",
        *table(["", "seconds", "times one process", "processor time, s", "largest process, MB", "bytes of the table"],
               rows), "",
        "On paper, with as many cores as jobs: one pass over the columns of periods and cohorts where the command "
        "runs (35 ms of processor time a million rows), some 10 s in which a Slurm job is sent, starts and imports, a "
        "batch's work (0.25 s a million rows, so 4 s for 128 MB), and one job that adds (0.1 s a batch). A billion "
        "rows of ten periods, 70 batches on 70 cores, are then about a minute, of which the first pass is half."]))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
