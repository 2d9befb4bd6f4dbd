"""The writer of web pages: figures put into the page, and templates that escape whatever stands in them."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from did.errors import DidError
from did.project.paths import Paths

TEMPLATES = Path(__file__).parents[1] / "templates"
SIZE = re.compile(r'width="([\d.]+)pt" height="([\d.]+)pt"')
FONT = "font:12px DejaVu Sans,Verdana,Arial,Helvetica,sans-serif"
# How the font is written in each text of a figure: the quotes of its names are gone by then.
PLAIN = "font-size: 12px; font-family: DejaVu Sans, Verdana, Arial, Helvetica, sans-serif; "
NUMBER = re.compile(r"-?\d+\.\d{3,}")


def written(path: Path, what: str, remedy: str) -> str:
    """Return what another stage wrote for the report; DidError with the remedy if the file is missing."""
    if not path.is_file():
        raise DidError(f"{path}: expected {what} of the report; found no file; {remedy}")
    return path.read_text(encoding="utf-8")


def picture(paths: Paths, name: str, *, caption: str) -> dict[str, object]:
    """Return the figure ``name`` of a run, ready for the page: id, caption, data URI, alternative text, file, and size
    in pixels. Raises DidError if one of its files is missing."""
    svg, alt = (written(path, "a figure", "run the draw stage") for path in (
        paths.results / "figures" / f"{name}.svg", paths.drawn / f"{name}.txt"))
    width, height = (round(float(size) * 4 / 3) for size in SIZE.search(svg).groups())
    return {"id": f"figure-{name}", "caption": caption, "uri": data_uri(svg), "alt": alt.strip(),
            "file": f"figures/{name}.svg", "width": width, "height": height}


def data_uri(svg: str) -> Markup:
    """Return an SVG file of ours as a data URI for an attribute in double quotes, in about half the bytes.

    Dropped: the document type, metadata (the page has the alternative text), line breaks, names that nothing refers to,
    rotations by nothing, and the font from every text but the whole. Numbers in attributes are rounded to tenths of a
    point; text is left as it is. What is returned holds no double quote and no ampersand that is not an entity's.
    """
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", " ".join(svg.split()))
    referred = set(re.findall(r"#([\w.-]+)", svg))
    parts = re.split(r"(<[^>]*>)", svg)
    parts[1::2] = _shorter("\n".join(parts[1::2]), referred).split("\n")
    parts[0::2] = [text.replace("'", "&apos;").replace('"', "&quot;") for text in parts[0::2]]
    svg = "".join(parts).replace("<svg ", f"<svg style='{FONT}' ", 1)
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "&amp;")):
        svg = svg.replace(character, code)
    return Markup("data:image/svg+xml,") + Markup(svg)


def _shorter(tags: str, referred: set[str]) -> str:
    """Return tags of an SVG file with single quotes, shorter numbers, and without what `data_uri` drops."""
    tags = tags.replace("'", "").replace(PLAIN, "").replace(' style=""', "").replace('"', "'")
    tags = re.sub(r" id='([^']*)'", lambda found: found[0] if found[1] in referred else "", tags)
    tags = re.sub(r" transform='rotate\(-?0 [^)]*\)'", "", tags)
    return NUMBER.sub(_rounded, re.sub(r"([;:]) (?=[\w#-])", r"\1", tags))


def _rounded(found: re.Match) -> str:
    value = float(found[0])
    return f"{value:.{1 if abs(value) >= 1 else 4}f}".rstrip("0").rstrip(".")


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, which escape all text."""
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    made.globals["zip"] = zip
    return made


def html_of(template: str, **values: object) -> str:
    """Return a page, or a part of one, of the templates folder as text ending in one line break; all text escaped."""
    return environment().get_template(template).render(**values).rstrip("\n") + "\n"
