"""The same estimate on panels that leave something out: does it rest on one system, one year or one comparison?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from did.estimators.base import PERIODS_PER_YEAR, Panel, root_sum_squares
from did.inference.change import Change
from did.inference.joint_test import diagnostic_row, skipped, tabled

# What was changed, and the changed panel, or why it cannot be made.
Variants = Iterator[tuple[Change, Panel | str]]


def without_each_cluster(panel: Panel, level: str, names: Mapping[str, str], *, treated: bool = False) -> Variants:
    """Yield the panel without each cluster of ``level`` that holds a treated unit, then, unless ``treated``, without
    each other one.

    ``names`` maps a label to what the cluster is called. A cluster that holds every treated unit cannot be left out.
    """
    labels = panel.clusters[level]
    holding = set(labels[~panel.never_treated])
    for label in sorted(holding if treated else set(labels), key=lambda label: (label not in holding, label)):
        kept = labels != label
        what = Change("without_cluster", left_out=str(label), called=str(names.get(label, label)))
        yield what, panel.keep(kept) if holding - {label} else f"it is the only treated {level}"


def without_each_year(panel: Panel) -> Variants:
    """Yield the panel without the outcomes of each calendar year."""
    years = panel.periods.str[:4]
    for year in sorted(set(years)):
        yield Change("without_year", left_out=str(year)), masked(panel, np.asarray(years != year))


def masked(panel: Panel, periods: np.ndarray) -> Panel:
    """Return the panel with outcomes only in the periods where the (periods,) mask is True."""
    return dataclasses.replace(panel, outcome=np.where(periods[None, :], panel.outcome, np.nan))


def placebo_onsets(panel: Panel) -> Variants:
    """Yield the panel before the earliest onset, with every treated unit treated from an earlier date.

    One placebo a year, counted back from onset, as long as a year is left before it; for figures by year, two years.
    Nothing after onset enters, so an estimate away from zero is a difference that was there before.
    """
    onset = int(panel.treated_from[~panel.always_treated].min())
    length = PERIODS_PER_YEAR[panel.frequency]
    least = max(length, 2)
    before = dataclasses.replace(
        panel, outcome=panel.outcome[:, :onset], periods=panel.periods[:onset],
        weight=None if panel.weight is None else panel.weight[:, :onset],
        covariates={name: values[:, :onset] for name, values in panel.covariates.items()})
    starts = range(onset - length, least - 1, -length)
    if not len(starts):
        yield Change("placebo_onset"), f"{onset} periods before onset: none to pretend treatment in"
    for start in starts:
        treated_from = np.where(panel.never_treated, onset, start)
        what = Change("placebo_onset", period=str(panel.periods[start]))
        yield what, dataclasses.replace(before, treated_from=treated_from)


def other_controls(panel: Panel, frame: pd.DataFrame) -> Variants:
    """Yield the panel with other comparison units: those of the regions that hold treated units, and those whose mean
    outcome before onset lies within the range of the treated units'.

    ``frame`` is the panel table of the specification (unit, region).
    """
    regions = frame.drop_duplicates("unit").set_index("unit")["region"].reindex(panel.units).to_numpy()
    control = panel.never_treated
    near = np.isin(regions, np.unique(regions[~control].astype(str)))
    yield Change("controls_in_regions"), _kept(panel, ~control | near, "no control shares a region")
    onset = int(panel.treated_from[~panel.always_treated].min())
    seen = np.isfinite(panel.outcome[:, :onset])
    total = np.where(seen, panel.outcome[:, :onset], 0.0).sum(axis=1)
    level = np.divide(total, seen.sum(axis=1), out=np.full(panel.n_units, np.nan), where=seen.any(axis=1))
    low, high = np.nanmin(level[~control], initial=np.inf), np.nanmax(level[~control], initial=-np.inf)
    alike = ~control | ((level >= low) & (level <= high))
    yield Change("controls_at_levels"), _kept(panel, alike, "no control at such a level")


def left_out(panel: Panel, groups: Mapping[str, list[str]], ends: Mapping[str, str]) -> Variants:
    """Yield the panel without each named group of units, and up to each named last period.

    ``groups`` maps a name to unit codes; ``ends`` a name to the last period kept, ISO text.
    """
    for name, units in groups.items():
        found = panel.units.isin(units)
        if not found.any():
            yield Change("without_group", left_out=name), "none of its areas is in the panel"
            continue
        n_treated = int((found & ~panel.never_treated).sum())
        yield (Change("without_group", left_out=name, n_left_out=int(found.sum()), n_left_out_treated=n_treated),
               _kept(panel, ~found, "no unit is left"))
    for name, last in ends.items():
        # ISO periods of one frequency sort as dates do; 2018 is not before 2018-04.
        kept = np.asarray(panel.periods <= last[: len(panel.periods[0])])
        yield (Change("to_period", left_out=name, period=last), masked(panel, kept) if not kept.all() else
               f"the window ends in {panel.periods[-1]}: nothing to leave out")


def _kept(panel: Panel, units: np.ndarray, reason: str) -> Panel | str:
    """The panel of the units where the mask is True, or why it cannot be used."""
    treated = units & ~panel.never_treated
    if not treated.any():
        return "no treated unit is left"
    return panel.keep(units) if (units & panel.never_treated).any() else reason


@tabled
def jackknife(rows: Sequence[dict], estimate: float, panel: Panel, level: str) -> list[dict]:
    """Return the delete-one-cluster jackknife from the records of `without_each_cluster` at one level and estimator.

    value is the full ``estimate``; std_error = sqrt((G - 1) / G x sum of (b_(-g) - b)^2), interval and p_value by t
    with G - 1 degrees of freedom: CV3 of MacKinnon, Nielsen and Webb 2023, J. Applied Econometrics 38:671-694, for any
    estimator. Skipped if the estimate does not exist without some cluster.
    """
    from did.inference.clustered import beyond, quantile, rounding_error

    row = diagnostic_row("jackknife", panel, level, value=estimate) | {
        "estimator": rows[0]["estimator"], "n_clusters": len(rows)}
    first = next((each for each in rows if each["status"] == "skipped"), None)
    if first is not None:
        label = "" if first["called"] == first["left_out"] else f" ({first['left_out']})"
        return [skipped(row, f"not estimated without {first['called']}{label}: {first['reason']}")]
    n = len(rows)
    error = float(np.sqrt((n - 1) / n) * root_sum_squares(np.array([each["value"] for each in rows]) - estimate))
    if not error > rounding_error(panel.outcome, panel.dose[:, None])[0]:
        return [skipped(row, f"no variation between clusters by {level}")]
    df = np.array(n - 1)
    half = float(quantile(0.975, df)) * error
    row |= {"std_error": error, "ci_low": estimate - half, "ci_high": estimate + half, "statistic": estimate / error,
            "df_denominator": n - 1, "p_value": float(2 * beyond(np.array(abs(estimate) / error), df)),
            "n_treated_clusters": len(set(panel.clusters[level][~panel.never_treated]))}
    return [row]
