"""Draws docs/architecture.svg: the rooms of src/did in their layers, from the contract in pyproject.toml and the code.

python docs/draw_rooms.py
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs/architecture.svg"
WIDTH, ROW, NAME, SAYS, USES = 1180, 58, 24, 190, 700
FLOW = "publishers' files → observations → panels → estimates → checks → evidence → report"


def layers() -> list[list[str]]:
    """Rooms from the highest to the lowest, those beside each other in one list."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    lines = next(each["layers"] for each in settings["contracts"] if each.get("containers") == ["did"])
    return [[name.strip() for name in line.split("|")] for line in lines]


def _says(room: str) -> str:
    folder = ROOT / "src/did" / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n\n")[0].replace("\n", " ")


def drawing() -> str:
    """The picture as SVG text: one band a layer, with what each room holds and which rooms it uses."""
    graph = grimp.build_graph("did", cache_dir=None)
    rooms = [room for layer in layers() for room in layer]
    uses = {room: [other for other in rooms if other != room and graph.direct_import_exists(
        importer=f"did.{room}", imported=f"did.{other}", as_packages=True)] for room in rooms}
    height = 84 + ROW * len(rooms)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
             'font-size="14" role="img" aria-label="Rooms of src/did, the highest first, and the rooms each uses">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             f'<text x="{NAME}" y="30" font-size="16">{escape(FLOW)}</text>',
             *(f'<text x="{x}" y="62" fill="#505050">{head}</text>'
               for x, head in ((NAME, "room"), (SAYS, "holds"), (USES, "uses")))]
    top = 72
    for number, layer in enumerate(layers()):
        parts.append(f'<rect x="8" y="{top}" width="{WIDTH - 16}" height="{ROW * len(layer) - 4}" rx="4" '
                     f'fill="{("#eef3f8", "#f7f7f4")[number % 2]}"/>')
        for room in layer:
            parts.append(f'<text x="{NAME}" y="{top + 24}" font-weight="bold">{room}</text>')
            for x, text, width in ((SAYS, _says(room), 68), (USES, ", ".join(uses[room]) or "nothing of ours", 64)):
                for line, words in enumerate(textwrap.wrap(text, width)[:2]):
                    parts.append(f'<text x="{x}" y="{top + 20 + 18 * line}">{escape(words)}</text>')
            top += ROW
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
    print(PICTURE)
