"""Specification curve of one outcome: every specification, sample and estimator, sorted, over the choices each makes.

Simonsohn, Simmons and Nelson 2020, Nature Human Behaviour 4:1208-1214, Figure 2. No test is made over the curve:
the specifications share their data, and how many there are is a matter of what was thought of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from did.errors import DidError
from did.project.indicator import Indicator
from did.project.specification import Specification
from did.report.content.facts import SAMPLES, averaged_by, having, short_name
from did.report.content.names import NONE, key_words, value_words
from did.report.content.robustness_rows import leaves_out_zero
from did.report.figures import key, style
from did.report.figures.key import Published, clustered
from did.report.figures.style import Frame
from did.words import decimals_for, interval, listed, number, plural

IDENTITY = ["indicator", "specification", "sample", "treatment", "estimator"]
VALUES = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
          "n_treated_clusters"]
# Inches: the curve, a row of choices, room between two choices; the column of names.
CURVE, ROW, BETWEEN, NAMES = 3.2, 0.215, 0.1, 3.9
MARK = style.PALETTE[0]
REPORTED = {"color": style.PALETTE[3], "linewidth": 1.5, "linestyle": (0, (2, 2))}
LIGHT, PALE = "#7A8CA3", "#C9D3DF"


def choices_of(specification: Specification, indicator: Indicator) -> dict[str, str]:
    """Return every choice of a specification as text, for one indicator."""
    values = {name: getattr(specification, name) for name in Specification.model_fields if name != "families"}
    values["denominator"] = indicator.denominator_name(specification)
    return {name: (", ".join(value) if isinstance(value, list) else str(value or "")) or NONE
            for name, value in values.items()}


def curve_rows(specifications: pd.DataFrame, estimates: pd.DataFrame, *, default: Mapping[str, str],
                   staggered: Mapping[str, Mapping[str, str]], treatment: str = "binary") -> pd.DataFrame:
    """Return one row per specification of one outcome, sorted by estimate.

    ``specifications`` is that table of the outcome, of one cluster level as are ``estimates``; from these come the
    averages of the specifications in ``staggered``, which maps a specification to its choices. ``default`` are the
    choices of the reported specification. Columns: ``IDENTITY``, cluster, ``VALUES``, note, is_synthetic, one per
    choice, ``place`` (0 for the lowest estimate; missing if it is not drawn) and ``same_as``: what a specification
    repeats to the last digit because its choice does not concern it ("specification, sample, estimator"; "" if
    nothing). Repeated specifications and those that could not be fitted have no place.
    """
    own = having(estimates, estimand="overall", treatment=treatment, specification=list(staggered))
    own = own[~own["estimator"].isin(list(averaged_by()))]
    rows = pd.concat([having(specifications, treatment=treatment), own.assign(choices="", n_choices=len(default))],
                     ignore_index=True)
    made = [dict(staggered.get(row.specification, default))
            | dict(part.split("=", 1) for part in row.choices.split("; ") if part) for row in rows.itertuples()]
    choices = pd.DataFrame(made, index=rows.index, columns=list(default)).replace("", NONE)
    rows = pd.concat([rows[[*IDENTITY, "cluster", *VALUES, "note", "is_synthetic", "n_choices"]], choices], axis=1)
    first = rows[rows["estimate"].notna()].sort_values("n_choices", kind="stable")
    same = [first["sample"], first["estimator"], first["n_obs"], first["estimate"].map("{:.9e}".format),
            first["std_error"].map("{:.9e}".format)]
    names = first["specification"] + ", " + first["sample"] + ", " + first["estimator"]
    original = names.groupby(same).transform("first")
    first = first.assign(same_as=original.where(original.ne(names), ""))
    kept = first[first["same_as"].eq("")]
    # Of estimates that are equal but for rounding, rounding does not decide which comes first.
    kept = kept.assign(estimate=kept["estimate"].map("{:.9e}".format).astype(float)).sort_values(
        ["estimate", *IDENTITY], kind="stable")
    first = first.assign(place=pd.Series(range(len(kept)), index=kept.index, dtype="Int64"))
    rows = rows.merge(first[[*IDENTITY, "place", "same_as"]], on=IDENTITY, how="left", validate="many_to_one")
    rows["same_as"] = rows["same_as"].fillna("")
    return rows.sort_values(["place", *IDENTITY], kind="stable").reset_index(drop=True)


@style.drawing
def specification_curve(rows: pd.DataFrame, frame: Frame, *, choices: Sequence[str], reported: Mapping[str, str],
                        published: Published | None = None, samples: Mapping[str, str] = SAMPLES) -> list[Path]:
    """Draw every specification's estimate, sorted, over a grid of what each chooses, and save the figure.

    ``rows`` as from ``curve_rows``, of one cluster level; ``choices`` are their columns of choices, of which those that
    vary are in the grid, alongside the estimator and the sample. The ``reported`` estimate (values of its
    specification, sample and estimator) is a marked column. Estimates whose interval leaves out zero are dark; the
    intervals are one shade. Returns the paths written. Raises DidError if nothing was fitted.
    """
    points = rows[rows["place"].notna()].astype({"place": int})
    if points.empty:
        raise DidError("specification curve: expected an estimate; found none; run the specify stage, or leave the "
                       "figure out")
    lines = _grid(points, choices, samples)
    frame = frame.marked(rows).saying(_counted(rows, points))
    deep = sum(BETWEEN + ROW * len(values) for _, values in lines) or BETWEEN
    figure, bottom, _ = key.keyed_page(frame, CURVE + deep + 0.2 + 0.1, _key(points, frame.units, published), over=0.25)
    width = style.WIDTH - NAMES - 2 * style.EDGE
    curve = style.add_axes(figure, NAMES, bottom + 0.1 + deep + 0.1, width, CURVE)
    grid = style.add_axes(figure, NAMES, bottom + 0.1, width, deep)
    _curve(curve, points, published)
    for place, text in enumerate(reversed(style.wrap(frame.axis_unit, NAMES - 1.0) if frame.axis_unit else [])):
        style.write(figure, style.EDGE, bottom + 0.1 + deep + 0.1 + CURVE / 2 + place * style.line_height(), text)
    _draw_grid(grid, lines, deep)
    marked = points[np.logical_and.reduce([points[name].eq(value) for name, value in reported.items()])]
    for axes in (curve, grid):
        axes.set_xlim(-1.5, len(points) + 0.5)
        for place in marked["place"]:
            style.rule(axes, place, "x", **REPORTED, zorder=1)
    return style.save(figure, frame, _alt_text(frame, points, marked, published),
                      rows[["place", *IDENTITY, "cluster", *VALUES, *choices, "same_as", "note"]].assign(
                          published_value=published.value if published else np.nan))


def _key(points: pd.DataFrame, units: str, published: Published | None) -> list[key.Entry]:
    dot = {"marker": "o", "linestyle": "none"}
    out = leaves_out_zero(points)
    by = f"95% interval, clustered by {clustered(points, units)}"
    return [([{"color": PALE, "linewidth": 10}], by),
            *([([dot | {"color": MARK}], "Estimate; interval leaves out zero")] if out.any() else []),
            *([([dot | {"color": LIGHT, "markerfacecolor": "white"}], "Estimate; interval includes zero")]
              if not out.all() else []), ([REPORTED], "Ours"), *([published.entry] if published else [])]


def _grid(points: pd.DataFrame, choices: Sequence[str], samples: Mapping[str, str]) -> list[tuple[str, dict]]:
    """Choices that vary, each with its values: (heading, name of value -> places), commonest value first."""
    columns = {"Estimator": points["estimator"].map(short_name),
               "Sample": points["sample"].map(lambda name: samples.get(name, name)),
               **{key_words(choice): points[choice].map(lambda value, of=choice: value_words(of, value))
                  for choice in choices}}
    lines = []
    for name, values in columns.items():
        counts = values.value_counts()
        if len(counts) > 1:
            lines.append((name, {value: points.loc[values.eq(value), "place"].to_numpy()
                                 for value in sorted(counts.index, key=lambda one: (-counts[one], one))}))
    return lines


def _curve(axes: Axes, points: pd.DataFrame, published: Published | None) -> None:
    known = points[np.isfinite(points["ci_low"]) & np.isfinite(points["ci_high"])]
    axes.fill_between(known["place"], known["ci_low"], known["ci_high"], color=PALE, linewidth=0, step="mid", zorder=2)
    size = np.clip(600 / len(points), 2.5, 6)
    out = leaves_out_zero(points)
    for part, colour, fill in ((points[~out], LIGHT, "white"), (points[out], MARK, MARK)):
        axes.plot(part["place"], part["estimate"], marker="o", markeredgecolor=colour, markerfacecolor=fill,
                  markeredgewidth=1, linestyle="none", zorder=4, markersize=size)
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=3.5)
    if published:
        axes.axhline(published.value, **key.PUBLISHED, zorder=3.6)
    style.value_axis(axes, 7)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _draw_grid(axes: Axes, lines: Sequence[tuple[str, dict]], deep: float) -> None:
    """Write the choices and their values left of the grid, and mark the specifications that have each value: those that
    follow one another as one bar."""
    axes.set(ylim=(deep, 0), yticks=[], xticks=[])
    axes.spines["bottom"].set_visible(False)
    y, bars = 0.0, []
    for name, values in lines:
        style.rule(axes, y, color=style.GRID, linewidth=0.8)
        y += BETWEEN
        for row, (value, places) in enumerate(values.items()):
            at = y + (row + 0.5) * ROW
            runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
            bars += [(at, run[0] - 0.5, run[-1] + 0.5) for run in runs]
            if row == 0:
                style.write_beside(axes, style.EDGE - NAMES, at, name, bold=True)
            style.write_beside(axes, -0.08, at, value, right=True)
        y += ROW * len(values)
    style.lines(axes, *np.reshape(bars, (-1, 3)).T, color=MARK, linewidth=72 * 0.8 * ROW)


def _counted(rows: pd.DataFrame, points: pd.DataFrame) -> str:
    """How many specifications are drawn, and how many are not because they repeat another or were not fitted."""
    lost, same = int(rows["estimate"].isna().sum()), int(rows["same_as"].ne("").sum())
    parts = [*([f"{same} more give the same number as one of them"] if same else []),
             *([f"{lost} could not be fitted"] if lost else [])]
    return f"{plural(len(points), 'specification')}, sorted{f'; {listed(parts)}' if parts else ''}."


def _alt_text(frame: Frame, points: pd.DataFrame, reported: pd.DataFrame, published: Published | None) -> str:
    decimals, n = decimals_for(points["std_error"].median()), len(points)
    estimates = points["estimate"]
    low, high, median = (number(value, decimals) for value in estimates.agg(["min", "max", "median"]))
    ours = "".join(f" Ours: {number(row.estimate, decimals)} (95% interval "
                   f"{interval(row.ci_low, row.ci_high, decimals)}), number {row.place + 1} from below."
                   for row in reported.head(1).itertuples())
    below = f" {published.words}: {int((estimates < published.value).sum())} of {n} estimates are below it." if (
        published) else ""
    return (f"Specification curve: estimates sorted, over a grid of the choices each makes. {frame.title}. "
            f"{frame.subtitle} In {frame.unit}: from {low} to {high}, median {median}; {int((estimates > 0).sum())} of "
            f"{n} above zero. Clustered by {clustered(points, frame.units)}, {int(leaves_out_zero(points).sum())} of "
            f"{n} intervals leave out zero.{ours}{below}")
