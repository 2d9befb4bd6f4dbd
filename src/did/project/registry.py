"""The source registry: who publishes which files, where they are, and how the right ones are known.

One YAML file per source in ``config/sources/``. Adding a source that an existing reader can read needs no
Python: name the reader, its options and the files.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from did.errors import DidError, Mistakes, listed, one_of, suggest
from did.project import yaml_files
from did.readers import READERS

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PERIOD = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])|Q[1-4])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ ()+-]*")
# Names and endings that the fetch stage writes itself alongside the raw files.
_RESERVED = re.compile(r"manifest\.json|.*\.(new|part)", re.IGNORECASE)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


def _expect(value: Any, holds: bool, expected: str) -> Any:
    """Return ``value``, or raise ValueError with what was expected (pydantic adds the place)."""
    if not holds:
        raise ValueError(f"expected {expected}; found {_SHORT.repr(value)}")
    return value


def _check_name(value: Any) -> Any:
    plain = isinstance(value, str) and _NAME.fullmatch(value) is not None and ".." not in value
    expected = "a plain file name (letters, digits, . _ - + and brackets; no folder, no '..')"
    _expect(value, plain, expected)
    return _expect(value, _RESERVED.fullmatch(value) is None, "a name that fetching does not use itself")


def _check_period(value: Any) -> Any:
    good = value is None or (isinstance(value, str) and _PERIOD.fullmatch(value) is not None)
    return _expect(value, good, "quoted ISO text such as '2017-06', '2017Q2' or '2017'")


def _check_address(value: Any) -> Any:
    if value is None:
        return value
    expected = "an http or https address without user name or password, or null"
    try:
        parts = urlsplit(value) if isinstance(value, str) and not re.search(r"\s", value) else None
        good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        good = good and "@" not in parts.netloc and "\\" not in value and value.isprintable()
        good = good and len(value) <= 2000 and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets that do not close, a port that is not a number
        good = False
    return _expect(value, good, expected)


def _check_page(value: Any) -> Any:
    return value if value == "unknown" else _check_address(value)


def _check_sha256(value: Any) -> Any:
    good = value is None or (isinstance(value, str) and _SHA256.fullmatch(value) is not None)
    return _expect(value, good, "64 small hexadecimal digits in quotes, or null")


def _check_licence(value: Any) -> Any:
    good = isinstance(value, str) and bool(value.strip()) and len(value) <= 500
    return _expect(value, good, "the licence's name, such as OGL-3.0")


Address = Annotated[str | None, BeforeValidator(_check_address)]


class RawFileEntry(BaseModel):
    """One file of a source as the registry knows it: where it is published and how to recognise it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, BeforeValidator(_check_name)] = Field(
        description="file name under data/raw/<source id>/"
    )
    period: Annotated[str | None, BeforeValidator(_check_period)] = Field(
        default=None, description="ISO text of the period the file covers; absent if it covers several"
    )
    address: Address = Field(
        default=None,
        description="the publisher's address; null if none is known (the file is put in by hand)",
    )
    archive: Address = Field(default=None, description="second address, tried when the first fails")
    path: str | None = Field(default=None, min_length=1, description="a file of your own, copied from here in every "
                             "data mode; from the project folder, or a whole path")
    sha256: Annotated[str | None, BeforeValidator(_check_sha256)] = Field(
        default=None, description="checksum of the edition in use; null takes the first that comes, and another "
        "only when it is accepted"
    )
    bytes: int | None = Field(default=None, gt=0, description="size of the edition in use, in bytes")
    note: str = Field(default="", description="what a reader of the registry should know about this file")


class Source(BaseModel):
    """One publisher's series: its description, its reader and its files, in the registry's order."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str = Field(
        pattern=yaml_files.IDENTIFIER, description="name of the source in configs, tables and folders"
    )
    title: str = Field(min_length=1, max_length=500, description="what the series is")
    publisher: str = Field(min_length=1, max_length=500, description="who publishes it")
    landing_page: Annotated[str, BeforeValidator(_check_page)] = Field(
        description="the publisher's page to download the files from by hand, or unknown"
    )
    licence: Annotated[str, BeforeValidator(_check_licence)] = Field(description="licence of the files")
    reader: str = Field(description="reader of the files: " + ", ".join(READERS))
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
    manual_download: bool = Field(default=False, description="the publisher does not serve every network: files put in "
                                                             "by hand "
                          "are expected, those that are there are used, and without any the source is not available")
    trusted_hosts: list[str] = Field(default_factory=list, description="hosts on your own machine or network that "
                                     "live mode may download from; it refuses all others there")
    synthetic: bool = Field(default=False, description="the figures are made up: every table and page says so")
    quirks: list[str] = Field(default_factory=list, description="what is odd about the files")
    files: list[RawFileEntry] = Field(min_length=1, description="the files")

    @property
    def is_own(self) -> bool:
        """True if its files are the user's own."""
        return self.files[0].path is not None


def load_source(path: str | Path) -> Source:
    """Read one registry file and return its Source.

    ``path`` is a UTF-8 YAML file with the keys of `Source`, each file with the keys of `RawFileEntry`.
    Absent optional keys take their defaults; null stands for "not known".

    Raises DidError, naming the file and the key, when: the file is missing or is not YAML; a key is
    unknown (with the closest right one), missing, written twice or of the wrong type; the reader is
    unknown; a name is not a plain file name; a checksum is not 64 hexadecimal digits; an address is
    not http or https; two files share a name (whatever the case of its letters), period, address or checksum.
    """
    path = Path(path)
    source = yaml_files.read(path, Source)
    mistakes = Mistakes()
    with mistakes.collected():
        one_of(yaml_files.key(path, "reader"), source.reader, READERS)
    with mistakes.collected():
        _refuse_repeats(path, source)
    if len({entry.path is None for entry in source.files}) > 1:
        mistakes.lines.append(f"{yaml_files.key(path, 'files')}: expected a path for every file, or for none; found "
                              "both; make two sources of them")
    mistakes.stop()
    return source


def load_named(name: str, folder: str | Path) -> Source:
    """Read the source ``name`` from ``<folder>/<name>.yaml``.

    Raises DidError as `load_source` does, for an unknown source (naming the known ones and the nearest), and
    for an id that is not the file's name.
    """
    path = Path(folder) / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in Path(folder).glob("*.yaml"))
        raise DidError(f"source '{name}' is not known: expected a file {path}; found {listed(known, 40) or 'none'}"
                       f"{suggest(name, known) or '; add the file, or correct the name'}")
    source = load_source(path)
    if source.id != name:
        raise DidError(f"{path}: key 'id' must be the file's name '{name}'; found '{source.id}'")
    return source


def _refuse_repeats(path: Path, source: Source) -> None:
    """Raise DidError if two files of the source share what must tell them apart."""
    for key in ("name", "period", "address", "sha256"):
        # Names are compared without case: two that differ only in case are one file on some systems.
        values = [getattr(entry, key) for entry in source.files]
        if key == "name":
            values = [value.casefold() for value in values]
        counts = Counter(value for value in values if value is not None)
        repeated = next((value for value, count in counts.items() if count > 1), None)
        if repeated is not None:
            names = [
                entry.name for entry, value in zip(source.files, values, strict=True) if value == repeated
            ]
            raise DidError(
                f"{path}: files: {key} '{repeated}' is given to {len(names)} files ({listed(names)}); "
                f"expected a different one for each"
            )
