"""Figure of one estimator's coefficients: every outcome of a family, by treatment and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.evidence_rows import AS_PUBLISHED, OURS, PRINTED
from did.report.content.facts import CLUSTERS, DAGGER, SAMPLES, TREATMENTS, few_treated_note, rests_on_few
from did.report.figures import style
from did.report.figures.forest import draw_forest
from did.report.figures.style import Frame
from did.words import decimals_for, listed, plural

CELL = ["treatment", "sample", "indicator"]
# A line of its own alongside the levels of clustering: the interval that leads.
HEADLINE = "headline"
COLUMNS = [*CELL, "cluster", "unit", "group", "kind", "words", "estimate", "ci_low", "ci_high", "smallest", "largest"]


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
def coefficients(rows: pd.DataFrame, frame: Frame, *, names: Names, published: pd.DataFrame | None = None,
                 footnote: str = "") -> list[Path]:
    """Draw one estimator's coefficients, each treatment on an axis of its own and each sample under a heading, and save
    the figure: a line per outcome and cluster level with its 95% interval, then what was printed.

    Parameters
    ----------
    rows : rows of the estimates table, of one estimator, specification and estimand; one row per outcome, sample,
        treatment and cluster is drawn, the cluster `HEADLINE` in colour. An estimate that rests on few treated units is
        marked and a footnote says so.
    names : what is drawn, with its names in the figure.
    published : columns indicator, treatment, sample, published_value in the unit of the axis; missing values are not
        drawn.
    footnote : what stands over the source line.
    frame : where to save and what to write around; synthetic if any row drawn is.

    Returns the paths written. Raises DidError if no row is left to draw, or if a coefficient or a printed value is
    there twice.
    """
    rows = rows[rows["cluster"].isin(list(names.clusters))]
    printed = (pd.DataFrame(columns=[*CELL, "estimate"]) if published is None else
               published[[*CELL, "published_value"]].dropna().drop_duplicates().rename(
                   columns={"published_value": "estimate"}))
    places = {"treatment": names.treatments, "sample": names.samples, "indicator": names.outcomes,
              "cluster": [*names.clusters, PRINTED]}
    every = pd.concat([rows, printed.assign(cluster=PRINTED)], ignore_index=True)
    for column, wanted in places.items():
        every = every[every[column].isin(list(wanted))]
    if every["cluster"].eq(PRINTED).all():
        raise DidError(f"estimates table: no estimate of {listed(names.outcomes)} for samples {listed(names.samples)}, "
                       f"treatments {listed(names.treatments)} and clusters {listed(names.clusters)}; run the fit "
                       "stage for them")
    twice = every[every.duplicated([*places])]
    if len(twice):
        raise DidError(f"coefficients figure: expected one number per treatment, sample, indicator and cluster; found "
                       f"more for {twice[[*places]].iloc[0].tolist()}; pass one estimator and estimand only, and "
                       "correct the published table")
    every = every.sort_values([*places], key=lambda column: column.map(list(places[column.name]).index))
    heads = {cell: f"{names.treatments[cell[0]]}, {names.samples[cell[1]]}: {_counted(part, frame.units)}"
             for cell, part in every[every["cluster"].ne(PRINTED)].groupby(["treatment", "sample"])}
    called = {**names.clusters, PRINTED: "as printed"}
    lines = every.assign(
        unit=every["treatment"].map(names.units),
        group=[heads.get(cell, "") for cell in zip(every["treatment"], every["sample"], strict=True)],
        kind=every["cluster"].map({HEADLINE: OURS, PRINTED: PRINTED}).fillna(AS_PUBLISHED),
        words=[f"{names.outcomes[row.indicator]}, {called[row.cluster]}"
               f"{DAGGER if rests_on_few(row.few_treated) else ''}" for row in every.itertuples()])
    decimals = every.groupby(CELL)["std_error"].transform("min").map(decimals_for)
    note = " ".join(filter(None, (few_treated_note(every["few_treated"], frame.units), footnote)))
    frame = frame.marked(rows)
    return draw_forest(lines.reindex(columns=COLUMNS), frame, decimals=decimals.to_numpy(), footnote=note,
                       about=f"Chart of {plural(len(lines), 'line')} by treatment and sample. {note}")


def _counted(rows: pd.DataFrame, units: str) -> str:
    """``30 of 149 areas; N = 4,917``, with a range where the rows differ."""
    low, high = (rows[["n_treated", "n_units", "n_obs"]].astype(int).agg(end) for end in ("min", "max"))
    treated, everyone, n = (f"{low[name]:,}" if low[name] == high[name] else f"{low[name]:,} to {high[name]:,}"
                            for name in low.index)
    return f"{treated} of {everyone} {units}; N = {n}"
