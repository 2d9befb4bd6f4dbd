"""Stage 10: the manifest of the run: checksums of everything that went in and came out, and what computed it."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from did.availability import sources_of
from did.config import Evaluation
from did.outputs import contents
from did.paths import FAMILY_TABLES, TABLES, Paths
from did.provenance import sha256, versions, write_sealed


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the manifest and return one line about the run.

    No times are in it: the same inputs and settings give the same bytes. Files that an earlier run made for the
    indicators ``without``, which are not available now, are deleted: they are of another run, perhaps of made-up data.
    """
    written = contents.every_file(evaluation, without)
    for name in {*contents.every_file(evaluation)} - {*written}:
        (paths.results / name).unlink(missing_ok=True)
    synthetic = any(bool(pd.read_parquet(paths.estimates(name), columns=["is_synthetic"])["is_synthetic"].any())
                    for name in evaluation.indicators if name not in without)
    sources = sources_of(evaluation, without)
    raw = sorted(path for source in sources for path in paths.raw(source).glob("*")
                 if path.is_file() and path.name != "manifest.json")
    tables = [*(paths.observations(source) for source in sources),
              *(getattr(paths, table)(name) for name in evaluation.indicators if name not in without
                for table in (*TABLES, "section")),
              *(getattr(paths, table)(family) for family in contents.families(evaluation, without)
                for table in FAMILY_TABLES)]
    write_sealed(paths.results / contents.MANIFEST, {
        "evaluation": evaluation.id,
        "is_synthetic": synthetic,
        "settings": evaluation.model_dump(mode="json"),
        "versions": versions(),
        "inputs": {str(path): sha256(path) for path in [*raw, *contents.settings_files(evaluation)]},
        "tables": {str(path): sha256(path) for path in sorted(tables) if path.is_file()},
        "results": {str(paths.results / name): sha256(paths.results / name) for name in sorted(written)},
    })
    return f"{len(written) + 1} files in {paths.results}/; read {paths.results / contents.REPORT} first"
