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
DRAWN = ["pane", "specification", "estimator", "event_time", "cluster", "estimate", "std_error", "ci_low", "ci_high",
         "band_low", "band_high", "n_treated_clusters", "state", "few_treated", "is_synthetic"]
AVERAGE = ["pane", "estimator", "estimate", "std_error", "ci_low", "ci_high"]
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
    # The panes' rows together, since to choose among rows takes as long for a few as for many.
    rows = pd.concat(list(panes.values())).assign(pane=np.repeat(range(len(panes)), [*map(len, panes.values())]))
    paths = rows[rows["event_time"].notna()].astype({"event_time": int}).sort_values(["pane", "event_time"])
    overall = rows[rows["estimand"].eq("overall")]
    banded = paths["pane"].eq(0)
    drawn = paths[DRAWN].assign(
        band_low=paths["band_low"].where(banded), band_high=paths["band_high"].where(banded),
        is_reference=paths["estimate"].eq(0) & (paths["state"].eq(REFERENCE) | paths["std_error"].isna()))
    shown = [part for _, part in drawn.groupby("pane")]
    averages = dict(overall[AVERAGE].drop_duplicates("pane").set_index("pane").iterrows())
    averaged = [_average(path, averages.get(place)) for place, path in enumerate(shown)]
    frame, footnote = frame.marked(drawn), few_treated_note(drawn["few_treated"], frame.units)
    times = drawn["event_time"]
    as_line = times.nunique() > MANY
    low, top = style.limits(np.append(drawn[["estimate", "ci_low", "ci_high", "band_low", "band_high"]].to_numpy(float),
                                      published.value if published else 0.0), 0.08)
    figure, found = grid(frame, list(zip(panes, averaged, strict=True)), _key(drawn, frame.units, as_line, published),
                         high=PANE if len(panes) > 1 else ALONE, foot=FOOT, footnote=footnote)
    for place, (axes, path) in enumerate(zip(found, shown, strict=True)):
        is_lowest = place + 2 >= len(panes)
        _axis(axes, int(times.min()), int(times.max()), per_year, label if is_lowest else "")
        axes.set_ylim(low, top)
        axes.tick_params(labelbottom=is_lowest)
        _draw_path(axes, path, as_line=as_line)
        if path["event_time"].min() >= 0 > times.min():
            axes.text((times.min() - 0.5) / 2, low + 0.72 * (top - low), NO_LEADS, ha="center", va="center",
                      fontproperties=style.font(), bbox=style.CLEAR)
        if published:
            style.line(axes, [-0.5, axes.get_xlim()[1]], [published.value] * 2, **key.PUBLISHED, zorder=4.5)
    _counts_under(axes, drawn[drawn["specification"].eq(path["specification"].iloc[0])], frame.units)
    said = [_in_words(path, f"{name}: {average[:1].lower()}{average[1:]}.", frame)
            for name, average, path in zip(panes, averaged, shown, strict=True)]
    alt_text = (f"Chart of effects by event time, {plural(len(panes), 'pane')}. {frame.title}. {frame.subtitle} "
                f"{label}. {f'{published.words}. ' if published else ''}{' '.join(said)}")
    return style.save(figure, frame, f"{alt_text} {footnote}", pd.concat([paths, overall])[NUMBERS].assign(
        published_value=published.value if published else np.nan))


def treated_words(rows: pd.DataFrame, units: str) -> str:
    """Return ``30 treated areas in 8 systems, 119 comparison areas.`` from the counts in rows of one level."""
    treated, everyone = int(rows["n_treated"].max()), int(rows["n_units"].max())
    level = rows["cluster"].iloc[0]
    groups = "" if level == "unit" else f" in {plural(int(rows['n_treated_clusters'].max()), level)}"
    return f"{treated:,} treated {units}{groups}, {everyone - treated:,} comparison {units}."


def _draw_path(axes: Axes, rows: pd.DataFrame, *, as_line: bool) -> None:
    """Draw zero, the onset, the estimates with intervals and what there is of bands, and the reference."""
    style.rule(axes, 0, color=style.INK, linewidth=1.2, zorder=1)
    style.rule(axes, -0.5, "x", color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    times, estimates, reference = (rows[name].to_numpy() for name in ("event_time", "estimate", "is_reference"))
    known = ~np.isnan(estimates) & (as_line | ~reference)
    at = times[known]
    for name, alpha in SHADES.items():
        low, high = (rows[f"{name}_{end}"].to_numpy()[known] for end in ("low", "high"))
        if np.isnan(low).all():
            continue
        if as_line:
            # Both shrink to nothing at the reference.
            axes.fill_between(at, *(np.where(reference[known], 0.0, end) for end in (low, high)), color=COLOUR,
                              alpha=alpha, linewidth=0, zorder=2)
        else:
            style.lines(axes, at, low, high, "y", color=COLOUR, **({"linewidth": 7, "alpha": SHADES["ci"]}
                                                                   if name == "band" else {"linewidth": 2}))
    style.line(axes, at, estimates[known], color=COLOUR, zorder=4, **(
        {"linewidth": 2} if as_line else {"marker": "o", "markersize": 7, "linestyle": "none"}))
    style.line(axes, times[reference], estimates[reference], marker="o", markersize=8, zorder=5,
               markerfacecolor="white", markeredgecolor=COLOUR, markeredgewidth=2, linestyle="none")


def _axis(axes: Axes, first: int, last: int, per_year: int, label: str) -> None:
    """Set the limits, ticks and grid of a pane over these event times."""
    room = axes.get_position().width * style.WIDTH / 0.55
    every = next(step * per_year for step in (1, 2, 5, 10, 20, 50, 100, 10**6)
                 if (last - first) / (step * per_year) <= room)
    axes.xaxis.set_major_locator(FixedLocator([time for time in range(first, last + 1) if time % every == 0]))
    axes.xaxis.set_major_formatter(lambda value, _: number(value, 0))
    axes.set_xlim(first - 0.02 * (last - first) - 0.5, last + 0.02 * (last - first) + 0.5)
    axes.set_xlabel(label, fontproperties=style.font())
    style.write_near(axes, -0.5, 1, "onset", (5, -2), bbox=style.CLEAR)
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


def _average(path: pd.DataFrame, overall: pd.Series | None) -> str:
    """``Average 14.5 (-29.1 to 58.1)``; where the average is that of another estimator, which has one coefficient and
    no plain average, ``One coefficient 14.5 (...)``."""
    if overall is None:
        return "No average"
    decimals = decimals_for(overall["std_error"])
    what = "Average" if overall["estimator"] == path["estimator"].iloc[0] else "One coefficient"
    return (f"{what} {number(overall['estimate'], decimals)} "
            f"({interval(overall['ci_low'], overall['ci_high'], decimals)})")


def _in_words(path: pd.DataFrame, begun: str, frame: Frame) -> str:
    """``Stacked: average 14.5 (...). Before onset from -20.1 to 3.4 days (mean 1.2), 1 of 5 intervals ...``"""
    said = [begun]
    times, estimates, reference, out = (each.to_numpy() for each in (
        path["event_time"], path["estimate"], path["is_reference"], leaves_out_zero(path)))
    known = ~np.isnan(estimates) & ~reference
    for words, here in (("Before", known & (times < 0)), ("From", known & (times >= 0))):
        part = estimates[here]
        if not len(part):
            said.append(f"{words} onset nothing is estimated.")
            continue
        decimals = decimals_for(path["std_error"].where(here).median())
        low, middle, high = (number(value, decimals) for value in (part.min(), part.mean(), part.max()))
        said.append(f"{words} onset from {low} to {high} {frame.unit} (mean {middle}); {out[here].sum()} of "
                    f"{len(part)} intervals clustered by {key.clustered(path, frame.units)} leave out zero.")
    lost = times[np.isnan(estimates)]
    return " ".join([*said, *([f"Not estimated at event times {listed(number(time, 0) for time in lost)}."]
                              if len(lost) else [])])


def _counts_under(axes: Axes, rows: pd.DataFrame, units: str) -> None:
    """Under the axis of a pane: how many treated clusters each ticked event time rests on."""
    counts = rows.groupby("event_time")["n_treated_clusters"].max()
    few = set(rows.loc[rows["few_treated"], "event_time"])
    for tick in axes.get_xticks():
        if int(tick) in counts.index:
            style.write_near(axes, tick, 0, f"{counts[int(tick)]:,}{DAGGER if tick in few else ''}", (0, -62),
                             ha="center")
    style.write_near(axes, axes.get_xlim()[0], 0, f"Treated {key.clustered(rows, units)}s at each tick", (0, -44))
