"""Demonstration data written to a folder, without the workflow."""

from __future__ import annotations

from pathlib import Path

from did.availability import sources_of
from did.config import Evaluation
from did.fetch import DataMode, fetch
from did.registry import load_named


def run(evaluation: Evaluation, *, settings: str, output: str) -> str:
    """Write the files of every source of the evaluation to ``output/<source>`` and return one line.

    Raises DidError for a mistake in the settings or a source that cannot be made up.
    """
    sizes = []
    for name in sources_of(evaluation):
        source = load_named(name, evaluation.sources_folder)
        manifest = fetch(source, Path(output) / name, mode=DataMode("demo", Path(settings)))
        sizes += [entry["bytes"] for entry in manifest["files"].values()]
    return f"SYNTHETIC: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB in {output}/"
