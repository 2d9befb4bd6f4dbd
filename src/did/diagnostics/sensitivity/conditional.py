"""The conditional least-favourable hybrid test of moment inequalities, for bounds on differential trends.

The null "the effect is theta" says that some path of differential trends within the bounds turns the expected
coefficients into effects whose weighted sum is theta. With rows D_t of differences that reach into the periods from
treatment on, and a bound B on them, it is a set of moment inequalities with the other effects as nuisance parameters,

    E[D_t beta - D_t tau - B] <= 0  and  E[-D_t beta + D_t tau - B] <= 0  for all t,  l' tau = theta.

The statistic is the least eta for which all hold with slack eta x their standard deviation (Andrews, Roth and Pakes
2023, Review of Economic Studies 90:2763-2791). Its dual maximises over multipliers that sum to one in units of standard
deviation and are orthogonal to the nuisance parameters. As there are as many differences as effects, the multipliers of
the two inequalities of a t must differ by lambda w_t, w = (D_post')^-1 l, and the vertices of the dual can be written
down: lambda > 0, lambda < 0, and for each t its two inequalities alone. In terms of the two numbers
L = w' D beta and B they are

    (L - theta - W B) / s_up,   (theta - L - W B) / s_down,   -2 B / (sd_t+ + sd_t-),   W = sum |w_t|,

where of the last only the two with the smallest and the largest scale matter. So no linear programme is solved.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from did.diagnostics.sensitivity.path import EventPath

# Share of the size given to the first stage (the least-favourable test), as in R's HonestDiD.
FIRST_STAGE = 0.1
ANGLES = 720
# Newton steps at most, and the share of a number below which a step leaves only rounding: errors are squared by it.
NEWTON_STEPS, CLOSE = 12, 1e-9
GRID = 201
# An end is looked for among so many values at a time, so often: to 1e-12 of the first stage's interval.
SPLITS, ROUNDS = 32, 7
SAME = 1e-9


@dataclasses.dataclass(frozen=True)
class Inequalities:
    """Several sets of moment inequalities on one target, one per bound; a value is accepted if any set accepts it.

    centre      L: the target corrected by what the differences add from before treatment (units of the outcome)
    bound       (sets,) estimated B
    coefficient (sets, vertices, 2) of the vertices on (L - theta, B)
    covariance  (sets, vertices, vertices) of the vertices
    size        of the test, e.g. 0.05
    critical    (sets,) least-favourable critical value of the first stage
    """

    centre: float
    bound: np.ndarray
    coefficient: np.ndarray
    covariance: np.ndarray
    size: float
    critical: np.ndarray

    @classmethod
    def of(
        cls, path: EventPath, target: str | np.ndarray, differences: np.ndarray, bounds: np.ndarray,
        constants: np.ndarray, confidence: float,
    ) -> Inequalities:
        """Return the inequalities that all ``differences`` (post, coefficients) of the differential trend are within
        +-B, for each set B = row of ``bounds`` (sets, coefficients) times the trend + its entry of ``constants``.
        """
        sigma = path.covariance
        weight = np.linalg.solve(differences[:, path.n_pre:].T, path.weights(target))
        size = np.abs(weight)
        functional = weight @ differences
        variance = np.einsum("tj,jk,tk->t", differences, sigma, differences)
        cross = bounds @ sigma @ differences.T
        bound_variance = np.einsum("sj,jk,sk->s", bounds, sigma, bounds)
        above = np.sqrt(variance - 2 * cross + bound_variance[:, None])
        below = np.sqrt(variance + 2 * cross + bound_variance[:, None])
        up = 1 / (np.where(weight > 0, above, below) @ size)
        down = 1 / (np.where(weight > 0, below, above) @ size)
        pair = 2 / (above + below)
        zero = np.zeros(len(bounds))
        coefficient = np.array([[up, -down, zero, zero],
                                [-up * size.sum(), -down * size.sum(), -pair.min(axis=1), -pair.max(axis=1)]]).T.copy()
        root = _root(functional @ sigma @ functional, bounds @ sigma @ functional, bound_variance)
        factor = coefficient @ root
        test_size = 1 - confidence
        return cls(float(functional @ path.estimate), bounds @ path.estimate + constants, coefficient,
                   factor @ factor.transpose(0, 2, 1), test_size,
                   least_favourable(factor, FIRST_STAGE * test_size))

    def accepted(self, theta: np.ndarray) -> np.ndarray:
        """Return the (sets, values) mask of ``theta``, (sets, values) or (values,), that each set does not reject."""
        deviation = self.centre - np.broadcast_to(theta, (len(self.bound), np.shape(theta)[-1]))
        moments = (deviation[:, :, None] * self.coefficient[:, None, :, 0]
                   + (self.bound[:, None] * self.coefficient[:, :, 1])[:, None, :])
        first_stage = FIRST_STAGE * self.size
        size = (self.size - first_stage) / (1 - first_stage)
        return ~rejected(moments, self.covariance[:, None], self.critical[:, None], size)

    def interval(self) -> tuple[float, float]:
        """Return the least and the greatest accepted value; NaN twice if every value is rejected.

        A set's first stage accepts an interval known in closed form; its ends are approached on a grid of `GRID`
        values inside it and then on finer ones. Values rejected in between are not told apart.
        """
        up, down = self.coefficient[:, 0, 0], -self.coefficient[:, 1, 0]
        slack = -self.bound * self.coefficient[:, 0, 1] / up
        low = self.centre - slack - self.critical / up
        high = self.centre + slack + self.critical / down
        share = np.linspace(0, 1, GRID)
        theta = low[:, None] + share * (high - low)[:, None]
        kept = self.accepted(theta) & (low <= high)[:, None]
        rows = np.flatnonzero(kept.any(axis=1))
        if not len(rows):
            return np.nan, np.nan
        first, last = kept[rows].argmax(axis=1), GRID - 1 - kept[rows][:, ::-1].argmax(axis=1)
        inside, below = theta[rows, first], theta[rows, np.maximum(first - 1, 0)]
        still, above = theta[rows, last], theta[rows, np.minimum(last + 1, GRID - 1)]
        # Only the sets that may reach further than another is known to.
        low, high = np.flatnonzero(below <= inside.min()), np.flatnonzero(above >= still.max())
        ends = self._sets(np.concatenate([rows[low], rows[high]]))._edge(
            np.concatenate([inside[low], still[high]]), np.concatenate([below[low], above[high]]))
        return float(ends[:len(low)].min()), float(ends[len(low):].max())

    def _sets(self, rows: np.ndarray) -> Inequalities:
        return dataclasses.replace(self, bound=self.bound[rows], coefficient=self.coefficient[rows],
                                   covariance=self.covariance[rows], critical=self.critical[rows])

    def _edge(self, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """Return the (sets,) last accepted values between ``inside`` (accepted) and ``outside``."""
        share, sets = np.arange(SPLITS + 1) / SPLITS, np.arange(len(inside))
        for _ in range(ROUNDS):
            values = inside[:, None] + share * (outside - inside)[:, None]
            accepted = self.accepted(values[:, 1:-1])
            # The first that is not accepted ends the search; the value before it is.
            ends = np.concatenate([~accepted, np.ones((len(sets), 1), dtype=bool)], axis=1).argmax(axis=1) + 1
            inside, outside = values[sets, ends - 1], values[sets, ends]
        return inside


def _root(variance: float, covariance: np.ndarray, bound_variance: np.ndarray) -> np.ndarray:
    """Return the (sets, 2, 2) lower triangular roots of the covariances of (L, B); B may be without variance."""
    spread = np.sqrt(variance)
    shared = covariance / spread
    rest = np.sqrt(np.maximum(bound_variance - shared**2, 0))
    top = np.stack([np.full(len(shared), spread), np.zeros(len(shared))], axis=1)
    return np.stack([top, np.stack([shared, rest], axis=1)], axis=1)


def least_favourable(factor: np.ndarray, size: float) -> np.ndarray:
    """Return the (sets,) values that the largest of ``factor`` (sets, vertices, 2) times two standard normals exceeds
    with probability ``size``: the critical values of the test that takes every inequality as binding.

    In polar coordinates the length of the two normals is independent of their angle and exceeds r with probability
    exp(-r^2 / 2), so the exceedance of c is the mean over angles of exp(-c^2 / (2 g^2)), g the largest vertex in that
    direction (0 where none is positive). Exact to the spacing of `ANGLES`; no draws.
    """
    angle = 2 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    reach = (factor @ np.stack([np.cos(angle), np.sin(angle)])).max(axis=1)
    # log(mean exp(-x rate)) is convex and falling in x = c^2; Newton steps from above the root cross it once.
    positive = reach > SAME * reach.max(axis=1, keepdims=True)
    rate = np.where(positive, 0.5 / np.where(positive, reach, 1.0) ** 2, np.inf)
    least = rate.min(axis=1, keepdims=True)
    excess = np.where(positive, rate - least, 0.0)
    least = least[:, 0]
    square = -np.log(size) / least
    for _ in range(NEWTON_STEPS):
        part = positive * np.exp(-square[:, None] * excess)
        total = part.sum(axis=1)
        exceedance = np.log(total / ANGLES) - square * least
        step = (exceedance - np.log(size)) / (least + (part * excess).sum(axis=1) / total)
        square = square + step
        if (np.abs(step) <= CLOSE * square).all():
            break
    return np.sqrt(square)


def rejected(moments: np.ndarray, covariance: np.ndarray, critical: np.ndarray | float, size: float) -> np.ndarray:
    """Return the mask of problems whose largest moment is too large: the conditional test after a first stage.

    ``moments`` (..., vertices) with ``covariance`` (..., vertices, vertices); ``critical`` (...) the first stage's
    critical value, infinite for the conditional test alone. Given which vertex is the largest, and what is
    independent of it, its moment is a normal truncated to the values that keep it the largest (below ``critical``);
    rejected if positive with an upper tail under ``size`` at mean zero (Andrews, Roth and Pakes 2023).
    """
    from scipy.special import log_ndtr

    best = moments.argmax(axis=-1)[..., None]
    covariance = np.broadcast_to(covariance, (*moments.shape, moments.shape[-1]))
    largest = np.take_along_axis(moments, best, axis=-1)
    shared = np.take_along_axis(covariance, best[..., None], axis=-2)[..., 0, :]
    variance = np.take_along_axis(shared, best, axis=-1)
    fixed = variance[..., 0] <= 0
    variance = np.where(variance > 0, variance, 1.0)
    slope = shared / variance
    gap = 1 - slope
    limit = (moments - slope * largest) / np.where(np.abs(gap) > SAME, gap, 1.0)
    spread = np.sqrt(variance[..., 0])
    statistic = largest[..., 0]
    lowest = np.where(gap > SAME, limit, -np.inf).max(axis=-1)
    highest = np.minimum(np.where(gap < -SAME, limit, np.inf).min(axis=-1), critical)
    statistic_z, low_z, high_z = statistic / spread, lowest / spread, highest / spread
    # Upper tails in logarithms, so that far truncation points keep their digits.
    tail, tail_low = log_ndtr(-statistic_z), log_ndtr(-low_z)
    tail_high = np.minimum(log_ndtr(-high_z), tail)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = tail - tail_low + np.log1p(-np.exp(tail_high - tail)) - np.log1p(-np.exp(tail_high - tail_low))
    beyond = fixed | (statistic > critical)
    return (statistic > 0) & (beyond | ((statistic_z > low_z) & (log_p < np.log(size))))
