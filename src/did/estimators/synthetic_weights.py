"""The unit and time weights of synthetic difference-in-differences, for many assignments of treatment at once.

An assignment says how often each unit counts as a donor and how often as treated: 0 or 1 in the data at hand and in
placebo assignments, any whole number in a bootstrap. With Y the outcomes, T0 periods before treatment, N0 donors,

    unit weights  w:  min sum over t <= T0 of (a + sum_i w_i Y_it - mean of the treated in t)^2 + T0 zeta^2 |w|^2
    time weights  l:  min sum over donors  of (b + sum_t l_t Y_it - mean of Y_i after T0)^2     + N0 xi^2 |l|^2

over weights of at least zero that add to one (Arkhangelsky, Athey, Hirshberg, Imbens and Wager 2021, American Economic
Review 111:4088-4118, equations 4 to 6), zeta = (treated cells)^(1/4) sigma and xi = 1e-6 sigma, sigma the standard
deviation of the donors' first differences before treatment. The synthetic control has no intercept a, zeta = 1e-6 sigma
and no time weights; difference-in-differences has equal weights.

As in R's synthdid 0.0.9, the Frank-Wolfe steps stop when one lowers the mean square by less than (1e-5 sigma)^2: at
most 100 of them, then weights of a quarter of the largest or less are set to zero, then at most 10,000 from there. The
weights are therefore near the minimum and not at it: California's estimate is -15.6038, that of the minimum -15.6054.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from did.estimators.frank_wolfe import simplex_weights

VARIANTS = ("synthetic_did", "synthetic_control", "did")
# Ridge of the weights that need none but to be unique, and the smallest decrease, both in units of the noise.
TINY, SMALLEST = 1e-6, 1e-5
FIRST_ROUNDS, ROUNDS = 100, 10_000
# Numbers a block of assignments may hold.
BLOCK = 20_000_000


@dataclasses.dataclass(frozen=True)
class Assignments:
    """How often each unit counts in each assignment: ``donors`` and ``treated`` are (assignments, units), 0 or more."""

    donors: np.ndarray
    treated: np.ndarray


def noise_level(before: np.ndarray) -> float:
    """Return the standard deviation of all first differences of the donors' (units, periods) outcomes.

    In units of the outcome, which must be complete; 0 where there are fewer than two differences to tell it from.
    Source: the paper, equation 5 (R divides by the number of differences less one, and so does this). Raises nothing.

    >>> round(noise_level(np.array([[0.0, 1.0, 0.0]])), 6)
    1.414214
    """
    changes = np.diff(before, axis=1).ravel()
    return float(changes.std(ddof=1)) if len(changes) > 1 else 0.0


def weights(outcome: np.ndarray, before: int, who: Assignments, noise: float, *, variant: str = VARIANTS[0],
            n_cells: int = 1, rounds: int = ROUNDS) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit weights (assignments, units) and time weights (assignments, ``before``) of one cohort.

    ``outcome`` (units, periods) in any unit of measure, complete; its first ``before`` periods are those before
    treatment; ``noise`` of `noise_level` and ``n_cells``, the treated cells, set the ridge. Unit weights are 0 for
    units that are no donors; copies of a donor share its weight. Time weights are 0 for the synthetic control.
    ``rounds`` is the most steps of the second round. Every assignment must have a donor and a treated unit. Source and
    stopping rule: the head of this file. Raises nothing.

    >>> outcome = np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 2.0, 9.0]])
    >>> who = Assignments(np.array([[1, 1, 0]]), np.array([[0, 0, 1]]))
    >>> unit, time = weights(outcome, 2, who, 1.0)
    >>> unit.tolist(), time.round(3).tolist()
    ([[0.5, 0.5, 0.0]], [[0.0, 1.0]])
    """
    n_assigned, n_units = who.donors.shape
    n_donors = who.donors.sum(axis=1)
    if variant == "did":
        return who.donors / n_donors[:, None], np.full((n_assigned, before), 1 / before)
    size = max(n_units, before * before)
    blocks = np.array_split(np.arange(n_assigned), max(1, -(-n_assigned * size // BLOCK)))
    ridge = (TINY if variant == "synthetic_control" else n_cells**0.25) * noise
    parts = [_block(outcome, before, Assignments(who.donors[block], who.treated[block]), (noise, ridge, rounds),
                    with_time=variant != "synthetic_control") for block in blocks]
    return np.concatenate([unit for unit, _ in parts]), np.concatenate([time for _, time in parts])


def _block(outcome: np.ndarray, before: int, who: Assignments, rule: tuple[float, float, int], *,
           with_time: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of a few assignments; ``rule`` is the noise, the ridge of unit weights, and the rounds."""
    n_assigned, (noise, ridge, rounds) = len(who.donors), rule
    # Weights add to one, so what all units of a period share changes nothing; with an intercept, nor does a unit's own
    # mean. Both are taken out first, since digits of a large level would be lost in the squares.
    paths = outcome[:, :before] - outcome[:, :before].mean(axis=0)
    if with_time:
        paths = paths - paths.mean(axis=1, keepdims=True)
    gram = paths @ paths.T
    share = who.treated / who.treated.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        copies = 1.0 / who.donors
    start = who.donors / who.donors.sum(axis=1, keepdims=True)
    ever = who.donors.any(axis=0)
    unit = np.zeros(who.donors.shape)
    unit[:, ever] = _twice(np.ascontiguousarray(gram[np.ix_(ever, ever)]), (share @ gram)[:, ever],
                           before * ridge**2 * copies[:, ever], start[:, ever], np.full(n_assigned, before), noise,
                           rounds)
    time = np.zeros((n_assigned, before))
    if with_time:
        # Weights add to one, so the mean after T0 can be taken out of each period: what they add up to is the error.
        n_donors = who.donors.sum(axis=1)
        rows = outcome - outcome.mean(axis=0)
        rows = rows[:, :before] - rows[:, before:].mean(axis=1, keepdims=True)
        mean = who.donors @ rows / n_donors[:, None]
        products = (who.donors @ (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)).reshape(
            n_assigned, before, before)
        products -= n_donors[:, None, None] * mean[:, :, None] * mean[:, None, :]
        products[:, np.arange(before), np.arange(before)] += n_donors[:, None] * (TINY * noise) ** 2
        none = np.zeros((n_assigned, before))
        time = _twice(products, none, none, np.full((n_assigned, before), 1 / before), n_donors, noise, rounds)
    return unit, time


def _twice(gram: np.ndarray, target: np.ndarray, ridge: np.ndarray, start: np.ndarray, n_rows: np.ndarray,
           noise: float, rounds: int) -> np.ndarray:
    """Return weights after a short round, without the small ones, and a long one, as R's synthdid."""
    smallest = n_rows * (SMALLEST * noise) ** 2
    first = simplex_weights(gram, target, ridge, start, smallest=smallest, rounds=FIRST_ROUNDS)
    first = np.where(first <= first.max(axis=1, keepdims=True) / 4, 0.0, first)
    return simplex_weights(gram, target, ridge, first / first.sum(axis=1, keepdims=True), smallest=smallest,
                           rounds=rounds)


def gaps(outcome: np.ndarray, unit: np.ndarray, time: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Return (assignments, periods) the treated units' mean less the donors', each less its mean before treatment.

    ``outcome`` (units, periods), complete; ``unit`` and ``time`` of `weights`; ``treated`` (assignments, units) how
    often each counts as treated. Means before treatment are by the time weights (none where they are all 0), so from
    onset on these are the effects by period, in units of the outcome. NaN where an assignment has no treated unit.
    Source: the paper, equation 1, by period as in Clarke, Pailanir, Athey and Imbens 2023 (arXiv 2301.11859). Raises
    nothing.

    >>> gaps(np.array([[1.0, 2.0], [5.0, 9.0]]), np.array([[1.0, 0.0]]), np.array([[1.0]]), np.array([[0, 1]])).tolist()
    [[0.0, 3.0]]
    """
    before = time.shape[1]
    level = outcome - outcome.mean(axis=0)
    if time.any():
        level = level - level[:, :before].mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        contrast = treated / treated.sum(axis=1, keepdims=True) - unit
    path = contrast @ level
    return path - np.einsum("bt,bt->b", path[:, :before], time)[:, None]
