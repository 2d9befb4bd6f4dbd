"""Figure of effects by time since onset: a pane for each estimator, on common axes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from did.errors import DidError
from did.estimators.base import REFERENCE
from did.report.content.facts import DAGGER, few_treated_note
from did.report.content.robustness_rows import leaves_out_zero
from did.report.figures import key, style
from did.report.figures.key import Published, grid
from did.report.figures.style import Frame
from did.words import decimals_for, interval, listed, number, plural

NUMBERS = ["indicator", "specification", "sample", "treatment", "estimator", "estimand", "event_time", "cluster",
           "estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "n_obs", "n_units",
           "n_treated", "n_clusters", "n_treated_clusters", "state", "few_treated", "note"]
# Columns that marks and words are made of.
DRAWN = ["specification", "estimator", "event_time", "cluster", "estimate", "std_error", "ci_low", "ci_high",
         "band_low", "band_high", "n_treated_clusters", "state", "few_treated", "is_synthetic"]
MANY = 40  # event times from which on a line with bands is drawn, not points with whiskers
PANE, ALONE, FOOT = 1.9, 3.4, 1.15  # inches: a pane, and one that is alone; under the last row
COLOUR = style.PALETTE[0]
SHADES = {"band": 0.12, "ci": 0.25}  # uniform bands and intervals, by the beginning of their columns
NO_LEADS = "not estimated\nbefore onset"


@style.drawing
def effects_by_event_time(panes: Mapping[str, pd.DataFrame], frame: Frame, *, label: str, per_year: int = 1,
                          published: Published | None = None) -> list[Path]:
    """Draw one pane for each path of effects by event time, two in a row, with pointwise 95% intervals, and save.

    Up to 40 event times are points with whiskers, more are a line with bands. The uniform band, where the table has
    one, lies behind the intervals of the first pane, which is that of the estimate reported, and is named in the key.
    The reference period is a hollow marker at zero.

    Parameters
    ----------
    panes : heading -> rows of the estimates table of one path: indicator, specification, sample, treatment, estimator
        and cluster level. Rows with an event time are drawn; the one with estimand ``overall``, if there is one, is the
        average that stands over the pane (by another estimator: its one coefficient). The reference has the state
        "reference". A missing estimate is left out of the picture and named in the alternative text.
    label : of the axis of event time; per_year : periods of a year, the distance of ticks.
    published : the printed number, a line over the periods after onset of every pane.
    frame : see ``style.Frame``.

    Under the last pane stands how many treated clusters each tick rests on, with the dagger where an estimate rests on
    few treated units. A pane without effects before onset says so. Returns the paths written. Raises DidError for no
    pane.
    """
    if not panes:
        raise DidError("estimates table: no effect over event time; run the fit stage with staggered_estimators, or "
                       "leave the figure out")
    paths = {name: rows[rows["event_time"].notna()].assign(
        event_time=lambda known: known["event_time"].astype(int)).sort_values("event_time")
        for name, rows in panes.items()}
    overall = {name: rows[rows["estimand"].eq("overall")] for name, rows in panes.items()}
    shown = {name: path[DRAWN] if place == 0 else path[DRAWN].assign(band_low=np.nan, band_high=np.nan)
             for place, (name, path) in enumerate(paths.items())}
    drawn = pd.concat(list(shown.values()))
    frame, footnote = frame.marked(drawn), few_treated_note(drawn["few_treated"], frame.units)
    as_line = drawn["event_time"].nunique() > MANY
    low, top = style.limits(np.append(drawn[["estimate", "ci_low", "ci_high", "band_low", "band_high"]].to_numpy(float),
                                      published.value if published else 0.0), 0.08)
    figure, found = grid(
        frame, [(name, _average(path, overall[name])) for name, path in shown.items()],
        _key(drawn, frame.units, as_line, published), high=PANE if len(paths) > 1 else ALONE, foot=FOOT,
        footnote=footnote)
    for place, (axes, path) in enumerate(zip(found, shown.values(), strict=True)):
        is_lowest = place + 2 >= len(paths)
        _draw_path(axes, path, as_line=as_line)
        _axis(axes, drawn["event_time"], per_year, label if is_lowest else "")
        axes.set_ylim(low, top)
        axes.tick_params(labelbottom=is_lowest)
        if path["event_time"].min() >= 0 > drawn["event_time"].min():
            axes.text((drawn["event_time"].min() - 0.5) / 2, low + 0.72 * (top - low), NO_LEADS, ha="center",
                      va="center", fontproperties=style.font(), bbox=style.CLEAR)
        if published:
            axes.plot([-0.5, axes.get_xlim()[1]], [published.value] * 2, **key.PUBLISHED, zorder=4.5)
    _counts_under(axes, drawn[drawn["specification"].eq(path["specification"].iloc[0])], frame.units)
    alt_text = (f"Chart of effects by event time, {plural(len(paths), 'pane')}. {frame.title}. {frame.subtitle} "
                f"{label}. {f'{published.words}. ' if published else ''}"
                + " ".join(_in_words(path, name, overall[name], frame) for name, path in shown.items()))
    numbers = pd.concat([*paths.values(), *overall.values()])[NUMBERS]
    return style.save(figure, frame, f"{alt_text} {footnote}", numbers.assign(
        published_value=published.value if published else np.nan))


def _is_reference(rows: pd.DataFrame) -> pd.Series:
    """Which rows are the reference: zero by its state, or without an error."""
    return rows["estimate"].eq(0) & (rows["state"].eq(REFERENCE) | rows["std_error"].isna())


def treated_words(rows: pd.DataFrame, units: str) -> str:
    """Return ``30 treated areas in 8 systems, 119 comparison areas.`` from the counts in rows of one level."""
    treated, everyone = int(rows["n_treated"].max()), int(rows["n_units"].max())
    level = rows["cluster"].iloc[0]
    groups = "" if level == "unit" else f" in {plural(int(rows['n_treated_clusters'].max()), level)}"
    return f"{treated:,} treated {units}{groups}, {everyone - treated:,} comparison {units}."


def _draw_path(axes: Axes, rows: pd.DataFrame, *, as_line: bool) -> None:
    """Draw zero, the onset, the estimates with intervals and what there is of bands, and the reference."""
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=1)
    axes.axvline(-0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    reference = _is_reference(rows)
    known = rows[rows["estimate"].notna() & (as_line | ~reference)]
    at = known["event_time"]
    for name, alpha in SHADES.items():
        low, high = known[f"{name}_low"], known[f"{name}_high"]
        if as_line and low.notna().any():
            # Both shrink to nothing at the reference.
            axes.fill_between(at, *(end.where(~reference[known.index], 0.0) for end in (low, high)), color=COLOUR,
                              alpha=alpha, linewidth=0, zorder=2)
        elif low.notna().any():
            axes.vlines(at, low, high, color=COLOUR, zorder=2, **({"linewidth": 7, "alpha": SHADES["ci"]}
                                                                  if name == "band" else {"linewidth": 2}))
    axes.plot(at, known["estimate"], color=COLOUR, zorder=4, **(
        {"linewidth": 2} if as_line else {"marker": "o", "markersize": 7, "linestyle": "none"}))
    axes.plot(rows.loc[reference, "event_time"], rows.loc[reference, "estimate"], marker="o", markersize=8, zorder=5,
              markerfacecolor="white", markeredgecolor=COLOUR, markeredgewidth=2, linestyle="none")


def _axis(axes: Axes, times: pd.Series, per_year: int, label: str) -> None:
    """Set the limits, ticks and grid of a pane over these event times."""
    first, last = int(times.min()), int(times.max())
    room = axes.get_position().width * style.WIDTH / 0.55
    every = next(step * per_year for step in (1, 2, 5, 10, 20, 50, 100, 10**6)
                 if (last - first) / (step * per_year) <= room)
    axes.xaxis.set_major_locator(FixedLocator([time for time in range(first, last + 1) if time % every == 0]))
    axes.xaxis.set_major_formatter(lambda value, _: number(value, 0))
    axes.set_xlim(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5)
    axes.set_xlabel(label, fontproperties=style.font())
    axes.annotate("onset", (-0.5, 1), xycoords=("data", "axes fraction"), xytext=(5, -2), va="top",
                  textcoords="offset points", fontproperties=style.font(), bbox=style.CLEAR)
    style.value_axis(axes, 7)


def _key(rows: pd.DataFrame, units: str, as_line: bool, published: Published | None) -> list[key.Entry]:
    fill = {"color": COLOUR, "linewidth": 12, "alpha": SHADES["ci"]}
    line = {"color": COLOUR, "linewidth": 2, "marker": None if as_line else "o"}
    entries: list[key.Entry] = [([fill, line] if as_line else [line],
                                 f"Estimate, 95% interval clustered by {key.clustered(rows, units)}")]
    if rows["band_low"].notna().any():
        shade = fill | ({"alpha": SHADES["band"]} if as_line else {"linewidth": 7})
        entries.append(([shade], "95% band for all times at once"))
    return [*entries, *([published.entry] if published else [])]


def _average(path: pd.DataFrame, overall: pd.DataFrame) -> str:
    """``Average 14.5 (-29.1 to 58.1)``; where the average is that of another estimator, which has one coefficient and
    no plain average, ``One coefficient 14.5 (...)``."""
    if overall.empty:
        return "No average"
    row = overall.iloc[0]
    decimals = decimals_for(row["std_error"])
    what = "Average" if row["estimator"] == path["estimator"].iloc[0] else "One coefficient"
    return f"{what} {number(row['estimate'], decimals)} ({interval(row['ci_low'], row['ci_high'], decimals)})"


def _in_words(path: pd.DataFrame, name: str, overall: pd.DataFrame, frame: Frame) -> str:
    """``Stacked: average 14.5 (...). Before onset from -20.1 to 3.4 days (mean 1.2), 1 of 5 intervals ...``"""
    average = _average(path, overall)
    said = [f"{name}: {average[:1].lower()}{average[1:]}."]
    known = path[path["estimate"].notna() & ~_is_reference(path)]
    for words, part in (("Before", known[known["event_time"] < 0]), ("From", known[known["event_time"] >= 0])):
        if part.empty:
            said.append(f"{words} onset nothing is estimated.")
            continue
        decimals = decimals_for(part["std_error"].median())
        low, middle, high = (number(value, decimals) for value in (
            part["estimate"].min(), part["estimate"].mean(), part["estimate"].max()))
        outside = int(leaves_out_zero(part).sum())
        said.append(f"{words} onset from {low} to {high} {frame.unit} (mean {middle}); {outside} of {len(part)} "
                    f"intervals clustered by {key.clustered(part, frame.units)} leave out zero.")
    lost = path.loc[path["estimate"].isna(), "event_time"]
    return " ".join([*said, *([f"Not estimated at event times {listed(number(time, 0) for time in lost)}."]
                              if len(lost) else [])])


def _counts_under(axes: Axes, rows: pd.DataFrame, units: str) -> None:
    """Under the axis of a pane: how many treated clusters each ticked event time rests on."""
    counts = rows.groupby("event_time")["n_treated_clusters"].max()
    few = set(rows.loc[rows["few_treated"], "event_time"])
    words = {"textcoords": "offset points", "va": "top", "fontproperties": style.font()}
    for tick in axes.get_xticks():
        if int(tick) in counts.index:
            axes.annotate(f"{counts[int(tick)]:,}{DAGGER if tick in few else ''}", (tick, 0), ha="center",
                          xycoords=("data", "axes fraction"), xytext=(0, -62), **words)
    axes.annotate(f"Treated {key.clustered(rows, units)}s at each tick", (0, 0), xycoords="axes fraction",
                  xytext=(0, -44), **words)
