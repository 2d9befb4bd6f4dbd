"""Figure of one outcome's estimate and every alternative to it: what survives, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from did.errors import DidError
from did.report.content.facts import CLUSTERS, estimator_name, own_dates_names, short_name
from did.report.content.robustness_rows import COLUMNS, GROUPS, leaves_out_zero
from did.report.figures import style
from did.report.figures.event_study import KEY_ROW, draw_key, key_rows
from did.report.figures.staggered import NO_NUMBER, NOT_PRINTED, PUBLISHED, PublishedNumber
from did.report.figures.style import Frame
from did.words import count, decimals_for, number, plural, short_decimals

MOST = 70  # rows; with more, the longest groups become one row each
# Groups in which each estimator has its own rows; the others are drawn for the published estimator.
BOTH = ("default", "few_clusters")
ALWAYS_RANGES = ("staggered_other", "combinations", "other_systems")
MAY_BE_RANGES = ("specifications", "years", "placebo", "treated_systems")
# What a row that stands for several says; {n} is their number.
RANGES = {
    "staggered_other": "Each of {n} estimators, {what}",
    "combinations": "Each of {n} combinations",
    "other_systems": "Each of the {n} other systems left out",
    "specifications": "Each of {n} specifications",
    "years": "Each of {n} years left out",
    "placebo": "Each of {n} placebo onsets",
    "treated_systems": "Each of {n} treated systems left out",
}
# Lines of the ranges and of the reported estimate.
RANGE = {"color": style.PALETTE[4], "linewidth": 5, "solid_capstyle": "butt"}
REPORTED = {"color": style.PALETTE[0], "linewidth": 1, "linestyle": (0, (2, 2))}
# Inches: a row, how far apart its lines, a further line of its name, a group's heading; the columns.
ROW, APART, FURTHER, HEAD = 0.27, 0.1, 0.2, 0.4
NAMES, DIGITS = 3.55, 1.15


@dataclass(frozen=True)
class Row:
    """One row: its group and name, one line per cluster level (estimate, ci_low, ci_high), or a range."""

    group: str
    name: str
    estimate: float
    lines: Mapping[str, tuple[float, float, float]]
    ends: tuple[float, float] | None = None
    bold: bool = False


@style.drawing
def robustness_forest(
    rows: pd.DataFrame,
    frame: Frame,
    *,
    estimator: str,
    value_label: str,
    published: PublishedNumber = NO_NUMBER,
    clusters: Mapping[str, str] = CLUSTERS,
) -> list[Path]:
    """Draw the reported estimate and its alternatives as rows in groups, sorted by estimate, and save the figure.

    Parameters
    ----------
    rows : as from ``robustness_rows.alternatives``, of one outcome. A row per estimate, with a line for each level of
        ``clusters``; what was skipped is in the numbers only. As reported and for few clusters every estimator has
        its rows, elsewhere only ``estimator``, the published one. The estimates without one other system, of combined
        specifications and of further staggered specifications are one row from the lowest to the highest, and so are
        the longest other groups where there would be more than 70 rows.
    published : the printed number in the unit of the axis, a line through all rows.
    value_label : unit of the estimates.
    frame : see ``style.Frame``; synthetic if a row is.

    The numbers hold every row, those not drawn too (column ``shown``: point, range or no), and what was printed.
    Returns the paths written. Raises DidError if there is no reported estimate by ``estimator``.
    """
    printed, published = published, published.value
    done = rows[rows["status"].eq("done") & rows["cluster"].isin(list(clusters))]
    drawn, shown = forest_rows(done, estimator, list(clusters), published)
    reported = next((row for row in drawn if row.bold), None)
    if reported is None:
        raise DidError(f"robustness figure: expected a reported estimate by {estimator}; found none; run the fit stage")
    frame = frame.marked(rows)
    decimals = decimals_for(done.loc[done["group"].eq("default"), "std_error"].min())
    names = [style.wrap(row.name, NAMES - style.EDGE - 0.15, bold=row.bold) for row in drawn]
    heights, heads, deep = _layout(drawn, names)
    key = key_rows(clusters, False, False, ([RANGE], "Lowest to highest estimate"), ([REPORTED], "Ours"),
                   *([([PUBLISHED], f"Published {_short(published)}")] if published is not None else []))
    if printed.is_missed:
        frame = frame.saying(NOT_PRINTED)
    frame = frame.saying(_counts(done, estimator, list(clusters), frame.units, printed.is_compared))
    figure, bottom = style.page(deep + 1.05 + len(key) * KEY_ROW, frame)
    width = style.WIDTH - NAMES - DIGITS
    axes = style.add_axes(figure, NAMES, bottom + 0.6, width, deep)
    draw_key(figure, key, bottom + deep + 1.0)
    axes.set(xlim=_limits(drawn, published), ylim=(deep, 0), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(style.plain_ticks)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.axvline(0, color=style.INK, linewidth=1.2, zorder=1)
    axes.axvline(reported.estimate, **REPORTED, zorder=1)
    if published is not None:
        axes.axvline(published, **PUBLISHED, zorder=1)
    _write(axes, width + DIGITS - style.EDGE, -0.2, "Estimate", right=True, bold=True)
    _draw_lines(axes, drawn, heights, list(clusters))
    for group, y in heads.items():
        axes.plot([-NAMES / width + style.EDGE / width, 1 + DIGITS / width - style.EDGE / width], [y - 0.06] * 2,
                  color=style.GRID, linewidth=0.8, transform=axes.get_yaxis_transform(), clip_on=False, zorder=0)
        _write(axes, -NAMES + style.EDGE, y + 0.13, GROUPS[group], bold=True)
    for row, name, y in zip(drawn, names, heights, strict=True):
        _draw_mark(axes, row, y)
        for place, line in enumerate(name):
            _write(axes, -NAMES + style.EDGE + 0.12, y + place * FURTHER, line, bold=row.bold)
        _write(axes, width + DIGITS - style.EDGE, y, _digits(row, decimals), right=True, bold=row.bold)
    axes.set_xlabel("\n".join(style.wrap(value_label, style.WIDTH - 2 * style.EDGE)), fontproperties=style.font(),
                    x=0.5)
    numbers = rows[COLUMNS].assign(shown=shown.reindex(rows.index).fillna("no"), published_value=published)
    return style.save(figure, frame, _alt_text(frame, value_label, drawn, reported, decimals, published), numbers)


def forest_rows(done: pd.DataFrame, estimator: str, clusters: Sequence[str],
                published: float | None = None) -> tuple[list[Row], pd.Series]:
    """Return the rows to draw, in order, and for each row of the frame how it is shown: ``point`` or ``range``.

    ``done`` are rows of ``alternatives`` with an estimate. The ``published`` number stands with the reported rows.
    """
    own = done[done["group"].isin([*BOTH, "staggered", "staggered_other"]) | done["estimator"].eq(estimator)]
    own = _named(own, estimator)
    ranges = [group for group in ALWAYS_RANGES if own["group"].eq(group).any()]
    sizes = own.drop_duplicates(["group", "key", "estimator"])["group"].value_counts()
    while (sizes.drop(ranges).sum() + len(ranges) > MOST
           and (left := [group for group in MAY_BE_RANGES if group not in ranges and sizes.get(group, 0) > 1])):
        ranges.append(max(left, key=sizes.get))
    found: list[Row] = []
    for group in [group for group in GROUPS if own["group"].eq(group).any()]:
        here = own[own["group"].eq(group)]
        if group in ranges:
            by = here.groupby("key", sort=False) if group == "staggered_other" else [("", here)]
            made = [_range(group, part) for _, part in by]
        else:
            made = [_point(group, part, estimator, clusters)
                    for _, part in here.groupby(["key", "estimator"], sort=False)]
        if group == "default" and published is not None:
            made.append(Row(group, "Published number", published, {}))
        found += sorted(made, key=lambda row: row.estimate)
    return found, own["group"].isin(ranges).map({True: "range", False: "point"})


def _named(own: pd.DataFrame, estimator: str) -> pd.DataFrame:
    """The rows with what each changes, as its group's heading reads on; specifications that change nothing here are
    one."""
    within = own["group"].isin(["treated_systems", "years"])
    own = own.assign(what=own["what"].where(~within, own["called"].mask(own["called"].eq(""), own["left_out"])))
    reported = own.loc[own["group"].eq("default") & own["estimator"].eq(estimator), "estimate"]
    same = own["group"].eq("specifications") & own["estimate"].isin(reported)
    n = own.loc[same, "key"].nunique()
    if n > 1:
        own.loc[same, ["key", "what"]] = ["change nothing", f"{n} specifications that change nothing here"]
    return own


def _range(group: str, rows: pd.DataFrame) -> Row:
    ends = float(rows["estimate"].min()), float(rows["estimate"].max())
    n = len(rows.drop_duplicates(["key", "estimator"]))
    return Row(group, RANGES[group].format(n=n, what=rows["what"].iloc[0]), ends[0], {}, ends)


def _point(group: str, rows: pd.DataFrame, estimator: str, clusters: Sequence[str]) -> Row:
    first = rows.iloc[0]
    reported = group == "default" and first["estimator"] == estimator
    name = f"{first['what'][:1].upper()}{first['what'][1:]}"
    if group == "default":
        name = estimator_name(first["estimator"])
        name = f"{name[:1].upper()}{name[1:]}"
    elif group == "few_clusters":
        name = f"{name}, {short_name(first['estimator'])}"
    elif group == "staggered":
        name = own_dates_names()[first["estimator"]]
    lines = {row.cluster: (row.estimate, row.ci_low, row.ci_high) for row in rows.itertuples()
             if row.cluster in clusters}
    return Row(group, name, float(first["estimate"]), lines, bold=reported)


def _layout(rows: Sequence[Row], names: Sequence[list[str]]) -> tuple[list[float], dict[str, float], float]:
    """Height of each row and of each group's heading from the top of the plot, and the plot's height, in inches."""
    heights, heads, y = [], {}, 0.0
    for row, name in zip(rows, names, strict=True):
        if row.group not in heads:
            y += 0.08
            heads[row.group] = y
            y += HEAD
        heights.append(y)
        y += ROW + (len(name) - 1) * FURTHER
    return heights, heads, y


def _digits(row: Row, decimals: int) -> str:
    if row.ends is not None:
        return f"{number(row.ends[0], decimals)} to {number(row.ends[1], decimals)}"
    return number(row.estimate, decimals) if row.lines else _short(row.estimate)


def _draw_lines(axes: Axes, rows: Sequence[Row], heights: Sequence[float], clusters: Sequence[str]) -> None:
    """Draw the estimates and intervals of all rows, one cluster level at a time; rows with one line have it centred."""
    for place, cluster in enumerate(clusters):
        marker, colour, dashes = style.MARKS[place % len(style.MARKS)]
        aside = (place - (len(clusters) - 1) / 2) * APART
        lines = np.array([(y + (aside if len(row.lines) > 1 else 0), *row.lines[cluster])
                          for row, y in zip(rows, heights, strict=True) if cluster in row.lines]).reshape(-1, 4)
        at, estimate, low, high = lines.T
        known = np.isfinite(low) & np.isfinite(high)
        axes.hlines(at[known], low[known], high[known], color=colour, linewidth=2, linestyle=dashes, zorder=2)
        for ends in (low, high):  # an end that falls between two dashes
            axes.plot(ends[known], at[known], marker="|", markersize=5, markeredgewidth=2, color=colour,
                      linestyle="none", zorder=2)
        axes.plot(estimate, at, marker=marker, color=colour, markersize=5, linestyle="none", zorder=3)


def _draw_mark(axes: Axes, row: Row, y: float) -> None:
    """Draw a range, or the published number."""
    if row.ends is not None:
        axes.plot(row.ends, [y, y], **RANGE, zorder=3)
        return
    if not row.lines:
        axes.plot(row.estimate, y, marker="D", markersize=8, markerfacecolor="white", markeredgewidth=2,
                  markeredgecolor=PUBLISHED["color"], linestyle="none", zorder=3)


def _write(axes: Axes, x: float, y: float, text: str, *, right: bool = False, bold: bool = False) -> None:
    """Write text at ``x`` inches from the left edge of the plot and at the height of the data value ``y``."""
    width = style.WIDTH - NAMES - DIGITS
    axes.text(x / width, y, text, transform=axes.get_yaxis_transform(), ha="right" if right else "left", va="center",
              fontproperties=style.font(bold=bold), bbox=style.CLEAR)


def _limits(rows: Sequence[Row], published: float | None) -> tuple[float, float]:
    values = [0.0] + ([] if published is None else [published])
    for row in rows:
        values += [end for line in row.lines.values() for end in line if np.isfinite(end)]
        values += list(row.ends or ())
    room = 0.04 * (max(values) - min(values) or 1.0)
    return min(values) - room, max(values) + room


def _short(value: float) -> str:
    return number(value, short_decimals(value), signed=True)


def _counts(done: pd.DataFrame, estimator: str, clusters: Sequence[str], units: str, is_compared: bool) -> str:
    """``By lagged dependent variable, as published, but where another is named: 30 of 149 areas treated, in 8 of 42
    systems.``"""
    row = done[done["group"].eq("default") & done["estimator"].eq(estimator) & done["cluster"].eq(clusters[-1])].iloc[0]
    by = f"{estimator_name(estimator)}, as published," if is_compared else estimator_name(estimator)
    return (f"By {by} but where another estimator is named: "
            f"{count(row['n_treated'])} of {count(row['n_units'])} {units} treated, in "
            f"{count(row['n_treated_clusters'])} of {count(row['n_clusters'])} {clusters[-1]}s.")


def _alt_text(frame: Frame, value_label: str, drawn: Sequence[Row], reported: Row, decimals: int,
              published: float | None) -> str:
    sentences = [f"Chart of one estimate and its alternatives in {plural(len(drawn), 'row')}. {frame.title}. "
                 f"{frame.subtitle} In {value_label}. Ours: {number(reported.estimate, decimals)}"
                 + (f"; published {_short(published)}." if published is not None else ".")]
    for group, heading in GROUPS.items():
        rows = [row for row in drawn if row.group == group and (row.lines or row.ends)]
        if not rows:
            continue
        ends = [end for row in rows for end in (row.ends or (row.estimate,))]
        sentence = (f"{heading}: {plural(len(rows), 'row')}, {number(min(ends), decimals)} to "
                    f"{number(max(ends), decimals)}")
        intervals = pd.DataFrame([line for row in rows for line in row.lines.values()],
                                 columns=["estimate", "ci_low", "ci_high"])
        if len(intervals):
            sentence += f"; {int(leaves_out_zero(intervals).sum())} of {len(intervals)} intervals leave out zero"
        sentences.append(f"{sentence}.")
    return " ".join(sentences)
