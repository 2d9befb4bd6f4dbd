"""Figure of effects by event time, drawn from the estimates table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.lines
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from did.errors import DidError
from did.estimators.base import REFERENCE
from did.report.content.facts import CLUSTERS, DAGGER, few_treated_note, select
from did.report.figures import style
from did.report.figures.coefficients import NUMBERS
from did.report.figures.style import Frame
from did.words import decimals_for, listed, number, plural

MANY = 40  # event times from which on a line with bands is drawn, not points with whiskers
KEY_ROW = 0.26  # inches
BAND_ALPHA = 0.12
DOTS = (0, (1, 1.5))


@dataclass(frozen=True)
class Selection:
    """The one path of effects to draw: values of five columns of the estimates table."""

    indicator: str
    specification: str
    sample: str
    treatment: str
    estimator: str


@dataclass(frozen=True)
class TimeAxis:
    """The axis of event time: its label, and the distance of its ticks (12 for months), by default chosen and always
    in whole numbers."""

    label: str = "Months since onset"
    tick_every: int | None = None


DEFAULT_AXIS = TimeAxis()


@style.drawing
def event_study(
    estimates: pd.DataFrame,
    frame: Frame,
    *,
    selection: Selection,
    clusters: Mapping[str, str] = CLUSTERS,
    axis: TimeAxis = DEFAULT_AXIS,
    value_label: str = "",
) -> list[Path]:
    """Draw the effects by event time with their pointwise 95% intervals, and save the figure.

    Up to 40 event times are points with whiskers, more are a line with bands. A uniform band, where the table
    has one, lies behind its pointwise interval and is named in the key. The reference period is a hollow marker
    at zero.

    Parameters
    ----------
    estimates : rows of the estimates table; those of the selection with an event time are drawn. The
        reference is the row with estimate 0 and the state "reference", or with no standard error. Rows with a missing
        estimate are left out of the picture and named in the alternative text.
    clusters : cluster levels to draw, the first as points or filled band, others alongside or as dashed edges.
    value_label : the label of the other axis, with units; it stands over the axis, horizontally.
    frame : as in ``coefficient_panes``.

    Returns the paths written. Raises DidError if there is no such row or an event time is there twice.
    """
    rows = select(estimates, **vars(selection))
    rows = rows[rows["event_time"].notna() & rows["cluster"].isin(list(clusters))]
    twice = rows[rows.duplicated(["event_time", "cluster"])]
    if rows.empty or len(twice):
        found = "none"
        if len(twice):
            found = f"event time {twice['event_time'].iloc[0]}, cluster '{twice['cluster'].iloc[0]}' twice"
        raise DidError(f"estimates table: an event-study figure of {selection.indicator} "
                       f"({selection.sample}, {selection.treatment}) needs one row per event time and cluster "
                       f"level; found {found}; pass one cohort and estimand only")
    rows = rows.astype({"event_time": int})
    order = {cluster: place for place, cluster in enumerate(clusters)}
    rows = rows.sort_values(["cluster", "event_time"],
                            key=lambda column: column.map(order) if column.name == "cluster" else column)
    frame = frame.marked(rows).saying(treated_words(rows, frame.units, list(clusters)))
    few = rows[rows["few_treated"] & ~is_reference(rows)]
    footnote = few_treated_note(rows["few_treated"], frame.units)
    many = rows["event_time"].nunique() > MANY
    key = key_rows(clusters, many, bool(rows["band_low"].notna().any()))
    deep = len(key) * KEY_ROW
    figure, bottom = style.page(4.37 + deep, frame, footnote=footnote)
    axes = style.add_axes(figure, 0.85, bottom + 0.55, style.WIDTH - 1.05, 3.4)
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=1)
    axes.axvline(-0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    draw = draw_bands if many else draw_points
    for place, cluster in enumerate(clusters):
        draw(axes, rows[rows["cluster"] == cluster], place, len(clusters))
    reference = rows[(rows["cluster"] == next(iter(clusters))) & is_reference(rows)]
    axes.plot(reference["event_time"], reference["estimate"], marker="o", markersize=8, zorder=5,
              markerfacecolor="white", markeredgecolor=style.MARKS[0][1], markeredgewidth=2, linestyle="none")
    event_axis(axes, rows["event_time"], axis.tick_every, axis.label)
    for time in sorted(set(few["event_time"])):
        axes.annotate(DAGGER, (time, 0), xycoords=("data", "axes fraction"), xytext=(0, 4), ha="center",
                      textcoords="offset points", fontproperties=style.font(bold=True))
    above = bottom + 0.55 + 3.4 + 0.11
    draw_key(figure, key, above)
    figure.text(style.EDGE / style.WIDTH, (above + deep + 0.13) / figure.get_size_inches()[1], value_label,
                va="center", fontproperties=style.font())
    alt_text = _event_alt_text(frame, rows, clusters, axis.label, value_label)
    return style.save(figure, frame, f"{alt_text} {footnote}".strip(), rows[NUMBERS])


def is_reference(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are the reference: zero by its state, or without an error."""
    return rows["estimate"].eq(0) & (rows["state"].eq(REFERENCE) | rows["std_error"].isna())


def treated_words(rows: pd.DataFrame, units: str, clusters: Sequence[str]) -> str:
    """Return ``30 treated areas in 8 systems, 119 comparison areas.`` from the counts in the rows."""
    treated, everyone = int(rows["n_treated"].max()), int(rows["n_units"].max())
    groups = "".join(
        f" in {plural(int(rows.loc[rows['cluster'] == cluster, 'n_treated_clusters'].max()), cluster)}"
        for cluster in clusters if cluster != "unit" and (rows["cluster"] == cluster).any())
    return f"{treated:,} treated {units}{groups}, {everyone - treated:,} comparison {units}."


def draw_points(axes: Axes, rows: pd.DataFrame, place: int, among: int) -> None:
    """Point and whisker per event time; further cluster levels stand a little to the right."""
    marker, colour, dashes = style.MARKS[place % len(style.MARKS)]
    rows = rows[rows["estimate"].notna() & ~is_reference(rows)]
    at = rows["event_time"] + (place - (among - 1) / 2) * 0.28
    if rows["band_low"].notna().any():
        axes.vlines(at, rows["band_low"], rows["band_high"], color=colour, linewidth=7, alpha=0.25, zorder=2)
    axes.vlines(at, rows["ci_low"], rows["ci_high"], color=colour, linewidth=2, linestyle=dashes, zorder=3)
    for end in ("ci_low", "ci_high"):
        axes.plot(at, rows[end], marker="_", markersize=7, markeredgewidth=2, color=colour, linestyle="none",
                  zorder=3)
    axes.plot(at, rows["estimate"], marker=marker, color=colour, markersize=7, linestyle="none", zorder=4)


def draw_bands(axes: Axes, rows: pd.DataFrame, place: int, among: int) -> None:
    """First cluster level: line, filled interval and lighter uniform band; further ones: dashed and dotted edges."""
    _, colour, dashes = style.MARKS[place % len(style.MARKS)]
    rows = rows[rows["estimate"].notna()]
    times = rows["event_time"]
    interval, band = ([rows[end].where(~is_reference(rows), 0.0) for end in ends]
                      for ends in (("ci_low", "ci_high"), ("band_low", "band_high")))
    if place == 0:
        axes.fill_between(times, *band, color=colour, alpha=BAND_ALPHA, linewidth=0, zorder=1.5)
        axes.fill_between(times, *interval, color=colour, alpha=0.25, linewidth=0, zorder=2)
        axes.plot(times, rows["estimate"], color=colour, linewidth=2, zorder=4)
        return
    for edge in interval:
        axes.plot(times, edge, color=colour, linewidth=1.5, linestyle=dashes, zorder=3)
    if rows["band_low"].notna().any():
        for edge in band:
            axes.plot(times, edge, color=colour, linewidth=1, linestyle=DOTS, zorder=2.5)


def event_axis(axes: Axes, times: pd.Series, every: int | None, label: str) -> None:
    first, last = int(times.min()), int(times.max())
    if every is None:
        every = next(step for step in (1, 2, 5, 10, 12, 24, 60, 120, 10**6) if (last - first) / step <= 16)
    axes.xaxis.set_major_locator(FixedLocator([time for time in range(first, last + 1) if time % every == 0]))
    axes.xaxis.set_major_formatter(lambda value, _: number(value, 0))
    axes.set_xlim(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5)
    axes.set_xlabel(label, fontproperties=style.font())
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.08 * (high - low))
    axes.annotate("onset", (-0.5, 1), xycoords=("data", "axes fraction"), xytext=(5, -2), va="top",
                  textcoords="offset points", fontproperties=style.font(), bbox=style.CLEAR)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(style.plain_ticks)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def key_rows(clusters: Mapping[str, str], many: bool, bands: bool, *more: tuple[list[dict], str]) -> list[list]:
    """Return the entries of the key in rows no wider than the figure; an entry is its lines' settings and words."""
    entries: list[tuple[list[dict], str]] = []
    for place, name in enumerate(clusters.values()):
        marker, colour, dashes = style.MARKS[place % len(style.MARKS)]
        line = {"color": colour, "linewidth": 2, "linestyle": dashes, "marker": None if many else marker}
        fill = {"color": colour, "linewidth": 12, "alpha": 0.25}
        entries.append(([fill, line] if many and place == 0 else [line],
                        f"{'Estimate, ' if place == 0 else ''}95% interval clustered {name}"))
    for place, name in enumerate(clusters.values() if bands else []):
        colour = style.MARKS[place % len(style.MARKS)][1]
        if many and place:
            line = {"color": colour, "linewidth": 1, "linestyle": DOTS}
        else:
            line = {"color": colour, "linewidth": 12 if many else 7, "alpha": BAND_ALPHA if many else 0.25}
        entries.append(([line], f"Uniform 95% band {name}"))
    rows: list[list] = [[]]
    for entry in [*entries, *more]:
        wide = sum(_key_width(words) for _, words in [*rows[-1], entry])
        if rows[-1] and wide > style.WIDTH - style.EDGE:
            rows.append([])
        rows[-1].append(entry)
    return rows


def _key_width(words: str) -> float:
    return 0.55 + style.text_width(words) + 0.3


def draw_key(figure: Figure, rows: list[list], bottom: float) -> None:
    """Draw the key of ``key_rows``, ``KEY_ROW`` inches a row, from ``bottom`` inches of the figure up."""
    across, up = figure.get_size_inches()
    for above, row in enumerate(reversed(rows)):
        x, y = style.EDGE, (bottom + (above + 0.5) * KEY_ROW) / up
        for lines, words in row:
            ends = [x / across, (x + 0.24) / across, (x + 0.48) / across]
            for settings in lines:
                figure.add_artist(matplotlib.lines.Line2D(ends, [y, y, y], markevery=[1], markersize=7, **settings))
            figure.text((x + 0.55) / across, y, words, va="center", fontproperties=style.font())
            x += _key_width(words)


def _event_alt_text(frame: Frame, rows: pd.DataFrame, clusters: Mapping[str, str], time_label: str,
                    value_label: str) -> str:
    first = rows[rows["cluster"] == next(iter(clusters))]
    drawn = first[first["estimate"].notna() & ~is_reference(first)]
    sentences = [f"Chart of effects by event time. {frame.title}. {frame.subtitle} {time_label} from "
                 f"{number(first['event_time'].min(), 0)} to {number(first['event_time'].max(), 0)}."]
    measure = value_label[:1].lower() + value_label[1:]
    name = next(iter(clusters.values()))
    for words, part in (("Before", drawn[drawn["event_time"] < 0]), ("From", drawn[drawn["event_time"] >= 0])):
        if len(part):
            decimals = decimals_for(part["std_error"].median())
            low, middle, high = (number(value, decimals) for value in part["estimate"].agg(["min", "mean", "max"]))
            outside = int(((part["ci_low"] > 0) | (part["ci_high"] < 0)).sum())
            sentences.append(f"{words} onset the estimates run from {low} to {high} {measure} (mean {middle}); "
                             f"{outside} of {len(part)} intervals clustered {name} leave out zero.")
    lost = first[first["estimate"].isna()]["event_time"]
    if len(lost):
        sentences.append(f"Not estimated at event times {listed(number(time, 0) for time in lost)}.")
    return " ".join(" ".join(sentences).split())
