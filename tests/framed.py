"""Figures called with plain words, which become their frame, and what every figure has to be: legible."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from did.report.figures import style
from did.report.figures.style import SETTINGS, Frame

PARTS = [field.name for field in fields(Frame)]


def draw_framed(figure, rows, **options):
    """Return what ``figure`` does with ``rows``, the frame of those options that are parts of one, and the others."""
    frame = Frame(**{name: options.pop(name) for name in PARTS if name in options})
    return figure(rows, frame, **options)


@contextlib.contextmanager
def saved_figures() -> Iterator[list[Figure]]:
    """The figures that are saved within the block, with a tick of matplotlib's for each place."""
    found: list[Figure] = []
    savefig = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "Pane", Axes)
        patch.setattr(Figure, "savefig", lambda self, *a, **k: (found.append(self), savefig(self, *a, **k)))
        yield found


def marks(svg: Path) -> list[str]:
    """What an SVG file draws: every line, mark and text by itself, whatever they are grouped by."""
    text = svg.read_text(encoding="utf-8")
    lines = [f"{part.strip()} {look}" for path, look in re.findall(r'<path d="([^"]*)"([^>]*)>', text)
             for part in path.split("M")[1:]]
    return sorted([*lines, *re.findall(r"<use [^>]*>|<text [^>]*>[^<]*", text)])


def assert_legible(figure: Figure) -> None:
    """Texts are of 12 points or more, horizontal, inside the figure, and none is over another."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    with matplotlib.rc_context(SETTINGS):
        figure.draw(renderer)
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()
                 and text.get_gid() != "synthetic"]
        boxes = [text.get_window_extent(renderer) for text in texts]
    shown = [(text, box) for text, box in zip(texts, boxes, strict=True) if _is_drawn(text, figure)]
    assert len(shown) > 10
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in shown:
        assert text.get_fontsize() >= 12, text.get_text()
        assert text.get_rotation() == 0, text.get_text()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
    for (text, box), (other, second) in itertools.combinations(shown, 2):
        across = min(box.x1, second.x1) - max(box.x0, second.x0)
        up = min(box.y1, second.y1) - max(box.y0, second.y0)
        assert across <= 1 or up <= 2.5, (text.get_text(), other.get_text())


def _is_drawn(text: Text, figure: Figure) -> bool:
    """Ticks outside the limits of their axes are kept by matplotlib but never drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for tick in axis.get_major_ticks():
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return low <= tick.get_loc() <= high
    return True
