"""Panes on common axes, two in a row, each under its heading, with one key over all."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from did.report.figures import key, style
from did.report.figures.style import Frame

# Inches: from one row of panes to the next, between two panes, left of each, over its heading.
BETWEEN, GAP, LEFT, OVER = 0.4, 0.25, 0.75, 0.25


def grid(frame: Frame, heads: Sequence[tuple[str, str]], entries: Sequence[key.Entry], *, high: float, foot: float,
         footnote: str = "", columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Return a figure and a pane for each of ``heads``, at most so many ``columns`` in a row and ``high`` inches high.

    Over a pane stand the words of its head, in bold, and the line under them; the unit, where the subtitle does not say
    it, stands over all panes, and under the last row ``foot`` inches are free.
    """
    columns = min(columns, len(heads))
    width = (style.WIDTH - columns * LEFT - (columns - 1) * GAP - style.EDGE) / columns
    lines = [[*((line, True) for line in style.wrap(words, width + LEFT - style.EDGE, bold=True)),
              *([(style.shortened(under, width + LEFT - style.EDGE), False)] if under else [])]
             for words, under in heads]
    head = OVER + max(map(len, lines)) * style.line_height()
    rows, key_rows = -(-len(heads) // columns), key.key_rows(entries)
    deep = rows * (high + head) + (rows - 1) * BETWEEN
    said = 0.3 if frame.axis_unit else 0.0
    figure, bottom = style.page(deep + foot + len(key_rows) * key.ROW + said, frame, footnote=footnote)
    key.draw_key(figure, key_rows, bottom + foot + deep)
    if said:
        style.write(figure, style.EDGE, bottom + foot + deep + len(key_rows) * key.ROW + 0.15, frame.axis_unit)
    panes = []
    for place, words in enumerate(lines):
        row, column = divmod(place, columns)
        left, top = LEFT + column * (width + LEFT + GAP), bottom + foot + deep - row * (high + head + BETWEEN) - head
        panes.append(style.add_axes(figure, left, top - high, width, high))
        for above, (line, bold) in enumerate(reversed(words)):
            style.write(figure, left - LEFT + style.EDGE, top + 0.13 + above * style.line_height(), line, bold=bold,
                        va="bottom")
    return figure, panes
