"""Figure of the evidence on one estimate: the number, its interval and what every check makes of it, on one scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from did.report.content.evidence_rows import AS_PUBLISHED, COLUMNS, OURS, PRINTED, RANGE, in_words
from did.report.figures import style
from did.report.figures.style import Frame
from did.words import interval, number, short_decimals

# Inches: a row, a further line of its name, and between the columns; largest share of the width for names.
ROW, FURTHER, APART, NAMES = 0.34, 0.2, 0.2, 0.37
NOTHING = "No estimate has an interval to judge it by."
SIMPLER = "The margins of the checks are by simpler errors, clustered, and may be too narrow."
KEY = "Filled mark: told apart from no change. Hollow mark: not told apart."


@style.drawing
def evidence_figure(rows: pd.DataFrame, frame: Frame, *, value_label: str, decimals: int) -> list[Path]:
    """Draw the estimate and what each check makes of it, a line each, and save the figure; return the paths.

    ``rows`` as from `did.report.content.evidence_rows.evidence_rows`: an interval as a line, its estimate as a mark
    that is filled if the interval leaves out zero; a range of several estimates as a thick line; the printed number as
    a diamond. ``value_label`` is the unit, ``decimals`` those of the numbers at the right. Without rows the figure says
    that nothing is judged.
    """
    if rows.empty:
        frame = frame.saying(NOTHING)
        return style.save(style.page(0.1, frame)[0], frame, f"{frame.title}. {NOTHING}", rows.reindex(columns=COLUMNS))
    digits = [_digits(row, decimals) for row in rows.itertuples()]
    left, right = (min(share * frame.width, max(style.text_width(text, bold=True) for text in texts)
                       + style.EDGE + APART) for share, texts in ((NAMES, rows["words"]), (1, digits)))
    names = [style.wrap(words, left - style.EDGE - APART / 2, bold=kind == OURS)
             for words, kind in zip(rows["words"], rows["kind"], strict=True)]
    heights, y = [], 0.3
    for name in names:
        heights.append(y)
        y += ROW + (len(name) - 1) * FURTHER
    frame = frame.marked(rows).saying(KEY)
    figure, bottom = style.page(y + 0.7, frame, footnote=SIMPLER)
    width = frame.width - left - right
    axes = style.add_axes(figure, left, bottom + 0.6, width, y)
    axes.set(xlim=_limits(rows), ylim=(y, 0), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(style.plain_ticks)
    axes.grid(axis="x", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1.4, zorder=1)
    for row, name, said, at in zip(rows.itertuples(), names, digits, heights, strict=True):
        bold = row.kind == OURS
        _draw(axes, row, at)
        for place, line in enumerate(name):
            _write(axes, (style.EDGE - left) / width, at + place * FURTHER, line, bold=bold)
        _write(axes, 1 + (right - style.EDGE) / width, at, said, right=True, bold=bold)
    axes.set_xlabel("\n".join(style.wrap(value_label, frame.width - 2 * style.EDGE)), fontproperties=style.font(),
                    x=0.5)
    return style.save(figure, frame, _alt_text(rows, frame, value_label, decimals), rows[COLUMNS])


def _draw(axes, row, at: float) -> None:
    if row.kind == PRINTED:
        axes.plot(row.estimate, at, marker="D", markersize=9, color=style.PALETTE[2], linestyle="none", zorder=3)
        return
    if row.kind == RANGE:
        axes.plot([row.smallest, row.largest], [at, at], color=style.PALETTE[4], linewidth=5, zorder=2)
        return
    colour = style.PALETTE[0] if row.kind in (OURS, AS_PUBLISHED) else style.PALETTE[4]
    out = bool(row.ci_low > 0 or row.ci_high < 0)
    left, right = axes.get_xlim()
    # An end that the interval lacks is as far as the axis goes.
    ends = [left if np.isnan(row.ci_low) else row.ci_low, right if np.isnan(row.ci_high) else row.ci_high]
    if np.isfinite([row.ci_low, row.ci_high]).any():
        axes.plot(ends, [at, at], color=colour, linewidth=4 if row.kind == OURS else 2, zorder=2)
    axes.plot(row.estimate, at, marker="o", markersize=9 if row.kind == OURS else 7, linestyle="none", zorder=3,
              markerfacecolor=colour if out else "white", markeredgecolor=colour, markeredgewidth=2)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    values = rows[["estimate", "ci_low", "ci_high", "smallest", "largest"]].to_numpy(dtype=float)
    values = np.append(values[np.isfinite(values)], 0.0)
    room = 0.04 * (values.max() - values.min() or 1.0)
    return float(values.min() - room), float(values.max() + room)


def _digits(row, decimals: int) -> str:
    if row.kind == PRINTED:
        return number(row.estimate, short_decimals(row.estimate), signed=True)
    if row.kind == RANGE:
        return f"{number(row.smallest, decimals)} to {number(row.largest, decimals)}"
    value = number(row.estimate, decimals, signed=True)
    if np.isnan(row.ci_low) or np.isnan(row.ci_high):
        return value
    return f"{value} ({interval(row.ci_low, row.ci_high, decimals)})"


def _write(axes, x: float, y: float, text: str, *, right: bool = False, bold: bool = False) -> None:
    """Write text at ``x`` widths of the plot from its left edge and at the height of the data value ``y``."""
    axes.text(x, y, text, transform=axes.get_yaxis_transform(), ha="right" if right else "left", va="center",
              fontproperties=style.font(bold=bold))


def _alt_text(rows: pd.DataFrame, frame: Frame, value_label: str, decimals: int) -> str:
    said = [f"{row.words}: {_digits(row, decimals)}." for row in rows.itertuples()]
    about = f"Chart of one estimate and the checks on it. {frame.title}. In {value_label}."
    return " ".join([about, in_words(rows), *said])
