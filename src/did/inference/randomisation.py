"""Randomisation inference: how unusual an estimate is among all ways of handing the same waves to other clusters.

An assignment is a vector z of the clusters' doses, one element per cluster and onset. With effects and lags taken out
once (Frisch, Waugh and Lovell) of the columns X that tell a cluster after an onset from all else, and of the outcome y,
it has the treatment f = X z and, cluster by cluster c,

    estimate = sum_c f_c'y_c / sum_c f_c'f_c,    score_c = f_c'y_c - estimate f_c'f_c,    t = estimate / std_error

so a draw is a row of a matrix product and nothing is fitted again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators import estimate as fit
from did.estimators.base import Panel, Result, join_notes
from did.inference import reassigned_cells
from did.inference.assignments import drawn_orders, enumerate_orders, n_orders, near_orders
from did.inference.clustered import small_sample_factor
from did.inference.confidence_set import ConfidenceSet, accepted
from did.inference.joint_test import diagnostic_row, skipped, tabled

ESTIMATORS = ("did", "ldv")
STATISTICS = ("studentised", "estimate", "studentised_near")
# Statistics closer than this share of the observed one are tied: they differ by rounding.
TIED = 1e-8


@dataclasses.dataclass(frozen=True)
class Randomisation:
    """A randomisation test that treatment does nothing, and the interval of constant effects it does not reject.

    treatment           ``binary`` or ``intensity``
    estimator, statistic, level   what was asked for
    estimate            in units of the outcome, per unit of dose
    value               the statistic of the observed assignment: t if studentised, else the estimate
    p_value             two-sided: share of assignments whose statistic is as large in size as the observed one
    ci_low, ci_high     smallest interval that holds every constant effect not rejected; infinite where unbounded
    shape               of the set of these effects, in the words of `did.inference.confidence_set`
    draws               assignments compared: all of them if ``enumerated``, else the number drawn
    enumerated          True if every distinct assignment was tried
    n_assignments       number of distinct assignments, the observed one included
    smallest_p          p-value the most extreme assignment would have
    n_clusters, n_treated_clusters   clusters that change places, and those of them treated in the window
    status, reason      ``done``, or ``skipped`` and why; numbers not reached are then missing or zero
    note                choices made and what was left out, in words
    """

    treatment: str
    estimator: str
    statistic: str
    level: str
    estimate: float = np.nan
    value: float = np.nan
    p_value: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    shape: str = ""
    draws: int = 0
    enumerated: bool = False
    n_assignments: int = 0
    smallest_p: float = np.nan
    n_clusters: int = 0
    n_treated_clusters: int = 0
    status: str = "done"
    reason: str = ""
    note: str = ""


def randomisation(
    panel: Panel,
    *,
    estimator: str = "did",
    statistic: str = "studentised",
    level: str = "system",
    draws: int = 9999,
    seed: int = 20170601,
    lags: str = "all",
    coverage: float = 0.95,
) -> Randomisation:
    """Return the test that reassigns whole clusters of ``level`` to the panel's onsets and doses.

    The pairs of onset and dose of the clusters are dealt out again, so every wave keeps its number of clusters and
    units follow their cluster. All distinct assignments are tried if there are at most ``draws`` of them, and p is the
    exact share with |T*| >= |T|, the observed one included; else ``draws`` are drawn with replacement and
    p = (1 + number with |T*| >= |T|) / (1 + draws). Ties, up to rounding, count as large, and so do assignments whose
    statistic does not exist (the note counts them). Exact if all assignments were equally likely and treatment does
    nothing to any unit (Rosenbaum 2002, Observational Studies, chapter 2).

    ``estimator``: ``did`` or ``ldv`` (with ``lags``), as `did.estimators`. ``statistic``: ``studentised``, by the
    standard error clustered at ``level``, is also right in large samples where effects average zero but groups differ
    in variance (Canay, Romano and Shaikh 2017, Econometrica 85:1013-1030; Young 2019, Q. J. Econ. 134:557-598;
    MacKinnon and Webb 2020, J. Econometrics 218:435-450, compare both); ``estimate`` is not. ``studentised_near`` is t
    held against ``draws`` assignments in which each treated cluster gives onset and dose to one of the five nearest to
    it in units (`near_in_size`): where a large cluster has the largest dose, or is less noisy than small ones, only
    like is compared with like (Ferman and Pinto 2019, Review of Economics and Statistics 101:452-467, on why size
    matters). ``ldv`` keeps the lags of
    the earliest onset, which is the same date in every assignment.

    Cells without an outcome or weight are left out as by the estimator, and stay out in every assignment; clusters
    without a usable unit do not change places. Where doses differ within a cluster, its plain mean over used units is
    carried, by the observed assignment as by all others: it can only be compared with others made by its own rule. The
    estimate is then that of mean doses, and the note gives both.

    The interval (Rosenbaum 2002, chapter 2) inverts the test: b is rejected if the outcome less b x dose x treatment
    has p <= 1 - ``coverage``. It is found from the roots of one polynomial per assignment, and is for an effect per
    unit of dose that is equal for all treated units and periods, also where there are several onsets.

    Skipped, with the reason, if units of a cluster differ in onset, all clusters have one onset and dose, the observed
    statistic does not exist, or the panel is unbalanced and too large. Raises DidError for an unknown estimator,
    statistic or level, ``draws`` below 1, a ``coverage`` outside 0 to 1, and whatever the estimator raises.
    """
    _refuse(panel, estimator, statistic, level, draws)
    if not 0 < coverage < 1:
        raise DidError(f"randomisation: coverage: expected a share between 0 and 1; found {coverage}; use 0.95")
    return _tests(panel, estimator, [statistic], level, draws, seed, lags, coverage)[0]


def _tests(panel: Panel, estimator: str, statistics: Sequence[str], level: str, draws: int, seed: int, lags: str,
           coverage: float) -> list[Randomisation]:
    """`randomisation` by several statistics, its arguments checked: the same assignments and sums serve all."""
    panel, unit = panel.scaled()
    return [dataclasses.replace(test, estimate=test.estimate * unit, ci_low=test.ci_low * unit,
                                ci_high=test.ci_high * unit,
                                value=test.value * (unit if test.statistic == "estimate" else 1.0))
            for test in _tests_of_scaled(panel, estimator, statistics, level, draws, seed, lags, coverage)]


def _tests_of_scaled(panel: Panel, estimator: str, statistics: Sequence[str], level: str, draws: int, seed: int,
                     lags: str, coverage: float) -> list[Randomisation]:
    """`_tests` of a panel in units whose squares are numbers."""
    asked = [Randomisation(panel.treatment, estimator, statistic, level) for statistic in statistics]
    options = {"lags": lags} if estimator == "ldv" else {}
    result = fit(estimator, panel, **options)
    rows = panel.units.get_indexer(result.units)
    # In the order of the units, so that the names of clusters do not matter to the draws.
    codes, names = pd.factorize(panel.clusters[level][rows])
    mixed = _first_mixed(panel.treated_from[rows], codes)
    if mixed is not None:
        dates = [*panel.periods, "never"]
        onsets_of = [dates[at] for at in np.unique(panel.treated_from[rows][codes == mixed])]
        return _skipped(asked, f"{level} {names[mixed]} is mixed, its units first treated in {listed(onsets_of)}: "
                               "whole clusters cannot change places")
    panel, result, dose_note = _mean_doses(panel, result, rows, codes, names, options)
    labels, observed = _labels(panel, rows, codes)
    if len(labels) < 2:
        return _skipped(asked, f"all {len(names)} clusters by {level} have one onset and dose: no other assignment")
    onsets = np.unique(labels[labels[:, 0] < panel.n_periods, 0]).astype(int)
    cells = reassigned_cells.reduced(panel, rows, codes, onsets, estimator, lags)
    if cells is None:
        return _skipped(asked, f"{len(rows)} units x {panel.n_periods} periods and {len(names)} clusters by {level} "
                               "are too many to hold; use fewer, or a complete panel")
    n_assignments = n_orders(np.bincount(observed))
    near = "studentised_near" in statistics
    enumerated = n_assignments <= draws and not near
    assignments = (near_orders(observed, labels[:, 0] < panel.n_periods, np.bincount(codes), draws,
                               np.random.default_rng(seed)) if near
                   else enumerate_orders(observed) if enumerated else drawn_orders(observed, draws, seed))
    if assignments is None:
        return _skipped(asked, "clusters never treated differ in dose: which of them another takes the place of is not "
                               "settled by size")
    doses = np.where(labels[:, [0]] == onsets, labels[:, [1]], 0.0)
    sums = reassigned_cells.sums(cells, doses, observed, assignments)
    factor = small_sample_factor(len(names), result.n_obs, result.n_parameters)
    about = [dataclasses.replace(
        one, n_assignments=n_assignments, n_clusters=len(names), enumerated=enumerated,
        n_treated_clusters=int((labels[observed, 0] < panel.n_periods).sum()), estimate=float(result.estimate[0]))
        for one in asked]
    said = (f"all {n_assignments} assignments" if enumerated
            else f"{draws} draws of {Decimal(n_assignments):.2e} assignments",
            "among clusters near in size" if near else "", dose_note)
    return [_judged(one, sums, factor, 1 - coverage, (*said, result.note)) for one in about]


def _judged(asked: Randomisation, sums: Mapping[str, np.ndarray], factor: float, alpha: float, said: tuple[str, ...]
            ) -> Randomisation:
    """The test by one statistic, from the sums of all assignments; ``said`` are notes on assignments, doses and the
    estimate."""
    value, others = _statistics(sums, asked.statistic, factor)
    if asked.statistic == "estimate" and not sums["moves"].any():
        return _skip(dataclasses.replace(asked, enumerated=False), "no assignment has an estimate beyond rounding")
    if not np.isfinite(value):
        return _skip(dataclasses.replace(asked, enumerated=False),
                     f"the observed assignment has no clustered standard error by {asked.level} "
                     f"({asked.n_clusters} clusters): use the statistic 'estimate'")
    n_undefined = int(np.isinf(others).sum())
    plus = 0 if asked.enumerated else 1

    def p_of(size: float) -> float:
        return float((plus + (others >= size * (1 - TIED)).sum()) / (plus + len(others)))

    found = _interval(sums, asked.statistic, alpha, plus)
    return dataclasses.replace(
        asked,
        value=float(value),
        p_value=p_of(abs(value)),
        ci_low=found.low,
        ci_high=found.high,
        shape=found.shape,
        draws=len(others),
        smallest_p=p_of(others[np.isfinite(others)].max()) if asked.enumerated else 1 / (1 + len(others)),
        note=join_notes(
            *said[:-1],
            f"{n_undefined} assignments without a statistic count as extreme" if n_undefined else "",
            f"interval of constant effects not rejected at {alpha:.2g}",
            "" if np.isfinite([found.low, found.high]).all()
            else "unbounded: too many assignments are as extreme at any effect",
            "effects within the interval are rejected too: the set has gaps" if found.shape.endswith("gaps") else "",
            said[-1],
        ),
    )


@tabled
def randomisation_rows(panel: Panel, *, estimators: tuple[str, ...] = ESTIMATORS,
                       statistics: Mapping[str, str] | None = None, level: str = "system", draws: int = 9999,
                       seed: int = 20170601, lags: str = "all") -> list[dict]:
    """Return `randomisation` of each estimator as rows of the diagnostics table (`did.inference.joint_test.COLUMNS`).

    ``statistics`` maps the name of a diagnostic to its statistic, by default ``randomisation`` to ``studentised``; of
    each the rows of all estimators. They share their assignments, so ``studentised_near`` is asked for alone. value is
    the estimate, statistic the observed statistic, the reason of a test that is done its note; an infinite end of the
    interval is missing. Other arguments and errors as `randomisation`; ``lags`` matters to ldv only.
    """
    named = dict(statistics or {"randomisation": STATISTICS[0]})
    for estimator in estimators:
        for statistic in named.values():
            _refuse(panel, estimator, statistic, level, draws)
    tests = {estimator: _tests(panel, estimator, list(named.values()), level, draws, seed, lags, 0.95)
             for estimator in estimators}
    rows = []
    for place, diagnostic in enumerate(named):
        for estimator in estimators:
            test = tests[estimator][place]
            row = diagnostic_row(diagnostic, panel, level, value=test.estimate) | {"estimator": estimator}
            low, high = (end if np.isfinite(end) else np.nan for end in (test.ci_low, test.ci_high))
            rows.append(skipped(row, test.reason) if test.status == "skipped" else row | {
                "statistic": test.value, "p_value": test.p_value, "ci_low": low, "ci_high": high, "reason": test.note,
                "n_clusters": test.n_clusters, "n_treated_clusters": test.n_treated_clusters})
    return rows


def _refuse(panel: Panel, estimator: str, statistic: str, level: str, draws: int) -> None:
    one_of("randomisation: estimator", estimator, ESTIMATORS)
    one_of("randomisation: statistic", statistic, STATISTICS)
    one_of("randomisation: level", level, panel.clusters)
    if draws < 1:
        raise DidError(f"randomisation: draws: expected 1 or more; found {draws}; ask for more")


def _skipped(asked: Sequence[Randomisation], reason: str) -> list[Randomisation]:
    return [_skip(one, reason) for one in asked]


def _skip(asked: Randomisation, reason: str) -> Randomisation:
    return dataclasses.replace(asked, status="skipped", reason=reason)


def _first_mixed(values: np.ndarray, codes: np.ndarray) -> int | None:
    """Return the first cluster in which the (units,) values differ, None if there is none."""
    first = values[np.unique(codes, return_index=True)[1]]
    differs = np.unique(codes[values != first[codes]])
    return int(differs[0]) if len(differs) else None


def _mean_doses(panel: Panel, result: Result, rows: np.ndarray, codes: np.ndarray, names: np.ndarray,
                options: dict[str, str]) -> tuple[Panel, Result, str]:
    """Return panel and result with each cluster's mean dose, and the note on it; unchanged where doses are equal."""
    dose = panel.dose[rows]
    mixed = _first_mixed(dose, codes)
    if mixed is None:
        return panel, result, ""
    mean = np.bincount(codes, weights=dose) / np.bincount(codes)
    carried = panel.dose.copy()
    carried[rows] = mean[codes]
    with_means = dataclasses.replace(panel, dose=carried)
    inside = dose[codes == mixed]
    means_result = fit(result.estimator, with_means, **options)
    return with_means, means_result, (
        f"doses differ within {names[mixed]} ({inside.min():.4g} to {inside.max():.4g}): each cluster carries its mean "
        f"dose; the estimate with each unit's own dose is {result.estimate[0]:.6g}")


def _labels(panel: Panel, rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct (onset position, dose) pairs of clusters and (clusters,) which of them each one has."""
    first = np.unique(codes, return_index=True)[1]
    pairs = np.column_stack([panel.treated_from[rows][first], panel.dose[rows][first]])
    labels, observed = np.unique(pairs, axis=0, return_inverse=True)
    return labels, observed.ravel()


def _statistics(sums: Mapping[str, np.ndarray], statistic: str, factor: float) -> tuple[float, np.ndarray]:
    """Return the observed statistic (NaN if it does not exist) and the sizes of the others (infinite if not)."""
    spread = sums["denominator"] if statistic == "estimate" else np.sqrt(factor * sums["variance"])
    exists = sums["identified"] if statistic == "estimate" else sums["varies"] & np.isfinite(factor)
    value = sums["numerator"] / np.where(exists, spread, np.nan)
    return float(value[0]), np.where(exists[1:], np.abs(value[1:]), np.inf)


def _interval(sums: Mapping[str, np.ndarray], statistic: str, alpha: float, plus: int) -> ConfidenceSet:
    """Return the constant effects with p above ``alpha``.

    At the effect b = estimate + unit x, an assignment is as extreme as the observed one where a polynomial in x, of
    degree 2 for the estimate and 4 if studentised, is not negative. ``plus`` is 1 if assignments were drawn.
    """
    observed, others = ({name: values[part] for name, values in sums.items()} for part in (0, slice(1, None)))
    estimate = observed["numerator"] / observed["denominator"]
    exists = others["identified" if statistic == "estimate" else "varies"]
    own, overlap, v0, v1, v2, denominator = (
        others[name][exists] for name in ("own", "overlap", "v0", "v1", "v2", "denominator"))
    if statistic == "estimate":
        own, overlap = own / denominator, overlap / denominator
        unit = float(np.abs(own).max(initial=0.0)) or 1.0
        powers = [own**2, -2 * unit * own * overlap, unit**2 * (overlap**2 - 1)]
        scale = own**2 + unit**2 * (overlap**2 + 1)
    else:
        unit = np.sqrt(observed["variance"]) / observed["denominator"]
        powers = [own**2, -2 * unit * own * overlap, (unit * overlap) ** 2 - v0, 2 * unit * v1, -(unit**2) * v2]
        scale = own**2 + (unit * overlap) ** 2 + v0 + 2 * unit * np.abs(v1) + unit**2 * v2
    # A power next to itself in memory, as sums over the few powers of a polynomial are slow where these are.
    polynomials = (np.stack(powers) / np.where(scale > 0, scale, 1.0)).T
    # The observed assignment, and its mirror image where there is one, are tied at every effect.
    always = plus + int((~exists).sum())
    return accepted(polynomials, always, len(exists) + plus, alpha, float(estimate), float(unit))
