"""What matplotlib writes the figures' SVG by: its own writer, which measures a text once for all figures of a process.

A backend of matplotlib's (``savefig(..., backend="module://did.report.figures.svg")``).
"""

from __future__ import annotations

import functools
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import TextToPath


class _Renderer(RendererSVG):
    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        return _extent(s, prop, ismath)

    def _get_font_height_metrics(self, prop: FontProperties) -> tuple[float, float, float]:
        return _heights(prop)


@functools.lru_cache(4096)
def _extent(text: str, font: FontProperties, is_math: Any) -> tuple[float, float, float]:
    """Width, height and descent of a text. The font is one that comes with matplotlib and never changes; to lay out its
    letters takes as long as all else that is done to draw the text."""
    return TextToPath().get_text_width_height_descent(text, font, is_math)


@functools.lru_cache(64)
def _heights(font: FontProperties) -> tuple[float, float, float]:
    """Ascent, descent and gap between lines of a font, which matplotlib else reads from its file for each text."""
    face = get_font(findfont(font))
    scale = 1 / face.get_sfnt_table("head")["unitsPerEm"] * font.get_size_in_points()
    lines = face.get_sfnt_table("OS/2")
    return lines["sTypoAscender"] * scale, -lines["sTypoDescender"] * scale, lines["sTypoLineGap"] * scale


class FigureCanvas(FigureCanvasSVG):
    """The canvas that ``savefig`` takes from this module."""

    def print_svg(self, filename: str, *, metadata: dict[str, Any] | None = None, **_: Any) -> None:
        """Write the figure, which has no raster images, to the file."""
        with open(filename, "w", encoding="utf-8") as into:
            self.figure.dpi = 72   # an SVG's points
            width, height = 72 * self.figure.get_size_inches()
            renderer = _Renderer(width, height, into, metadata=metadata)
            self.figure.draw(renderer)
            renderer.finalize()
