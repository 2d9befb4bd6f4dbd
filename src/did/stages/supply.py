"""Files that people download by hand into ``data/raw/<source>``, whatever they are called."""

from __future__ import annotations

from collections.abc import Sequence

from did.fetch.by_hand import Outcome, supply
from did.project import registry
from did.project.paths import Paths
from did.project.registry import RawFileEntry, Source

# Beyond so many missing files only their periods are listed.
_EACH = 12


def run(source_name: str, given: Sequence[str], *, sources_folder: str, accept: bool,
        paths: Paths) -> tuple[list[str], list[str]]:
    """Put the files among ``given`` that are the source's into its folder; return lines on what was done and is still
    missing, and lines on the files that are refused.

    Raises DidError for an unknown source and for every failure that `did.fetch.by_hand.supply` describes.
    """
    source = registry.load_named(source_name, sources_folder)
    folder = paths.raw(source_name)
    outcome = supply(source, folder, given, accept=accept)
    lines = [f"{found.candidate.shown}: {_which(found.entry)}, put at {folder / found.entry.name}"
             for found in outcome.placed]
    lines += [f"{candidate.shown}: skipped, {why}" for candidate, why in outcome.skipped]
    if outcome.passed_over:
        lines.append(f"{outcome.passed_over:,} other files in the folders and zip files: passed over, by their endings "
                     "no data files of this source")
    return [*lines, *_there(source, outcome)], outcome.refused


def _which(entry: RawFileEntry) -> str:
    return f"the file of {entry.period}" if entry.period else f"the file {entry.name}"


def _there(source: Source, outcome: Outcome) -> list[str]:
    """Return how many files of the source are there, and which are missing."""
    n_files = len(source.files)
    lines = [f"{source.id}: {n_files - len(outcome.missing)} of {n_files} files are there"]
    if not outcome.missing:
        return lines
    lines[0] += f"; the others are at {source.landing_page}"
    if len(outcome.missing) <= _EACH:
        return lines + [f"missing: {entry.period or entry.name}{f', {entry.note}' if entry.note else ''}"
                        for entry in outcome.missing]
    return [*lines, "missing: " + ", ".join(entry.period or entry.name for entry in outcome.missing)]
