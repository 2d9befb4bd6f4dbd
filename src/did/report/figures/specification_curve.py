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
from matplotlib.ticker import MaxNLocator

from did.errors import DidError
from did.project.config import Indicator, Specification
from did.report.content.facts import CLUSTERS, SAMPLES, averaged_by, short_name
from did.report.content.robustness_rows import leaves_out_zero
from did.report.figures import style
from did.report.figures.event_study import KEY_ROW, Selection, draw_key, key_rows
from did.report.figures.staggered import NO_NUMBER, NOT_PRINTED, PUBLISHED, PublishedNumber
from did.report.figures.style import Frame
from did.words import decimals_for, interval, number, plural, short_decimals

IDENTITY = ["indicator", "specification", "sample", "treatment", "estimator"]
VALUES = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
          "n_treated_clusters"]
NONE = "none"  # a choice that is empty
# Inches: the curve, a row of choices, room between two choices; the column of names.
CURVE, ROW, BETWEEN, NAMES = 3.2, 0.215, 0.1, 3.5
MARK = style.PALETTE[0]
REPORTED = {"color": style.PALETTE[3], "linewidth": 1.5, "linestyle": (0, (2, 2))}
# How the intervals are drawn, by place of the cluster level: the first dark, others light behind it.
INTERVALS = [{"color": style.PALETTE[0]}, {"color": style.PALETTE[5], "alpha": 0.55}]


def choices_of(specification: Specification, indicator: Indicator) -> dict[str, str]:
    """Return every choice of a specification as text, for one indicator."""
    values = {key: getattr(specification, key) for key in Specification.model_fields if key != "families"}
    values["denominator"] = indicator.denominator_name(specification)
    return {key: (", ".join(value) if isinstance(value, list) else str(value or "")) or NONE
            for key, value in values.items()}


def curve_rows(specifications: pd.DataFrame, estimates: pd.DataFrame, *, default: Mapping[str, str],
                   staggered: Mapping[str, Mapping[str, str]], treatment: str = "binary") -> pd.DataFrame:
    """Return one row per specification and cluster level of one outcome, sorted by estimate.

    ``specifications`` is that table of the outcome; from ``estimates`` come the averages of the specifications in
    ``staggered``, which maps a specification to its choices. ``default`` are the choices of the reported specification.
    Columns: ``IDENTITY``, cluster, ``VALUES``, note, is_synthetic, one per choice, ``place`` (0 for the lowest
    estimate; missing if it is not drawn) and ``same_as``: what a specification repeats to the last digit because its
    choice does not concern it ("specification, sample, estimator"; "" if nothing). Repeated specifications and those
    that could not be fitted have no place.
    """
    fixed = specifications[specifications["treatment"].eq(treatment)]
    own = estimates[
        estimates["estimand"].eq("overall")
        & estimates["treatment"].eq(treatment)
        & estimates["specification"].isin(list(staggered))
        & ~estimates["estimator"].isin(list(averaged_by()))
    ]
    rows = pd.concat([fixed, own.assign(choices="", n_choices=len(default))], ignore_index=True)
    made = [dict(staggered.get(row.specification, default)) | dict(part.split("=", 1) for part in row.choices.split("; "
        "")
                                                            if part) for row in rows.itertuples()]
    choices = pd.DataFrame(made, index=rows.index, columns=list(default)).replace("", NONE)
    rows = pd.concat([rows[[*IDENTITY, "cluster", *VALUES, "note", "is_synthetic", "n_choices"]], choices], axis=1)
    first = rows[rows["cluster"].eq(rows["cluster"].iloc[0])].sort_values("n_choices", kind="stable")
    first = first[first["estimate"].notna()]
    key = [first["sample"], first["estimator"], first["n_obs"], first["estimate"].map("{:.9e}".format),
           first["std_error"].map("{:.9e}".format)]
    names = first["specification"] + ", " + first["sample"] + ", " + first["estimator"]
    original = names.groupby(key).transform("first")
    first = first.assign(same_as=original.where(original.ne(names), ""))
    kept = first[first["same_as"].eq("")].sort_values(["estimate", *IDENTITY], kind="stable")
    first = first.assign(place=pd.Series(range(len(kept)), index=kept.index, dtype="Int64"))
    rows = rows.merge(first[[*IDENTITY, "place", "same_as"]], on=IDENTITY, how="left", validate="many_to_one")
    rows["same_as"] = rows["same_as"].fillna("")
    return rows.sort_values(["place", *IDENTITY], kind="stable").reset_index(drop=True)


@style.drawing
def specification_curve(
    rows: pd.DataFrame,
    frame: Frame,
    *,
    choices: Sequence[str],
    reported: Selection,
    value_label: str,
    published: PublishedNumber = NO_NUMBER,
    samples: Mapping[str, str] = SAMPLES,
    clusters: Mapping[str, str] = CLUSTERS,
) -> list[Path]:
    """Draw every specification's estimate, sorted, over a grid of what each chooses, and save the figure.

    ``rows`` as from ``curve_rows``; ``choices`` are their columns of choices, of which those that vary are in the
    grid, alongside the estimator and the sample. The ``reported`` estimate (its specification, sample and
    estimator) is a marked column. Intervals by the first of ``clusters`` are dark, by the second light and wide.
    Other parameters as in ``robustness_forest``. Returns the paths written. Raises DidError if nothing was fitted.
    """
    printed, published = published, published.value
    drawn = rows[rows["place"].notna()].astype({"place": int})
    points = drawn[drawn["cluster"].eq(next(iter(clusters)))]
    if points.empty:
        raise DidError(f"specification curve: no estimate clustered {next(iter(clusters.values()))}; run the specify "
                       "stage, or leave the figure out")
    lines = _grid(points, choices, samples)
    frame = frame.marked(rows).saying(_counted(rows, points))
    if printed.is_missed:
        frame = frame.saying(NOT_PRINTED)
    entries = [([{**INTERVALS[place], "linewidth": (2, 6)[place]}], f"95% interval {name}")
               for place, name in enumerate(clusters.values())]
    key = key_rows({}, False, False, ([{"color": MARK, "marker": "o", "linestyle": "none"}], "Estimate"), *entries,
                   ([REPORTED], "Ours"),
                   *([([PUBLISHED], f"Published {number(published, short_decimals(published), signed=True)}")]
                     if published is not None else []))
    deep = sum(BETWEEN + ROW * len(values) for _, values in lines)
    feet = 0.1
    figure, bottom = style.page(CURVE + deep + 0.45 + feet + len(key) * KEY_ROW, frame)
    width = style.WIDTH - NAMES - 2 * style.EDGE
    curve = style.add_axes(figure, NAMES, bottom + feet + deep + 0.1, width, CURVE)
    grid = style.add_axes(figure, NAMES, bottom + feet, width, deep)
    draw_key(figure, key, bottom + feet + deep + CURVE + 0.2)
    marked = drawn[drawn["specification"].eq(reported.specification) & drawn["estimator"].eq(reported.estimator)
                   & drawn["sample"].eq(reported.sample)]
    _curve(curve, drawn, points, list(clusters), published)
    up = figure.get_size_inches()[1]
    for place, text in enumerate(reversed(style.wrap(value_label, NAMES - 1.0))):
        figure.text(style.EDGE / style.WIDTH, (bottom + feet + deep + 0.1 + CURVE / 2
                                               + place * style.line_height()) / up, text,
                    va="center", fontproperties=style.font())
    _draw_grid(grid, lines, len(points), deep)
    for axes in (curve, grid):
        axes.set_xlim(-1.5, len(points) + 0.5)
        for place in marked["place"].unique():
            axes.axvline(place, **REPORTED, zorder=1)
    alt_text = _alt_text(frame, value_label, drawn, points, marked, clusters, published)
    numbers = rows[["place", *IDENTITY, "cluster", *VALUES, *choices, "same_as", "note"]]
    return style.save(figure, frame, alt_text, numbers.assign(published_value=published))


def _grid(points: pd.DataFrame, choices: Sequence[str], samples: Mapping[str, str]) -> list[tuple[str, dict]]:
    """Choices that vary, each with its values: (heading, name of value -> places), commonest value first."""
    columns = {"estimator": points["estimator"].map(short_name),
               "sample": points["sample"].map(lambda name: samples.get(name, name)),
               **{choice: points[choice].str.replace("_", " ") for choice in choices}}
    lines = []
    for name, values in columns.items():
        order = values.value_counts(sort=True).index
        if len(order) > 1:
            lines.append((name.replace("_", " "), {value: points.loc[values.eq(value), "place"].to_numpy()
                                                   for value in sorted(order, key=lambda one: (-values.eq(one).sum(),
                                                                                               one))}))
    return lines


def _curve(axes: Axes, drawn: pd.DataFrame, points: pd.DataFrame, clusters: Sequence[str],
           published: float | None) -> None:
    for order, cluster in enumerate(clusters):
        rows = drawn[drawn["cluster"].eq(cluster) & np.isfinite(drawn["ci_low"]) & np.isfinite(drawn["ci_high"])]
        thick = np.clip(220 / len(points), 0.8, 2.5) * (1, 2.6)[order]
        axes.vlines(rows["place"], rows["ci_low"], rows["ci_high"], **INTERVALS[order], linewidth=thick,
                    zorder=3 - order)
    axes.plot(points["place"], points["estimate"], marker="o", color=style.PALETTE[4], linestyle="none", zorder=4,
              markersize=np.clip(600 / len(points), 2.5, 6))
    axes.axhline(0, color=style.INK, linewidth=1.2, zorder=3.5)
    if published is not None:
        axes.axhline(published, **PUBLISHED, zorder=3.6)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(style.plain_ticks)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _draw_grid(axes: Axes, lines: Sequence[tuple[str, dict]], n: int, deep: float) -> None:
    """Write the choices and their values left of the grid, and mark the specifications that have each value."""
    width = style.WIDTH - NAMES - 2 * style.EDGE
    axes.set(ylim=(deep, 0), yticks=[], xticks=[])
    axes.spines["bottom"].set_visible(False)
    y = 0.0
    for name, values in lines:
        axes.axhline(y, color=style.GRID, linewidth=0.8)
        y += BETWEEN
        for row, (value, places) in enumerate(values.items()):
            at = y + (row + 0.5) * ROW
            axes.vlines(places, at - 0.4 * ROW, at + 0.4 * ROW, color=MARK, zorder=2,
                        linewidth=np.clip(300 / n, 0.7, 4))
            if row == 0:
                axes.text((style.EDGE - NAMES) / width, at, name.capitalize(), transform=axes.get_yaxis_transform(),
                          va="center", fontproperties=style.font(bold=True))
            axes.text(-0.08 / width, at, value, transform=axes.get_yaxis_transform(),
                      ha="right", va="center", fontproperties=style.font())
        y += ROW * len(values)


def _counted(rows: pd.DataFrame, points: pd.DataFrame) -> str:
    """How many specifications are drawn, and how many are not because they repeat another or were not fitted."""
    every = rows.drop_duplicates(IDENTITY)
    lost, same = int(every["estimate"].isna().sum()), int(every["same_as"].ne("").sum())
    text = f"{plural(len(points), 'specification')}, sorted"
    parts = ([f"{same} more give the same number as one of them"] if same else []) + (
        [f"{lost} could not be fitted"] if lost else [])
    return f"{text}; {' and '.join(parts)}." if parts else f"{text}."


def _alt_text(frame, value_label, drawn, points, reported, clusters, published) -> str:
    decimals = decimals_for(points["std_error"].median())
    estimates = points["estimate"]
    low, high, median = (number(value, decimals) for value in estimates.agg(["min", "max", "median"]))
    sentences = [f"Specification curve: estimates sorted, over a grid of the choices each makes. {frame.title}. "
                 f"{frame.subtitle} In {value_label}: from {low} to {high}, median {median}; "
                 f"{int((estimates > 0).sum())} of {len(points)} above zero."]
    for cluster, name in clusters.items():
        own = drawn[drawn["cluster"].eq(cluster)]
        sentences.append(f"Clustered {name}, {int(leaves_out_zero(own).sum())} of {len(own)} intervals leave out zero.")
    if len(reported):
        row = reported.iloc[0]
        spans = [f"{interval(each.ci_low, each.ci_high, decimals)} clustered {clusters[each.cluster]}"
                 for each in reported.itertuples()]
        sentences.append(f"Ours: {number(row['estimate'], decimals)} (95% interval {', '.join(spans)}), number "
                         f"{row['place'] + 1} from below.")
    if published is not None:
        sentences.append(f"Published {number(published, short_decimals(published), signed=True)}: "
                         f"{int((estimates < published).sum())} of {len(points)} estimates are below it.")
    return " ".join(sentences)
