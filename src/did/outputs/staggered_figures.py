"""Estimators side by side over event time, where each wave is treated from its own date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import pandas as pd

from did.errors import DidError
from did.outputs import style
from did.outputs.event_figures import draw_bands, draw_points, event_axis, is_reference, treated_words
from did.outputs.facts import CLUSTERS
from did.outputs.text import decimals_for, interval, number

COLUMNS = ["indicator", "reading", "estimator", "estimand", "event_time", "cluster", "estimate", "std_error", "ci_low",
           "ci_high", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "note", "is_synthetic"]
PANEL = 2.0  # inches of each estimator's panel


def estimators_over_event_time(
    estimates: pd.DataFrame,
    *,
    estimators: Mapping[str, str],
    stem: str | Path,
    title: str,
    subtitle: str,
    source: str,
    time_label: str,
    tick_every: int | None = None,
    clusters: Mapping[str, str] = CLUSTERS,
    units: str = "areas",
) -> list[Path]:
    """Draw one panel per estimator on common axes, and save the figure.

    Parameters
    ----------
    estimates : rows of the estimates table of one indicator, reading, sample and treatment. Rows with estimand
        ``event_time`` are drawn; ``overall`` gives the average that stands over each panel.
    estimators : name -> what it is called, from the top; one without rows is left out.
    clusters : cluster levels, the first as points or filled band, others beside or as dashed edges.
    time_label, tick_every, units, stem, title, subtitle, source : as in ``event_study``.

    The number of treated clusters of the last level stands under the axis at every tick. Event times that not
    every estimator has are drawn for those that have them. Returns the paths written. Raises DidError if no
    estimator has a row over event time.
    """
    rows = estimates[estimates["estimand"].eq("event_time") & estimates["estimator"].isin(list(estimators))
                     & estimates["cluster"].isin(list(clusters)) & estimates["estimate"].notna()]
    shown = [name for name in estimators if (rows["estimator"] == name).any()]
    if not shown:
        raise DidError(f"estimates table: no effect over event time by {', '.join(estimators)}; run the fit stage with "
                       "staggered_estimators, or leave the figure out")
    rows = rows.astype({"event_time": int})
    overall = estimates[estimates["estimand"].eq("overall") & estimates["cluster"].isin(list(clusters))]
    is_synthetic = bool(rows["is_synthetic"].any())
    heads = 2 * style.line_height() + 0.1
    foot = 1.2
    figure, bottom = style.page(len(shown) * (PANEL + heads) + foot, title=title,
                                subtitle=f"{subtitle} Each wave from its own date: "
                                         f"{treated_words(rows, units, list(clusters))}", source=source,
                                is_synthetic=is_synthetic)
    limits = _limits(rows)
    many = rows["event_time"].nunique() > 40
    top = bottom + foot + len(shown) * (PANEL + heads)
    for place, name in enumerate(shown):
        here = rows[rows["estimator"] == name]
        axes = style.add_axes(figure, 0.85, top - heads - PANEL, style.WIDTH - 1.05, PANEL)
        with matplotlib.rc_context(style.SETTINGS):
            axes.axhline(0, color=style.INK, linewidth=1.2, zorder=1)
            axes.axvline(-0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
            for level, cluster in enumerate(clusters):
                part = here[here["cluster"] == cluster].sort_values("event_time")
                (draw_bands if many else draw_points)(axes, part, level, len(clusters))
            reference = here[(here["cluster"] == next(iter(clusters))) & is_reference(here)]
            axes.plot(reference["event_time"], reference["estimate"], marker="o", markersize=8, zorder=5,
                      markerfacecolor="white", markeredgecolor=style.MARKS[0][1], markeredgewidth=2, linestyle="none")
            axes.set_ylim(limits)
            event_axis(axes, rows["event_time"], tick_every, time_label if place == len(shown) - 1 else "")
            axes.set_ylim(limits)
            if place == len(shown) - 1:
                _counts_under(axes, rows, list(clusters)[-1])
            else:
                axes.tick_params(labelbottom=False)
            _heading(figure, axes, estimators[name], overall[overall["estimator"] == name], clusters)
        top -= heads + PANEL
    alt_text = (f"Chart of effects over event time in {len(shown)} panels, one per estimator. {title}. {subtitle} "
                + " ".join(f"{estimators[name]}: {_average(overall[overall['estimator'] == name], clusters)}."
                           for name in shown))
    return style.save(figure, stem, alt_text, rows[COLUMNS], is_synthetic)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Common limits of the value axis: those of every interval, with a little room."""
    low, high = min(rows["ci_low"].min(), 0.0), max(rows["ci_high"].max(), 0.0)
    room = 0.08 * (high - low)
    return low - room, high + room


def _average(overall: pd.DataFrame, clusters: Mapping[str, str]) -> str:
    """``average 14.5 (95% interval -29.1 to 58.1 by area, -32.2 to 61.2 by system)``."""
    if overall.empty:
        return "no average"
    rows = {row.cluster: row for row in overall.itertuples()}
    ordered = [rows[cluster] for cluster in clusters if cluster in rows]
    decimals = decimals_for(ordered[0].std_error)
    parts = [f"{interval(row.ci_low, row.ci_high, decimals)} {clusters[row.cluster]}" for row in ordered]
    return f"average {number(ordered[0].estimate, decimals)} (95% interval {', '.join(parts)})"


def _heading(figure, axes, name: str, overall: pd.DataFrame, clusters: Mapping[str, str]) -> None:
    """Over a panel: the estimator, and its average effect with the interval of every clustering."""
    across, up = figure.get_size_inches()
    y = axes.get_position().y1 + 0.06 / up
    figure.text(style.EDGE / across, y + style.line_height() / up, name, va="bottom",
                fontproperties=style.font(bold=True))
    average = _average(overall, clusters)
    figure.text(style.EDGE / across, y, f"{average[:1].upper()}{average[1:]}", va="bottom", fontproperties=style.font())


def _counts_under(axes, rows: pd.DataFrame, cluster: str) -> None:
    """Under the axis of the last panel: how many treated clusters each ticked event time rests on."""
    counts = rows[rows["cluster"] == cluster].groupby("event_time")["n_treated_clusters"].max()
    first, last = axes.get_xlim()
    for tick in axes.get_xticks():
        if first <= tick <= last and int(tick) in counts.index:
            axes.annotate(f"{counts[int(tick)]:,}", (tick, 0), xycoords=("data", "axes fraction"), xytext=(0, -62),
                          textcoords="offset points", ha="center", va="top", fontproperties=style.font())
    axes.annotate(f"Treated {cluster}s at each tick", (0, 0), xycoords="axes fraction", xytext=(0, -44),
                  textcoords="offset points", ha="left", va="top", fontproperties=style.font())
