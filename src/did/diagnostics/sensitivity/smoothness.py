"""Sensitivity to trends whose slope may change by at most M a period: optimal fixed-length intervals."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np

from did.diagnostics.sensitivity.conditional import SAME, Inequalities, rejected
from did.diagnostics.sensitivity.path import EventPath
from did.errors import DidError

MOST_CORNERS = 50
HALVINGS = 50
ROOT_TWO = math.sqrt(2)
# Relative gains in length below this are rounding.
SHORTER = 1e-12


@dataclasses.dataclass(frozen=True)
class Frontier:
    """Estimators of a target with the least variance for their worst bias, from the least variance to the least bias.

    An affine estimator is l' beta_post + v' beta_pre. Written in the slope of the differential trend at the
    reference and its second differences, its bias is finite only if the slope drops out, and then at most
    M x (fixed + sum |c_i|): fixed comes from the second differences at and after the reference, which v does not
    touch, and c_i is the coefficient on the i-th second difference before it. v and (slope, c) determine each other,
    so least variance given the worst bias is a lasso problem in c; its path in the penalty is piecewise linear.

    knots     (corners, pre - 1) c at the corners of the path, from no penalty to c = 0
    origin    (coefficients,) the estimator's weights at c = 0
    spread    (coefficients, pre - 1) change of the weights with c
    fixed     the part of the worst bias, per unit of M, that no estimator avoids
    """

    path: EventPath
    knots: np.ndarray
    origin: np.ndarray
    spread: np.ndarray
    fixed: float

    @classmethod
    def of(cls, path: EventPath, target: str | np.ndarray) -> Frontier:
        """Return the frontier of a target: ``first``, ``average`` or weights; errors as in `EventPath.weights`."""
        weights = path.weights(target)
        # Period k after the reference holds k - i times the second difference at i; likewise before, backwards.
        ahead = np.maximum(np.arange(1, path.n_post + 1) - np.arange(path.n_post)[:, None], 0)
        behind = np.maximum(np.arange(1, path.n_pre + 1) - np.arange(path.n_pre)[:, None], 0)
        reach = ahead @ weights
        inverse = np.linalg.inv(behind)[::-1]
        origin = np.concatenate([inverse[:, 0] * reach[0], weights])
        spread = np.concatenate([inverse[:, 1:], np.zeros((path.n_post, path.n_pre - 1))])
        chosen_by = path.covariance if path.working is None else path.working
        knots = lasso_path(spread.T @ chosen_by @ spread, -spread.T @ chosen_by @ origin)
        return cls(path, knots[::-1], origin, spread, float(np.abs(reach).sum()))

    def interval(self, m: float, *, confidence: float = 0.95) -> tuple[float, float]:
        """Return the ends of the shortest fixed-length interval when the slope changes by at most ``m`` a period.

        Half-length = sd x the ``confidence`` quantile of |N(bias / sd, 1)|, minimised over the frontier, on which it
        is convex in the worst bias (Rambachan and Roth 2023, section 4.1); with a working covariance the estimator is
        the one that this makes shortest, and the length is by the covariance itself. Raises DidError if ``m`` is
        negative or not a number.
        """
        from scipy.optimize import brentq

        if not (np.isfinite(m) and m >= 0):
            raise DidError(f"sensitivity: m: expected a number, 0 or more; found {m}; choose another")

        def length(position: float, segments: list[list[float]], knot: int) -> tuple[float, float]:
            """Half-length at a position between a corner and the next, and its slope there."""
            # Weights are linear in the position, so their variance is quadratic; no entry of c changes its sign, so the
            # worst bias is linear too.
            here, across, there, bias, next_bias = segments[knot]
            share = position - knot
            rest = 1 - share
            sd = math.sqrt(rest * rest * here + 2 * rest * share * across + share * share * there)
            worst = m * (self.fixed + rest * bias + share * next_bias)
            quantile = folded_normal_quantile(worst / sd, confidence)
            # The quantile rises with its shift by tanh(quantile x shift).
            rise = math.tanh(quantile * worst / sd)
            sd_rise = (share * there - rest * here + (rest - share) * across) / sd
            return sd * quantile, sd_rise * (quantile - worst / sd * rise) + m * (next_bias - bias) * rise

        segments = self._of_chosen
        lengths = [length(knot, segments, knot)[0] for knot in range(len(segments))]
        best = int(np.argmin(lengths))
        position, half, knot = float(best), lengths[best], best
        for start in range(max(best - 1, 0), min(best + 1, len(segments) - 1)):
            ends = [length(end, segments, start)[1] for end in (start, start + 1)]
            if ends[0] < 0 < ends[1]:
                found = brentq(lambda at, start=start: length(at, segments, start)[1], start, start + 1, xtol=1e-14)
                shorter = length(found, segments, start)[0]
                # A gain within rounding would only blur the corner.
                if shorter < half * (1 - SHORTER):
                    position, half, knot = found, shorter, start
        if self.path.working is not None:
            half = length(position, self._of_covariance, knot)[0]
        centre = float((self.origin + self.spread @ self._at(position)) @ self.path.estimate)
        return centre - half, centre + half

    @cached_property
    def _of_chosen(self) -> list[list[float]]:
        return self._segments(self.path.covariance if self.path.working is None else self.path.working)

    @cached_property
    def _of_covariance(self) -> list[list[float]]:
        return self._segments(self.path.covariance)

    def _segments(self, covariance: np.ndarray) -> list[list[float]]:
        """Return for each corner the variance there, the covariance with the next corner, the variance at that, and the
        worst bias per unit of M, less `fixed`, at both."""
        weights = self.origin + self.knots @ self.spread.T
        after = np.minimum(np.arange(len(weights)) + 1, len(weights) - 1)
        cross, bias = weights @ covariance @ weights.T, np.abs(self.knots).sum(axis=1)
        variance = np.diag(cross)
        return np.column_stack([variance, cross[np.arange(len(weights)), after], variance[after], bias,
                                bias[after]]).tolist()

    def _at(self, position: float) -> np.ndarray:
        """Return c at a place on the path: knot number and share of the way to the next one."""
        knot = min(int(position), len(self.knots) - 1)
        share = position - knot
        return self.knots[knot] if share == 0 else (1 - share) * self.knots[knot] + share * self.knots[knot + 1]


def lasso_path(gram: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Return the corners (knots, size) of argmin_c c' gram c / 2 - linear' c + penalty sum |c_i| as penalty falls to 0.

    Homotopy in the penalty (Osborne, Presnell and Turlach 2000, IMA Journal of Numerical Analysis 20:389-403):
    between corners the coefficients that are not zero move linearly; at a corner one joins or leaves them.
    """
    size = len(linear)
    knots, active, sign = [np.zeros(size)], np.zeros(size, dtype=bool), np.zeros(size)
    penalty = np.inf
    # Each corner's estimator is valid, so that ending early could only cost length.
    for _ in range(MOST_CORNERS * size):
        # Coefficients (base - penalty x rate) and correlations with the residual (free + penalty x drift) from here on.
        base, rate = np.zeros(size), np.zeros(size)
        base[active], rate[active] = np.linalg.solve(gram[np.ix_(active, active)],
                                                     np.stack([linear, sign], axis=1)[active]).T
        free, drift = linear - gram @ base, gram @ rate
        # A coefficient joins when its correlation reaches +-penalty from within, and leaves when it falls to zero.
        events = np.concatenate([
            _where(~active & (drift < 1), free, 1 - drift),
            _where(~active & (drift > -1), -free, 1 + drift),
            _where(active & (sign * rate < 0), base, rate),
        ])
        events[events > penalty * (1 + SAME)] = 0.0
        event = int(events.argmax())
        penalty = min(penalty, max(float(events[event]), 0.0))
        c = np.where(active, base - penalty * rate, 0.0)
        if penalty == 0:
            return np.array([*knots, c])
        changed = event % size
        active[changed] = not active[changed]
        sign[changed] = (1.0, -1.0, 0.0)[event // size]
        knots.append(np.where(active & (np.arange(size) != changed), c, 0.0))
    return np.array(knots)


def _where(possible: np.ndarray, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the ratio where an event is possible, else 0, the end of the path."""
    return np.where(possible, numerator, 0.0) / np.where(possible, denominator, 1.0)


def folded_normal_quantile(shift: float, confidence: float) -> float:
    """Return the ``confidence`` quantile of |N(shift, 1)|, by Newton steps on its distribution function."""
    from scipy.special import ndtri

    # The upper tail alone gives a lower bound, from where on the function is concave: the steps do not overshoot.
    quantile = shift + float(ndtri(confidence))
    for _ in range(HALVINGS):
        below, above = quantile - shift, quantile + shift
        excess = (math.erfc(-below / ROOT_TWO) - math.erfc(above / ROOT_TWO)) / 2 - confidence
        density = (math.exp(-below * below / 2) + math.exp(-above * above / 2)) / math.sqrt(2 * math.pi)
        step = excess / density
        quantile -= step
        if abs(step) < 1e-13 * quantile:
            break
    return quantile


def smoothness_conditional_interval(
    path: EventPath, target: str | np.ndarray, m: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the ends of the conditional least-favourable hybrid set under the same bound ``m`` on changes of slope.

    An alternative to `Frontier.interval`, by the test used for relative magnitudes: NaN twice if it rejects every
    value. Errors as in `Frontier.interval`.
    """
    if not (np.isfinite(m) and m >= 0):
        raise DidError(f"sensitivity: m: expected a number, 0 or more; found {m}; choose another")
    after = path.differences(2)[1]
    none = np.zeros((1, len(path.estimate)))
    return Inequalities.of(path, target, after, none, np.array([float(m)]), confidence).interval()


def slope_change_unit(path: EventPath) -> float:
    """Return the largest absolute change of slope among the periods up to the reference, in units of the outcome per
    period: the natural unit of M. Raises DidError with fewer than two coefficients before the reference.
    """
    before = _second_differences(path)
    return float(np.abs(before @ path.estimate).max())


def slope_change_bounds(path: EventPath, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return what the periods up to the reference say about M: a lower confidence bound, and an upper one for each.

    lower  the least M that the conditional test does not reject, of "no change of slope before exceeds M"
    upper  the largest of the one-sided upper confidence bounds of the absolute changes of slope

    Neither speaks of M after treatment (Rambachan and Roth 2023). Raises DidError as `slope_change_unit`.
    """
    from scipy.special import ndtri

    before = _second_differences(path)
    rows = np.concatenate([before, -before])
    change = rows @ path.estimate
    covariance = rows @ path.covariance @ rows.T
    sd = np.sqrt(np.diag(covariance))
    upper = float((change + ndtri(confidence) * sd).max())
    scaled = covariance / np.outer(sd, sd)

    def refused(m: float) -> bool:
        return bool(rejected((change - m) / sd, scaled, np.inf, 1 - confidence))

    low, high = 0.0, float(change.max())
    if not refused(0.0):
        return 0.0, upper
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if refused(middle) else (low, middle)
    return high, upper


def _second_differences(path: EventPath) -> np.ndarray:
    if path.n_pre < 2:
        raise DidError(f"sensitivity: expected two or more coefficients before the reference; found {path.n_pre}; "
                       "a change of slope needs three periods")
    return path.differences(2)[0]
