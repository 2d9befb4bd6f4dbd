"""Parquet files that hold their own checksum: one changed byte anywhere is found when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from did.errors import DidError
from did.store.provenance import atomic, versions

SEAL = b"sha256 of this file with zeros here: "
UNSEALED = b"0" * 64
MADE_BY = b"did made by"
# Rows from which texts are read each once.
MANY = 10_000
# So many tables of at most so many bytes are kept: one process does many jobs, and most tables are read by several.
KEPT, SMALL = 256, 100_000


def write(frame: pd.DataFrame, path: str | Path, metadata: Mapping[bytes, bytes] | None = None) -> None:
    """Write ``frame``, without its index, to ``path``, whole or not at all, with ``metadata`` and the versions that
    made it alongside the seal.

    The checksum is of the whole file, with zeros in the checksum's place: Parquet's own checksums leave the footer out.
    """
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **(metadata or {}),
                                           MADE_BY: json.dumps(versions()).encode(), b"did": SEAL + UNSEALED})
    sink = pyarrow.BufferOutputStream()
    # Tables of many columns and few rows, read whole: zstd takes twice as long to open each, for a tenth of the size.
    parquet.write_table(table, sink, compression="snappy", write_statistics=False)
    content = sink.getvalue().to_pybytes()
    place = content.rindex(SEAL) + len(SEAL)
    digest = hashlib.sha256(content).hexdigest().encode()
    with atomic(path) as temporary:
        temporary.write_bytes(content[:place] + digest + content[place + len(digest):])


def is_intact(path: str | Path) -> bool:
    """Whether every byte of the file is as `write` wrote it."""
    return _is_sealed(Path(path).read_bytes())


def made_by(path: str | Path) -> dict[str, str]:
    """The versions of Python and the packages that made the file: what `did.store.provenance.versions` gave when it was
    written."""
    from pyarrow import parquet

    return json.loads((parquet.read_schema(path).metadata or {}).get(MADE_BY, b"{}"))


def read(path: str | Path, again: str, only: Mapping[str, Collection[str]] = MappingProxyType({})
         ) -> tuple[pd.DataFrame, Mapping[bytes, bytes]]:
    """Return the frame at ``path``, of its rows those with one of the texts ``only`` of a column, and its metadata.

    Raises DidError if a single byte is not as it was written; ``again`` says what makes the file again.
    """
    content = Path(path).read_bytes()
    if not _is_sealed(content):
        raise DidError(f"{path}: expected the table as it was written; found bytes that were changed since; run again: "
                       f"{again} makes it again")
    place = content.rindex(SEAL) + len(SEAL)
    sealed = _Sealed(content[place:place + len(UNSEALED)], pd.get_option("mode.string_storage"), content)
    once = _read if len(content) <= SMALL else _read.__wrapped__
    frame, metadata = once(sealed, tuple((name, tuple(values)) for name, values in only.items()))
    return frame.copy(deep=False), metadata   # pandas copies what is written to


@dataclass(frozen=True)
class _Sealed:
    """The bytes of a file, which are the same wherever its checksum is, and what pandas makes of its texts."""

    checksum: bytes
    texts: str
    content: bytes = field(compare=False)


@lru_cache(KEPT)
def _read(sealed: _Sealed, only: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[pd.DataFrame, Mapping[bytes, bytes]]:
    import pyarrow
    from pyarrow import compute, parquet

    reader = pyarrow.BufferReader(sealed.content)
    about = parquet.read_metadata(reader)
    schema = about.schema.to_arrow_schema()
    # Of many rows one Python object for all cells with the same text: one for each would take longer than all else.
    texts = [field.name for field in schema if pyarrow.types.is_string(field.type)] if about.num_rows > MANY else []
    table = parquet.ParquetFile(reader, metadata=about, read_dictionary=texts).read(use_threads=False)
    for name, values in only:
        table = table.filter(compute.is_in(table[name], pyarrow.array(values)))
    frame = table.to_pandas(use_threads=False)
    return frame.astype(dict.fromkeys(texts, "str")) if texts else frame, schema.metadata or {}


def _is_sealed(content: bytes) -> bool:
    place = content.rfind(SEAL) + len(SEAL)
    found = content[place:place + len(UNSEALED)]
    return place >= len(SEAL) and hashlib.sha256(
        content[:place] + UNSEALED + content[place + len(UNSEALED):]).hexdigest().encode() == found
