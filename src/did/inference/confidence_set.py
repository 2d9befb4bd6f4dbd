"""The effects that a test does not reject, from one polynomial per draw: their smallest interval, and their shape."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.inference import quartics

# A polynomial whose coefficients are all this small alongside its terms is zero: the draw is tied with what was
# observed.
TIED = 1e-8
# Roots further out than this many units are those of a leading coefficient that is zero but for rounding.
FAR = 1e6
# Share of the largest coefficient below which the leading one is zero but for rounding.
NOTHING = 1e-11


@dataclasses.dataclass(frozen=True)
class ConfidenceSet:
    """The smallest interval that holds every effect not rejected, and ``shape``.

    low, high  in units of the outcome per unit of dose; infinite where the set has no end
    shape      ``interval``; ``unbounded``, ``unbounded below`` or ``unbounded above``; ``point`` where only the
               estimate is left; each followed by ``, with gaps`` where effects between the ends are rejected
    """

    low: float
    high: float
    shape: str


def shape_of(low: float, high: float, *, gaps: bool = False) -> str:
    """Return what a confidence set from ``low`` to ``high`` is called, see `ConfidenceSet`; missing ends give ``""``.

    Raises nothing.

    >>> shape_of(-1.0, float("inf"), gaps=True)
    'unbounded above, with gaps'
    """
    if np.isnan(low) or np.isnan(high):
        return ""
    ends = {(True, True): "unbounded", (True, False): "unbounded below", (False, True): "unbounded above"}
    name = ends.get((bool(np.isinf(low)), bool(np.isinf(high))), "point" if low == high else "interval")
    return f"{name}, with gaps" if gaps else name


def accepted(powers: np.ndarray, always: int, total: int, alpha: float, centre: float, unit: float) -> ConfidenceSet:
    """Return the set of effects centre + unit x with p above ``alpha``.

    ``powers`` (draws, degree + 1) are polynomials in x from the constant up, of degree 2 or 4, each divided by the size
    of its terms: a draw is as extreme as what was observed where its polynomial is not negative. p is the share of
    ``total`` draws that are, with ``always`` more that are at every effect. Polynomials that are zero count among
    these. Raises nothing; no draw at all gives the whole line.

    >>> accepted(np.array([[1.0, 0.0, -1.0]] * 9), 1, 10, 0.1, 5.0, 2.0)
    ConfidenceSet(low=3.0, high=7.0, shape='interval')
    """
    size = np.abs(powers).max(axis=1, initial=0.0)
    free = size > TIED
    roots, opens = _real_roots(powers[free], size[free])
    exists, order = np.isfinite(roots), np.arange(roots.shape[1]) % 2
    change, at = np.where((order == 0) ^ opens[:, None], 1, -1)[exists], roots[exists]
    turns = np.argsort(at, kind="stable")
    change, at = change[turns], at[turns]
    extreme = always + int((~free).sum()) + int(opens.sum()) + np.concatenate([[0], np.cumsum(change)])
    inside = extreme / total > alpha
    kept = np.flatnonzero(inside)
    if not len(kept):
        return ConfidenceSet(float(centre), float(centre), "point")
    bounds = np.concatenate([[-np.inf], centre + unit * at, [np.inf]])
    low, high = float(bounds[kept[0]]), float(bounds[kept[-1] + 1])
    # Pieces no wider than rounding lie between the equal roots of several draws.
    width = np.diff(bounds)[kept[0]:kept[-1] + 1]
    gaps = bool((~inside[kept[0]:kept[-1] + 1] & (width > TIED * abs(unit))).any())
    return ConfidenceSet(low, high, shape_of(low, high, gaps=gaps))


def _real_roots(powers: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (rows, degree) sorted real roots of polynomials, infinite where there are fewer, and (rows,) whether
    the polynomial is positive left of them. ``powers`` is (rows, degree + 1) from the constant up, degree 2 or 4, and
    ``size`` (rows,) their largest in size."""
    real = np.full((len(powers), powers.shape[1] - 1), np.inf)
    # Where rounding alone makes the first two coefficients, it would make roots, too.
    flat = (np.abs(powers[:, 3:]) <= NOTHING * size[:, None]).all(axis=1)
    leading = np.where(flat, powers[:, 2], powers[:, -1])
    nothing = np.where(leading > 0, 1e-14, -1e-14) * size
    leading = np.where(np.abs(leading) > NOTHING * size, leading, nothing)
    real[flat, :2] = _quadratic(powers[flat, 0], powers[flat, 1], leading[flat])
    if not flat.all():
        real[~flat] = quartics.real_roots(np.column_stack([powers[~flat, :-1], leading[~flat]]))
    # Every root left out on the left turns the sign of what lies left of the first root kept.
    opens = (leading > 0) ^ ((real < -FAR).sum(axis=1) % 2 == 1)
    real[np.abs(real) > FAR] = np.inf
    return np.sort(real, axis=1), opens


def _quadratic(constant: np.ndarray, linear: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """Return the (rows, 2) real roots, infinite where there are none, in the form that loses no digits."""
    square = linear**2 - 4 * constant * leading
    half = -(linear + np.copysign(np.sqrt(np.maximum(square, 0.0)), linear)) / 2
    roots = np.stack([half / leading, np.divide(constant, half, out=np.zeros(len(half)), where=half != 0)], axis=1)
    roots[square < 0] = np.inf
    return roots
