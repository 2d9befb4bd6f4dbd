"""Estimates with their intervals as lines, one under another, on one scale: each with its name and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from did.report.content.evidence_words import AS_PUBLISHED, COLUMNS, OURS, PRINTED, RANGE, in_words
from did.report.content.robustness_rows import leaves_out_zero
from did.report.figures import key, style
from did.report.figures.style import Frame
from did.words import number, short, short_decimals

# Inches: a line, a further line of its name, a heading; between the columns; the largest shares of the width for names
# and for numbers.
ROW, FURTHER, HEAD, APART, NAMES, DIGITS = 0.3, 0.2, 0.36, 0.2, 0.4, 0.5
# Numbers of lines from which on they stand closer together.
MANY, CLOSE = 20, 0.25
OWN, OTHER = style.PALETTE[0], style.PALETTE[4]
MARK = {"marker": "o", "markeredgewidth": 2, "linewidth": 2}
OUT, IN = "Leaves out zero (no change)", "Includes zero (no change): could be chance"
DIAMOND, BAR = "The printed number", "Several estimates, lowest to highest, without their margins"
NOTHING = "No estimate has an interval to judge it by."
SIMPLER = ("Lines are 95% margins of error. Those below ours are made in a simpler way and are too narrow where few "
           "groups took part.")


@style.drawing
def evidence_figure(rows: pd.DataFrame, frame: Frame, *, decimals: int) -> list[Path]:
    """Draw the estimate and what each check makes of it, a line each, and save the figure; return the paths. ``rows``
    as from `did.report.content.evidence_words.evidence_rows`, drawn as `draw_forest` says, with ``decimals``. Without
    rows the figure says that nothing is judged."""
    if rows.empty:
        frame = frame.saying(NOTHING)
        return style.save(style.page(0.1, frame)[0], frame, f"{frame.title}. {NOTHING}",
                          rows.reindex(columns=COLUMNS[:-1]))
    about = f"Chart of one estimate and the checks on it. {in_words(rows)}"
    return draw_forest(rows, frame.marked(rows), decimals=decimals, about=about, footnote=SIMPLER)


def draw_forest(rows: pd.DataFrame, frame: Frame, *, decimals: int | Sequence[int], about: str,
                footnote: str = "") -> list[Path]:
    """Draw one line for each row, in order, and save the figure.

    Parameters
    ----------
    rows : kind, words (the name), estimate, ci_low, ci_high, smallest, largest and, where lines stand under headings,
        group (the heading); where there is more than one scale, unit, that of each row: rows of one unit are on one
        axis. By kind, a row is the `PRINTED` number, `OURS` (in colour and bold) or `AS_PUBLISHED`, a `RANGE` of
        several estimates from smallest to largest, or any other estimate. A mark is filled where the interval leaves
        out zero, hollow where it does not or where there is none. An end of an interval that is missing is as far as
        the axis goes.
    frame : see ``style.Frame``; its unit is that of the estimates, where the rows have none.
    decimals : of the numbers at the right, of all or of each; those of the printed number are as printed.
    about : what the alternative text begins with.

    The numbers are the rows. Returns the paths written.
    """
    places = np.broadcast_to(decimals, len(rows))
    shown = rows.assign(unit=rows.get("unit", frame.axis_unit), group=rows.get("group", ""), digits=[
        _digits(row, int(place)) for row, place in zip(rows.itertuples(), places, strict=True)])
    left, right = (min(share * frame.width, max(style.text_width(text, bold=True) for text in shown[texts])
                       + style.EDGE + APART) for share, texts in ((NAMES, "words"), (DIGITS, "digits")))
    shown["names"] = [style.wrap(words, left - style.EDGE - APART / 2, bold=kind == OURS)
                      for words, kind in zip(shown["words"], shown["kind"], strict=True)]
    panes = [(part, *_layout(part, len(rows)), style.wrap(unit, frame.width - 2 * style.EDGE) if unit else [])
             for unit, part in shown.groupby("unit", sort=False)]
    # Under an axis are its numbers and its label.
    feet = [0.4 + len(label) * style.line_height() for *_, label in panes]
    room = 0.1 + sum(deep for *_, deep, _ in panes) + sum(feet)
    figure, bottom, _ = key.keyed_page(frame, room, _key(rows), footnote=footnote)
    top = bottom + room - 0.1
    for (part, heights, heads, deep, label), foot in zip(panes, feet, strict=True):
        axes = style.add_axes(figure, left, top - deep, frame.width - left - right, deep)
        _pane(axes, part.assign(at=heights), heads, left, right, deep)
        axes.set_xlabel("\n".join(label), fontproperties=style.font(), x=0.5)
        top -= deep + foot
    said = [f"{row.group}{': ' if row.group else ''}{row.words}: {row.digits}." for row in shown.itertuples()]
    return style.save(figure, frame, " ".join([about, f"{frame.title}. {frame.subtitle}",
                                               f"In {frame.unit}." if frame.unit else "", *said]),
                      rows.drop(columns="is_synthetic", errors="ignore"))


def _pane(axes: Axes, rows: pd.DataFrame, heads: dict[str, float], left: float, right: float, deep: float) -> None:
    """Draw the rows on one axis, with their names ``left`` of it and their numbers ``right`` of it, in inches."""
    width = axes.get_position().width * axes.figure.get_size_inches()[0]
    start, end = style.EDGE - left, width + right - style.EDGE
    ends = rows[["estimate", "ci_low", "ci_high", "smallest", "largest"]].to_numpy(float)
    axes.set(xlim=style.limits(ends, 0.04), ylim=(deep, 0), yticks=[])
    style.value_axis(axes, max(2, min(5, int(width / 0.5))), "x")
    style.rule(axes, 0, "x", color=style.INK, linewidth=1.4, zorder=1)
    _draw(axes, rows)
    for group, at in heads.items():
        style.line(axes, [start / width, end / width], [at - 0.17] * 2, color=style.GRID, linewidth=0.8,
                   transform=axes.get_yaxis_transform(), clip_on=False, zorder=0)
        style.write_beside(axes, start, at, group, bold=True, bbox=style.CLEAR)
    for row in rows.itertuples():
        bold = row.kind == OURS
        for place, line in enumerate(row.names):
            style.write_beside(axes, start, row.at + place * FURTHER, line, bold=bold)
        style.write_beside(axes, end, row.at, row.digits, right=True, bold=bold)


def _layout(rows: pd.DataFrame, n: int) -> tuple[list[float], dict[str, float], float]:
    """Height of each line and each heading from the top of the plot, and the plot's height, in inches; ``n``: the lines
    of the whole figure."""
    step = CLOSE if n > MANY else ROW
    heights, heads, y = [], {}, 0.18
    for group, name in zip(rows["group"], rows["names"], strict=True):
        if group and group not in heads:
            heads[group] = y + 0.09
            y += HEAD
        heights.append(y)
        y += step + (len(name) - 1) * FURTHER
    return heights, heads, y


def _key(rows: pd.DataFrame) -> list[key.Entry]:
    """What the marks that are there mean."""
    marks = rows.loc[~rows["kind"].isin([PRINTED, RANGE])]
    out = leaves_out_zero(marks)
    entries = ((rows["kind"].eq(PRINTED), {"marker": "D", "color": style.PALETTE[2], "linestyle": "none"}, DIAMOND),
               (out, MARK | {"color": OTHER, "markerfacecolor": OTHER}, OUT),
               (~out, MARK | {"color": OTHER, "markerfacecolor": "white"}, IN),
               (rows["kind"].eq(RANGE), {"color": OTHER, "linewidth": 5}, BAR))
    return [([look], words) for here, look, words in entries if here.any()]


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw every row at its height ``at``, all that look alike at once."""
    kind, out = rows["kind"].to_numpy(object), leaves_out_zero(rows).to_numpy(bool)
    at, estimates, low, high, least, most = (rows[name].to_numpy(float) for name in (
        "at", "estimate", "ci_low", "ci_high", "smallest", "largest"))
    printed, ranges = kind == PRINTED, kind == RANGE
    _points(axes, estimates[printed], at[printed], marker="D", markersize=9, color=style.PALETTE[2])
    style.lines(axes, at[ranges], least[ranges], most[ranges], color=OTHER, linewidth=5)
    is_known = ~(np.isnan(low) & np.isnan(high))
    # An end that an interval lacks is as far as the axis goes.
    low, high = (np.where(np.isnan(ends), edge, ends) for ends, edge in zip((low, high), axes.get_xlim(), strict=True))
    ours, as_published = kind == OURS, kind == AS_PUBLISHED
    for colour, width, size, here in ((OWN, 2.6, 9, ours), (OWN, 2, 7, as_published),
                                      (OTHER, 2, 7, ~(printed | ranges | ours | as_published))):
        lines = here & is_known
        style.lines(axes, at[lines], low[lines], high[lines], color=colour, linewidth=width)
        for points, fill in ((here & out, colour), (here & ~out, "white")):
            _points(axes, estimates[points], at[points], marker="o", markersize=size, markerfacecolor=fill,
                    markeredgecolor=colour, markeredgewidth=2)


def _points(axes: Axes, values: np.ndarray, at: np.ndarray, **look: Any) -> None:
    if len(at):
        style.line(axes, values, at, linestyle="none", zorder=3, **look)


def _digits(row, decimals: int) -> str:
    if row.kind == PRINTED:
        return number(row.estimate, short_decimals(row.estimate), signed=True)
    if row.kind == RANGE:
        return f"{short(row.smallest, decimals)} to {short(row.largest, decimals)}"
    value = short(row.estimate, decimals, signed=True)
    if np.isnan(row.ci_low) or np.isnan(row.ci_high):
        return value
    return f"{value} ({short(row.ci_low, decimals)} to {short(row.ci_high, decimals)})"
