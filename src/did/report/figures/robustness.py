"""Figure of one outcome's estimate and its alternatives, grouped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError
from did.report.content.evidence_rows import OURS, PRINTED, RANGE
from did.report.content.facts import estimator_name, own_dates_names
from did.report.content.robustness_rows import GROUPS
from did.report.figures import style
from did.report.figures.forest import draw_forest
from did.report.figures.staggered import NO_NUMBER, NOT_PRINTED, PublishedNumber
from did.report.figures.style import Frame
from did.words import count, decimals_for

MOST = 50  # lines; with more, the longest groups become one line each
# Groups in which each estimator has its own lines; the others are drawn for the published estimator.
OF_EACH = ("default", "staggered", "staggered_other")
# Each system left out has its line in the figure of the evidence.
ALWAYS_RANGES = ("staggered_other", "combinations", "treated_systems", "other_systems", "years")
MAY_BE_RANGES = ("specifications", "placebo", "left_out", "few_clusters", "staggered")
# Headings of the figure: groups that have few lines share one.
HEADINGS = GROUPS | {
    "default": "The estimate",
    "few_clusters": "Ours, by methods for few clusters",
    "staggered_other": GROUPS["staggered"],
    "combinations": GROUPS["specifications"],
    **dict.fromkeys(("treated_systems", "other_systems", "years"), "Without one system or one year"),
    **dict.fromkeys(("left_out", "controls"), "Other areas, periods or comparisons"),
}
# What a line that stands for several says; {n} is their number.
RANGES = {
    "staggered_other": "{n} estimators, {what}",
    "combinations": "{n} combinations",
    "other_systems": "Each of {n} other systems",
    "specifications": "{n} specifications",
    "years": "Each of {n} years",
    "placebo": "{n} placebo onsets",
    "treated_systems": "Each of {n} treated systems",
    "left_out": "{n} samples",
    "few_clusters": "{n} methods",
    "staggered": "{n} estimators",
}
FOOT = "Lines are 95% margins of error, clustered by {by}, but for our estimate, whose method held its level here{few}."
FEW = ", and the methods named for few clusters"


@style.drawing
def robustness_forest(rows: pd.DataFrame, frame: Frame, *, estimator: str, headline: pd.DataFrame | None = None,
                      published: PublishedNumber = NO_NUMBER) -> list[Path]:
    """Draw the estimate and its alternatives in groups, a line each, and save the figure.

    Parameters
    ----------
    rows : as from ``robustness_rows.alternatives``, of one outcome and cluster level. What was skipped is not drawn.
        Ours has a line for every estimator, elsewhere ``estimator``, the published one, is drawn. The estimates without
        one system or one year, of combined specifications and of further staggered specifications are one line from the
        lowest to the highest, and so are the longest other groups where there would be more than `MOST` lines.
    headline : rows of the headline table: their intervals in place of the clustered ones, by estimator.
    published : the printed number in the unit of the axis.
    frame : see ``style.Frame``; synthetic if a row is.

    Returns the paths written. Raises DidError if there is no estimate of ours by ``estimator``.
    """
    done = _led(rows[rows["status"].eq("done")], headline)
    own = done[done["group"].eq("default") & done["estimator"].eq(estimator)]
    if own.empty:
        raise DidError(f"robustness figure: expected a reported estimate by {estimator}; found none; run the fit stage")
    if published.is_missed:
        frame = frame.saying(NOT_PRINTED)
    row, level = own.iloc[0], own["cluster"].iloc[0]
    by = f"By {estimator_name(estimator)}" + (", as published," if published.is_compared else "")
    frame = frame.marked(rows).saying(
        f"{by} but where another estimator is named: {count(row['n_treated'])} of {count(row['n_units'])} "
        f"{frame.units} treated" + ("" if level == "unit" else f", in {count(row['n_treated_clusters'])} of "
                      f"{count(row['n_clusters'])} {level}s") + ".")
    lines = forest_lines(done, estimator, published.value)
    has_few = lines["group"].eq(HEADINGS["few_clusters"]).any()
    decimals = decimals_for(done.loc[done["group"].eq("default"), "std_error"].min())
    return draw_forest(
        lines.assign(indicator=row["indicator"]), frame, decimals=decimals,
        about=f"Chart of one estimate and its alternatives in {len(lines)} lines.",
        footnote=FOOT.format(by=frame.units if level == "unit" else level, few=FEW if has_few else ""))


def _led(done: pd.DataFrame, headline: pd.DataFrame | None) -> pd.DataFrame:
    """The rows with the headline intervals on our own."""
    if headline is None or headline.empty:
        return done
    known = headline.drop_duplicates("estimator").set_index("estimator")
    here = done["group"].eq("default") & done["estimator"].isin(known.index)
    done = done.copy()
    for end in ("ci_low", "ci_high"):
        done.loc[here, end] = done.loc[here, "estimator"].map(known[end])
    return done


def forest_lines(done: pd.DataFrame, estimator: str, published: float | None = None) -> pd.DataFrame:
    """Return the lines to draw, in order, as `draw_forest` takes them, under the headings of the groups.

    ``done`` are rows of ``alternatives`` with an estimate, of one cluster level. The ``published`` number stands first;
    ours comes next, and within a group lines go up with the estimate.
    """
    own = _named(done[done["group"].isin(OF_EACH) | done["estimator"].eq(estimator)], estimator)
    ranges = [group for group in ALWAYS_RANGES if own["group"].eq(group).any()]
    sizes = own.drop_duplicates(["group", "key", "estimator"])["group"].value_counts()
    while (sizes.drop(ranges).sum() + len(ranges) > MOST
           and (left := [group for group in MAY_BE_RANGES if group not in ranges and sizes.get(group, 0) > 1])):
        ranges.append(max(left, key=sizes.get))
    found = [] if published is None else [
        {"group": HEADINGS["default"], "kind": PRINTED, "words": "Published number", "estimate": published}]
    for group, heading in HEADINGS.items():
        here = own[own["group"].eq(group)]
        by = [rows for _, rows in here.groupby("key", sort=False)] if group == "staggered_other" else [here]
        made = [_range(group, part) for part in by if len(part)] if group in ranges else [
            _line(row, estimator) for row in here.to_dict("records")]
        made = sorted(made, key=lambda line: (line["kind"] != OURS, line.get("smallest", line["estimate"])))
        found += [line | {"group": heading} for line in made]
    return pd.DataFrame(found).reindex(columns=["group", "kind", "words", "estimate", "ci_low", "ci_high", "smallest",
                                                "largest"])


def _named(own: pd.DataFrame, estimator: str) -> pd.DataFrame:
    """The rows; specifications that change nothing here are one."""
    reported = own.loc[own["group"].eq("default") & own["estimator"].eq(estimator), "estimate"]
    same = own["group"].eq("specifications") & own["estimate"].isin(reported)
    n = own.loc[same, "key"].nunique()
    if n > 1:
        own = own.assign(what=own["what"].mask(same, f"{n} choices that change nothing here"))
        own = own[~same | ~own.duplicated(["group", "what", "estimate"])]
    return own


def _range(group: str, rows: pd.DataFrame) -> dict:
    n = len(rows.drop_duplicates(["key", "estimator"]))
    return {"kind": RANGE, "words": RANGES[group].format(n=n, what=rows["what"].iloc[0]), "estimate": np.nan,
            "smallest": float(rows["estimate"].min()), "largest": float(rows["estimate"].max())}


def _line(row: dict, estimator: str) -> dict:
    words = row["what"]
    if row["group"] == "default":
        words = estimator_name(row["estimator"])
    elif row["group"] == "staggered":
        words = own_dates_names()[row["estimator"]]
    kind = OURS if row["group"] == "default" and row["estimator"] == estimator else row["group"]
    return {"kind": kind, "words": f"{words[:1].upper()}{words[1:]}",
            **{name: row[name] for name in ("estimate", "ci_low", "ci_high")}}


