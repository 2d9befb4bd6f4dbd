"""Words for the codes of the tables: what a row is about, what was changed for it, its caveats and its remarks.

Nothing is read out of these words again: what a figure, a table or a sentence needs is a column of the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from did.estimators.base import join_notes
from did.report.content.facts import mappings

# How the remark on an estimate on few treated units begins.
FEW_TREATED = "rests on few treated units"
WEIGHTED_RATE = "outcome is a rate without counts, combined over areas with population weights"
# Codes of the column caveat -> what follows from it.
CAVEATS = {"few_treated_clusters": "few treated clusters: rejects too often"}
# Codes of the column condition -> words.
CONDITIONS = {"met": "condition met", "not_met": "condition not met", "not_told_apart": "condition not told apart"}
# Codes of the column variant -> what was changed.
VARIANTS = {
    "without_cluster": "without {cluster}", "without_year": "without {left_out}",
    "without_group": "without {left_out}{counted}", "to_period": "{left_out} (to {period})",
    "placebo_onset": "placebo onset {period}", "true_onset": "true onset {period}",
    "base_last": "from the last period before treatment",
    "base_mean": "from the mean of the last year before treatment",
    "base_season": "from the same season of the year before", "base_smallest": "smallest over all bases",
    "base_largest": "largest over all bases", "base_sign": "share of bases with the sign of the reported effect",
    "detrended": "with each unit's own line taken out",
    "own_dates": "each cohort from its own date, base of more than one period",
    "bracket_slope": "slope of outcomes after treatment on those before, never treated",
    "bracket_slope_third": "that slope in their {part} third by the outcome before",
    "bracket_order": "how far the treated lie {part} before treatment",
    "bracket": "by difference-in-differences; lagged dependent variable as statistic",
    "controls_in_regions": "controls in the regions of the treated",
    "controls_at_levels": "controls at the levels of the treated before onset",
    "controls_beyond_border": "controls that border no treated unit",
    "synthetic_units": "against a weighted mean of units", "synthetic_clusters": "against a weighted mean of clusters",
    "shrunken_lags": "with shrunken lags", "counts_offset": "counts with the population as offset, in percent",
    "one_cluster": "{called} ({part})", "one_wave": "wave {part}", "terciles": "by {part_of}",
    "third_of_treated": "{part} third of {part_of} ({part_low:.4g} to {part_high:.4g})",
    "third": "{part} third of {part_of}{unknown}",
}
# The variants that are found over all base periods: their event time is that of the base.
BASES = frozenset({"base_smallest", "base_largest"})
# Columns of the diagnostics that no words are made of.
UNWORDED = ["specification", "sample", "value", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units",
            "n_treated", "n_clusters", "n_treated_clusters", "is_synthetic"]
# Diagnostics about an estimate, which their words name with its estimator.
OF_AN_ESTIMATE = frozenset({
    "bias_reduced_cr2", "bias_reduced_cr3", "wild_bootstrap", "wild_bootstrap_webb", "jackknife", "randomisation",
    "randomisation_estimate", "minimum_detectable", "minimum_detectable_share"})


def change(row: Mapping) -> str:
    """Return what a row of the diagnostics table changed in the panel, such as ``without 2015``; "" for nothing.

    >>> change({"variant": "without_year", "left_out": "2015", "called": "", "n_left_out": None,
    ...         "n_left_out_treated": None})
    'without 2015'
    """
    if not row["variant"]:
        return ""
    pattern = VARIANTS[row["variant"]]
    n_left_out, n_treated, called = row["n_left_out"], row["n_left_out_treated"], row["called"]
    return pattern.format_map(dict(row) | {
        "cluster": called if called == row["left_out"] else f"{called} ({row['left_out']})",
        "counted": f" ({n_left_out:.0f}, {n_treated:.0f} treated)" if pd.notna(n_treated) else "",
        "unknown": f", {n_left_out:.0f} units unknown" if pd.notna(n_left_out) else ""}).strip()


def item(row: Mapping, *, treatment: bool = True, clusters: Mapping[str, str] | None = None) -> str:
    """Return what a row of the diagnostics table is of: treatment, estimator, change and clustering, with commas.
    ``treatment`` False leaves the treatment out; ``clusters`` maps the levels to what stands for ``unit clusters``, and
    nothing stands for a level that it maps to ""."""
    if row["diagnostic"] == "decomposition":
        return row["part"] or "all"
    level = f"{row['cluster']} clusters" if row["cluster"] else ""
    level = level if clusters is None else clusters.get(row["cluster"], level)
    changed = change(row)
    about = changed or row["diagnostic"] in OF_AN_ESTIMATE
    when = "" if pd.isna(row["event_time"]) else f"event time {row['event_time']:.0f}"
    if when:
        when = f"base at {when}" if row["variant"] in BASES else f"bins of {row['bin_width']:.0f}, {when}"
    return ", ".join(part for part in (
        *([] if row["target"] else [row["treatment"] if treatment else "", row["estimator"] if about else "", changed]),
        row["target"], "breakdown" if row["is_breakdown"] else "" if pd.isna(row["bound_m"]) else
        f"m {row['bound_m']:.4g}", when, level) if part)


def placebo_share(row: Mapping) -> str:
    """Return what a row ``placebo_in_time_share`` says: of how many onsets how many give an estimate as large.

    >>> placebo_share({"value": 0.125, "n_tried": 16, "n_apart": 2})
    'of 16 onsets tried before the true one (2 in windows that do not overlap), 12.5% give an estimate as large'
    """
    one = "1 onset" if row["n_tried"] == 1 else f"{row['n_tried']:.0f} onsets"
    return (f"of {one} tried before the true one ({row['n_apart']:.0f} in windows that do not overlap), "
            f"{100 * row['value']:.3g}% give an estimate as large")


def records(diagnostics: pd.DataFrame) -> list[dict]:
    """Return the rows of the diagnostics table, with the columns that words are made of."""
    return mappings(diagnostics.drop(columns=UNWORDED))


def worded(diagnostics: pd.DataFrame) -> pd.DataFrame:
    """Return the diagnostics table with `item` as a column, and its caveats in the column reason."""
    rows = records(diagnostics)
    return diagnostics.assign(item=[item(row) for row in rows], reason=[said(row) for row in rows])


def said(row: Mapping) -> str:
    """Return why a row of the diagnostics table was skipped, or its remark with its condition and its caveat."""
    return join_notes(row["reason"], CONDITIONS.get(row["condition"], ""), CAVEATS.get(row["caveat"], ""))


def few_treated(row: Mapping) -> str:
    """Return that an estimate rests on few treated units, and on how many; "" if it does not."""
    if not row["few_treated"]:
        return ""
    return f"{FEW_TREATED}: {row['n_treated']:,}, fewer than {row['minimum_treated']:,}"


def annotated(estimates: pd.DataFrame, *, weighted: Collection[str]) -> pd.DataFrame:
    """Return the estimates table with remarks on few treated units and on rates combined with population weights.
    ``weighted`` are the indicators whose outcome is such a rate."""
    with_more = estimates["few_treated"].astype(bool) | estimates["indicator"].isin(list(weighted))
    columns = estimates.loc[with_more, ["indicator", "note", "few_treated", "n_treated", "minimum_treated"]]
    notes = estimates["note"].astype(object)
    notes[with_more] = [join_notes(row["note"], few_treated(row), WEIGHTED_RATE if row["indicator"] in weighted else "")
                        for row in columns.to_dict("records")]
    return estimates.assign(note=notes.astype("str"))


def remarks(note: object) -> list[str]:
    """Return the single remarks of a note: what `did.estimators.base.join_notes` put together."""
    return [part for part in str(note).split("; ") if part]
