"""Every onset before the true one: how often does the same estimator find as much where nothing was done?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from did.errors import DidError
from did.estimators import entry, estimates_of, overall
from did.estimators.base import PERIODS_PER_YEAR, Panel, Result
from did.inference.change import Change
from did.inference.joint_test import diagnostic_row, skipped, tabled

# Whole years that an onset leaves before it and after it.
YEARS_BEFORE, YEARS_AFTER = 2, 1
# Sizes closer than this share of the true one are equal: they differ by rounding.
TIED = 1e-8


def windows(panel: Panel, step: int = 1) -> Iterator[tuple[int, Panel]]:
    """Yield (periods back, panel) of the true roll-out and of every ``step``-th earlier one, the latest first.

    The first is the true one, 0 periods back. The dates of all cohorts go back together, so the order of a roll-out is
    kept. Each panel begins two years before its first cohort and holds of each treated unit one year from its own date
    on (less where the panel ends earlier: then less at every onset), of the never treated every period until the last
    of these. Outcomes after the true onset are in none but the first, since the least step back is a year and the unit
    is cut off a year after its pretended date. Units treated in the first period are left out.

    The first panel may have fewer than two years before its onset, if there are no more; then it is the only one.
    """
    panel = panel.keep(~panel.always_treated)
    year, n_periods, treated = PERIODS_PER_YEAR[panel.frequency], panel.n_periods, ~panel.never_treated
    onset = panel.treated_from
    first, last = (int(end(onset[treated])) for end in (np.min, np.max))
    # Of each unit the periods from its date on, the same at every onset.
    after = np.where(treated, np.minimum(YEARS_AFTER * year, n_periods - onset), n_periods)
    length = min(last + YEARS_AFTER * year, n_periods)
    for back in (0, *range(YEARS_AFTER * year, first - YEARS_BEFORE * year + 1, step)):
        begin = max(first - back - YEARS_BEFORE * year, 0)
        kept = slice(begin, length - back)
        time = np.arange(begin, length - back)
        seen = time[None, :] < (onset - back + after)[:, None]
        moved = dataclasses.replace(
            panel, periods=panel.periods[kept], outcome=np.where(seen, panel.outcome[:, kept], np.nan),
            treated_from=np.where(treated, onset - back - begin, len(time)),
            weight=None if panel.weight is None else panel.weight[:, kept],
            covariates={name: values[:, kept] for name, values in panel.covariates.items()})
        yield back, moved


@tabled
def placebo_in_time(panel: Panel, estimators: Sequence[str], options: Mapping[str, dict],
                    step: int = 1) -> list[dict]:
    """Return each estimator's effect at every onset before the true one, and how many are as large as at the true one.

    Rows of the diagnostics table, of no clustering. ``placebo_in_time``, one per estimator and onset of `windows`:
    variant ``placebo_onset``, period the (first) pretended onset, value the effect there in units of the outcome per
    unit of dose. ``placebo_in_time_share``, one per estimator: value the share of these, 0 to 1, that are at least as
    large in absolute value as the effect at the true onset in a window of the same length, which is statistic, with
    the true onset as period; n_tried the onsets estimated; n_apart how many of them have windows that share no period.

    The share is no p-value: neighbouring windows share all periods but two, so the estimates are correlated, and
    n_apart says how little there is of independent evidence. With ``step`` above 1 an onset is tried only every so many
    periods. ``options`` maps an estimator to its keyword arguments; one that can use units with gaps is told to.
    A panel without such an onset, or an
    onset that cannot be estimated, is ``skipped`` with its reason. Estimates before treatment as a test of the design:
    Heckman and Hotz 1989, J. Am. Stat. Assoc. 84:862-874; Abadie, Diamond and Hainmueller 2015, Am. J. Polit. Sci.
    59:495-510 ("in-time placebos").

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 8, {6: 10}, 50.0, seed=2, frequency="Y", first="2011")
    >>> found = placebo_in_time(Panel.from_frame(frame), ["did"], {})
    >>> found.loc[found["variant"] == "placebo_onset", "period"].tolist()
    ['2016', '2015', '2014', '2013']
    >>> found.loc[found["diagnostic"] == "placebo_in_time_share", ["value", "n_tried", "n_apart"]].values.tolist()
    [[0.0, 4.0, 2.0]]
    """
    every = [moved for _, moved in windows(panel, step)]
    rows: list[dict] = []
    for name in estimators:
        rows += _rows(panel, every, name, dict(options.get(name, {})))
    return rows


def _rows(panel: Panel, every: list[Panel], name: str, options: dict) -> list[dict]:
    if entry(name).option("unbalanced"):
        options = options | {"unbalanced": "pairwise"}
    share = diagnostic_row("placebo_in_time_share", panel, "") | {"estimator": name}
    if len(every) < 2:
        return [skipped(share, _too_short(panel))]
    true, *earlier = every
    share |= Change("true_onset", period=_onset(true)).columns()
    try:
        real = overall(name, true, **options)
    except DidError as error:
        return [skipped(share, str(error))]
    size = float(real.estimate[0])
    rows, found, starts = [], [], []
    together = _together(earlier, name, options)
    for number, moved in enumerate(earlier):
        row = diagnostic_row("placebo_in_time", panel, "") | Change("placebo_onset", period=_onset(moved)).columns() | {
            "estimator": name}
        if together is None:
            try:
                result = overall(name, moved, **options)
            except DidError as error:
                rows.append(skipped(row, str(error)))
                continue
            value, counts = float(result.estimate[0]), _counts(result)
        else:
            value, counts = float(together[0][number]), together[1]
        found.append(value)
        starts.append(moved)
        rows.append(row | {"value": value, **counts})
    if not found:
        return [*rows, skipped(share, f"no earlier onset could be estimated: {rows[0]['reason']}")]
    as_large = np.abs(found) >= abs(size) * (1 - TIED)
    return [*rows, share | {
        "value": float(as_large.mean()), "statistic": size, "n_tried": len(found), "n_apart": _apart(starts),
        **_counts(real)}]


def _together(every: list[Panel], name: str, options: dict) -> tuple[np.ndarray, dict[str, int]] | None:
    """Return the effects at all onsets and their counts, of an estimator that takes many outcomes of one panel at once;
    None if the windows differ in more than their outcomes, or one of them cannot be estimated."""
    first, *others = every
    seen = np.isfinite(first.outcome)
    if entry(name).repeated is None or first.weight is not None or not all(
            np.array_equal(one.treated_from, first.treated_from) and np.array_equal(np.isfinite(one.outcome), seen)
            for one in others):
        return None
    try:
        outcomes = np.stack([one.outcome for one in every])
        return estimates_of(name, first, outcomes, **options)[:, 0], _counts(overall(name, first, **options))
    except DidError:
        return None


def _counts(result: Result) -> dict[str, int]:
    return {"n_obs": result.n_obs, "n_units": result.n_units, "n_treated": int(result.shares.behind_any().sum())}


def _onset(panel: Panel) -> str:
    return str(panel.periods[panel.treated_from.min()])


def _apart(panels: Sequence[Panel]) -> int:
    """How many of the panels, the latest first, share no period: taken greedily from the latest, which is the most."""
    number, begin = 0, None
    for panel in panels:
        if begin is None or panel.periods[-1] < begin:
            number, begin = number + 1, panel.periods[0]
    return number


def _too_short(panel: Panel) -> str:
    year = PERIODS_PER_YEAR[panel.frequency]
    starts = panel.treated_from[~panel.always_treated]
    return (f"{int(starts.min())} periods before onset: an earlier one needs {(YEARS_BEFORE + YEARS_AFTER) * year}, "
            f"{YEARS_BEFORE * year} before and {YEARS_AFTER * year} after it")
