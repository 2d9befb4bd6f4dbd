"""The average of group-time effects from sums over clusters, for many assignments of onsets to clusters at once.

An effect of Callaway and Sant'Anna without covariates is a difference of means of Y_t - Y_b, and where all units of a
cluster share an onset each mean is a ratio of sums over clusters. Sum Y_t - Y_b over the periods t in which a cohort
has the same controls (a span): S_cs. With the clusters' weights w_c, for an assignment of cohorts to clusters,

    sum of effects of span s = sum_(c treated) S_cs / sum w_c - sum_(c controls) S_cs / sum w_c

and the average and the clusters' influence follow, formulas as in `did.estimators.aggregation`.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from did.errors import DidError
from did.estimators import entry
from did.estimators.base import PERIODS_PER_YEAR, Panel, root_sum_squares
from did.estimators.group_time import Sample, changes, cohorts_of
from did.estimators.registry import COHORT_PERIOD
from did.inference.clustered import CANCELLED, rounding_error

NEVER = -1
# A sum over clusters less some of them is nothing where it is no more than this share of the whole.
EMPTY = 1e-13
# Options of the estimator with which its effects are differences of plain means.
PLAIN = ("control_group", "base_period", "anticipation", "base_window", "unbalanced", "method")


@dataclasses.dataclass(frozen=True)
class Sums:
    """What the average of effects from treatment on is made of.

    weight   (clusters,) sum of the units' weights; spans (clusters, spans) weighted sums of changes, per span
    squares  (clusters, 1 + spans, 1 + spans) sums over units of the squared weight times products of 1 and changes
    cohort   (spans,) cohort of each span, a number from 0; length (spans,) its periods
    waiting  (spans, cohorts) cohorts whose clusters are among its controls
    rounding size up to which an error is nothing but rounding, for one treated unit
    """

    weight: np.ndarray
    spans: np.ndarray
    squares: np.ndarray
    cohort: np.ndarray
    length: np.ndarray
    waiting: np.ndarray
    rounding: float

    @property
    def controls(self) -> np.ndarray:
        """(spans, cohorts + 1) those among its controls; the last is never treated."""
        return np.column_stack([self.waiting, np.ones(len(self.waiting), dtype=bool)])

    def members(self, labels: np.ndarray) -> np.ndarray:
        """1 where a cluster is of a cohort, in the order of ``labels`` for each cohort; the last is never treated."""
        numbers = np.array([*range(self.waiting.shape[1]), NEVER], dtype=labels.dtype)
        return (labels == numbers[:, None, None]).astype(float)


@dataclasses.dataclass(frozen=True)
class Averages:
    """Of each assignment: the average, the clusters' summed influence (draws, clusters), its root sum of squares by
    cluster and by unit (NaN if it was not asked for), and whether there is an error. NaN where an assignment has no
    average."""

    estimate: np.ndarray
    scores: np.ndarray
    spread: np.ndarray
    unit_spread: np.ndarray
    varies: np.ndarray


def is_plain(estimator: str, options: dict, panel: Panel) -> bool:
    """Return whether effects of ``estimator`` are by cohort and period and differences of plain means on ``panel``:
    no covariates in use, weights that stay the same, and no unit without a period that others have."""
    if entry(estimator).kind != COHORT_PERIOD or set(options) - set(PLAIN):
        return False
    if panel.covariates and options.get("method", "unconditional") != "unconditional":
        return False
    weight = panel.observed_weight
    seen = (weight > 0).any(axis=0)
    complete = weight[(weight[:, seen] > 0).any(axis=1)][:, seen]
    steady = complete.size > 0 and bool((complete == complete[:, :1]).all())
    return steady or (options.get("unbalanced", "trim") == "trim" and _steady(complete))


def _steady(weight: np.ndarray) -> bool:
    """Whether units with every period have weights that stay the same, and there are some."""
    whole = weight[(weight > 0).all(axis=1)]
    return len(whole) > 0 and bool((whole == whole[:, :1]).all())


def sums(panel: Panel, codes: np.ndarray, onsets: np.ndarray, options: dict,
         events: tuple[float, float] = (0, np.inf)) -> Sums:
    """Return the sums over clusters ``codes`` (units,) for cohorts ``onsets`` (positions, rising) on ``panel``, of the
    effects at event times from the first of ``events`` up to, but without, the second.

    ``panel`` as `is_plain` has it; its own treatment is not used, and units without a period that others have are left
    out. ``options`` are those of the estimator. Raises DidError if no unit is left, a cohort has no period before or
    none after its onset, or it has none of these event times.
    """
    weight = panel.observed_weight
    positions = np.flatnonzero((weight > 0).any(axis=0))
    used = (weight[:, positions] > 0).all(axis=1)
    if not used.any():
        raise DidError("expected units with an outcome in every period; found none")
    outcome, own = panel.outcome[used][:, positions], weight[used][:, positions[0]]
    anticipation, window = int(options.get("anticipation", 0)), options.get("base_window")
    if (positions[0] + anticipation >= onsets).any() or (positions[-1] < onsets).any():
        raise DidError("expected periods before and after every placebo onset; found none for one of them")
    season = PERIODS_PER_YEAR[panel.frequency] if window == "season" else 0
    n_window = 1 if window is None or season else None if window == "all" else int(window)
    never = int(panel.n_periods) + 1
    sample = Sample(outcome, positions, np.full(len(outcome), never), never, None,
                    np.empty((0, *outcome.shape)), ())
    cohorts = cohorts_of(sample, onsets, universal=options.get("base_period", "varying") == "universal",
                         anticipation=anticipation, window=n_window, season=season)
    each = np.arange(len(outcome))
    columns, of_cohort, length, waiting = [], [], [], []
    for number, cohort in enumerate(cohorts):
        event = positions[cohort.period] - cohort.first
        after = np.flatnonzero((event >= events[0]) & (event < events[1]))
        if not len(after):
            raise DidError("expected periods at these event times for every onset; found none for one of them")
        change = changes(sample, cohort, slice(after[0], after[-1] + 1), each)   # event times rise
        still = onsets[None, :] > cohort.last_used[after][:, None]
        still &= (np.arange(len(onsets)) != number)[None, :] & (options.get("control_group") != "never_treated")
        kinds: dict[bytes, list[int]] = {}
        for place, row in enumerate(still):
            kinds.setdefault(row.tobytes(), []).append(place)
        for places in kinds.values():
            columns.append(change[:, places].sum(axis=1))
            of_cohort.append(number)
            length.append(len(places))
            waiting.append(still[places[0]])
    values = np.column_stack(columns)
    n_clusters = int(codes.max()) + 1
    codes = codes[used]
    total = np.bincount(codes, own, n_clusters)
    spans = np.zeros((n_clusters, values.shape[1]))
    np.add.at(spans, codes, own[:, None] * values)
    squares = np.zeros((n_clusters, values.shape[1] + 1, values.shape[1] + 1))
    every = own[:, None] * np.column_stack([np.ones(len(values)), values])
    np.add.at(squares, codes, every[:, :, None] * every[:, None, :])
    rounding = float(rounding_error(panel.outcome[used], np.ones((1, 1)))[0])
    return Sums(total, spans, squares, np.array(of_cohort), np.array(length, dtype=float), np.array(waiting), rounding)


def averages(made: Sums, labels: np.ndarray, *, by_unit: bool = False) -> Averages:
    """Return the average effect of the assignments ``labels`` (draws, clusters): a cohort's number, or `NEVER`.

    Cohorts weigh by their units' weight, their periods alike: estimand ``overall`` of `did.estimators.aggregation`.
    Without ``by_unit`` the error by unit is NaN. Raises nothing: an assignment without treated or control clusters has
    NaN.
    """
    n_spans, values = len(made.cohort), np.column_stack([made.weight, made.spans])
    member = made.members(np.ascontiguousarray(labels.T))
    # Of each cohort and assignment the clusters, their weight, and the sums of spans and of their sizes.
    within = np.column_stack([np.ones(len(values)), values, np.abs(made.spans)]).T @ member
    span, own = np.arange(n_spans), np.zeros((len(member), n_spans))
    own[made.cohort, span] = 1.0
    sides = np.stack([own, made.controls.T])   # of each span its cohort and its controls, 0 or 1
    with np.errstate(invalid="ignore", divide="ignore"):
        size = within[made.cohort, 1]
        people = sides.swapaxes(1, 2) @ within[:, 1]
        spans, reach = (np.einsum("aks,ksn->asn", sides, part)
                        for part in (within[:, 2:2 + n_spans], within[:, 2 + n_spans:]))
        total, exists = made.length @ size, people > 0
        mean = np.where(exists, spans / people, np.nan)
        # What one unit of weight moves the average by, times its changes less their mean.
        pull = np.array([1.0, -1.0])[:, None, None] * (size / total) * np.where(exists, 1 / people, 0.0)
        effect = np.where(size > 0, mean[0] - mean[1], 0.0)
        estimate = (size * effect).sum(axis=0) / total
        magnitude = (np.abs(pull) * reach).sum(axis=(0, 1))
        # Influence of a unit of cluster c: weight x (constant + slopes . changes of its spans), alike in a cohort.
        influence = np.empty((len(member), 1 + n_spans, len(labels)))
        influence[:, 1:] = np.einsum("aks,asn->ksn", sides, pull)
        moved = (sides @ (pull * np.nan_to_num(mean))).sum(axis=0)
        if len(member) > 2:   # the cohorts' weights are estimates, too
            moved -= own @ ((effect - made.length[:, None] * estimate) / total)
        influence[:, 0] = -moved
        scores = (values @ influence[-1]) * member[-1]
        for of_cohort, is_member in zip(influence[:-1], member[:-1], strict=True):
            scores += (values @ of_cohort) * is_member
        spread, unit = root_sum_squares(scores, axis=0), np.full(len(labels), np.nan)
        if by_unit:
            squares = made.squares.reshape(len(values), -1).T @ member
            squares = squares.reshape(len(member), 1 + n_spans, 1 + n_spans, -1)
            unit = np.sqrt(np.maximum(np.einsum("kid,kijd,kjd->d", influence, squares, influence), 0.0))
        n_treated = np.sqrt(np.maximum(within[:-1, 0].sum(axis=0), 1))
        varies = np.isfinite(estimate) & (spread > np.maximum(CANCELLED * magnitude, made.rounding / n_treated))
    return Averages(estimate, scores.T, spread, unit, varies)


def jackknife(made: Sums, labels: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Return (draws,) root of (G - 1) / G x the squared moves of the average when each cluster is left out in turn.

    NaN where the average does not exist without some cluster.
    """
    moves = without_each(made, labels, np.arange(len(made.weight))) - estimate
    return np.sqrt((len(moves) - 1) / len(moves)) * root_sum_squares(moves, axis=0)


def without_each(made: Sums, labels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return (groups, draws) the average without each group of clusters; ``parts`` (clusters,) says of which group
    each is. Groups without units are not among them."""
    seen = made.weight > 0
    parts, labels, weight, spans = parts[seen], labels[:, seen], made.weight[seen], made.spans[seen]
    groups = np.unique(parts)
    of_group, alone = (parts[:, None] == groups).astype(float), np.array_equal(groups, parts)
    member = made.members(labels)

    def left(side: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The sum of ``values`` over the clusters of a side less those of each group, (draws, groups)."""
        if alone:
            return (side @ values)[:, None] - side * values
        own = side * values
        whole = own.sum(axis=1, keepdims=True)
        rest = whole - own @ of_group
        return np.where(np.abs(rest) > EMPTY * np.abs(whole), rest, 0.0)

    @cache
    def of(members: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Those of these cohorts, and the weight of them that is left."""
        side = member[members[0]] if len(members) == 1 else member[list(members)].sum(axis=0)
        return side, left(side, weight)

    total, value = np.zeros((2, len(labels), len(groups)))
    with np.errstate(invalid="ignore", divide="ignore"):
        for span, (number, row) in enumerate(zip(made.cohort, made.controls, strict=True)):
            (of_cohort, size), (of_controls, people) = of((number,)), of(tuple(np.flatnonzero(row).tolist()))
            control = left(of_controls, spans[:, span])
            control /= people
            control *= size
            moved = np.subtract(left(of_cohort, spans[:, span]), control, out=control)
            value += np.where(size > 0, moved, 0.0)
            total += size * made.length[span]
        return (value / total).T
