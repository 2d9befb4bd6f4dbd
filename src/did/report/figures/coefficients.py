"""Figure of one estimator's coefficients: every outcome of a family, by treatment and sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.evidence_words import AS_PUBLISHED, OURS, PRINTED
from did.report.content.facts import DAGGER, few_treated_note, having
from did.report.figures import style
from did.report.figures.forest import draw_forest
from did.report.figures.key import counted
from did.report.figures.style import Frame
from did.words import decimals_for, plural

PLACE = ["treatment", "sample", "indicator", "cluster"]
# A line of its own alongside the levels of clustering: the interval that leads.
HEADLINE = "headline"
COLUMNS = [*PLACE, "unit", "group", "kind", "words", "estimate", "ci_low", "ci_high", "smallest", "largest"]


@style.drawing
def coefficients(rows: pd.DataFrame, frame: Frame, *, called: Mapping[str, Mapping[str, str]], units: Mapping[str, str],
                 footnote: str = "") -> list[Path]:
    """Draw one estimator's coefficients, each treatment on an axis of its own and each sample under a heading, and save
    the figure: a line per outcome and cluster level with its 95% interval, and what was printed.

    Parameters
    ----------
    rows : rows of the estimates table, of one estimator, specification and estimand. The cluster `HEADLINE` is in
        colour; of the cluster `PRINTED` the estimate is the printed number, missing ones are not drawn. An estimate
        that rests on few treated units is marked and a footnote says so.
    called : column of `PLACE` -> its values that are drawn, in order, and what each is called in the figure.
    units : treatment -> unit of its coefficient, as "days per 100,000 adults per month".
    footnote : what stands over the source line.
    frame : where to save and what to write around; synthetic if any row drawn is.

    Returns the paths written. Raises DidError if no row is left to draw.
    """
    drawn = having(rows[rows["cluster"].ne(PRINTED) | rows["estimate"].notna()],
                   **{column: list(called[column]) for column in PLACE})
    if drawn["cluster"].eq(PRINTED).all():
        raise DidError(f"estimates table: no estimate of {', '.join(called['indicator'])}; run the fit stage for them")
    drawn = drawn.sort_values(PLACE, key=lambda column: column.map(list(called[column.name]).index))
    ours = drawn[drawn["cluster"].ne(PRINTED)]
    heads = {cell: f"{called['treatment'][cell[0]]}, {called['sample'][cell[1]]}: {_counted(part, frame.units)}"
             for cell, part in ours.groupby(["treatment", "sample"])}
    lines = drawn.assign(
        unit=drawn["treatment"].map(units),
        group=[heads.get(cell, "") for cell in zip(drawn["treatment"], drawn["sample"], strict=True)],
        kind=drawn["cluster"].map({HEADLINE: OURS, PRINTED: PRINTED}).fillna(AS_PUBLISHED),
        words=[f"{called['indicator'][row.indicator]}, {called['cluster'][row.cluster]}"
               f"{DAGGER if few else ''}" for row, few in zip(
                   drawn.itertuples(), drawn["few_treated"].eq(True).fillna(False), strict=True)])
    decimals = drawn.groupby(PLACE[:-1])["std_error"].transform("min").map(decimals_for)
    note = " ".join(filter(None, (few_treated_note(drawn["few_treated"], frame.units), footnote)))
    return draw_forest(lines.reindex(columns=COLUMNS), frame.marked(ours), decimals=decimals.to_numpy(),
                       footnote=note, about=f"Chart of {plural(len(lines), 'line')} by treatment and sample. {note}")


def _counted(rows: pd.DataFrame, units: str) -> str:
    """``30 of 149 areas; N = 4,917``, with a range where the rows differ."""
    treated, everyone, n = (counted(rows, name) for name in ("n_treated", "n_units", "n_obs"))
    return f"{treated} of {everyone} {units}; N = {n}"
