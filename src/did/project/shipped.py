"""What comes with the package beside its modules: the workflow's Snakefile, and evaluations ready to run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from did.errors import DidError, suggest

PACKAGE = Path(__file__).parents[1]
# What an evaluation that is shipped is made of, beside its own file.
SCHEMA = "config/schema"
PARTS = ("config/demo.yaml", "config/indicators", "config/sources", "config/published", SCHEMA, "data/reference")


def folder() -> Path:
    """Return the folder of what is shipped: within an installed package, else the checkout that the package is in."""
    installed = PACKAGE / "shipped"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def snakefile() -> Path:
    """Return the workflow: the current folder's own Snakefile, if it has one, else the shipped one."""
    own = Path("Snakefile")
    return own if own.is_file() else folder() / "Snakefile"


def evaluations() -> list[str]:
    """Return the names of the evaluations that are shipped.

    >>> evaluations()
    ['ics']
    """
    return sorted(path.stem for path in (folder() / "config").glob("*.yaml") if path.name != "demo.yaml")


def evaluation_file(word: str) -> tuple[Path, list[str]]:
    """Return the file of an evaluation, and the files and folders that were laid out for it.

    ``word`` is its path, or its name: of ``config/NAME.yaml`` in the current folder, else of one that is shipped, which
    is then laid out here; what is there already stays as it is. Raises DidError for a name that is neither, with those
    there are.
    """
    path = Path(word)
    if path.is_file():
        return path, []
    if path.suffix:
        raise DidError(f"{path}: expected the file of an evaluation; found none; correct the name, or begin with did "
                       f"run {evaluations()[0]}, which comes with the package, or did new NAME, which writes one")
    own = Path("config") / f"{word}.yaml"
    if own.is_file():
        return own, []
    if word not in evaluations():
        there = sorted({*evaluations(), *(each.stem for each in Path("config").glob("*.yaml") if each.stem != "demo")})
        raise DidError(f"evaluation '{word}': expected a file, or one of {', '.join(there)}; found neither {word} nor "
                       f"{own}{suggest(word, there)}; did new {word} writes one")
    return own, laid_out((str(own), *PARTS))


def laid_out(parts: Iterable[str], place: str | Path = ".") -> list[str]:
    """Copy shipped files and folders into the folder ``place``; return those that were not there already."""
    written = []
    for part in parts:
        source, target = folder() / part, Path(place) / part
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
            written.append(part)
    return written
