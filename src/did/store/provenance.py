"""Files written whole or not at all, the checksums that name them, and the versions that computed them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from did.errors import DidError

# Those that compute the tables between the stages.
PACKAGES = ("ics-did", "pandas", "numpy", "scipy", "statsmodels", "pyarrow", "python-calamine")
# Packages of another name than their module's.
DISTRIBUTIONS = {"yaml": "PyYAML", "PIL": "pillow"}


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path alongside ``path``; rename it to ``path`` when the block ends without error.

    The folder is made if need be. On an error the temporary file is removed and ``path`` is left as it
    was, so a reader sees the old file or the new one and never a part of either.

    An OSError that comes of writing it (no space, a folder that is read-only) names ``path``. Raises DidError where
    ``path`` is a folder.
    """
    path = Path(path)
    refuse_other(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        # New, never what is there or a link to it; who may read it is for the user's umask to say.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and (error.filename is None or temporary is None or str(error.filename) == str(temporary)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def refuse_other(path: str | Path, option: str = "") -> None:
    """Raise DidError where a folder, a device or a pipe is at ``path``, which is to be a file; ``option`` names what
    gave the path."""
    begun, path = f"{option}: " if option else "", Path(path)
    if path.is_dir():
        raise DidError(f"{begun}{path}: expected a file to write; found a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise DidError(f"{begun}{path}: expected a file to write; found a device or a pipe; name a file")


def remove_unfinished(folder: str | Path) -> None:
    """Delete what `atomic` had begun in ``folder`` when its process was killed. Only for one that works alone there."""
    for path in Path(folder).rglob(".*.part"):
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 with ``\\n`` line ends, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON with sorted keys, atomically: equal values, equal bytes."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of ``packages``, named as they are installed or imported, that this process runs on.

    One that is not installed is left out. Without names: of those that compute the tables.
    """
    found = {name: _version(DISTRIBUTIONS.get(name, name)) for name in packages or PACKAGES}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version}


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def together(records: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """One record of versions from several: a package that had more than one has all of them, with commas between."""
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(found[package])) for package in sorted(found)}


def write_sealed(path: str | Path, value: dict[str, Any]) -> dict[str, Any]:
    """Write ``value`` as `write_json` does, with a checksum of itself under ``seal``; return it with the seal."""
    sealed = value | {"seal": _seal(value)}
    write_json(path, sealed)
    return sealed


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote. Raises DidError if a single byte of it has changed."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict) or not is_sealed(value):
        raise DidError(f"{path}: expected what was written there, with its seal; found it changed; run again: did run "
                       "makes it again")
    return value


def is_sealed(value: dict[str, Any]) -> bool:
    """Whether a mapping still has the seal that `write_sealed` gave it."""
    return value.get("seal") == _seal(value)


def _seal(value: dict[str, Any]) -> str:
    rest = {key: part for key, part in value.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
