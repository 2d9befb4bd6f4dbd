"""Figures of coefficients in the published report's layouts, four panes or one, drawn from the estimates table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.facts import CLUSTERS, SAMPLES, TREATMENTS, few_treated_note, rests_on_few, select
from did.report.figures import style
from did.report.figures.panes import counts, draw_pane, limits_of, pane_head, row_names, rows_of, shared_label
from did.words import decimals_for, interval, listed, number, plural, short_decimals

NUMBERS = ["indicator", "specification", "sample", "treatment", "estimator", "event_time", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "n_obs", "n_units", "n_treated",
           "n_clusters", "n_treated_clusters", "state", "few_treated", "note"]
CELL = ["indicator", "treatment", "sample"]
# Inches: between panes of a row, between rows of panes, right of the last pane.
GAP, ROW_GAP, RIGHT = 0.3, 0.25, 0.3  # inches
# At most, of what is counted under a name and of the names of lines.
DETAILS, LINES = 3.0, 1.8


@style.drawing
def coefficient_panes(
    estimates: pd.DataFrame,
    *,
    outcomes: Mapping[str, str],
    estimator: str,
    specification: str,
    stem: str | Path,
    title: str,
    subtitle: str,
    source: str,
    axis_labels: Mapping[str, str],
    clusters: Mapping[str, str] = CLUSTERS,
    samples: Mapping[str, str] = SAMPLES,
    treatments: Mapping[str, str] = TREATMENTS,
    published: pd.DataFrame | None = None,
    units: str = "areas",
    is_synthetic: bool = False,
) -> list[Path]:
    """Draw one estimator's coefficients in panes, samples across and treatments down, and save the figure.

    Layout of Figures 4 and 6 of the evaluation: a line per outcome and cluster level with its 95% interval,
    zero marked, and what was printed as a hollow diamond.

    Parameters
    ----------
    estimates : rows of the estimates table; one row per outcome, sample, treatment and cluster is drawn. A
        row that is not there is written as "not estimated"; a missing interval leaves the point alone. An
        estimate that rests on few treated units is marked and a footnote says so.
    outcomes : indicator -> its name in the figure, from the top; may be of any number.
    estimator, specification : values of those columns to draw.
    axis_labels : treatment -> unit of its coefficient, as "days per 100,000 adults per month".
    clusters, samples, treatments : values of those columns to draw -> their names in the figure.
    published : columns indicator, treatment, sample, published_value in the unit of the axis (rows may
        repeat, as they do by cluster level in ``reproduction.csv``); missing values are not drawn.
    units : what the units are called ("areas"), for the count of treated units over each pane.
    stem, title, subtitle, source : where to save and what to write around the panes; see ``style.page``.
    is_synthetic : also taken to be so if any row drawn is marked synthetic.

    Returns the paths of the picture (SVG, PNG), the numbers and the alternative text.
    Raises DidError if no row is left to draw, or if a coefficient is there twice.
    """
    rows = _coefficients(estimates, outcomes, estimator, specification, clusters, samples, treatments)
    printed = _printed(published, outcomes, samples, treatments)
    rows, printed = (frame.assign(row=frame["indicator"]) for frame in (rows, printed))
    is_synthetic = is_synthetic or bool(rows["is_synthetic"].any())
    names = {indicator: style.wrap(name, 1.6, bold=True) for indicator, name in outcomes.items()}
    alongside = {level: style.shortened(name, LINES) for level, name in clusters.items()}
    left = _names_width(names, {}, alongside)
    layout = {treatment: rows_of(names, list(clusters), set(printed.loc[printed["treatment"] == treatment, "row"]))
              for treatment in treatments}
    labels = {treatment: style.wrap(axis_labels[treatment], style.WIDTH - left - RIGHT) for treatment in treatments}
    feet = 0.55 + (max(map(len, labels.values())) - 1) * style.line_height()
    width = (style.WIDTH - left - RIGHT - GAP * (len(samples) - 1)) / len(samples)
    wrapped = {(treatment, sample): style.wrap(f"{treatments[treatment]}, {samples[sample]}", width, bold=True)
               for treatment in treatments for sample in samples}
    heads = (max(len(lines) for lines in wrapped.values()) + 1) * style.line_height() + 0.08
    height = sum(deep + heads + feet for _, deep in layout.values()) + ROW_GAP * (len(layout) - 1)
    figure, top = style.page(height, title=title, subtitle=subtitle, source=source, is_synthetic=is_synthetic,
                             footnote=few_treated_note(rows["few_treated"], units))
    top += height
    for treatment, (lines, deep) in layout.items():
        here = rows[rows["treatment"] == treatment]
        stated = printed[printed["treatment"] == treatment]
        limits = limits_of(here, stated)
        for column, sample in enumerate(samples):
            axes = style.add_axes(figure, left + column * (width + GAP), top - heads - deep, width, deep)
            pane = here[here["sample"] == sample]
            draw_pane(axes, lines, pane, stated[stated["sample"] == sample], list(clusters), limits, deep)
            pane_head(figure, axes, wrapped[treatment, sample], counts(pane, units))
            if column == 0:
                row_names(axes, lines, alongside, left)
        shared_label(figure, labels[treatment], left, top - heads - deep - 0.3)
        top -= deep + heads + feet + ROW_GAP
    numbers = _numbers(rows, printed, ["treatment", "sample", "indicator", "cluster"],
                       outcomes, clusters, samples, treatments)
    alt_text = _alt_text(f"Chart of coefficients in {plural(len(samples) * len(treatments), 'pane')}. {title}. "
                         f"{subtitle}", numbers, outcomes, samples, treatments, axis_labels, clusters)
    return style.save(figure, stem, alt_text, numbers, is_synthetic)


@style.drawing
def coefficient_single(
    estimates: pd.DataFrame,
    *,
    outcomes: Mapping[str, str],
    estimator: str,
    specification: str,
    stem: str | Path,
    title: str,
    subtitle: str,
    source: str,
    axis_labels: Mapping[str, str],
    axis_label: str,
    clusters: Mapping[str, str] = CLUSTERS,
    samples: Mapping[str, str] = SAMPLES,
    treatments: Mapping[str, str] = TREATMENTS,
    published: pd.DataFrame | None = None,
    units: str = "areas",
    is_synthetic: bool = False,
) -> list[Path]:
    """Draw one estimator's coefficients in one pane, a row per treatment and sample, and save the figure.

    Layout of Figure 5 of the evaluation: binary, binary*, intensity, intensity*. The first sample has no mark,
    each further one a star more, which the subtitle explains. All rows share one axis, though the intensity rows
    are per unit of dose, as in the report; ``axis_label`` has to say so. Of several outcomes each has its
    rows, with its name in them.

    Parameters as of ``coefficient_panes``; ``axis_labels`` gives the units for the alternative text. Returns the
    paths written; raises DidError as ``coefficient_panes`` does.
    """
    rows = _coefficients(estimates, outcomes, estimator, specification, clusters, samples, treatments)
    printed = _printed(published, outcomes, samples, treatments)
    rows, printed = (frame.assign(row=frame[CELL].agg("|".join, axis=1) if len(frame) else "")
                     for frame in (rows, printed))
    is_synthetic = is_synthetic or bool(rows["is_synthetic"].any())
    stars = {sample: "*" * place for place, sample in enumerate(samples)}
    subtitle = " ".join([subtitle, *(f"{star} {samples[sample]}." for sample, star in stars.items() if star)])
    names, details = {}, {}
    for indicator, outcome in outcomes.items():
        for treatment, treatment_name in treatments.items():
            for sample, star in stars.items():
                key = "|".join([indicator, treatment, sample])
                name = treatment_name if len(outcomes) == 1 else f"{outcome}: {treatment_name.lower()}"
                names[key] = style.wrap(name + star, 2.2, bold=True)
                text = counts(rows[rows["row"] == key], units)
                details[key] = [style.shortened(part, DETAILS) for part in text.split("; ")] if text else []
    alongside = {level: style.shortened(name, LINES) for level, name in clusters.items()}
    left = _names_width(names, details, alongside)
    lines, deep = rows_of(names, list(clusters), set(printed["row"]), details)
    label = style.wrap(axis_label, style.WIDTH - left - RIGHT)
    feet = 0.55 + (len(label) - 1) * style.line_height()
    figure, bottom = style.page(deep + feet, title=title, subtitle=subtitle, source=source,
                                is_synthetic=is_synthetic, footnote=few_treated_note(rows["few_treated"], units))
    axes = style.add_axes(figure, left, bottom + feet, style.WIDTH - left - RIGHT, deep)
    draw_pane(axes, lines, rows, printed, list(clusters), limits_of(rows, printed), deep)
    row_names(axes, lines, alongside, left)
    shared_label(figure, label, left, bottom + feet - 0.3)
    numbers = _numbers(rows, printed, ["indicator", "treatment", "sample", "cluster"],
                       outcomes, clusters, samples, treatments)
    alt_text = _alt_text(f"Chart of coefficients in one pane. {title}. {subtitle}", numbers, outcomes, samples,
                         treatments, axis_labels, clusters)
    return style.save(figure, stem, alt_text, numbers, is_synthetic)


def _names_width(names: Mapping[str, list[str]], details: Mapping[str, list[str]],
                 clusters: Mapping[str, str]) -> float:
    """Return how much room the names of rows and of their lines need left of a pane, in inches."""
    bold = [style.text_width(line, bold=True) for lines in names.values() for line in lines]
    plain = [style.text_width(line) for lines in details.values() for line in lines]
    marks = [style.text_width(word) for word in [*clusters.values(), "as printed"]]
    return style.EDGE + max(bold + plain) + 0.15 + max(marks) + 0.12


def _coefficients(estimates: pd.DataFrame, outcomes, estimator, specification, clusters, samples, treatments):
    rows = select(estimates, estimator=estimator, specification=specification)
    keys = {"indicator": outcomes, "cluster": clusters, "sample": samples, "treatment": treatments}
    for column, wanted in keys.items():
        rows = rows[rows[column].isin(list(wanted))]
    if rows.empty:
        raise DidError(f"estimates table: no {estimator} estimate of {listed(outcomes)} under specification "
                       f"'{specification}' "
                       f"for samples {listed(samples)}, treatments {listed(treatments)} and clusters "
                       f"{listed(clusters)}; run the fit stage for them")
    twice = rows[rows.duplicated(list(keys))]
    if len(twice):
        raise DidError(f"estimates table: expected one {estimator} estimate per indicator, sample, treatment "
                       f"and cluster; found more for {twice[list(keys)].iloc[0].tolist()}; pass one estimand only")
    return rows


def _printed(published: pd.DataFrame | None, outcomes, samples, treatments) -> pd.DataFrame:
    if published is None:
        empty = {name: pd.Series(dtype=str) for name in CELL}
        return pd.DataFrame(empty | {"published_value": pd.Series(dtype=float)})
    rows = published[[*CELL, "published_value"]].dropna(subset="published_value").drop_duplicates()
    rows = rows[rows["indicator"].isin(list(outcomes)) & rows["sample"].isin(list(samples))
                & rows["treatment"].isin(list(treatments))]
    twice = rows[rows.duplicated(CELL)]
    if len(twice):
        raise DidError(f"published values: expected one per indicator, treatment and sample; found two for "
                       f"{twice[CELL].iloc[0].tolist()}; fix the published table")
    return rows.astype({"published_value": float})


def _numbers(rows: pd.DataFrame, printed: pd.DataFrame, order: list[str], outcomes, clusters, samples,
             treatments) -> pd.DataFrame:
    """Return the numbers drawn, sorted as they are in the figure, with what was printed alongside them."""
    places = {"indicator": outcomes, "cluster": clusters, "sample": samples, "treatment": treatments}
    ranks = {f"_{column}": rows[column].map({key: place for place, key in enumerate(places[column])})
             for column in order}
    rows = rows.assign(**ranks).sort_values(list(ranks))
    return rows[[column for column in NUMBERS if column != "event_time"]].merge(
        printed[[*CELL, "published_value"]], on=CELL, how="left")


def _alt_text(head: str, numbers, outcomes, samples, treatments, axis_labels, clusters) -> str:
    sentences = [head]
    first = next(iter(clusters))
    for row in numbers[numbers["cluster"] == first].itertuples():
        decimals = decimals_for(row.std_error)
        same = numbers[CELL].eq([row.indicator, row.treatment, row.sample])
        spans = [f"{interval(other.ci_low, other.ci_high, decimals)} clustered {clusters[other.cluster]}"
                 for other in numbers[same.all(axis=1)].itertuples()]
        value = row.published_value
        printed = "" if pd.isna(value) else f"; printed {number(value, short_decimals(value), signed=True)}"
        few = " (few treated)" if rests_on_few(row.few_treated) else ""
        sentences.append(f"{treatments[row.treatment]}, {samples[row.sample]}, {outcomes[row.indicator]}: "
                         f"{number(row.estimate, decimals)} {axis_labels[row.treatment]}, 95% interval "
                         f"{', '.join(spans)}{printed}{few}.")
    return " ".join(sentences)
