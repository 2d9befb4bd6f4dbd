"""Where an evaluation's files come from: made up, a mirror's folder, or the publishers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from did.errors import DidError, suggest

MODES = ("demo", "mirror:FOLDER", "live")
DEMO = Path("config/demo.yaml")


@dataclass(frozen=True)
class DataMode:
    """Where files come from: ``kind`` is demo, mirror or live; ``folder`` is the mirror's folder, or the settings of
    the demo, else None."""

    kind: str
    folder: Path | None = None


def parse_mode(text: str, where: str = "--data") -> DataMode:
    """Return the DataMode that ``demo`` (or ``demo:SETTINGS.yaml``), ``mirror:FOLDER`` or ``live`` stands for.

    Raises DidError, beginning with ``where`` and listing the accepted forms, for anything else and for a mirror without
    a folder.
    """
    kind, colon, rest = str(text).strip().partition(":")
    if kind == "mirror" and rest.strip():
        return DataMode("mirror", Path(rest.strip()).expanduser())
    if kind == "live" and not colon:
        return DataMode("live")
    if kind == "demo" and (rest.strip() or not colon):
        return DataMode("demo", Path(rest.strip()) if colon else DEMO)
    hint = "; name the folder after 'mirror:'" if kind == "mirror" else suggest(kind, ["demo", "mirror", "live"])
    raise DidError(f"{where}: expected one of {', '.join(MODES)}; found '{text}'{hint}")
