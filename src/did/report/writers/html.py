"""Elements of the report page: running text, tables that can be sorted and filtered, and figures put into the page."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from did.errors import DidError
from did.words import p_value

TEMPLATES = Path(__file__).parents[1] / "templates"
# Numbers of a figure are also in the page up to this many rows.
SHORT = 40
MARKS = re.compile(r"\\([\\|*`\[\]])|(\*\*)|(`)")
SIZE = re.compile(r'width="([\d.]+)pt" height="([\d.]+)pt"')
FONT = "font:12px DejaVu Sans,Verdana,Arial,Helvetica,sans-serif"
# How the font is written in each text of a figure: the quotes of its names are gone by then.
PLAIN = "font-size: 12px; font-family: DejaVu Sans, Verdana, Arial, Helvetica, sans-serif; "
NUMBER = re.compile(r"-?\d+\.\d{3,}")


@dataclass(frozen=True)
class Made:
    """Where something comes from: a file of the results folder, and the rule of the workflow that wrote it."""

    file: str
    rule: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what is shown (text, or markup of our own) and, if it is not the text, what it sorts by."""

    text: str | Markup
    key: float | str | None = None


@dataclass(frozen=True)
class Table:
    """A table of the page: the first column names the row. ``right`` are the columns of numbers, aligned right."""

    id: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    made: Made
    right: frozenset[str] = frozenset()
    filtered: bool = False
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its data URI, alternative text, where it comes from, and its numbers if they are few."""

    id: str
    caption: str
    uri: str
    alt: str
    made: Made
    numbers: Table | None
    width: int
    height: int


def inline(text: str) -> Markup:
    """Return a sentence of the Markdown pages as HTML: bold and code are kept, everything else is shown as text.

    The sentences were made for Markdown with ``markdown_cell``: its escapes are undone, and then all is escaped for
    HTML, so no text from a file can become markup. A bold or code mark that is not closed is closed at the end.
    """
    parts, place = [], 0
    opened: dict[str, bool] = {"strong": False, "code": False}
    for found in MARKS.finditer(text):
        parts.append(_plain(text[place:found.start()]))
        place = found.end()
        if found[1]:
            parts.append(escape(found[1]))
            continue
        tag = "strong" if found[2] else "code"
        parts.append(Markup("</{}>" if opened[tag] else "<{}>").format(tag))
        opened[tag] = not opened[tag]
    parts.append(_plain(text[place:]))
    parts += [Markup("</{}>").format(tag) for tag, still in opened.items() if still]
    return Markup("").join(parts)


def _plain(text: str) -> Markup:
    return escape(text.replace("&lt;", "<"))


def bare_p(p: float) -> str:
    """Return a p-value for a column that is named p: ``0.023``, ``< 0.001``; "" if missing."""
    return "" if pd.isna(p) else p_value(p).removeprefix("p = ").removeprefix("p ")


def table_of(frame: pd.DataFrame, *, name: str, caption: str, made: Made, right: Iterable[str] = (),
             keys: Mapping[str, Sequence[float | str]] | None = None, filtered: bool = False, note: str = "") -> Table:
    """Return a frame of texts as a table of the page; ``keys`` maps a column to what its cells sort by."""
    keys = keys or {}
    by_column = [[Cell(value if isinstance(value, str) else "" if pd.isna(value) else str(value), key)
                  for value, key in zip(frame[column], keys.get(column, [None] * len(frame)), strict=True)]
                 for column in frame.columns]
    rows = list(zip(*by_column, strict=True))
    return Table(name, caption, [str(column) for column in frame.columns], rows, made,
                 frozenset(right) & set(frame.columns), filtered, note)


def picture(results: Path, name: str, *, caption: str, rule: str) -> Picture:
    """Return the figure ``name`` of the results folder, ready for the page: SVG, alternative text, numbers if few.

    Raises DidError if one of its files is missing.
    """
    folder = results / "figures"
    try:
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
        alt = (folder / f"{name}.txt").read_text(encoding="utf-8").strip()
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError as error:
        raise DidError(f"{error.filename}: expected a figure of the report; found no file; run the draw stage"
                       ) from None
    made = Made(f"figures/{name}.csv", rule)
    numbers = None
    if 1 < len(lines) <= SHORT + 1:
        numbers = Table(f"numbers-{name}", f"Numbers behind: {caption}", lines[0],
                        [[Cell(_short(value)) for value in line] for line in lines[1:]], made)
    width, height = (round(float(size) * 4 / 3) for size in SIZE.search(svg).groups())
    return Picture(f"figure-{name}", caption, data_uri(svg), alt, made, numbers, width, height)


def _short(value: str) -> str:
    """Return a number of a CSV file with at most six significant digits; other text as it is."""
    return f"{float(value):.6g}" if NUMBER.fullmatch(value) else value


def data_uri(svg: str) -> Markup:
    """Return an SVG file of ours as a data URI for an attribute in double quotes, in about half the bytes.

    Dropped: the document type, metadata (the page has the alternative text), line breaks, names that nothing refers to,
    rotations by nothing, and the font from every text but the whole. Numbers in attributes are rounded to hundredths of
    a point; text is left as it is. What is returned holds no double quote and no ampersand that is not an entity's.
    """
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", " ".join(svg.split()))
    referred = set(re.findall(r"#([\w.-]+)", svg))
    parts = re.split(r"(<[^>]*>)", svg)
    parts[1::2] = [_shorter(tag, referred) for tag in parts[1::2]]
    parts[0::2] = [text.replace("'", "&apos;").replace('"', "&quot;") for text in parts[0::2]]
    svg = "".join(parts).replace("<svg ", f"<svg style='{FONT}' ", 1)
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "&amp;")):
        svg = svg.replace(character, code)
    return Markup("data:image/svg+xml,") + Markup(svg)


def _shorter(tag: str, referred: set[str]) -> str:
    """Return a tag of an SVG file with single quotes, shorter numbers, and without what `data_uri` drops."""
    tag = tag.replace("'", "").replace(PLAIN, "").replace(' style=""', "").replace('"', "'")
    tag = re.sub(r" id='([^']*)'", lambda found: found[0] if found[1] in referred else "", tag)
    tag = re.sub(r" transform='rotate\(-?0 [^)]*\)'", "", tag)
    return NUMBER.sub(_rounded, re.sub(r"([;:]) (?=[\w#-])", r"\1", tag))


def _rounded(found: re.Match) -> str:
    value = float(found[0])
    return f"{value:.{2 if abs(value) >= 1 else 4}f}".rstrip("0").rstrip(".")


def html_of(template: str, **values: object) -> str:
    """Return a page, or a part of one, of the templates folder as text ending in one line break; all text escaped."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(template).render(**values).rstrip("\n") + "\n"
