"""Demonstration data: every registered file written in its publisher's format, made up, with planted effects.

Area names, codes and memberships are real (`data/reference`); every figure is drawn from the seed of
`config/demo.yaml`, so equal settings give equal bytes. See `did.simulate.truth` for what is planted.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from did.errors import DidError, one_of

if TYPE_CHECKING:
    from did.project.registry import RawFileEntry, Source
    from did.simulate.truth import Demo

REFERENCE = Path("data/reference")
# Which module writes a source; each has a function `files` of the same shape.
WRITERS: dict[str, str] = {
    "nhs_england_dtoc": "did.simulate.dtoc",
    "nhs_england_dtoc_2020": "did.simulate.dtoc",
    "ons_population": "did.simulate.population",
    "gpps": "did.simulate.gpps",
    "preventable_mortality": "did.simulate.mortality",
    "ccg_population": "did.simulate.mortality",
}
FileWriter = Callable[[Path], None]


def write_source(source: Source, folder: str | Path, demo: Demo, *, reference: str | Path = REFERENCE,
                 names: Collection[str] | None = None) -> list[Path]:
    """Write the files of ``source`` into ``folder`` in their publisher's format and return their paths.

    ``demo`` is the demonstration data's settings (`did.simulate.truth.load_demo`), ``reference`` the folder of
    reference tables, ``names`` the files to write (default: every file of the registry entry). A file's bytes
    depend on the settings and the reference tables only, not on which other files are written with it. Each
    file is written whole or not at all.

    Raises DidError for a source that no module can make, a name the source does not have, a file whose layout
    is not known to the module, and a reference table that is missing or lacks a column.
    """
    from did.store.provenance import atomic

    one_of("demonstration data of source", source.id, WRITERS)
    listed = [entry.name for entry in source.files]
    for name in names or []:
        one_of(f"demonstration data of source {source.id}: file", name, listed)
    wanted = [entry for entry in source.files if names is None or entry.name in names]
    module = importlib.import_module(WRITERS[source.id])
    writers = module.files(source, wanted, demo, Path(reference))
    paths = []
    for entry in wanted:
        path = Path(folder) / entry.name
        with atomic(path) as temporary:
            writers[entry.name](temporary)
        paths.append(path)
    return paths


def unknown_layout(source: Source, entry: RawFileEntry, known: str) -> DidError:
    """Return the error for a registered file whose layout a module cannot make."""
    period = f" of {entry.period}" if entry.period else ""
    return DidError(f"demonstration data of source {source.id}: file '{entry.name}'{period}: expected {known}; "
                    "remove it from the source or teach did.simulate its layout")
