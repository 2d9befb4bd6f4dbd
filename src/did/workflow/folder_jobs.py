"""A folder of Parquet files summed by jobs: one a batch of files, or a large file, and one that adds. Each has a file
that says all it needs, so that a job is out of date when its file is."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from did.errors import DidError
from did.readers import parquet_shards
from did.readers.parquet_folder import Layout, batches
from did.store import seals
from did.store.provenance import write_json


@dataclasses.dataclass(frozen=True)
class Jobs:
    """Where the jobs of a folder, by its name, keep their files."""

    name: str

    @classmethod
    def of(cls, folder: str | Path) -> Jobs:
        """The jobs of a folder: its name in letters, digits, - and _."""
        return cls(re.sub(r"[^A-Za-z0-9_-]+", "_", Path(folder).resolve().name).strip("_") or "folder")

    @property
    def work(self) -> Path:
        return Path("data/interim/folders") / self.name

    @property
    def logs(self) -> Path:
        return Path("logs/folders") / self.name

    @property
    def made_of(self) -> Path:
        """JSON file of the modules and packages that sum."""
        return self.work / "modules.json"

    @property
    def plan(self) -> Path:
        """JSON file with the folder, all its files and the layout."""
        return self.work / "plan.json"

    @property
    def total(self) -> Path:
        """Table of what the folder sums to."""
        return self.work / "total.parquet"

    def batch(self, label: str) -> Path:
        """JSON file with the files of a batch and the layout."""
        return self.work / "batches" / f"{label}.json"

    def shard(self, label: str) -> Path:
        """Table of what a batch sums to."""
        return self.work / "shards" / f"{label}.parquet"

    def labels(self) -> list[str]:
        """Names of the planned batches, in the order of their files."""
        return sorted(path.stem for path in (self.work / "batches").glob("*.json"))

    def write(self, folder: str | Path, files: list[Path], layout: Layout) -> None:
        """Write what each job needs. What would not change is not written, so that its job is not done again; what
        belongs to batches that are no more is removed, as is a table with another byte than was written."""
        wanted = {f"{number:05d}": batch for number, batch in enumerate(batches(files))}
        for label, batch in wanted.items():
            _write_if_new(self.batch(label), folder, batch, layout)
        _write_if_new(self.plan, folder, files, layout)
        for path in [*self.work.glob("batches/*.json"), *self.work.glob("shards/*.parquet")]:
            if path.stem not in wanted:
                path.unlink()
        for path in [*self.work.glob("shards/*.parquet"), *self.work.glob(self.total.name)]:
            if not seals.is_intact(path):
                path.unlink()


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job's file says: the folder, the files to sum or whose shards to add, and the layout."""

    folder: str
    files: list[Path]
    layout: Layout

    @classmethod
    def read(cls, path: str | Path) -> Job:
        """Raises DidError if the file is missing or was not written by `Jobs.write`."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(found["folder"], [Path(file) for file, *_ in found["files"]],
                       parquet_shards.of_json(found["layout"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DidError(f"{path}: expected what a job of a folder needs; found a file that cannot be read as one "
                           f"({type(error).__name__}); run did estimate again") from error


def _write_if_new(path: Path, folder: str | Path, files: list[Path], layout: Layout) -> None:
    """Write what `Job.read` reads, with the sizes and times of the files, by which one that changed is noticed."""
    stats = [file.stat() for file in files]
    value = {"folder": str(folder), "layout": parquet_shards.as_json(layout), "files": [
        [str(file), stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)]}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if known != value:
        write_json(path, value)
