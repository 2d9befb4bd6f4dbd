"""One outcome's estimate and every alternative to it, taken from the tables of the stages into one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.report.content.choice_words import choice_words
from did.report.content.facts import SAMPLES, averaged_by, own_dates_names
from did.report.content.notes import change

COLUMNS = [
    "indicator",
    "group",
    "key",
    "left_out",
    "called",
    "what",
    "estimator",
    "specification",
    "sample",
    "treatment",
    "cluster",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "n_obs",
    "n_units",
    "n_treated",
    "n_clusters",
    "n_treated_clusters",
    "status",
    "note",
    "is_synthetic",
]
# Groups of alternatives -> their headings, in the order they are shown.
GROUPS = {
    "default": "Ours",
    "few_clusters": "Few clusters, by system",
    "staggered": "Each wave from its own date",
    "staggered_other": "Each wave from its own date, other dates or members",
    "specifications": "Other specifications",
    "combinations": "Other specifications, combined",
    "treated_systems": "Without one treated system",
    "other_systems": "Without one other system",
    "years": "Without one year",
    "left_out": "Without other areas or periods",
    "controls": "Other controls",
    "placebo": "Placebo onsets: nothing to find",
}
# Diagnostics of the same estimate -> what they are called.
FEW_CLUSTERS = {
    "bias_reduced_cr2": "CR2",
    "bias_reduced_cr3": "CR3",
    "jackknife": "Jackknife",
    "wild_bootstrap": "Wild bootstrap, Rademacher",
    "wild_bootstrap_webb": "Wild bootstrap, Webb",
    "randomisation": "Randomisation",
}
# Diagnostics of estimates on another panel -> their group.
PANELS = {"drop_year": "years", "left_out": "left_out", "other_controls": "controls", "placebo_onset": "placebo"}
SIZES = ["n_obs", "n_units", "n_treated"]
# Columns of the diagnostics table that tell changes of one kind apart.
KEY = ["variant", "left_out", "part", "part_of", "period"]


def alternatives(*, indicator: str, estimates: pd.DataFrame, diagnostics: pd.DataFrame, specifications: pd.DataFrame,
                 specification: str, estimators: Sequence[str], samples: Sequence[str] = tuple(SAMPLES),
                 treatment: str = "binary") -> pd.DataFrame:
    """Return one row per alternative, estimator and cluster level of an outcome's estimate, in ``COLUMNS``.

    ``estimates``, ``diagnostics`` and ``specifications`` are those tables, of any indicators; ``specification`` is the
    reported one; ``estimators`` those with one effect, the published first; the first of ``samples`` is reported, the
    others are alternatives. ``group`` is a key of ``GROUPS``, ``key`` tells the alternatives of
    a group apart, ``left_out`` and ``called`` are those of the diagnostics table, and ``what`` says in words what is
    changed (empty as reported). Estimates and
    intervals are in units of the outcome. Few-cluster rows without counts take those of the estimate they are about.
    What was skipped or not fitted is there with status ``skipped``, a missing estimate and the reason as note.
    Rows keep the order of the groups and, within them, of the tables.

    Raises DidError if the reported estimate by the first estimator is not there.
    """
    keys = {"indicator": indicator, "treatment": treatment}
    estimates, diagnostics, specifications = (_where(table, **keys)
                                              for table in (estimates, diagnostics, specifications))
    overall = estimates[estimates["estimand"].eq("overall")]
    static = overall[overall["specification"].eq(specification) & overall["estimator"].isin(list(estimators))]
    static = static.sort_values("estimator", key=lambda names: names.map(list(estimators).index), kind="stable")
    default = static[static["sample"].eq(samples[0])].assign(group="default", key="", what="")
    if not default["estimator"].eq(estimators[0]).any():
        raise DidError(f"estimates table: expected a {estimators[0]} estimate of {indicator} ({treatment}, "
                       f"{samples[0]}) under specification '{specification}'; found none; run the fit stage for it")
    tested = _where(diagnostics, specification=specification, sample=samples[0])
    parts = [
        default,
        _few_clusters(tested, default),
        _staggered(overall, specification, samples[0]),
        _specifications(specifications, specification, samples[0], estimators),
        _systems(tested, default),
        _panels(tested),
        static[static["sample"].isin(list(samples[1:]))].assign(
            group="left_out",
            key=lambda rows: rows["sample"],
            what=lambda rows: rows["sample"].map(SAMPLES).fillna(rows["sample"]),
        ),
    ]
    rows = pd.concat([part.reindex(columns=COLUMNS) for part in parts if len(part)], ignore_index=True)
    rows[["left_out", "called"]] = rows[["left_out", "called"]].astype(object).fillna("")
    lost = rows["estimate"].isna()
    rows["status"] = np.where(lost, "skipped", "done")
    order = {group: place for place, group in enumerate(GROUPS)}
    return rows.sort_values("group", key=lambda column: column.map(order), kind="stable").reset_index(drop=True)


def leaves_out_zero(rows: pd.DataFrame, sign: float = 0.0) -> pd.Series:
    """Return whether each 95% interval leaves out zero, on the side of ``sign`` if that is not 0.

    An interval that is not there leaves nothing out.
    """
    above, below = rows["ci_low"] > 0, rows["ci_high"] < 0
    return above if sign > 0 else below if sign < 0 else above | below


def _where(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    hit = np.ones(len(table), dtype=bool)
    for column, value in values.items():
        hit &= table[column].eq(value).to_numpy(dtype=bool, na_value=False)
    return table[hit]


def _renamed(rows: pd.DataFrame) -> pd.DataFrame:
    """Diagnostics rows of estimates under the names of the estimates table."""
    return rows.assign(
        what=[change(row) for row in rows.to_dict("records")],
        key=[" ".join(filter(None, each)) for each in rows[KEY].itertuples(index=False)],
        estimate=rows["value"].where(rows["status"].eq("done"))).rename(columns={"reason": "note"})


def _few_clusters(tested: pd.DataFrame, default: pd.DataFrame) -> pd.DataFrame:
    rows = tested[tested["diagnostic"].isin(list(FEW_CLUSTERS))]
    rows = _renamed(rows).assign(group="few_clusters", key=rows["diagnostic"],
                                 what=rows["diagnostic"].map(FEW_CLUSTERS))
    own = default.set_index(["estimator", "cluster"])
    for name in [*SIZES, "n_clusters", "n_treated_clusters"]:
        known = pd.Series([own[name].get((row.estimator, row.cluster)) for row in rows.itertuples()],
                          index=rows.index, dtype="Int64")
        rows[name] = rows[name].astype("Int64").fillna(known)
    return rows


def _staggered(overall: pd.DataFrame, specification: str, sample: str) -> pd.DataFrame:
    """Averages of the estimators for several onsets, the first specification with them apart from the others."""
    rows = overall[~overall["specification"].eq(specification) & overall["sample"].eq(sample)
                   & overall["estimator"].isin([*own_dates_names().keys() - averaged_by().keys()])]
    first = rows["specification"].iloc[0] if len(rows) else ""
    return rows.assign(group=np.where(rows["specification"].eq(first), "staggered", "staggered_other"),
                       key=rows["specification"], what=rows["specification"].str.replace("_", " "))


def _specifications(specifications: pd.DataFrame, specification: str, sample: str,
                    estimators: Sequence[str]) -> pd.DataFrame:
    rows = specifications[specifications["sample"].eq(sample) & ~specifications["specification"].eq(specification)
                    & specifications["estimator"].isin(list(estimators))]
    return rows.assign(group=rows["design"].map({"one_at_a_time": "specifications", "product": "combinations"}),
                       key=rows["specification"],
                       what=rows["choices"].map(choice_words).where(rows["choices"].ne(""),
                                                                   rows["specification"].str.replace("_", " ")))


def _systems(tested: pd.DataFrame, default: pd.DataFrame) -> pd.DataFrame:
    """Estimates without one system; it was treated if fewer treated units are left, or none would be."""
    rows = _renamed(tested[tested["diagnostic"].eq("leave_one_out")])
    treated = rows["n_treated"].astype("Float64").lt(float(default["n_treated"].max())).fillna(True)
    return rows.assign(group=np.where(treated, "treated_systems", "other_systems"))


def _panels(tested: pd.DataFrame) -> pd.DataFrame:
    rows = tested[tested["diagnostic"].isin(list(PANELS))]
    return _renamed(rows).assign(group=rows["diagnostic"].map(PANELS))
