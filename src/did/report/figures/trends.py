"""Figures of group means over time, in the manner of Stata's ``estat trendplots``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from did.errors import DidError
from did.report.figures import style
from did.report.figures.style import Frame
from did.words import decimals_for, number, p_value, period_name, singular

GROUPS = {"treated": "Treated", "control": "Comparison"}
COLUMNS = ["sample", "period", "group", "observed_mean", "linear_trend", "n_units"]
# Colour, line and marker per group: never told apart by colour alone.
LOOKS = [(style.PALETTE[0], "-", "o"), (style.PALETTE[3], (0, (5, 2)), "^")]
PANELS = {"observed_mean": "Observed means", "linear_trend": "Linear-trends model"}
PLOT, HEAD, FOOT, GAP, LEFT, NAMES = 3.3, 0.62, 0.38, 0.3, 0.75, 3.0
NO_UNIT = 0.35  # in place of HEAD
MARK = 0.22  # room for a group's marker before its name


def trend_words(test: pd.Series, onset: str, by: str) -> str:
    """Return the wording of one trend test, a row of the diagnostics table with errors clustered ``by`` something.

    ``Were trends parallel before June 2017? Test of a straight line: p = 0.050, errors clustered by system.``, or why
    there is no test.
    """
    asked = f"Were trends parallel before {period_name(onset)}?"
    if test["status"] != "done":
        return f"{asked} Not tested: {test['reason']}."
    return f"{asked} Test of a straight line: {p_value(test['p_value'])}, errors clustered by {by}."


@style.drawing
def parallel_trends(group_trends: pd.DataFrame, frame: Frame, *, onset: str, sample: str,
                    groups: Mapping[str, str] = GROUPS, test: pd.Series | None = None) -> list[Path]:
    """Draw observed group means alongside the linear-trends model, as in the evaluation's appendix A2, and save.

    Source of the layout: StataCorp, Causal Inference and Treatment-Effects Reference Manual, "didregress
    postestimation", ``estat trendplots``.

    Parameters
    ----------
    group_trends : columns sample, period (ISO text, one frequency), group, observed_mean and linear_trend (units of
        the outcome) and n_units (units in the group's mean); one row per sample, period and group. A missing mean is a
        gap in its line.
    sample : the sample drawn; the numbers are those of all.
    onset : first treated period, ISO text; a vertical line stands before it, the model's lines break there.
    groups : value of ``group`` -> its name, written alongside its line; two groups, the treated one first.
    test : row of the diagnostics table with the linear trend test for these groups; written into the subtitle.
    frame : see ``style.Frame``.

    Returns the paths written. Raises DidError if a column is missing, a group has no row, a period is there twice, or
    the onset is outside the periods.
    """
    rows = _checked(group_trends, onset, groups)
    every, rows = rows, rows[rows["sample"] == sample]
    if test is not None:
        by = singular(frame.units) if test["cluster"] == "unit" else test["cluster"]
        frame = replace(frame, subtitle=f"{frame.subtitle}\n{trend_words(test, onset, by)}")
    figure, bottom = style.page(PLOT + (HEAD if frame.axis_unit else NO_UNIT) + FOOT, frame)
    names = {group: _name(rows, group, groups[group], frame.units) for group in groups}
    label_width = max(style.text_width(line, bold=True) for lines in names.values() for line in lines) + MARK + 0.2
    width = (style.WIDTH - LEFT - GAP - label_width - style.EDGE) / len(PANELS)
    values = rows[list(PANELS)].to_numpy(float)
    low, high = np.nanmin(values), np.nanmax(values)
    limits = (low - 0.05 * (high - low or 1), high + 0.14 * (high - low or 1))
    for place, (column, heading) in enumerate(PANELS.items()):
        axes = style.add_axes(figure, LEFT + place * (width + GAP), bottom + FOOT, width, PLOT)
        _panel(axes, rows, column, onset, list(groups), limits)
        axes.set_title(heading, loc="left", pad=9, fontproperties=style.font(bold=True))
        if place == 0:
            across, up = figure.get_size_inches()
            figure.text(style.EDGE / across, (bottom + FOOT + PLOT + 0.42) / up, frame.axis_unit, va="center",
                        fontproperties=style.font())
        else:
            axes.tick_params(axis="y", labelleft=False)
            _label_ends(axes, rows, column, names)
    return style.save(figure, frame, _alt_text(frame, rows, onset, groups), every[COLUMNS])


def _checked(frame: pd.DataFrame, onset: str, groups: Mapping[str, str]) -> pd.DataFrame:
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise DidError(f"group trends: expected columns {COLUMNS}; missing {missing}; run the diagnose stage")
    frame = frame[frame["group"].isin(list(groups))].sort_values(["sample", "group", "period"]).reset_index(drop=True)
    for group in groups:
        if not (frame["group"] == group).any():
            raise DidError(f"group trends: expected rows of group '{group}'; found none; check the names given")
    twice = frame[frame.duplicated(["sample", "group", "period"])]
    if len(twice):
        raise DidError(f"group trends: expected one row per group and period; found "
                       f"{twice[['group', 'period']].iloc[0].tolist()} more than once")
    if onset not in set(frame["period"]):
        raise DidError(f"group trends: expected the onset '{onset}' among the periods "
                       f"{frame['period'].min()} to {frame['period'].max()}; found it outside; correct the onset "
                       "or the window")
    return frame.assign(_at=[pd.Period(period).ordinal for period in frame["period"]])


def _name(frame: pd.DataFrame, group: str, name: str, units: str) -> list[str]:
    n_units = frame.loc[frame["group"] == group, "n_units"]
    low, high = int(n_units.min()), int(n_units.max())
    number = f"{low:,} {units}" if low == high else f"{low:,} to {high:,} {units}"
    return [style.shortened(name, NAMES), style.shortened(number, NAMES)]


def _panel(axes: Axes, frame: pd.DataFrame, column: str, onset: str, groups: list[str],
           limits: tuple[float, float]) -> None:
    onset_at = pd.Period(onset).ordinal
    for (colour, dashes, marker), group in zip(LOOKS, groups, strict=False):
        rows = frame[frame["group"] == group]
        # The model has its own slope on each side of the onset, so nothing is drawn across it.
        broken = column == "linear_trend"
        parts = [rows[rows["_at"] < onset_at], rows[rows["_at"] >= onset_at]] if broken else [rows]
        for part in parts:
            few = len(rows) <= 24
            axes.plot(part["_at"], part[column], color=colour, linestyle=dashes, linewidth=2, zorder=3,
                      marker=marker, markersize=6 if few else 5, markevery=1 if few else yearly_markers(part))
    axes.axvline(onset_at - 0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
    span = frame["_at"].max() - frame["_at"].min()
    rightward = onset_at - frame["_at"].min() < 0.6 * span
    axes.annotate(f"from {period_name(onset)}", (onset_at - 0.5, limits[1]), xytext=(5 if rightward else -5, -2),
                  textcoords="offset points", va="top", ha="left" if rightward else "right",
                  fontproperties=style.font(), bbox=style.CLEAR)
    edge = 0.02 * span + 0.5
    axes.set(xlim=(frame["_at"].min() - edge, frame["_at"].max() + edge), ylim=limits)
    time_axis(axes, frame)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def yearly_markers(rows: pd.DataFrame) -> list[int]:
    """Return the positions of the first period of each year, where a long line has its markers."""
    years = rows["period"].str[:4]
    return np.flatnonzero(years.ne(years.shift()).to_numpy()).tolist()


def time_axis(axes: Axes, frame: pd.DataFrame, start: int = 0) -> None:
    """Put a tick at the start of each year, or of every second or fifth year where the axis has no room for all.

    Without two starts of a year in the window, the first and last periods are ticked. The axis counts periods from the
    one numbered ``start``.
    """
    periods = [pd.Period(period) for period in sorted(set(frame["period"]))]
    firsts = [period for period in periods if period.start_time.month == 1]
    years = [period.year for period in firsts]
    room = axes.get_position().width * axes.figure.get_size_inches()[0] / 0.55
    every = next(step for step in (1, 2, 5, 10, 10**4) if len(years) / step <= room)
    kept = [period for period in firsts if (period.year - years[0]) % every == 0]
    names = {period.ordinal - start: str(period.year) for period in kept}
    if len(kept) < 2:
        names = {period.ordinal - start: str(period) for period in (periods[0], periods[-1])}
    axes.xaxis.set_major_locator(FixedLocator(list(names)))
    axes.xaxis.set_major_formatter(lambda value, _: names.get(round(value), ""))


def _label_ends(axes: Axes, frame: pd.DataFrame, column: str, names: Mapping[str, list[str]]) -> None:
    """Write each group's marker and name right of the end of its line, moved apart where two would touch."""
    low, high = axes.get_ylim()
    step = style.line_height() / PLOT * (high - low)
    ends = {}
    for group in names:
        values = frame.loc[(frame["group"] == group) & frame[column].notna(), column]
        ends[group] = values.iloc[-1] if len(values) else (low + high) / 2
    order = sorted(ends, key=ends.get)
    needed = 2.3 * step
    if len(order) == 2 and ends[order[1]] - ends[order[0]] < needed:
        middle = np.clip((ends[order[0]] + ends[order[1]]) / 2, low + needed, high - needed)
        ends = {order[0]: middle - needed / 2, order[1]: middle + needed / 2}
    inch = 1 / (axes.get_position().width * style.WIDTH)
    for (colour, _, marker), (group, lines) in zip(LOOKS, names.items(), strict=False):
        axes.plot(1 + 0.6 * MARK * inch, ends[group] + 0.5 * step, marker=marker, color=colour, markersize=7,
                  transform=axes.get_yaxis_transform(), clip_on=False)
        for place, text in enumerate(lines):
            axes.annotate(text, (1 + MARK * inch, ends[group] + (0.5 - place) * step),
                          xycoords=("axes fraction", "data"), xytext=(2, 0), textcoords="offset points",
                          va="center", annotation_clip=False, fontproperties=style.font(bold=place == 0))


def _alt_text(frame: Frame, means: pd.DataFrame, onset: str, groups: Mapping[str, str]) -> str:
    sentences = ["Two line charts side by side, observed means and linear-trends model. "
                 f"{frame.title}. {frame.subtitle}"]
    decimals = decimals_for(float(np.nanstd(means["observed_mean"])) / 10)
    for group, name in groups.items():
        rows = means[means["group"] == group]
        before, after = (rows.loc[part, "observed_mean"].mean()
                         for part in (rows["period"] < onset, rows["period"] >= onset))
        sentences.append(f"{name}: mean of the observed periods {number(before, decimals)} before "
                         f"{period_name(onset)} and {number(after, decimals)} from then on ({frame.unit}).")
    return " ".join(" ".join(sentences).split())
