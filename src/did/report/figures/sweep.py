"""Volcano-style figure of a sweep: size of every estimate against the evidence for it, by estimator and clustering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from did.errors import one_of
from did.estimators import entries, entry
from did.report.figures import key, style
from did.report.figures.key import grid
from did.report.figures.style import Frame
from did.words import MINUS, count, number, plural

CLUSTERS = {"unit": "clustered by unit", "system": "clustered by system"}
PANE = 2.5  # inches
UP = f"{MINUS}log10 p"
HIGHEST = 16.0  # -log10 p: below the resolution of a p-value in double precision
FILLED = {"marker": "o", "s": 26, "facecolor": style.PALETTE[0], "edgecolor": "white", "linewidth": 0.5, "zorder": 3}
HOLLOW = {"marker": "o", "s": 14, "facecolor": "none", "edgecolor": style.PALETTE[4], "linewidth": 0.6, "alpha": 0.6,
          "zorder": 2}
LINE = {"color": style.PALETTE[2], "linewidth": 1.5, "linestyle": (0, (4, 2))}
NUMBERS = ["indicator", "title", "family", "estimator", "cluster", "estimate", "outcome_sd", "estimate_in_sd",
           "p_value", "minus_log10_p", "p_benjamini_hochberg"]


@style.drawing
def volcano(table: pd.DataFrame, frame: Frame, *, level: float, estimators: Sequence[str]) -> list[Path]:
    """Draw estimates in standard deviations against -log10 p, a pane per estimator and clustering, and save them.

    ``table`` has rows of `did.sweep.collect.TABLE`; those without a p-value or a standardised estimate are counted in
    the pane and not drawn. Filled marks lie within ``level`` of false discoveries (Benjamini and Hochberg 1995), above
    the dashed line. Returns the paths written. Raises DidError for an unknown estimator.
    """
    for name in estimators:
        one_of("volcano: estimator", name, entries())
    levels = [name for name in CLUSTERS if name in set(table["cluster"])] or ["unit"]
    rows = table.assign(minus_log10_p=-np.log10(table["p_value"].clip(lower=10.0**-HIGHEST)))
    rows = rows.assign(within_false_discovery_rate=rows["p_benjamini_hochberg"] <= level,
                       is_drawn=np.isfinite(rows["minus_log10_p"]) & np.isfinite(rows["estimate_in_sd"]))
    drawn = rows[rows["is_drawn"]]
    clipped = int((drawn["p_value"] < 10.0**-HIGHEST).sum())
    cells = {(estimator, cluster): f"{entry(estimator).label}, {CLUSTERS[cluster]}"
             for estimator in estimators for cluster in levels}
    figure, panes = grid(
        frame, [(name, UP) for name in cells.values()], _key(level), high=PANE, foot=0.62, columns=len(levels),
        footnote=f"{plural(clipped, 'p-value')} below 1e-16 drawn at 16." if clipped else "")
    # Half the width and the height of every pane are the same in all, so that panes can be compared.
    wide = 1.08 * max(1e-6, *drawn["estimate_in_sd"].abs()) if len(drawn) else 1.0
    sentences = []
    for axes, ((estimator, cluster), name) in zip(panes, cells.items(), strict=True):
        here = rows[(rows["estimator"] == estimator) & (rows["cluster"] == cluster)]
        edge = float(here.loc[here["within_false_discovery_rate"], "p_value"].max())   # the line; NaN if none is within
        axes.set(xlim=(-wide, wide), ylim=(0, 1.12 * max([2.0, *drawn["minus_log10_p"]])))
        axes.set_xlabel("Estimate, standard deviations", fontproperties=style.font())
        _pane(axes, here, edge)
        sentences.append(f"{name}: {_words(here, level, edge)}.")
    alt_text = (f"Volcano-style chart in {plural(len(sentences), 'pane')}: estimate in standard deviations across, "
                f"minus log10 of the p-value up. {' '.join(sentences)}")
    return style.save(figure, frame, alt_text, drawn[[*NUMBERS, "within_false_discovery_rate"]].assign(
        indicator_is_synthetic=drawn["is_synthetic"]))


def _pane(axes: Axes, here: pd.DataFrame, edge: float) -> None:
    passed = here["within_false_discovery_rate"]
    for chosen, look in ((~passed, HOLLOW), (passed, FILLED)):
        points = here[chosen & here["is_drawn"]]
        axes.scatter(points["estimate_in_sd"], points["minus_log10_p"], **look)
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
    style.value_axis(axes, 5, "x")
    style.value_axis(axes, 5)
    if np.isfinite(edge):
        axes.axhline(min(-np.log10(max(edge, 10.0**-HIGHEST)), HIGHEST), zorder=1, **LINE)
    words = f"{count((passed & here['is_drawn']).sum())} of {count(len(here))}" if len(here) else "no estimate"
    axes.text(0.99, 0.98, words, transform=axes.transAxes, ha="right", va="top", fontproperties=style.font(),
              bbox=style.CLEAR)


def _key(level: float) -> list[key.Entry]:
    dot = {"marker": "o", "linestyle": "none"}
    return [([dot | {"color": style.PALETTE[0]}], f"Within {level:.0%} false discoveries (count of all)"),
            ([dot | {"color": style.PALETTE[4], "markerfacecolor": "none"}], "Other"),
            ([LINE], f"{level:.0%} line")]


def _words(here: pd.DataFrame, level: float, edge: float) -> str:
    if here.empty:
        return "no estimate"
    points = here[here["is_drawn"]]
    passed = points[points["within_false_discovery_rate"]]
    up, down = int((passed["estimate"] > 0).sum()), int((passed["estimate"] < 0).sum())
    text = (f"{count(len(points))} of {plural(len(here), 'indicator')} drawn, {count(len(passed))} within "
            f"{level:.0%} false discoveries, {count(up)} above zero and {count(down)} below")
    text += f"; the line is at p = {edge:.2g}" if np.isfinite(edge) else "; there is no line"
    if len(passed):
        first = passed.sort_values("p_value", kind="stable").iloc[0]
        text += f"; the smallest p-value is that of {first['title']}, {number(first['estimate_in_sd'], 2, signed=True)}"
    return text
