"""Demonstration data written to a folder, without the workflow."""

from __future__ import annotations

from pathlib import Path

from did.errors import DidError
from did.fetch import fetch
from did.fetch.availability import sources_of
from did.project.config import Evaluation
from did.project.data_mode import DataMode
from did.project.registry import load_named


def run(evaluation: Evaluation, *, settings: str, output: str) -> str:
    """Write the files of every publisher's source of the evaluation to ``output/<source>`` and return one line.

    Raises DidError for a mistake in the settings, a source that cannot be made up, and an evaluation of which every
    source is a file of the user's own.
    """
    sizes = []
    loaded = [load_named(name, evaluation.sources_folder) for name in sources_of(evaluation)]
    published = [source for source in loaded if not source.is_own]
    if not published:
        raise DidError(f"evaluation {evaluation.id}: expected sources of publishers, whose files can be made up; found "
                       "only files of your own; nothing need be made up for them: run did run")
    for source in published:
        manifest = fetch(source, Path(output) / source.id, mode=DataMode("demo", Path(settings)))
        sizes += [entry["bytes"] for entry in manifest["files"].values()]
    return f"SYNTHETIC: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB in {output}/"
