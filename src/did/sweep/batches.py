"""A sweep cut into batches, each a file that says all a job needs, so that a job is out of date when its file is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from did.errors import DidError
from did.store.provenance import sha256, write_json
from did.sweep.listing import Entry, Settings

MOST_BYTES = 200_000_000  # of files read by one job


@dataclasses.dataclass(frozen=True)
class Batch:
    """Indicators of one job. ``part`` is the file with their rows where all came from one big file, else ""."""

    settings: Settings
    entries: tuple[Entry, ...]
    part: str = ""


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where a sweep keeps its files: ``work`` for what jobs hand on, ``results`` for what people read."""

    name: str

    @property
    def work(self) -> Path:
        return Path("data/interim/sweep") / self.name

    @property
    def results(self) -> Path:
        return Path("results/sweep") / self.name

    @property
    def logs(self) -> Path:
        return Path("logs/sweep") / self.name

    @property
    def plan(self) -> Path:
        """JSON file with the settings, the source and the number of indicators."""
        return self.work / "plan.json"

    def made_of(self, stage: str) -> Path:
        """JSON file of the modules and packages that do a job."""
        return self.work / "modules" / f"{stage}.json"

    def batch(self, label: str) -> Path:
        return self.work / "batches" / f"{label}.json"

    def part(self, label: str) -> Path:
        return self.work / "parts" / f"{label}.parquet"

    def done(self, label: str) -> Path:
        return self.work / "done" / f"{label}.parquet"

    def labels(self) -> list[str]:
        """Names of the batches that were planned, in order."""
        return sorted(path.stem for path in (self.work / "batches").glob("*.json"))


def cut(sizes: Sequence[int], most: int, most_size: int) -> list[int]:
    """Return the batch number of each item, in order: at most ``most`` items and a size of ``most_size`` a batch.

    An item larger than that has a batch of its own.
    """
    numbers, number, count, total = [], 0, 0, 0
    for size in sizes:
        if count and (count == most or total + size > most_size):
            number, count, total = number + 1, 0, 0
        numbers.append(number)
        count, total = count + 1, total + size
    return numbers


def label_of(number: int) -> str:
    """Return the name of a batch's files, the same however many batches there are."""
    return f"{number:05d}"


def write_batches(folders: Folders, settings: Settings, source: str, entries: Sequence[Entry], most: int,
                  numbers: Sequence[int] | None = None) -> int:
    """Write the plan and the batch files of a sweep and return the number of batches.

    ``numbers`` is each entry's batch where the parts of one big file are already cut, else they are cut here by number
    and bytes of files. A batch file names the settings, the indicators, and the checksum of every file its job reads;
    one that would not change is not written, so that its job is not done again. Files of batches that are no more are
    removed. Raises DidError if there is no indicator.
    """
    if not entries:
        raise DidError(f"{source}: expected one row per indicator; found none; add indicators")
    sums: dict[str, str] = {}
    by_part = numbers is not None
    if numbers is None:
        numbers = cut([_size(entry.file) for entry in entries], most, MOST_BYTES)
    members: dict[int, list[Entry]] = {}
    for entry, number in zip(entries, numbers, strict=True):
        members.setdefault(number, []).append(entry)
    common = _sums([path for path in (settings.waves, settings.members) if path], sums)
    for number, group in members.items():
        label = label_of(number)
        part = str(folders.part(label)) if by_part else ""
        files = [part] if by_part else dict.fromkeys(entry.file for entry in group)
        _write_if_new(folders.batch(label), {
            "settings": dataclasses.asdict(settings), "part": part, "files": common | _sums(files, sums),
            "indicators": [dataclasses.asdict(entry) for entry in group]})
    wanted = {label_of(number) for number in members}
    for folder in ("batches", "parts", "done"):
        for path in (folders.work / folder).glob("*.*"):
            if path.name.partition(".")[0] not in wanted and path.name != "index.json":
                path.unlink()
    _write_if_new(folders.plan, {"name": folders.name, "source": source, "settings": dataclasses.asdict(settings),
                                 "indicators": len(entries), "batches": sorted(wanted)})
    return len(members)


def read_batch(path: str | Path) -> Batch:
    """Return the batch of a file. Raises DidError if it is missing or was not written by `write_batches`."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return Batch(settings_of(found["settings"]), tuple(Entry(**each) for each in found["indicators"]),
                     found["part"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DidError(f"{path}: expected a batch of a sweep; found a file that cannot be read as one "
                       f"({type(error).__name__}); run did sweep again") from error


def settings_of(found: dict) -> Settings:
    """Return the settings that a plan or batch file holds."""
    return Settings(**found | {name: tuple(found[name]) for name in ("estimators", "clusters")})


def _sums(files: Sequence[str], known: dict[str, str]) -> dict[str, str]:
    """Return file -> checksum, ``missing`` for one that is not there or may not be read; ``known`` spares a pass."""
    for file in files:
        if file not in known:
            try:
                known[file] = sha256(file)
            except OSError:
                known[file] = "missing"
    return {file: known[file] for file in files if file}


def _size(file: str) -> int:
    return Path(file).stat().st_size if file and Path(file).is_file() else 0


def _write_if_new(path: Path, value: dict) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_json(path, value)
