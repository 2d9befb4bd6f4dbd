"""The key of a figure, what its lines, marks and shades are, in rows over the plot; and panes under one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from did.report.figures import style
from did.report.figures.style import Frame
from did.words import count, number, short_decimals, singular

ROW = 0.26  # inches
# Inches, of panes: from one row of panes to the next, between two panes, left of each, over its heading.
BETWEEN, GAP, LEFT, OVER = 0.4, 0.25, 0.75, 0.25
# The settings of one entry's lines, one drawn over the other, and its words.
Entry = tuple[Sequence[dict[str, Any]], str]
PUBLISHED = {"color": style.PALETTE[2], "linewidth": 1.5, "linestyle": (0, (6, 1.5, 1, 1.5))}


@dataclass(frozen=True)
class Published:
    """The number printed for an outcome, which its figures mark, in the unit of their axis, and the estimator that it
    is of, in words."""

    value: float
    estimator: str = ""

    @property
    def words(self) -> str:
        """``Published +40, lagged dependent variable``."""
        printed = number(self.value, short_decimals(self.value), signed=True)
        return ", ".join(filter(None, (f"Published {printed}", self.estimator)))

    @property
    def entry(self) -> Entry:
        """What the key says of its line."""
        return [PUBLISHED], self.words


def clustered(rows: pd.DataFrame, units: str) -> str:
    """Return what errors are clustered by, ``system``, or in the singular what ``units`` are; of rows of one level."""
    level = rows["cluster"].iloc[0]
    return singular(units) if level == "unit" else level


def keyed_page(frame: Frame, plot: float, entries: Sequence[Entry], *, over: float = 0.0,
               footnote: str = "") -> tuple[Figure, float, float]:
    """Return `style.page` with a key over a plot area of ``plot`` inches and ``over`` inches free over the key, and the
    heights at which the plot area begins and the key ends."""
    rows: list[list[Entry]] = []
    for entry in entries:
        if not rows or sum(_width(words) for _, words in [*rows[-1], entry]) > frame.width - style.EDGE:
            rows.append([])
        rows[-1].append(entry)
    figure, bottom = style.page(plot + len(rows) * ROW + over, frame, footnote=footnote)
    across, up = figure.get_size_inches()
    for above, row in enumerate(reversed(rows)):
        x, y = style.EDGE, (bottom + plot + (above + 0.5) * ROW) / up
        for lines, words in row:
            ends = [x / across, (x + 0.24) / across, (x + 0.48) / across]
            for settings in lines:
                figure.add_artist(Line2D(ends, [y, y, y], markevery=[1], **{"markersize": 7} | settings))
            figure.text((x + 0.55) / across, y, words, va="center", fontproperties=style.font())
            x += _width(words)
    return figure, bottom, bottom + plot + len(rows) * ROW


def _width(words: str) -> float:
    return 0.55 + style.text_width(words) + 0.3


def counted(rows: pd.DataFrame, size: str = "n_units") -> str:
    """Return the number in the column ``size``, ``30``, or ``28 to 30`` where rows differ."""
    return " to ".join(dict.fromkeys(map(count, (rows[size].min(), rows[size].max()))))


def grid(frame: Frame, heads: Sequence[tuple[str, str]], entries: Sequence[Entry], *, high: float, foot: float,
         footnote: str = "", columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Return a figure and a pane for each of ``heads``, at most so many ``columns`` in a row and ``high`` inches high.
    Over a pane stand the words of its head, in bold, and the line under them; the unit, where the subtitle does not say
    it, stands over all panes, and under the last row ``foot`` inches are free."""
    columns = min(columns, len(heads))
    width = (style.WIDTH - columns * LEFT - (columns - 1) * GAP - style.EDGE) / columns
    lines = [[*((line, True) for line in style.wrap(words, width + LEFT - style.EDGE, bold=True)),
              *([(style.shortened(under, width + LEFT - style.EDGE), False)] if under else [])]
             for words, under in heads]
    head = OVER + max(map(len, lines)) * style.line_height()
    rows = -(-len(heads) // columns)
    deep = rows * (high + head) + (rows - 1) * BETWEEN
    figure, bottom, top = keyed_page(frame, deep + foot, entries, over=0.3 if frame.axis_unit else 0.0,
                                     footnote=footnote)
    if frame.axis_unit:
        style.write(figure, style.EDGE, top + 0.15, frame.axis_unit)
    panes = []
    for place, words in enumerate(lines):
        row, column = divmod(place, columns)
        left, top = LEFT + column * (width + LEFT + GAP), bottom + foot + deep - row * (high + head + BETWEEN) - head
        panes.append(style.add_axes(figure, left, top - high, width, high))
        for above, (line, bold) in enumerate(reversed(words)):
            style.write(figure, left - LEFT + style.EDGE, top + 0.13 + above * style.line_height(), line, bold=bold,
                        va="bottom")
    return figure, panes
