"""Figures of coefficients in the published report's layouts, four panes or one, drawn from the estimates table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.facts import CLUSTERS, SAMPLES, TREATMENTS, few_treated_note, rests_on_few, select
from did.report.figures import style
from did.report.figures.panes import counts, draw_pane, limits_of, pane_head, row_names, rows_of, shared_label
from did.report.figures.style import Frame
from did.words import decimals_for, interval, listed, number, plural, short_decimals

NUMBERS = ["indicator", "specification", "sample", "treatment", "estimator", "event_time", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "n_obs", "n_units", "n_treated",
           "n_clusters", "n_treated_clusters", "state", "few_treated", "note"]
CELL = ["indicator", "treatment", "sample"]
# Inches: between panes of a row, between rows of panes, right of the last pane.
GAP, ROW_GAP, RIGHT = 0.3, 0.25, 0.3  # inches
# At most, of what is counted under a name and of the names of lines.
DETAILS, LINES = 3.0, 1.8


@dataclass(frozen=True)
class Names:
    """What is drawn, in order, and what it is called in the figure: values of four columns of the estimates table.

    outcomes : indicator -> its name, from the top; may be of any number.
    clusters, samples, treatments : values of those columns -> their names.
    """

    outcomes: Mapping[str, str]
    clusters: Mapping[str, str] = field(default_factory=lambda: CLUSTERS)
    samples: Mapping[str, str] = field(default_factory=lambda: SAMPLES)
    treatments: Mapping[str, str] = field(default_factory=lambda: TREATMENTS)


@style.drawing
def coefficient_panes(
    estimates: pd.DataFrame,
    frame: Frame,
    *,
    names: Names,
    estimator: str,
    specification: str,
    axis_labels: Mapping[str, str],
    published: pd.DataFrame | None = None,
) -> list[Path]:
    """Draw one estimator's coefficients in panes, samples across and treatments down, and save the figure.

    Layout of Figures 4 and 6 of the evaluation: a line per outcome and cluster level with its 95% interval,
    zero marked, and what was printed as a hollow diamond.

    Parameters
    ----------
    estimates : rows of the estimates table; one row per outcome, sample, treatment and cluster is drawn. A
        row that is not there is written as "not estimated"; a missing interval leaves the point alone. An
        estimate that rests on few treated units is marked and a footnote says so.
    names : what is drawn, with its names in the figure.
    estimator, specification : values of those columns to draw.
    axis_labels : treatment -> unit of its coefficient, as "days per 100,000 adults per month".
    published : columns indicator, treatment, sample, published_value in the unit of the axis (rows may
        repeat, as they do by cluster level in ``reproduction.csv``); missing values are not drawn.
    frame : where to save and what to write around the panes; its units are counted over each pane. Also taken to be
        synthetic if any row drawn is marked so.

    Returns the paths of the picture (SVG, PNG), the numbers and the alternative text.
    Raises DidError if no row is left to draw, or if a coefficient is there twice.
    """
    rows = _coefficients(estimates, names, estimator, specification)
    printed = _printed(published, names)
    rows, printed = (table.assign(row=table["indicator"]) for table in (rows, printed))
    frame, clusters, samples, treatments = frame.marked(rows), names.clusters, names.samples, names.treatments
    outcomes = {indicator: style.wrap(name, 1.6, bold=True) for indicator, name in names.outcomes.items()}
    alongside = {level: style.shortened(name, LINES) for level, name in clusters.items()}
    left = _names_width(outcomes, {}, alongside)
    layout = {treatment: rows_of(outcomes, list(clusters), set(printed.loc[printed["treatment"] == treatment, "row"]))
              for treatment in treatments}
    labels = {treatment: style.wrap(axis_labels[treatment], style.WIDTH - left - RIGHT) for treatment in treatments}
    feet = 0.55 + (max(map(len, labels.values())) - 1) * style.line_height()
    width = (style.WIDTH - left - RIGHT - GAP * (len(samples) - 1)) / len(samples)
    wrapped = {(treatment, sample): style.wrap(f"{treatments[treatment]}, {samples[sample]}", width, bold=True)
               for treatment in treatments for sample in samples}
    heads = (max(len(lines) for lines in wrapped.values()) + 1) * style.line_height() + 0.08
    height = sum(deep + heads + feet for _, deep in layout.values()) + ROW_GAP * (len(layout) - 1)
    figure, top = style.page(height, frame, footnote=few_treated_note(rows["few_treated"], frame.units))
    top += height
    for treatment, (lines, deep) in layout.items():
        here = rows[rows["treatment"] == treatment]
        stated = printed[printed["treatment"] == treatment]
        limits = limits_of(here, stated)
        for column, sample in enumerate(samples):
            axes = style.add_axes(figure, left + column * (width + GAP), top - heads - deep, width, deep)
            pane = here[here["sample"] == sample]
            draw_pane(axes, lines, pane, stated[stated["sample"] == sample], list(clusters), limits, deep)
            pane_head(figure, axes, wrapped[treatment, sample], counts(pane, frame.units))
            if column == 0:
                row_names(axes, lines, alongside, left)
        shared_label(figure, labels[treatment], left, top - heads - deep - 0.3)
        top -= deep + heads + feet + ROW_GAP
    numbers = _numbers(rows, printed, ["treatment", "sample", "indicator", "cluster"], names)
    alt_text = _alt_text(f"Chart of coefficients in {plural(len(samples) * len(treatments), 'pane')}. {frame.title}. "
                         f"{frame.subtitle}", numbers, names, axis_labels)
    return style.save(figure, frame, alt_text, numbers)


@style.drawing
def coefficient_single(
    estimates: pd.DataFrame,
    frame: Frame,
    *,
    names: Names,
    estimator: str,
    specification: str,
    axis_labels: Mapping[str, str],
    axis_label: str,
    published: pd.DataFrame | None = None,
) -> list[Path]:
    """Draw one estimator's coefficients in one pane, a row per treatment and sample, and save the figure.

    Layout of Figure 5 of the evaluation: binary, binary*, intensity, intensity*. The first sample has no mark,
    each further one a star more, which the subtitle explains. All rows share one axis, though the intensity rows
    are per unit of dose, as in the report; ``axis_label`` has to say so. Of several outcomes each has its
    rows, with its name in them.

    Parameters as of ``coefficient_panes``; ``axis_labels`` gives the units for the alternative text. Returns the
    paths written; raises DidError as ``coefficient_panes`` does.
    """
    rows = _coefficients(estimates, names, estimator, specification)
    printed = _printed(published, names)
    rows, printed = (table.assign(row=table[CELL].agg("|".join, axis=1) if len(table) else "")
                     for table in (rows, printed))
    clusters, samples = names.clusters, names.samples
    stars = {sample: "*" * place for place, sample in enumerate(samples)}
    frame = frame.marked(rows)
    for sample, star in stars.items():
        frame = frame.saying(f"{star} {samples[sample]}.") if star else frame
    heads, details = {}, {}
    for indicator, outcome in names.outcomes.items():
        for treatment, treatment_name in names.treatments.items():
            for sample, star in stars.items():
                key = "|".join([indicator, treatment, sample])
                name = treatment_name if len(names.outcomes) == 1 else f"{outcome}: {treatment_name.lower()}"
                heads[key] = style.wrap(name + star, 2.2, bold=True)
                text = counts(rows[rows["row"] == key], frame.units)
                details[key] = [style.shortened(part, DETAILS) for part in text.split("; ")] if text else []
    alongside = {level: style.shortened(name, LINES) for level, name in clusters.items()}
    left = _names_width(heads, details, alongside)
    lines, deep = rows_of(heads, list(clusters), set(printed["row"]), details)
    label = style.wrap(axis_label, style.WIDTH - left - RIGHT)
    feet = 0.55 + (len(label) - 1) * style.line_height()
    figure, bottom = style.page(deep + feet, frame, footnote=few_treated_note(rows["few_treated"], frame.units))
    axes = style.add_axes(figure, left, bottom + feet, style.WIDTH - left - RIGHT, deep)
    draw_pane(axes, lines, rows, printed, list(clusters), limits_of(rows, printed), deep)
    row_names(axes, lines, alongside, left)
    shared_label(figure, label, left, bottom + feet - 0.3)
    numbers = _numbers(rows, printed, ["indicator", "treatment", "sample", "cluster"], names)
    alt_text = _alt_text(f"Chart of coefficients in one pane. {frame.title}. {frame.subtitle}", numbers, names,
                         axis_labels)
    return style.save(figure, frame, alt_text, numbers)


def _names_width(names: Mapping[str, list[str]], details: Mapping[str, list[str]],
                 clusters: Mapping[str, str]) -> float:
    """Return how much room the names of rows and of their lines need left of a pane, in inches."""
    bold = [style.text_width(line, bold=True) for lines in names.values() for line in lines]
    plain = [style.text_width(line) for lines in details.values() for line in lines]
    marks = [style.text_width(word) for word in [*clusters.values(), "as printed"]]
    return style.EDGE + max(bold + plain) + 0.15 + max(marks) + 0.12


def _coefficients(estimates: pd.DataFrame, names: Names, estimator: str, specification: str) -> pd.DataFrame:
    rows = select(estimates, estimator=estimator, specification=specification)
    keys = _places(names)
    for column, wanted in keys.items():
        rows = rows[rows[column].isin(list(wanted))]
    if rows.empty:
        raise DidError(f"estimates table: no {estimator} estimate of {listed(names.outcomes)} under specification "
                       f"'{specification}' "
                       f"for samples {listed(names.samples)}, treatments {listed(names.treatments)} and clusters "
                       f"{listed(names.clusters)}; run the fit stage for them")
    twice = rows[rows.duplicated(list(keys))]
    if len(twice):
        raise DidError(f"estimates table: expected one {estimator} estimate per indicator, sample, treatment "
                       f"and cluster; found more for {twice[list(keys)].iloc[0].tolist()}; pass one estimand only")
    return rows


def _places(names: Names) -> dict[str, Mapping[str, str]]:
    return {"indicator": names.outcomes, "cluster": names.clusters, "sample": names.samples,
            "treatment": names.treatments}


def _printed(published: pd.DataFrame | None, names: Names) -> pd.DataFrame:
    if published is None:
        empty = {name: pd.Series(dtype=str) for name in CELL}
        return pd.DataFrame(empty | {"published_value": pd.Series(dtype=float)})
    rows = published[[*CELL, "published_value"]].dropna(subset="published_value").drop_duplicates()
    rows = rows[rows["indicator"].isin(list(names.outcomes)) & rows["sample"].isin(list(names.samples))
                & rows["treatment"].isin(list(names.treatments))]
    twice = rows[rows.duplicated(CELL)]
    if len(twice):
        raise DidError(f"published values: expected one per indicator, treatment and sample; found two for "
                       f"{twice[CELL].iloc[0].tolist()}; fix the published table")
    return rows.astype({"published_value": float})


def _numbers(rows: pd.DataFrame, printed: pd.DataFrame, order: list[str], names: Names) -> pd.DataFrame:
    """Return the numbers drawn, sorted as they are in the figure, with what was printed alongside them."""
    places = _places(names)
    ranks = {f"_{column}": rows[column].map({key: place for place, key in enumerate(places[column])})
             for column in order}
    rows = rows.assign(**ranks).sort_values(list(ranks))
    return rows[[column for column in NUMBERS if column != "event_time"]].merge(
        printed[[*CELL, "published_value"]], on=CELL, how="left")


def _alt_text(head: str, numbers: pd.DataFrame, names: Names, axis_labels: Mapping[str, str]) -> str:
    sentences = [head]
    first = next(iter(names.clusters))
    for row in numbers[numbers["cluster"] == first].itertuples():
        decimals = decimals_for(row.std_error)
        same = numbers[CELL].eq([row.indicator, row.treatment, row.sample])
        spans = [f"{interval(other.ci_low, other.ci_high, decimals)} clustered {names.clusters[other.cluster]}"
                 for other in numbers[same.all(axis=1)].itertuples()]
        value = row.published_value
        printed = "" if pd.isna(value) else f"; printed {number(value, short_decimals(value), signed=True)}"
        few = " (few treated)" if rests_on_few(row.few_treated) else ""
        sentences.append(f"{names.treatments[row.treatment]}, {names.samples[row.sample]}, "
                         f"{names.outcomes[row.indicator]}: "
                         f"{number(row.estimate, decimals)} {axis_labels[row.treatment]}, 95% interval "
                         f"{', '.join(spans)}{printed}{few}.")
    return " ".join(sentences)
