"""Figure of effects by event time, and the pane that it shares with the figure of several estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from did.errors import DidError
from did.estimators.base import REFERENCE
from did.report.content.facts import DAGGER, few_treated_note
from did.report.figures import key, style
from did.report.figures.style import Frame
from did.words import decimals_for, listed, number, plural, singular

NUMBERS = ["indicator", "specification", "sample", "treatment", "estimator", "event_time", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "n_obs", "n_units", "n_treated",
           "n_clusters", "n_treated_clusters", "state", "few_treated", "note"]
MANY = 40  # event times from which on a line with bands is drawn, not points with whiskers
PLOT, FOOT, LEFT = 3.4, 0.55, 0.85  # inches
COLOUR = style.PALETTE[0]
BAND_ALPHA, INTERVAL_ALPHA = 0.12, 0.25


@dataclass(frozen=True)
class TimeAxis:
    """The axis of event time: its label, and the distance of its ticks (12 for months), by default chosen and always
    in whole numbers."""

    label: str = "Months since onset"
    tick_every: int | None = None


@style.drawing
def event_study(rows: pd.DataFrame, frame: Frame, *, axis: TimeAxis | None = None) -> list[Path]:
    """Draw one path of effects by event time with its pointwise 95% intervals, and save the figure.

    Up to 40 event times are points with whiskers, more are a line with bands. A uniform band, where the table
    has one, lies behind the interval and is named in the key. The reference period is a hollow marker at zero.

    Parameters
    ----------
    rows : rows of the estimates table with an event time: of one indicator, specification, sample, treatment,
        estimator and cluster level. The reference is the row with estimate 0 and the state "reference", or with no
        standard error. A row with a missing estimate is left out of the picture and named in the alternative text.
    frame : see ``style.Frame``.

    Returns the paths written. Raises DidError without rows, or if an event time is there twice.
    """
    axis = axis or TimeAxis()
    rows = checked_path(rows)
    frame = frame.marked(rows).saying(treated_words(rows, frame.units))
    few = set(rows.loc[rows["few_treated"] & ~is_reference(rows), "event_time"])
    footnote = few_treated_note(rows["few_treated"], frame.units)
    entries = key.key_rows(key_entries(rows, frame.units))
    said = 0.3 if frame.axis_unit else 0.0
    figure, bottom = style.page(PLOT + FOOT + 0.25 + len(entries) * key.ROW + said, frame, footnote=footnote)
    axes = style.add_axes(figure, LEFT, bottom + FOOT, style.WIDTH - LEFT - 0.2, PLOT)
    draw_path(axes, rows, as_line=is_long(rows["event_time"]))
    event_axis(axes, rows["event_time"], axis.tick_every, axis.label)
    for time in sorted(few):
        axes.annotate(DAGGER, (time, 0), xycoords=("data", "axes fraction"), xytext=(0, 4), ha="center",
                      textcoords="offset points", fontproperties=style.font(bold=True))
    above = bottom + FOOT + PLOT + 0.1
    key.draw_key(figure, entries, above)
    if said:
        figure.text(style.EDGE / style.WIDTH, (above + len(entries) * key.ROW + 0.15) / figure.get_size_inches()[1],
                    frame.axis_unit, va="center", fontproperties=style.font())
    return style.save(figure, frame, f"{_alt_text(frame, rows, axis.label)} {footnote}", rows[NUMBERS])


def checked_path(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by event time, as whole numbers. Raises DidError without rows or for a time that is twice."""
    rows = rows[rows["event_time"].notna()]
    twice = rows.loc[rows["event_time"].duplicated(), "event_time"]
    if rows.empty or len(twice):
        found = f"event time {twice.iloc[0]} twice" if len(twice) else "no row"
        raise DidError(f"estimates table: a figure by event time needs one row for each event time; found {found}; "
                       "pass one estimator, cohort and cluster level only")
    return rows.astype({"event_time": int}).sort_values("event_time")


def is_reference(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are the reference: zero by its state, or without an error."""
    return rows["estimate"].eq(0) & (rows["state"].eq(REFERENCE) | rows["std_error"].isna())


def clustered(rows: pd.DataFrame, units: str) -> str:
    """Return what errors are clustered by, ``system``, or in the singular what ``units`` are; of rows of one level."""
    level = rows["cluster"].iloc[0]
    return singular(units) if level == "unit" else level


def treated_words(rows: pd.DataFrame, units: str) -> str:
    """Return ``30 treated areas in 8 systems, 119 comparison areas.`` from the counts in rows of one level."""
    treated, everyone = int(rows["n_treated"].max()), int(rows["n_units"].max())
    level = rows["cluster"].iloc[0]
    groups = "" if level == "unit" else f" in {plural(int(rows['n_treated_clusters'].max()), level)}"
    return f"{treated:,} treated {units}{groups}, {everyone - treated:,} comparison {units}."


def is_long(times: pd.Series) -> bool:
    """Whether a path over these event times is drawn as a line."""
    return times.nunique() > MANY


def draw_path(axes: Axes, rows: pd.DataFrame, *, as_line: bool) -> None:
    """Draw zero, the onset, the estimates with intervals and what there is of bands, and the reference, of rows of one
    level."""
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=1)
    axes.axvline(-0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    reference = is_reference(rows)
    (_draw_bands if as_line else _draw_points)(axes, rows[rows["estimate"].notna()], reference)
    axes.plot(rows.loc[reference, "event_time"], rows.loc[reference, "estimate"], marker="o", markersize=8, zorder=5,
              markerfacecolor="white", markeredgecolor=COLOUR, markeredgewidth=2, linestyle="none")


def _draw_points(axes: Axes, rows: pd.DataFrame, reference: pd.Series) -> None:
    """Point and whisker for each event time."""
    rows = rows[~reference[rows.index]]
    at = rows["event_time"]
    if rows["band_low"].notna().any():
        axes.vlines(at, rows["band_low"], rows["band_high"], color=COLOUR, linewidth=7, alpha=INTERVAL_ALPHA, zorder=2)
    axes.vlines(at, rows["ci_low"], rows["ci_high"], color=COLOUR, linewidth=2, zorder=3)
    for end in ("ci_low", "ci_high"):
        axes.plot(at, rows[end], marker="_", markersize=7, markeredgewidth=2, color=COLOUR, linestyle="none",
                  zorder=3)
    axes.plot(at, rows["estimate"], marker="o", color=COLOUR, markersize=7, linestyle="none", zorder=4)


def _draw_bands(axes: Axes, rows: pd.DataFrame, reference: pd.Series) -> None:
    """A line, its interval filled and the uniform band lighter; both shrink to nothing at the reference."""
    times = rows["event_time"]
    has_band = rows["band_low"].notna().any()
    for (low, high), alpha in (*([(("band_low", "band_high"), BAND_ALPHA)] if has_band else []),
                               (("ci_low", "ci_high"), INTERVAL_ALPHA)):
        axes.fill_between(times, *(rows[end].where(~reference[rows.index], 0.0) for end in (low, high)), color=COLOUR,
                          alpha=alpha, linewidth=0, zorder=2)
    axes.plot(times, rows["estimate"], color=COLOUR, linewidth=2, zorder=4)


def event_axis(axes: Axes, times: pd.Series, every: int | None, label: str) -> None:
    """Set the limits, ticks and grid of a pane over these event times."""
    first, last = int(times.min()), int(times.max())
    room = axes.get_position().width * style.WIDTH / 0.55
    every = next(step for step in ((1, 2, 5, 10, 20, 50, 100, 10**6) if every is None
                                   else [every * times for times in (1, 2, 5, 10, 20, 10**6)])
                 if (last - first) / step <= room)
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


def key_entries(rows: pd.DataFrame, units: str, *more: key.Entry) -> Sequence[key.Entry]:
    """Return what the key says of `draw_path`, and ``more``."""
    many = is_long(rows["event_time"])
    fill = {"color": COLOUR, "linewidth": 12, "alpha": INTERVAL_ALPHA}
    line = {"color": COLOUR, "linewidth": 2, "marker": None if many else "o"}
    entries: list[key.Entry] = [([fill, line] if many else [line],
                                 f"Estimate, 95% interval clustered by {clustered(rows, units)}")]
    if rows["band_low"].notna().any():
        shade = fill | ({"alpha": BAND_ALPHA} if many else {"linewidth": 7})
        entries.append(([shade], "95% band for all times at once"))
    return [*entries, *more]


def _alt_text(frame: Frame, rows: pd.DataFrame, time_label: str) -> str:
    drawn = rows[rows["estimate"].notna() & ~is_reference(rows)]
    sentences = [f"Chart of effects by event time. {frame.title}. {frame.subtitle} {time_label} from "
                 f"{number(rows['event_time'].min(), 0)} to {number(rows['event_time'].max(), 0)}."]
    by = clustered(rows, frame.units)
    for words, part in (("Before", drawn[drawn["event_time"] < 0]), ("From", drawn[drawn["event_time"] >= 0])):
        if len(part):
            decimals = decimals_for(part["std_error"].median())
            low, middle, high = (number(value, decimals) for value in part["estimate"].agg(["min", "mean", "max"]))
            outside = int(((part["ci_low"] > 0) | (part["ci_high"] < 0)).sum())
            sentences.append(f"{words} onset the estimates run from {low} to {high} {frame.unit} (mean {middle}); "
                             f"{outside} of {len(part)} intervals clustered by {by} leave out zero.")
    lost = rows.loc[rows["estimate"].isna(), "event_time"]
    if len(lost):
        sentences.append(f"Not estimated at event times {listed(number(time, 0) for time in lost)}.")
    return " ".join(" ".join(sentences).split())
