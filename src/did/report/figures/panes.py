"""What the figures of coefficients are made of: rows of estimates with intervals, names, heads and labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from did.report.content.facts import DAGGER, rests_on_few
from did.report.figures import style
from did.words import decimals_for, number, short_decimals

PRINTED = style.PALETTE[2]

# Lengths in inches of the rows of a coefficient pane.
LINE, ABOVE, BETWEEN = 0.24, 0.34, 0.2


@dataclass(frozen=True)
class Row:
    """One row of a pane: its key, its name, and the height, from the top, of each line."""

    key: str
    name: list[str]
    clusters: dict[str, float]
    printed: float | None


def rows_of(names: Mapping[str, list[str]], clusters: Sequence[str],
            printed: Collection[str]) -> tuple[list[Row], float]:
    """Return the rows with the heights of their lines from the pane's top, and the pane's height, in inches.

    ``names`` maps a row's key to its name as lines, ``printed`` holds the keys of rows with a line for what was
    printed.
    """
    rows, y = [], 0.0
    for key, name in names.items():
        y += ABOVE
        first = y
        heights = {cluster: y + place * LINE for place, cluster in enumerate(clusters)}
        y += (len(clusters) - 1) * LINE
        stated = None
        if key in printed:
            y += LINE
            stated = y
        y = max(y, first + (len(name) - 1) * style.line_height()) + BETWEEN
        rows.append(Row(key, name, heights, stated))
    return rows, y


def limits_of(rows: pd.DataFrame, printed: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of an axis: intervals, printed values and zero are inside, with room for labels."""
    values = np.concatenate([rows[["estimate", "ci_low", "ci_high"]].to_numpy(float).ravel(),
                             printed["published_value"].to_numpy(float), [0.0]])
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    room = 0.12 * (high - low or 1.0)
    return low - room, high + room


def draw_pane(axes: Axes, lines: list[Row], rows: pd.DataFrame, printed: pd.DataFrame, clusters: Sequence[str],
              limits: tuple[float, float], deep: float) -> None:
    """Draw the rows of one pane; ``rows`` and ``printed`` say in their column ``row`` which row they belong to."""
    axes.set(xlim=limits, ylim=(deep, 0), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(style.plain_ticks)
    axes.axvline(0, color=style.INK, linewidth=1.2, zorder=1)
    for line, following in zip(lines, lines[1:] + [None], strict=True):
        here = rows[rows["row"] == line.key]
        decimals = decimals_for(here["std_error"].min())
        for place, cluster in enumerate(clusters):
            _whisker(axes, here[here["cluster"] == cluster], line.clusters[cluster],
                     style.MARKS[place % len(style.MARKS)], decimals, labelled=place == 0)
        stated = printed[printed["row"] == line.key]["published_value"]
        if len(stated):
            _diamond(axes, float(stated.iloc[0]), line.printed, limits)
        if following is not None:
            between = min(following.clusters.values()) - ABOVE
            axes.axhline(between, color=style.GRID, linewidth=0.8, zorder=0)


def _whisker(axes: Axes, row: pd.DataFrame, y: float, mark, decimals: int, *, labelled: bool) -> None:
    """Draw one estimate and its interval at height ``y``; write the estimate above it if ``labelled``."""
    marker, colour, dashes = mark
    if row.empty or pd.isna(row["estimate"].iloc[0]):
        if labelled:
            axes.text(axes.get_xlim()[0], y, " not estimated", va="center", fontproperties=style.font())
        return
    row = row.iloc[0]
    if pd.notna(row["ci_low"]) and pd.notna(row["ci_high"]):
        axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2, linestyle=dashes,
                  zorder=2)
        axes.plot([row["ci_low"], row["ci_high"]], [y, y], marker="|", markersize=7, markeredgewidth=2,
                  color=colour, linestyle="none", zorder=2)
    axes.plot(row["estimate"], y, marker=marker, color=colour, markersize=8, linestyle="none", zorder=3)
    if labelled:
        text = number(row["estimate"], decimals) + (DAGGER if rests_on_few(row["few_treated"]) else "")
        axes.text(row["estimate"], y - 0.17, text, ha="center", va="center",
                  fontproperties=style.font(bold=True), zorder=4, bbox=style.CLEAR)


def _diamond(axes: Axes, value: float, y: float, limits: tuple[float, float]) -> None:
    axes.plot(value, y, marker="D", markersize=9, markerfacecolor="white", markeredgecolor=PRINTED,
              markeredgewidth=2, linestyle="none", zorder=3)
    # The label stands on the side away from the zero line, unless the pane ends there.
    room = 0.18 * np.ptp(limits)
    rightward = value < limits[0] + room if value < 0 else value < limits[1] - room
    axes.annotate(number(value, short_decimals(value), signed=True), (value, y), va="center",
                  xytext=(10 if rightward else -10, 0), textcoords="offset points",
                  ha="left" if rightward else "right", fontproperties=style.font(), bbox=style.CLEAR)


def pane_head(figure: Figure, axes: Axes, heading: list[str], counts: list[str]) -> None:
    """Write a pane's heading and under it how many units it compares, both as lines."""
    box, up = axes.get_position(), figure.get_size_inches()[1]
    for place, line in enumerate([*reversed(counts), *reversed(heading)]):
        figure.text(box.x0, box.y1 + (place * style.line_height() + 0.06) / up, line, va="bottom",
                    fontproperties=style.font(bold=place >= len(counts)))


def counts(rows: pd.DataFrame, units: str) -> str:
    """Return ``30 of 149 areas; N = 4,917``, with a range where the rows differ; "" without rows."""
    if rows.empty:
        return ""

    def spread(column: str) -> str:
        low, high = rows[column].min(), rows[column].max()
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    return f"{spread('n_treated')} of {spread('n_units')} {units}; N = {spread('n_obs')}"


def row_names(axes: Axes, lines: list[Row], called: Mapping[str, str], left: float) -> None:
    """Write the rows' names, and what each of their lines is, left of the pane."""
    width = axes.get_position().width * style.WIDTH
    place = axes.get_yaxis_transform()
    for line in lines:
        first = min(line.clusters.values())
        for index, text in enumerate(line.name):
            axes.text((style.EDGE - left) / width, first + index * style.line_height(), text, va="center",
                      transform=place, fontproperties=style.font(bold=True))
        marked = [(y, called[cluster]) for cluster, y in line.clusters.items()]
        for y, text in marked + ([(line.printed, "as printed")] if line.printed is not None else []):
            axes.text(-0.1 / width, y, text, transform=place, ha="right", va="center",
                      fontproperties=style.font())


def label_under(axes: Axes, lines: list[str], until: Axes) -> None:
    """Write the axis label of a row of panes, from ``axes`` to ``until``, under its middle."""
    up = axes.figure.get_size_inches()[1]
    middle = (axes.get_position().x0 + until.get_position().x1) / 2
    axes.figure.text(middle, axes.get_position().y0 - 0.3 / up, "\n".join(lines), ha="center", va="top",
                     fontproperties=style.font())
