"""A folder of Parquet files summed to its cohorts by Snakemake's jobs, here or on a cluster; and what the jobs do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from did.errors import DidError
from did.readers import parquet_shards
from did.readers.panel_columns import Columns
from did.readers.parquet_folder import Folder, folder_of, layout_of, sum_batch, total
from did.store.provenance import remove_unfinished
from did.words import plural
from did.workflow.folder_jobs import Job, Jobs
from did.workflow.launch import alone, workflow

SNAKEFILE = Path(__file__).resolve().parents[1] / "workflow" / "folder.smk"
AGAIN = "did estimate"


@dataclasses.dataclass(frozen=True)
class Workers:
    """How jobs are run: ``cores``, ``profile`` and ``output`` as of `did.workflow.run.run`."""

    cores: int | None = None
    profile: str | None = None
    output: str = ""


def read_by_jobs(path: str | Path, columns: Columns, frequency: str, anticipation: int, workers: Workers) -> Folder:
    """Return what `did.readers.parquet_folder.read_folder` does, to the last bit, by a job for each batch of files.

    Only the columns of periods and cohorts are read here. What jobs hand on is kept in data/interim/folders of the
    current folder: a run that was stopped is taken up again, and where files changed only their batches are read again.

    Raises DidError as `read_folder`, and: a folder in which another run is at work; a profile that cannot be used; a
    job that stopped.
    """
    jobs = Jobs.of(path)
    with alone():
        for folder in (jobs.work, jobs.logs):
            remove_unfinished(folder)
        files, layout = layout_of(path, columns, frequency, anticipation)
        jobs.write(path, files, layout)
        with workflow(profile=workers.profile, output=workers.output) as start:
            if not start(SNAKEFILE, {"folder": jobs.name}, cores=workers.cores):
                raise DidError(f"{path}: expected the sum of every batch of files; found that a step stopped, whose "
                               f"reason is above and in {jobs.logs}; fix it and run again: batches that are done are "
                               "kept")
        return folder_of(path, layout, parquet_shards.read(jobs.total, AGAIN))


def run(job: str, output: str) -> str:
    """Sum the files that ``job``, a file of `did.workflow.folder_jobs`, names, or add the shards of its folder, write
    the table ``output`` and return a line about it. Raises DidError as `did.readers.parquet_folder.read_folder`."""
    asked = Job.read(job)
    jobs = Jobs.of(asked.folder)
    if Path(job) == jobs.plan:
        shards = (parquet_shards.read(jobs.shard(label), AGAIN) for label in jobs.labels())
        shard = total(asked.folder, asked.layout, asked.files, shards)
    else:
        shard = sum_batch(asked.files, asked.layout)
    parquet_shards.write(shard, output)
    return f"{plural(len(asked.files), 'file')}, {plural(sum(shard.counts.values()), 'unit')}"
