"""The axes of the figures: matplotlib's, but what it makes for each tick is made once for an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import axis
from matplotlib.axes import Axes


class _OneTick:
    """An axis whose ticks look alike, so that one is drawn at all places, its lines at once and its label at each in
    turn: matplotlib makes one for each, which takes several times as long as to draw it. Without minor ticks, and with
    a label under the axis at most."""

    minorTicks: list[axis.Tick] = []

    def draw(self: Any, renderer: Any) -> None:
        """Draw the ticks within the limits, then the label."""
        renderer.open_group(axis.__name__, gid=self.get_gid())
        tick, lowest = self.majorTicks[0], self.axes.bbox.y0
        (low, high), places = sorted(self.get_view_interval()), self.get_majorticklocs()
        shown = {place: text for place, text in zip(places, self.major.formatter.format_ticks(places), strict=True)
                 if low <= place <= high}
        # The lines of the grid are one path with gaps.
        tick.gridline.set_data(self._points(np.repeat([*shown], 3), np.tile([0, 1, np.nan], len(shown))))
        tick.tick1line.set_data(self._points([*shown], [0] * len(shown)))
        for line in (tick.gridline, tick.tick1line):
            line.draw(renderer)
        for place, text in shown.items():
            tick.label1.set_position(self._points(place, 0))
            tick.label1.set_text(text)
            tick.label1.draw(renderer)
            if self.label.get_text():
                lowest = min(lowest, tick.label1.get_window_extent(renderer).y0)
        self.label.set_y(lowest - self.labelpad * self.axes.figure.dpi / 72)
        self.label.draw(renderer)
        renderer.close_group(axis.__name__)
        self.stale = False


class _Across(_OneTick, axis.XAxis):
    """The horizontal axis."""

    @staticmethod
    def _points(along: Any, off: Any) -> tuple[Any, Any]:
        return along, off


class _Up(_OneTick, axis.YAxis):
    """The vertical axis."""

    @staticmethod
    def _points(along: Any, off: Any) -> tuple[Any, Any]:
        return off, along


class Pane(Axes):
    """Axes of one plot, to be given to ``Figure.add_axes`` as ``axes_class``."""

    def _init_axis(self) -> None:   # as a projection of matplotlib's says which axes it has
        self.xaxis, self.yaxis = _Across(self, clear=False), _Up(self, clear=False)
        for sides, one in (("bottom top", self.xaxis), ("left right", self.yaxis)):
            for side in sides.split():
                self.spines[side].register_axis(one)
