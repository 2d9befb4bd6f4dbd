"""One outcome's estimate and every alternative to it, taken from the tables of the stages into one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.report.content.facts import SAMPLES, averaged_by, own_dates_names

COLUMNS = ["group", "key", "estimator", "cluster", "estimate", "std_error", "ci_low", "ci_high"]
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
DESIGNS = {"one_at_a_time": "specifications", "product": "combinations"}
# Columns of the diagnostics table that tell changes of one kind apart.
KEY = ["variant", "left_out", "part", "part_of", "period"]


def alternatives(*, indicator: str, estimates: pd.DataFrame, diagnostics: pd.DataFrame, specifications: pd.DataFrame,
                 specification: str, estimators: Sequence[str], samples: Sequence[str] = tuple(SAMPLES),
                 treatment: str = "binary") -> pd.DataFrame:
    """Return one row per alternative, estimator and cluster level of an outcome's estimate, in ``COLUMNS``.

    ``estimates``, ``diagnostics`` and ``specifications`` are those tables, of any indicators; ``specification`` is the
    reported one; ``estimators`` those with one effect, the published first; the first of ``samples`` is reported, the
    others are alternatives. ``group`` is a key of ``GROUPS``, and ``key`` tells the alternatives of a group apart.
    Estimates and intervals are in units of the outcome; what was skipped or not fitted has no row. Rows keep the order
    of the groups and, within them, of the tables.

    Raises DidError if the reported estimate by the first estimator is not there.
    """
    keys = {"indicator": indicator, "treatment": treatment}
    estimates, diagnostics, specifications = (_where(table, **keys)
                                              for table in (estimates, diagnostics, specifications))
    overall = estimates[estimates["estimand"].eq("overall")]
    static = overall[overall["specification"].eq(specification) & overall["estimator"].isin(list(estimators))]
    static = static.sort_values("estimator", key=lambda names: names.map(list(estimators).index), kind="stable")
    default = static[static["sample"].eq(samples[0])].assign(group="default", key="")
    if not default["estimator"].eq(estimators[0]).any():
        raise DidError(f"estimates table: expected a {estimators[0]} estimate of {indicator} ({treatment}, "
                       f"{samples[0]}) under specification '{specification}'; found none; run the fit stage for it")
    fitted = specifications[specifications["sample"].eq(samples[0])
                            & specifications["specification"].ne(specification)
                            & specifications["estimator"].isin(list(estimators))]
    rows = pd.concat([
        default,
        _tested(_where(diagnostics, specification=specification, sample=samples[0], status="done"),
                float(default["n_treated"].max())),
        _staggered(overall[overall["specification"].ne(specification) & overall["sample"].eq(samples[0])]),
        fitted.assign(group=fitted["design"].map(DESIGNS), key=fitted["specification"]),
        static[static["sample"].isin(list(samples[1:]))].assign(group="left_out", key=lambda each: each["sample"]),
    ])[COLUMNS]
    order = {group: place for place, group in enumerate(GROUPS)}
    return rows[rows["estimate"].notna()].sort_values(
        "group", key=lambda column: column.map(order), kind="stable").reset_index(drop=True)


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


def _tested(rows: pd.DataFrame, n_treated: float) -> pd.DataFrame:
    """Rows of the diagnostics that are alternatives, under the names of the estimates table. A system left out was
    treated if fewer than ``n_treated`` units are left."""
    name = rows["diagnostic"]
    treated = rows["n_treated"].astype("Float64").lt(n_treated).fillna(True)
    group = name.map(PANELS | dict.fromkeys(FEW_CLUSTERS, "few_clusters")).mask(
        name.eq("leave_one_out"), np.where(treated, "treated_systems", "other_systems"))
    key = rows[KEY].agg(" ".join, axis=1) if len(rows) else ""
    return rows.assign(group=group, key=name.where(name.isin(list(FEW_CLUSTERS)), key),
                       estimate=rows["value"])[group.notna()]


def _staggered(rows: pd.DataFrame) -> pd.DataFrame:
    """Averages of the estimators for several onsets, the first specification with them apart from the others."""
    rows = rows[rows["estimator"].isin([*own_dates_names().keys() - averaged_by().keys()])]
    first = rows["specification"].iloc[0] if len(rows) else ""
    return rows.assign(group=np.where(rows["specification"].eq(first), "staggered", "staggered_other"),
                       key=rows["specification"])
