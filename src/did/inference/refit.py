"""Inference for any estimator by fitting it again: without each cluster, and with treatment handed to other clusters.

Nothing is asked of an estimator but a function from a panel to its results. Clusters carry their onset and dose along,
so a staggered roll-out keeps its cohorts' numbers of clusters. Estimates and their influence are linear in the outcome
once treatment is fixed, so an effect of the same size for all is taken out of the outcome by a second fit, to the dose
itself, and the test is inverted exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators.base import REFERENCE, Panel, Result, join_notes, root_sum_squares
from did.inference.assignments import enumerate_orders, n_orders
from did.inference.cells import by_cells
from did.inference.clustered import cluster_sums, labels_of, rounding_of, small_sample_factor, varies
from did.inference.confidence_set import accepted
from did.inference.randomisation import TIED

Fitter = Callable[[Panel], Sequence[Result]]
COLUMNS = ["estimate", "std_error", "df", "statistic", "p_value", "ci_low", "ci_high", "shape", "draws", "note"]
# Clusters left out one by one by fitting again; of more, those never treated are left out by their influence.
MOST_FITS = 60
# A constant effect moves a parameter by less than this share of itself: it is no effect after onset.
UNMOVED = 1e-6


def keys(results: Sequence[Result]) -> list[tuple]:
    """Return what each parameter of ``results`` is of: estimand, cohort, period and event time, missing ones empty."""
    frame = pd.concat([result.parameters for result in results], ignore_index=True)
    named = frame[["estimand", "cohort", "period", "event_time"]].astype(object)
    return list(named.where(named.notna(), "").itertuples(index=False, name=None))


def jackknife(fit: Fitter, panel: Panel, level: str, *, coverage: float = 0.95,
              results: Sequence[Result] | None = None, most_fits: int = MOST_FITS,
              known: Mapping[object, Mapping[tuple, float]] | None = None) -> pd.DataFrame:
    """Return every parameter of ``fit`` with the delete-one-cluster jackknife around the full estimate.

    std_error = sqrt((G - 1) / G x sum over clusters g of (b_(-g) - b)^2), interval (covering ``coverage``) and p_value
    by t with G - 1 degrees of freedom: CV3 of MacKinnon, Nielsen and Webb 2023, J. Applied Econometrics 38:671-694, for
    any estimator. One row per parameter, in the order of ``results``, by default those of ``fit``; columns `COLUMNS`,
    in units of the outcome per unit of dose. Of more than ``most_fits`` clusters by ``level``, those without a
    treated unit are left out by their influence, -G / (G - 1) times their sum, and the note says so. ``known`` is what
    `without_each` gives, by default made here.

    Error, interval and p are missing, with the reason, for a parameter that is missing or a reference, that cannot be
    estimated without some cluster, with fewer than two clusters, or if nothing varies between them. Raises DidError for
    an unknown level and whatever ``fit`` raises on the whole panel.

    >>> from did.estimators import estimate
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> int(jackknife(lambda one: [estimate("imputation", one)], data, "system")["df"].iloc[0])
    9
    """
    from scipy import stats

    one_of("jackknife: level", level, panel.clusters)
    results = list(fit(panel) if results is None else results)
    names, labels = keys(results), panel.clusters[level]
    full = np.concatenate([result.estimate for result in results])
    used = np.isin(panel.units, np.concatenate([result.units for result in results]))
    clusters = list(pd.unique(labels[used]))
    n = len(clusters)
    again = without_each(fit, panel, level, results, most_fits=most_fits) if known is None else known
    moves, lost = np.zeros((n, len(names))), [""] * len(names)
    for position, label in enumerate(clusters if n > 1 else []):
        if label not in again:
            sums = [result.influence.to_numpy()[labels_of(result, panel, level) == label].sum(axis=0)
                    for result in results]
            moves[position] = -n / (n - 1) * np.concatenate(sums)
            continue
        without = np.array([again[label].get(name, np.nan) for name in names])
        moves[position] = without - full
        for place in np.flatnonzero(np.isnan(without) & np.isfinite(full)):
            lost[place] = lost[place] or f"no jackknife: no estimate without {level} {label}"
    spread = np.sqrt((n - 1) / n) * root_sum_squares(moves, axis=0)
    rounding = np.concatenate([rounding_of(result, panel) for result in results])
    fixed = np.concatenate([result.parameters["state"].eq(REFERENCE) for result in results])
    has_error = np.isfinite(spread) & (spread > rounding) & ~fixed & (n > 1)
    error = np.where(has_error, spread, np.nan)
    half = stats.t.ppf((1 + coverage) / 2, max(n - 1, 1)) * error
    about = (f"{len(again)} treated clusters by {level} left out by fitting again, {n - len(again)} others by their "
             "influence" if len(again) < n else "")
    notes = [_jackknife_note(own, has, is_fixed or np.isnan(value), n, level, about)
             for own, has, is_fixed, value in zip(lost, has_error, fixed, full, strict=True)]
    return pd.DataFrame({
        "estimate": full, "std_error": error, "df": float(n - 1), "statistic": full / error,
        "p_value": 2 * stats.t.sf(np.abs(full) / error, max(n - 1, 1)), "ci_low": full - half, "ci_high": full + half,
        "shape": np.where(has_error, "interval", ""), "draws": n, "note": notes})[COLUMNS]


def without_each(fit: Fitter, panel: Panel, level: str, results: Sequence[Result], *,
                 most_fits: int = MOST_FITS, only_cells: bool = False) -> dict[object, dict[tuple, float]]:
    """Return label -> parameter, as `keys` names it -> its estimate without that cluster of ``level``.

    Of all clusters with a unit that ``results``, those of ``fit`` on the panel, used; of more than ``most_fits``, of
    those with a treated unit. A parameter that does not exist without the cluster is missing. Where the panel of
    `did.inference.cells.by_cells` gives ``results`` again, clusters are left out of that; elsewhere the whole panel is
    fitted without each, or, with ``only_cells``, nothing is returned. Raises nothing.
    """
    labels, own = panel.clusters[level], panel
    used = np.isin(panel.units, np.concatenate([result.units for result in results]))
    clusters, treated = list(pd.unique(labels[used])), set(labels[used & ~panel.never_treated])
    if len(clusters) > most_fits:
        clusters = [label for label in clusters if label in treated]
    cells = by_cells(panel.keep(used), level) if len(clusters) > 1 else None
    if cells is not None and _gives_again(fit, cells, results, panel):
        own = cells
    elif only_cells:
        return {}
    return {label: _fitted(fit, own.keep(own.clusters[level] != label)) for label in clusters}


def _gives_again(fit: Fitter, cells: Panel, results: Sequence[Result], panel: Panel) -> bool:
    """Whether the panel of cells has the same parameters with the same estimates but for rounding."""
    found, names = _fitted(fit, cells), keys(results)
    full = np.concatenate([result.estimate for result in results])
    rounding = np.concatenate([rounding_of(result, panel) for result in results])
    own = np.array([found.get(name, np.nan) for name in names])
    return len(found) == len(names) and bool(
        (np.isclose(own, full, rtol=1e-9, atol=0, equal_nan=True) | (np.abs(own - full) <= 8 * rounding)).all())


def _jackknife_note(lost: str, known: bool, absent: bool, n: int, level: str, about: str) -> str:
    if known:
        return about
    if absent:
        return ""
    if n < 2:
        return f"no jackknife: {n} cluster by {level}"
    return lost or f"no jackknife: no variation between clusters by {level}"


def randomise(fit: Fitter, panel: Panel, level: str, *, statistic: str = "studentised", draws: int = 199,
              seed: int = 20170601, coverage: float = 0.95, is_linear: bool = True) -> pd.DataFrame:
    """Return every parameter of ``fit`` with the test that hands onsets and doses to other clusters of ``level``.

    As `did.inference.randomisation.randomisation`, for any estimator: p_value is the share of assignments whose
    statistic is as large in size as the observed one, all distinct ones if there are at most ``draws``, else as many
    drawn and the observed one. ``statistic`` ``studentised``: the estimate over its error clustered by ``level``;
    ``estimate``. An assignment in which a parameter does not exist counts as extreme, and the note counts them. Each
    unit's dose is replaced by its cluster's mean. The set (shape, ci_low, ci_high) holds the constant effects per unit
    of dose with p above 1 - ``coverage``, times what such an effect of one moves the parameter by; it is missing for a
    parameter that it does not move, such as an effect before onset, and, with the reason, where ``is_linear`` is False:
    the estimate is then no linear function of the outcome, so that no effect can be taken out of it. std_error is
    missing. Rows and columns as `jackknife`; numbers are missing, with the reason, where there is no test.

    Raises DidError for an unknown level, a statistic other than these two, ``draws`` below 1, and whatever ``fit``
    raises on the panel.

    >>> from did.estimators import estimate
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 8}, 5.0, seed=2, units_per_system=4)[0])
    >>> found = randomise(lambda one: [estimate("did", one)], data, "system", statistic="estimate")
    >>> int(found["draws"].iloc[0]), round(float(found["p_value"].iloc[0]), 3)
    (45, 0.067)
    """
    one_of("randomisation: level", level, panel.clusters)
    one_of("randomisation: statistic", statistic, ("studentised", "estimate"))
    if draws < 1:
        raise DidError(f"randomisation: draws: expected 1 or more; found {draws}; ask for more")
    panel, dose_note = carried(panel, level)
    results = list(fit(panel))
    names = keys(results)
    full = np.concatenate([result.estimate for result in results])
    rounding = np.concatenate([rounding_of(result, panel) for result in results])
    reason = no_assignment(panel, level)
    if reason:
        return without(full, f"no randomisation test: {reason}")
    panel, scale = _for_assignments(fit, panel, level, names)
    codes, _ = pd.factorize(panel.clusters[level])
    first = np.unique(codes, return_index=True)[1]
    pairs = np.column_stack([panel.treated_from[first], panel.dose[first]])
    waves, observed = np.unique(pairs, axis=0, return_inverse=True)
    observed = observed.ravel()
    n_assignments = n_orders(np.bincount(observed))
    enumerated = n_assignments <= draws
    orders = enumerate_orders(observed) if enumerated else np.random.default_rng(seed).permuted(
        np.broadcast_to(observed, (draws, len(observed))), axis=1)
    dosed = dataclasses.replace(panel, outcome=np.where(
        np.isfinite(panel.outcome), np.where(panel.treated, panel.dose[:, None], 0.0), np.nan))
    parts = []
    for order in [observed, *orders]:
        onset, dose = waves[order[codes]].T
        parts.append([_parts(fit, dataclasses.replace(one, treated_from=onset.astype(int), dose=dose), level, names)
                      for one in ((panel, dosed) if is_linear else (panel,))])
    rows = []
    for place, value in enumerate(full):
        on_outcome, on_dose = (Parts.of([part[which][place] for part in parts], scale[place]) for which in (0, -1))
        test = tested(on_outcome, on_dose, statistic, 0 if enumerated else 1, 1 - coverage, rounding=rounding[place],
                      is_linear=is_linear)
        rows.append(dict.fromkeys(COLUMNS, np.nan) | {"shape": "", "estimate": value} | test | {"draws": len(orders)})
    count = (f"all {n_assignments} assignments of clusters by {level}" if enumerated else
             f"{draws} draws of assignments of clusters by {level}")
    for row in rows:
        exists = np.isfinite(row["p_value"])
        row["note"] = join_notes(*((count, dose_note, row["note"]) if exists else (row["note"],)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _fitted(fit: Fitter, panel: Panel) -> dict[tuple, float]:
    """The estimates of a panel by what they are of; none where it cannot be estimated."""
    if panel.never_treated.all() or not panel.n_units:
        return {}
    try:
        results = list(fit(panel))
    except DidError:
        return {}
    return dict(zip(keys(results), np.concatenate([result.estimate for result in results]), strict=True))


def _for_assignments(fit: Fitter, panel: Panel, level: str, names: list[tuple]) -> tuple[Panel, np.ndarray]:
    """The panel that assignments are fitted to, and what each parameter's sums of influence are multiplied by there.

    That of `did.inference.cells.by_cells` where it has the same estimates, and the same sums but for one factor, which
    counts observations and is alike in all assignments; else the panel itself, and ones.
    """
    cells, same = by_cells(panel, level), np.ones(len(names))
    if cells is None:
        return panel, same
    ours, theirs = _parts(fit, panel, level, names), _parts(fit, cells, level, names)
    for place, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        size, length = (float(root_sum_squares(part[1], axis=0)) for part in (own, other))
        if (np.isnan(own[0]) and np.isnan(other[0])) or (size, length, own[0], other[0]) == (0, 0, 0, 0):
            continue   # it does not exist, or is a reference
        if not (abs(own[0] - other[0]) <= 1e-9 * max(abs(own[0]), size) and length > 0 and np.allclose(
                own[1] / size, other[1] / length, rtol=0, atol=1e-9)):
            return panel, np.ones(len(names))
        same[place] = size / length
    return cells, same


def _parts(fit: Fitter, panel: Panel, level: str, names: list[tuple]) -> list[tuple]:
    """For each name the estimate, the root of the small-sample factor and the (clusters,) sums of influence; or None.

    Sums are over all clusters of the panel, in the order of its units.
    """
    try:
        results = list(fit(panel))
    except DidError:
        results = []
    found = {}
    order = {label: at for at, label in enumerate(pd.unique(panel.clusters[level]))}
    for result in results:
        labels = labels_of(result, panel, level)
        sums = np.zeros((len(order), len(result.estimate)))
        np.add.at(sums, [order[label] for label in labels], result.influence.to_numpy())
        factor = 1.0 if result.distribution == "normal" else small_sample_factor(
            len(set(labels)), result.n_obs, result.n_parameters)
        has_error = varies(result.influence.to_numpy(), cluster_sums(result.influence.to_numpy(), labels),
                           rounding_of(result, panel))
        for at, name in enumerate(keys([result])):
            found[name] = (result.estimate[at], np.sqrt(factor) * sums[:, at], has_error[at])
    missing = (np.nan, np.full(len(order), np.nan), False)
    return [found.get(name, missing) for name in names]


@dataclasses.dataclass(frozen=True)
class Parts:
    """Of one parameter in each assignment: (assignments,) estimates, the clusters' sums of influence (assignments,
    clusters), and whether it has an error."""

    estimate: np.ndarray
    sums: np.ndarray
    varies: np.ndarray

    @classmethod
    def of(cls, parts: list[tuple], scale: float) -> Parts:
        """The parts of each assignment, sums times ``scale``."""
        estimate, sums, varies = zip(*parts, strict=True)
        return cls(np.array(estimate, dtype=float), scale * np.array(sums), np.array(varies, dtype=bool))


def tested(on_outcome: Parts, on_dose: Parts, statistic: str, plus: int, alpha: float, *, rounding: float,
           is_linear: bool = True) -> dict:
    """P-value and set of one parameter from its parts in the observed assignment, the first, and all others; estimates
    no larger than some ``rounding`` say nothing."""
    estimate, moved = on_outcome.estimate, on_dose.estimate
    if statistic == "estimate":
        exists = np.isfinite(estimate)
        own = dosed = None
        size = np.abs(estimate)
        level_0 = np.ones(len(estimate))
    else:
        own, dosed = on_outcome.sums, on_dose.sums
        exists = np.isfinite(estimate) & on_outcome.varies & np.isfinite(own).all(axis=1)
        level_0 = np.where(exists, root_sum_squares(own, axis=1), np.nan)
        size = np.abs(estimate) / np.where(level_0 > 0, level_0, np.nan)
        exists &= np.isfinite(size)
    if not exists[0]:
        return {"note": "" if np.isnan(estimate[0]) else "no randomisation test: the observed assignment has no "
                "clustered error; use the statistic of the estimate"}
    if not (np.abs(estimate[exists]) > 8 * rounding).any():
        return {"note": "no randomisation test: no assignment has an estimate beyond rounding"}
    others = np.where(exists[1:], size[1:], np.inf)
    n_undefined, total = int(np.isinf(others).sum()), plus + len(others)
    found = {"statistic": estimate[0] / level_0[0],
             "p_value": float((plus + (others >= size[0] * (1 - TIED)).sum()) / total)}
    undefined = f"{n_undefined} assignments without this effect count as extreme" if n_undefined else ""
    if not is_linear:
        return found | {"note": join_notes(undefined, "no interval: the estimate is not linear in the outcome")}
    if not abs(moved[0]) > UNMOVED:
        return found | {"note": join_notes(undefined, "no interval: a constant effect does not move it")}
    kept = exists[1:] & np.isfinite(moved[1:])
    # At b = centre + unit x the outcome less b x dose has the estimate (u - v x), and the cluster sums alike.
    centre = estimate[0] / moved[0]
    left = estimate - centre * moved
    unit = float(np.abs(left[1:][kept]).max(initial=0.0)) or 1.0
    sums = None if own is None or dosed is None else (own - centre * dosed, unit * dosed)
    powers = _polynomials(left, unit * moved, sums, kept)
    region = accepted(powers, plus + len(others) - int(kept.sum()), total, alpha, centre, unit)
    ends = sorted((region.low * moved[0], region.high * moved[0]))
    return found | {"ci_low": ends[0], "ci_high": ends[1], "shape": region.shape, "note": undefined}


def _polynomials(left: np.ndarray, moved: np.ndarray, sums: tuple[np.ndarray, np.ndarray] | None, kept: np.ndarray
                 ) -> np.ndarray:
    """(draws, degree + 1) powers of x: squared statistic of each draw less the observed one's, times both variances.

    A draw's estimate is left - moved x and its cluster sums sums[0] - sums[1] x; the first row is what was observed.
    """
    def square(constant: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return np.stack([(constant**2).sum(axis=-1), -2 * (constant * slope).sum(axis=-1), (slope**2).sum(axis=-1)])

    value = square(left[:, None], moved[:, None])
    if sums is None:
        terms = [value[:, 1:][:, kept], np.broadcast_to(value[:, :1], value[:, 1:][:, kept].shape)]
    else:
        variance = square(*sums)
        terms = [_product(value[:, 1:][:, kept], variance[:, :1]), _product(variance[:, 1:][:, kept], value[:, :1])]
    scale = np.abs(terms[0]).sum(axis=0) + np.abs(terms[1]).sum(axis=0)
    return ((terms[0] - terms[1]) / np.where(scale > 0, scale, 1.0)).T


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The (5, draws) powers of the products of (3, draws) and (3, 1) polynomials of degree 2."""
    found = np.zeros((5, one.shape[1]))
    for i in range(3):
        for j in range(3):
            found[i + j] += one[i] * other[j]
    return found


def carried(panel: Panel, level: str) -> tuple[Panel, str]:
    """The panel with each cluster's mean dose, and the note on it; unchanged where doses are equal."""
    dose = pd.Series(panel.dose)
    mean = dose.groupby(panel.clusters[level]).transform("mean").to_numpy()
    if np.allclose(mean, panel.dose, rtol=1e-12, atol=0.0):
        return panel, ""
    return dataclasses.replace(panel, dose=mean), "each cluster carries its mean dose"


def no_assignment(panel: Panel, level: str) -> str:
    """Why clusters cannot change places; empty if they can."""
    codes, names = pd.factorize(panel.clusters[level], sort=True)
    first = np.unique(codes, return_index=True)[1]
    mixed = codes[panel.treated_from != panel.treated_from[first][codes]]
    if len(mixed):
        dates, one = [*panel.periods, "never"], mixed.min()
        return (f"{level} {names[one]} is mixed, its units first treated in "
                f"{listed([dates[at] for at in np.unique(panel.treated_from[codes == one])])}")
    if len(set(zip(panel.treated_from[first], panel.dose[first], strict=True))) < 2:
        return f"all {len(names)} clusters by {level} have one onset and dose"
    return ""


def without(full: np.ndarray, reason: str) -> pd.DataFrame:
    rows = [dict.fromkeys(COLUMNS, np.nan) | {"estimate": value, "shape": "", "draws": 0, "note": reason}
            for value in full]
    return pd.DataFrame(rows, columns=COLUMNS)
