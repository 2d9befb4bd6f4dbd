"""Figures of the outcome itself over time: of the treated and the comparison, and of each wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from did.errors import DidError
from did.report.figures import style
from did.report.figures.over_time import Pane, draw_panes
from did.report.figures.style import Frame
from did.words import count, decimals_for, number, p_value, period_name, singular

GROUPS = {"treated": "Treated", "control": "Comparison"}
COLUMNS = ["sample", "period", "group", "observed_mean", "linear_trend", "n_units"]
WAVES = ["period", "wave", "first_treated", "counts_as", "mean", "n_units"]
TREATED, COMPARISON = "treated", "comparison"
PANELS = {"observed_mean": "Observed means", "linear_trend": "Linear-trends model"}
TWO, MANY = 3.3, 2.1  # inches: height of a pane of two, and of many
MOST = 8  # panes of waves


def trend_words(test: pd.Series, onset: str, by: str) -> str:
    """Return the wording of one trend test, a row of the diagnostics table with errors clustered ``by`` something.

    ``Were trends parallel before June 2017? Test of a straight line: p = 0.050, errors clustered by system.``, or why
    there is no test.
    """
    asked = f"Were trends parallel before {period_name(onset)}?"
    if test["status"] != "done":
        return f"{asked} Not tested: {test['reason']}."
    return f"{asked} Test of a straight line: {p_value(test['p_value'])}, errors clustered by {by}."


@style.drawing
def parallel_trends(group_trends: pd.DataFrame, frame: Frame, *, onset: str, sample: str,
                    groups: Mapping[str, str] = GROUPS, test: pd.Series | None = None) -> list[Path]:
    """Draw observed group means alongside the linear-trends model, as in the evaluation's appendix A2, and save.

    Source of the layout: StataCorp, Causal Inference and Treatment-Effects Reference Manual, "didregress
    postestimation", ``estat trendplots``.

    Parameters
    ----------
    group_trends : columns sample, period (ISO text, one frequency), group, observed_mean and linear_trend (units of
        the outcome) and n_units (units in the group's mean); one row per sample, period and group. A missing mean is a
        gap in its line.
    sample : the sample drawn; the numbers are those of all.
    onset : first treated period, ISO text; a vertical line stands before it, the model's lines break there.
    groups : value of ``group`` -> its name; two groups, the treated one first.
    test : row of the diagnostics table with the linear trend test for these groups; written into the subtitle.
    frame : see ``style.Frame``.

    Returns the paths written. Raises DidError if the onset is outside the periods.
    """
    every = group_trends[group_trends["group"].isin(list(groups))].sort_values(["sample", "group", "period"])
    if onset not in set(every["period"]):
        raise DidError(f"group trends: expected the onset '{onset}' among the periods {every['period'].min()} to "
                       f"{every['period'].max()}; found it outside; correct the onset or the window")
    rows = every[every["sample"] == sample]
    if test is not None:
        by = singular(frame.units) if test["cluster"] == "unit" else test["cluster"]
        frame = replace(frame, subtitle=f"{frame.subtitle}\n{trend_words(test, onset, by)}")
    own = {group: rows[rows["group"] == group].set_index("period") for group in groups}
    panes = [Pane(heading, [part[column] for part in own.values()], onset, is_broken=column == "linear_trend")
             for column, heading in PANELS.items()]
    figure = draw_panes(panes, frame, height=TWO, names=[
        f"{groups[group]}: {_counted(part, frame.units)}" for group, part in own.items()])
    sentences = ["Two line charts side by side, observed means and linear-trends model. "
                 f"{frame.title}. {frame.subtitle}"]
    decimals = decimals_for(float(np.nanstd(rows["observed_mean"])) / 10)
    for group, part in own.items():
        before, after = (number(part.loc[here, "observed_mean"].mean(), decimals)
                         for here in (part.index < onset, part.index >= onset))
        sentences.append(f"{groups[group]}: mean of the observed periods {before} before {period_name(onset)} and "
                         f"{after} from then on ({frame.unit}).")
    return style.save(figure, frame, " ".join(sentences), every[COLUMNS])


def wave_means(panel: pd.DataFrame, onsets: Mapping[int, str] | None = None) -> pd.DataFrame:
    """Return the mean outcome of each wave in each period, and that of the units without a wave.

    ``panel`` is the panel table of one indicator under one specification; ``onsets`` are the first treated periods (ISO
    text) of waves that the specification leaves among the comparison. Columns period, wave (missing where units have
    none), first_treated (of the specification or, for a wave in the comparison, of ``onsets``; missing if neither has
    it), counts_as (``treated`` or ``comparison`` under the specification), mean (unit of the outcome, over the units
    observed, each counted once; missing if none is) and n_units (observed). Units of a wave with different dates are
    separate. In order of first date; the units without wave or date are last.
    """
    frame = panel.assign(cohort=panel["cohort"].astype("string"))
    means = (frame.groupby(["cohort", "wave", "period"], dropna=False)["outcome"].agg(["mean", "count"])
             .reset_index().rename(columns={"count": "n_units"}))
    means["counts_as"] = np.where(means["cohort"].notna(), TREATED, COMPARISON)
    means["first_treated"] = means["cohort"].fillna(means["wave"].map(onsets or {}).astype("string"))
    means["wave"] = means["wave"].astype("Int64")
    means = means.sort_values(["first_treated", "wave", "counts_as", "period"], kind="stable", na_position="last")
    return means[WAVES].reset_index(drop=True)


@style.drawing
def series_by_wave(means: pd.DataFrame, frame: Frame) -> list[Path]:
    """Draw one pane per wave, each alongside the units without a wave, on common axes, and save the figure.

    Parameters
    ----------
    means : as from `wave_means`. Of more than `MOST` waves the ones with most units are
        drawn, which the subtitle says. A missing mean is a gap in its line.
    frame : see ``style.Frame``.

    A vertical line stands before the first treated period of a pane's wave, if that lies in the window. Returns
    the paths written. Raises DidError if no wave has a row.
    """
    is_other = means["wave"].isna() & means["counts_as"].eq(COMPARISON)
    waves = [rows for _, rows in means[~is_other].groupby(["first_treated", "wave", "counts_as"], dropna=False,
                                                          sort=False)]
    if not waves:
        raise DidError("series by wave: expected units with a wave or a date of treatment; found none; correct the "
                       "table of waves")
    drawn = sorted(sorted(range(len(waves)), key=lambda at: -waves[at]["n_units"].max())[:MOST])
    if len(drawn) < len(waves):
        frame = frame.saying(f"The {len(drawn)} largest of {len(waves)} waves; the numbers have all.")
    others = [means[is_other]] if is_other.any() else []
    panes = [Pane(f"{_name(waves[at])}: {_counted(waves[at], frame.units)}",
                  [rows.set_index("period")["mean"] for rows in (waves[at], *others)],
                  "" if pd.isna(since := waves[at]["first_treated"].iloc[0]) else since) for at in drawn]
    called = [f"In no wave: {_counted(rows, frame.units)}" for rows in others]
    figure = draw_panes(panes, frame, height=MANY, names=["The wave", *called])
    sentences = [f"Line charts of mean outcomes, one for each wave. {frame.title}. {frame.subtitle}"]
    decimals = decimals_for(float(np.nanstd(means["mean"])) / 10)
    names = [f"{_name(rows)}: {_counted(rows, frame.units)}" for rows in waves] + called
    for rows, name in zip([*waves, *others], names, strict=True):
        ends = rows.dropna(subset="mean").iloc[[0, -1]]
        first, last = (f"{number(mean, decimals)} in {period_name(period)}"
                       for mean, period in zip(ends["mean"], ends["period"], strict=True))
        sentences.append(f"{name}, {first} and {last} ({frame.unit}).")
    return style.save(figure, frame, " ".join(sentences), means[WAVES])


def _name(wave: pd.DataFrame) -> str:
    """What a wave is called: ``Wave 1, from June 2017``."""
    first = wave.iloc[0]
    name = [] if pd.isna(first["wave"]) else [f"wave {first['wave']}"]
    name += [] if pd.isna(first["first_treated"]) else [f"from {period_name(first['first_treated'])}"]
    name += [] if first["counts_as"] == TREATED else ["in the comparison"]
    words = ", ".join(name)
    return words[:1].upper() + words[1:]


def _counted(rows: pd.DataFrame, units: str) -> str:
    low, high = int(rows["n_units"].min()), int(rows["n_units"].max())
    return f"{count(high)} {units}" if low == high else f"{count(low)} to {count(high)} {units}"
