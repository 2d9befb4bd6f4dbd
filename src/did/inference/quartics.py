"""Real roots of many polynomials of degree four at once, by two quadratics with real coefficients (Ferrari)."""

from __future__ import annotations

import numpy as np

# Roots of a pair are found by eigenvalues where the pair is nearer to being equal than this share of its size, and
# where Newton's last step moves one by more than `STEP` of itself.
EQUAL, STEP = 1e-6, 1e-10
# Newton's steps that take off what cancels in the formulas.
STEPS = 2


def real_roots(powers: np.ndarray) -> np.ndarray:
    """Return the (rows, 4) real roots of (rows, 5) coefficients from the constant up, infinite where there are fewer.

    The leading coefficients are not zero; nothing is missing. Roots are in the unit of the variable and in no order,
    each pair of complex ones left out. Raises nothing.

    Source: Shmakov 2011, International Journal of Pure and Applied Mathematics 71:251-259, section 3: with y = x + a/4
    the polynomial is (y^2 + u y + g)(y^2 - u y + h), where u^2 is the largest root of a cubic. Where that is lost in
    rounding, roots are eigenvalues of the companion matrix.

    >>> np.sort(real_roots(np.array([[4.0, 0.0, -5.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, -2.0]]))).round(4)
    array([[-2., -1.,  1.,  2.],
           [-1.,  1., inf, inf]])
    """
    d, c, b, a = (powers[:, :4] / powers[:, 4:]).T
    shift = a / 4
    p, q = b - 6 * shift**2, c - 2 * shift * (b - 4 * shift**2)
    r = d - shift * (c - shift * (b - 3 * shift**2))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        u = np.sqrt(_largest(2 * p, p**2 - 4 * r, -(q**2)))
        middle, apart = (p + u**2) / 2, q / (2 * u)
        pairs, sure = zip(_pair(u, middle - apart), _pair(-u, middle + apart), strict=True)
        roots = np.concatenate(pairs, axis=1) - shift[:, None]
        row, column = np.nonzero(np.isfinite(roots))
        at, step, one = roots[row, column], 0.0, powers[row].T
        for _ in range(STEPS):
            slope, value = one[4], one[4] * at + one[3]
            for power in (2, 1, 0):
                slope, value = slope * at + value, value * at + one[power]
            step = value / slope
            at = at - step
        roots[row, column] = at
        known = sure[0] & sure[1]
        known[row[~(np.abs(step) <= STEP * np.abs(at))]] = False
    rest = np.flatnonzero(~known)
    roots[rest] = _by_eigenvalues(powers[rest])
    return roots


def _largest(b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The (rows,) largest real root of z^3 + b z^2 + c z + d."""
    third = b / 3
    p, q = c / 3 - third**2, (third * (2 * third**2 - c) + d) / 2   # of w^3 + 3 p w + 2 q, w = z + b/3
    square = q**2 + p * p**2   # a third power of negative numbers is slow
    apart = np.cbrt(np.abs(q) + np.sqrt(np.maximum(square, 0.0)))
    one = -np.copysign(1.0, q) * (apart - p / apart)
    angle = np.arccos(np.clip(-q / np.sqrt(np.maximum(-p, 0.0)) ** 3, -1.0, 1.0))
    z = np.where(square > 0, one, 2 * np.sqrt(np.maximum(-p, 0.0)) * np.cos(angle / 3)) - third
    for _ in range(STEPS):
        z = z - (((z + b) * z + c) * z + d) / ((3 * z + 2 * b) * z + c)
    return z


def _pair(linear: np.ndarray, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The (rows, 2) real roots of y^2 + linear y + constant, infinite where there are none, and whether that is sure.
    """
    square = linear**2 - 4 * constant
    half = -(linear + np.copysign(np.sqrt(square), linear)) / 2
    roots = np.stack([half, constant / half], axis=1)
    roots[square < 0] = np.inf
    return roots, np.abs(square) > EQUAL * (linear**2 + 4 * np.abs(constant))


def _by_eigenvalues(powers: np.ndarray) -> np.ndarray:
    companion = np.zeros((len(powers), 4, 4))
    companion[:, np.arange(1, 4), np.arange(3)] = 1.0
    companion[:, :, -1] = -powers[:, :-1] / powers[:, -1:]
    found = np.linalg.eigvals(companion)
    return np.where(found.imag == 0, found.real, np.inf)
