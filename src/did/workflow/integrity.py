"""Whether files are still what a stage wrote: what `did run` makes again before it starts, and what `did verify`
reports.

A changed byte (a failing disk, a hand that slipped) is never an input: tables carry their own checksum, raw files and
results have theirs in a manifest, and a manifest is sealed with its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from did.errors import DidError
from did.store import seals
from did.store.provenance import read_sealed, sha256

if TYPE_CHECKING:
    from did.workflow.plan import Plan


def changed_files(plan: Plan) -> list[str]:
    """Return the files of a plan that are there and are not what was written. Missing ones are the workflow's matter.

    A manifest of raw files that cannot be trusted is named with all that it vouches for.
    """
    found = [path for path in plan.tables() if Path(path).is_file() and not seals.is_intact(path)]
    for source in plan.sources:
        folder = plan.paths.raw(source)
        found += _changed(plan.raw_files(source), folder / "manifest.json", lambda path, record: (
            record["files"].get(Path(path).name, {}).get("sha256")))
    return found + _changed([*plan.sections(), *plan.all_drawn(), *plan.results()], plan.paths.manifest,
                            lambda path, record: (record["tables"] | record["results"]).get(path))


def from_the_future(plan: Plan) -> list[str]:
    """Return the tables and results whose times are more than a minute ahead of the clock, and set back those of the
    raw files and of the checksums of modules that are.

    After the clock was set back an edit is older than what was made from the file before it, and Snakemake, which goes
    by times, would not see it. Raw files are known by their checksums, and those of modules are what they hold.
    """
    now = time.time()

    def ahead(paths: list[str]) -> list[str]:
        return [path for path in paths if Path(path).is_file() and Path(path).stat().st_mtime > now + 60]

    for path in ahead([*plan.raw_files(), *map(str, plan.paths.modules.glob("*.json"))]):
        os.utime(path)
    return ahead([*plan.tables(), *plan.sections(), *plan.all_drawn(), *plan.results(), *plan.result_files("manifest")])


def _changed(files: list[str], manifest: Path, recorded: Callable[[str, dict], str | None]) -> list[str]:
    """Those of ``files`` that are not as ``manifest`` records; the manifest alone if its seal is broken."""
    if not manifest.is_file():
        return []
    try:
        record = read_sealed(manifest)
    except DidError:
        return [str(manifest)]
    return [path for path in files if Path(path).is_file() and recorded(path, record) not in (None, sha256(path))]


def remove_damaged_records(folder: Path) -> None:
    """Delete the records of Snakemake (``.snakemake/metadata``) that a kill or a bad disk has damaged.

    Snakemake stops at most of them with a traceback. Without a record it goes by the times of the files.
    """
    for path in folder.rglob("*"):
        if path.is_file() and not _is_record(path):
            path.unlink()


def _is_record(path: Path) -> bool:
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(record, dict) and all(isinstance(record.get(key, 0), int | None)
                                            for key in ("job_hash", "record_format_version"))
