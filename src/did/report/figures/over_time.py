"""Panes of lines over calendar time, and their axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from did.report.figures import key, style
from did.report.figures.style import Frame
from did.words import period_name

# Colour, line and marker of each line: never told apart by colour alone.
LOOKS = [{"color": style.PALETTE[0], "linestyle": "-", "marker": "o", "linewidth": 2},
         {"color": style.PALETTE[3], "linestyle": (0, (5, 2)), "marker": "^", "linewidth": 2}]
HEAD, FOOT, GAP, LEFT = 0.45, 0.5, 0.45, 0.75  # inches above, under, alongside and left of a pane
FEW = 24  # periods with a marker each


@dataclass(frozen=True)
class Pane:
    """Two lines at most, each a series of values by period (ISO text) in which a missing value is a gap, and the first
    treated period, before which a vertical line stands if it lies in the window; "" if there is none."""

    heading: str
    lines: Sequence[pd.Series]
    onset: str = ""
    is_broken: bool = False   # lines end where treatment begins and begin again there


def draw_panes(panes: Sequence[Pane], frame: Frame, *, names: Sequence[str], height: float) -> Figure:
    """Return a figure of the panes on common axes, two in a row, each ``height`` inches high; ``names`` of the lines
    stand in the key."""
    periods = sorted({period for pane in panes for line in pane.lines for period in line.index})
    entries = key.key_rows([([look], name) for look, name in zip(LOOKS, names, strict=False)])
    columns = min(2, len(panes))
    rows = -(-len(panes) // columns)
    heads = [style.wrap(pane.heading, style.WIDTH / columns - LEFT, bold=True) for pane in panes]
    head = HEAD + (max(map(len, heads)) - 1) * style.line_height()
    tall = rows * (height + head + FOOT)
    said = 0.3 if frame.axis_unit else 0.0
    figure, bottom = style.page(tall + len(entries) * key.ROW + said, frame)
    figure.text(style.EDGE / style.WIDTH, (bottom + tall + 0.1) / figure.get_size_inches()[1], frame.axis_unit,
                va="center", color=style.INK, fontproperties=style.font())
    key.draw_key(figure, entries, bottom + tall + said)
    width = (style.WIDTH - LEFT - style.EDGE - (columns - 1) * GAP) / columns
    values = np.concatenate([line.to_numpy(float) for pane in panes for line in pane.lines])
    low, high = np.nanmin(values), np.nanmax(values)
    limits = (low - 0.06 * (high - low or 1), high + 0.22 * (high - low or 1))
    for place, (pane, heading) in enumerate(zip(panes, heads, strict=True)):
        row, column = divmod(place, columns)
        axes = style.add_axes(figure, LEFT + column * (width + GAP),
                              bottom + (rows - 1 - row) * (height + head + FOOT) + FOOT, width, height)
        axes.set_ylim(limits)
        _pane(axes, pane, periods)
        axes.set_title("\n".join(heading), loc="left", pad=9, fontproperties=style.font(bold=True))
        axes.tick_params(axis="y", labelleft=column == 0)
    return figure


def _pane(axes: Axes, pane: Pane, periods: list[str]) -> None:
    first, last = (pd.Period(end).ordinal for end in (periods[0], periods[-1]))
    onset = pd.Period(pane.onset).ordinal if pane.onset else first
    few = len(periods) <= FEW
    for place, line in reversed(list(enumerate(pane.lines))):
        at = np.array([pd.Period(period).ordinal for period in line.index], dtype=float)
        values, years = line.to_numpy(float), np.array([period[:4] for period in line.index])
        cut = int(np.searchsorted(at, onset))
        if pane.is_broken and cut:
            at, values, years = (np.insert(each, cut, more) for each, more in (
                (at, onset - 0.5), (values, np.nan), (years, years[cut - 1])))
        # A long line has a marker at the first period of each year.
        marked = 1 if few else [0, *(int(at) for at in np.flatnonzero(years[1:] != years[:-1]) + 1)]
        axes.plot(at, values, **LOOKS[place], markersize=6 if few else 5, zorder=4 - place, markevery=marked)
    if first < onset <= last:
        axes.axvline(onset - 0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
        rightward = onset - first < 0.6 * (last - first)
        axes.annotate(f"from {period_name(pane.onset)}", (onset - 0.5, axes.get_ylim()[1]),
                      xytext=(5 if rightward else -5, -2), textcoords="offset points", va="top",
                      ha="left" if rightward else "right", fontproperties=style.font(), bbox=style.CLEAR)
    edge = 0.02 * (last - first) + 0.5
    axes.set_xlim(first - edge, last + edge)
    time_axis(axes, periods)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(style.plain_ticks)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def time_axis(axes: Axes, periods: Sequence[str], start: int = 0) -> None:
    """Put a tick at the start of each year, or of every second or fifth year where the axis has no room for all.

    Without two starts of a year in the window, the first and last periods are ticked. The axis counts periods from the
    one numbered ``start``.
    """
    known = [pd.Period(period) for period in periods]
    firsts = [period for period in known if period.start_time.month == 1]
    room = axes.get_position().width * axes.figure.get_size_inches()[0] / 0.55
    every = next(step for step in (1, 2, 5, 10, 10**4) if len(firsts) / step <= room)
    kept = [period for period in firsts if (period.year - firsts[0].year) % every == 0]
    names = {period.ordinal - start: str(period.year) for period in kept}
    if len(kept) < 2:
        names = {period.ordinal - start: str(period) for period in (known[0], known[-1])}
    axes.xaxis.set_major_locator(FixedLocator(list(names)))
    axes.xaxis.set_major_formatter(lambda value, _: names.get(round(value), ""))
