"""Figure of one estimator's coefficients in panes, in the published report's layouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.facts import CLUSTERS, SAMPLES, TREATMENTS, few_treated_note, rests_on_few
from did.report.figures import style
from did.report.figures.event_study import NUMBERS
from did.report.figures.panes import counts, draw_pane, label_under, limits_of, pane_head, row_names, rows_of
from did.report.figures.style import Frame
from did.words import decimals_for, interval, listed, number, plural, short_decimals

CELL = ["indicator", "treatment", "sample"]
# Inches: between panes of a row, between rows of panes, right of the last pane; at most, the names of lines.
GAP, ROW_GAP, RIGHT, LINES = 0.3, 0.25, 0.3, 1.8


@dataclass(frozen=True)
class Names:
    """What is drawn, in order, and what it is called in the figure: values of four columns of the estimates table.

    outcomes : indicator -> its name, from the top; may be of any number.
    clusters, samples, treatments : values of those columns -> their names.
    units : treatment -> unit of its coefficient, as "days per 100,000 adults per month".
    """

    outcomes: Mapping[str, str]
    units: Mapping[str, str]
    clusters: Mapping[str, str] = field(default_factory=lambda: CLUSTERS)
    samples: Mapping[str, str] = field(default_factory=lambda: SAMPLES)
    treatments: Mapping[str, str] = field(default_factory=lambda: TREATMENTS)


@style.drawing
def coefficient_panes(rows: pd.DataFrame, frame: Frame, *, names: Names, published: pd.DataFrame | None = None,
                      footnote: str = "", by_sample: bool = True) -> list[Path]:
    """Draw one estimator's coefficients in panes, each treatment on an axis of its own, and save the figure.

    A line per outcome and cluster level with its 95% interval, zero marked, and what was printed as a hollow diamond.
    With ``by_sample``, samples stand across and treatments down, as in Figures 4 and 6 of the evaluation; without,
    treatments stand across, and samples are rows, as in its Figure 5.

    Parameters
    ----------
    rows : rows of the estimates table, of one estimator, specification and estimand; one row per outcome, sample,
        treatment and cluster is drawn. A row that is not there is written as "not estimated"; a missing interval leaves
        the point alone. An estimate that rests on few treated units is marked and a footnote says so.
    names : what is drawn, with its names in the figure.
    published : columns indicator, treatment, sample, published_value in the unit of the axis; missing values are not
        drawn.
    footnote : what stands over the source line.
    frame : where to save and what to write around the panes; its units are counted over each pane. Also taken to be
        synthetic if any row drawn is marked so.

    Returns the paths written. Raises DidError if no row is left to draw, or if a coefficient is there twice.
    """
    rows, printed = _coefficients(rows, names), _printed(published, names)
    frame = frame.marked(rows)
    by = ["indicator"] if by_sample else ["sample", "indicator"]
    rows, printed = (table.assign(row=table[by].agg("|".join, axis=1) if len(table) else "")
                     for table in (rows, printed))
    called = {level: style.shortened(name, LINES) for level, name in names.clusters.items()}
    outcomes = _row_names(names, by_sample)
    left = style.EDGE + max(style.text_width(line, bold=True) for lines in outcomes.values() for line in lines) + (
        0.27 + max(style.text_width(word) for word in [*called.values(), "as printed"]))
    panes = [[(treatment, sample) for sample in names.samples] for treatment in names.treatments] if by_sample else [
        [(treatment, None) for treatment in names.treatments]]
    width = (style.WIDTH - left - RIGHT - GAP * (len(panes[0]) - 1)) / len(panes[0])
    heads = {pane: style.wrap(", ".join(part for part in (names.treatments[pane[0]], names.samples.get(pane[1] or ""))
                                        if part), width, bold=True) for across in panes for pane in across}
    sizes = {(treatment, sample): style.wrap(counts(rows[rows["treatment"].eq(treatment) & (
        rows["sample"].eq(sample) | (sample is None))], frame.units), width) for treatment, sample in heads}
    head = max(len(heads[pane]) + len(sizes[pane]) for pane in heads) * style.line_height() + 0.08
    labels = {treatment: style.wrap(unit, (style.WIDTH - left - RIGHT) if by_sample else width)
              for treatment, unit in names.units.items() if treatment in names.treatments}
    foot = 0.55 + (max(map(len, labels.values())) - 1) * style.line_height()
    layout = [rows_of(outcomes, list(names.clusters),
                      set(printed.loc[printed["treatment"].isin([pane[0] for pane in across]), "row"]))
              for across in panes]
    height = sum(deep + head + foot for _, deep in layout) + ROW_GAP * (len(layout) - 1)
    few = few_treated_note(rows["few_treated"], frame.units)
    figure, top = style.page(height, frame, footnote=" ".join(part for part in (few, footnote) if part))
    top += height
    for across, (lines, deep) in zip(panes, layout, strict=True):
        drawn = []
        for column, (treatment, sample) in enumerate(across):
            here, stated = (table[table["treatment"] == treatment] for table in (rows, printed))
            limits = limits_of(here, stated)
            axes = style.add_axes(figure, left + column * (width + GAP), top - head - deep, width, deep)
            if sample is not None:
                here, stated = (table[table["sample"] == sample] for table in (here, stated))
            draw_pane(axes, lines, here, stated, list(names.clusters), limits, deep)
            pane_head(figure, axes, heads[treatment, sample], sizes[treatment, sample])
            drawn.append(axes)
            if not by_sample:
                label_under(axes, labels[treatment], axes)
        row_names(drawn[0], lines, called, left)
        if by_sample:
            label_under(drawn[0], labels[across[0][0]], drawn[-1])
        top -= deep + head + foot + ROW_GAP
    return style.save(figure, frame, _alt_text(rows, printed, frame, names, footnote),
                      _numbers(rows, printed, names))


def _numbers(rows: pd.DataFrame, printed: pd.DataFrame, names: Names) -> pd.DataFrame:
    """The numbers drawn, by treatment, sample, outcome and level, with what was printed alongside them."""
    places = _places(names)
    ranks = {f"_{column}": rows[column].map({value: place for place, value in enumerate(places[column])})
             for column in ("treatment", "sample", "indicator", "cluster")}
    rows = rows.assign(**ranks).sort_values(list(ranks))
    return rows[[column for column in NUMBERS if column != "event_time"]].merge(
        printed[[*CELL, "published_value"]], on=CELL, how="left")


def _row_names(names: Names, by_sample: bool) -> dict[str, list[str]]:
    """Key of a row -> its name as lines: the outcome, and the sample where that is a row."""
    if by_sample:
        return {indicator: style.wrap(name, 1.6, bold=True) for indicator, name in names.outcomes.items()}
    found = {}
    for (sample, called), (indicator, outcome) in product(names.samples.items(), names.outcomes.items()):
        words = f"{called[:1].upper()}{called[1:]}"
        found[f"{sample}|{indicator}"] = style.wrap(words if len(names.outcomes) == 1 else f"{outcome}, {called}", 1.6,
                                                    bold=True)
    return found


def _coefficients(rows: pd.DataFrame, names: Names) -> pd.DataFrame:
    keys = _places(names)
    for column, wanted in keys.items():
        rows = rows[rows[column].isin(list(wanted))]
    if rows.empty:
        raise DidError(f"estimates table: no estimate of {listed(names.outcomes)} for samples {listed(names.samples)}, "
                       f"treatments {listed(names.treatments)} and clusters {listed(names.clusters)}; run the fit "
                       "stage for them")
    twice = rows[rows.duplicated(list(keys))]
    if len(twice):
        raise DidError(f"estimates table: expected one estimate per indicator, sample, treatment and cluster; found "
                       f"more for {twice[list(keys)].iloc[0].tolist()}; pass one estimator and estimand only")
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


def _alt_text(rows: pd.DataFrame, printed: pd.DataFrame, frame: Frame, names: Names, footnote: str) -> str:
    panes = len(names.treatments) * len(names.samples)
    sentences = [f"Chart of {plural(panes * len(names.outcomes), 'coefficient')} by treatment and sample. "
                 f"{frame.title}. {frame.subtitle} {footnote}"]
    for cell in product(names.treatments, names.samples, names.outcomes):
        treatment, sample, indicator = cell
        here = rows[rows["treatment"].eq(treatment) & rows["sample"].eq(sample) & rows["indicator"].eq(indicator)]
        if here.empty:
            continue
        row = here.iloc[0]
        decimals = decimals_for(here["std_error"].min())
        spans = [f"{interval(line['ci_low'], line['ci_high'], decimals)} {names.clusters[line['cluster']]}"
                 for line in here.sort_values("cluster", key=lambda names_: names_.map(list(names.clusters).index)
                                              ).to_dict("records")]
        value = printed.loc[printed["treatment"].eq(treatment) & printed["sample"].eq(sample)
                            & printed["indicator"].eq(indicator), "published_value"]
        said = f"; printed {number(value.iloc[0], short_decimals(value.iloc[0]), signed=True)}" if len(value) else ""
        few = " (few treated)" if rests_on_few(row["few_treated"]) else ""
        sentences.append(f"{names.treatments[treatment]}, {names.samples[sample]}, {names.outcomes[indicator]}: "
                         f"{number(row['estimate'], decimals)} {names.units[treatment]}, 95% interval "
                         f"{', '.join(spans)}{said}{few}.")
    return " ".join(sentences)
