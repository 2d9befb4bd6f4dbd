"""The estimate when every unit is measured from its own line before treatment: could trends explain an effect?"""

from __future__ import annotations

from did.diagnostics.estimate_rows import KEPT
from did.errors import DidError
from did.estimators import estimate, overall_of
from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import diagnostic_row, skipped, tabled

# Estimators for waves from their own dates whose base is more than one noisy period, with the options that make it so.
# Of figures by year a base of one year is a mean over twelve months already.
LONG_BASES: dict[str, dict[str, object]] = {
    "imputation": {},
    "rolling": {"transformation": "demean", "estimands": "overall"},
    "callaway_santanna": {"base_period": "universal", "base_window": "year"},
}


@tabled
def detrended_rows(panel: Panel) -> list[dict]:
    """Return the overall effect of `did.estimators.rolling` on departures from each unit's own line before treatment.

    Rows of the diagnostics table, diagnostic ``detrended``, one per cluster level: value in units of the outcome, with
    error, interval by t and counts. Units need two periods before treatment; missing outcomes are left out of their
    unit's line. ``skipped`` with the reason for a dose, which the estimator does not take, and for a panel that it
    refuses. Lee and Wooldridge 2023, working paper 4516518 of the SSRN, procedure 5.1.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 8, {6: 10}, 50.0, seed=2, frequency="Y", first="2011")
    >>> rows = detrended_rows(Panel.from_frame(frame))
    >>> bool((rows["ci_low"] > 0).all()), rows["cluster"].tolist()
    (True, ['unit', 'system'])
    """
    return _rows(panel, "detrended", "rolling", {"transformation": "detrend", "estimands": "overall"})


@tabled
def long_base_rows(panel: Panel) -> list[dict]:
    """Return the overall effect with each cohort from its own date, by estimators with a base of more than one month.

    Rows of the diagnostics table, diagnostic ``own_dates``, one per estimator of `LONG_BASES` and cluster level: value
    in units of the outcome, with error, interval and counts. Imputation and the rolling mean take all periods before
    treatment as base; Callaway and Sant'Anna the mean of the last year. ``skipped`` with the reason where one does not
    apply, as two of them to a dose.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 8, {4: 10, 6: 10}, 50.0, seed=2, frequency="Y", first="2011")
    >>> rows = long_base_rows(Panel.from_frame(frame))
    >>> rows.loc[rows["cluster"] == "unit", "value"].between(49, 51).tolist()
    [True, True, True]
    """
    return [row for name, options in LONG_BASES.items() for row in _rows(panel, "own_dates", name, options)]


def _rows(panel: Panel, diagnostic: str, name: str, options: dict[str, object]) -> list[dict]:
    if options.get("base_window") == "year":
        options = options | {"base_window": PERIODS_PER_YEAR[panel.frequency]}

    def row(level: str) -> dict:
        return diagnostic_row(diagnostic, panel, level) | Change(diagnostic).columns() | {"estimator": name}

    try:
        found = by_cluster(overall_of(estimate(name, panel, **options), panel), panel)
    except DidError as error:
        return [skipped(row(level), str(error)) for level in panel.clusters]
    each = [{column: values[0] for column, values in block.items()} for block in found]
    return [row(own["cluster"]) | {column: own[column] for column in KEPT} | {
        "value": own["estimate"], "statistic": own["estimate"] / own["std_error"], "df_denominator": own["df"],
        "reason": own["note"]} for own in each]
