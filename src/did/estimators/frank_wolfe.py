"""Weights of at least zero that add to one, for many least-squares problems at once (Frank and Wolfe 1956)."""

from __future__ import annotations

import numpy as np

# Problems that are done are taken out once this share of those at work is left, so that they cost no more time.
COMPACT = 0.7
# Target of a weight that stays 0: its gradient is then never the lowest.
CLOSED = -1e200


def simplex_weights(gram: np.ndarray, target: np.ndarray, ridge: np.ndarray, start: np.ndarray, *,
                    smallest: np.ndarray, rounds: int) -> np.ndarray:
    """Return (problems, n) weights x >= 0 that add to 1 and make x'Gx - 2c'x + sum_i r_i x_i^2 small.

    ``gram`` G is (n, n), shared, or (problems, n, n); ``target`` c and ``ridge`` r are (problems, n), a weight with an
    infinite ridge staying 0; ``start`` (problems, n) feasible weights; all in squares of one unit of measure, without
    missing values. Each step goes from x towards the corner with the steepest descent, as far as lowers the function
    most. A problem stops at the second step or later when a step lowers it by no more than its ``smallest``
    (problems,), and all stop after ``rounds`` steps: the minimum is approached and not reached. Raises nothing.

    Source: Jaggi 2013, Proc. 30th International Conference on Machine Learning, algorithm 1 with exact line search.

    >>> x = simplex_weights(np.eye(2), np.array([[1.0, 0.0]]), np.ones((1, 2)), np.full((1, 2), 0.5),
    ...                     smallest=np.zeros(1), rounds=50)
    >>> x.round(4).tolist()
    [[0.75, 0.25]]
    """
    if len(start) == 1:
        alone = _alone(gram if gram.ndim == 2 else gram[0], target[0], ridge[0], start[0], float(smallest[0]), rounds)
        return alone[None]
    result, at, rows = start.copy(), np.arange(len(start)), np.arange(len(start))
    shared, closed = gram.ndim == 2, np.isinf(ridge)
    x, r, limit, working = start.copy(), np.where(closed, 0.0, ridge), smallest, np.ones(len(start), dtype=bool)
    c = np.where(closed, CLOSED, target)
    corner_squares = np.diagonal(gram, axis1=-2, axis2=-1) + r
    gradient = (x @ gram if shared else np.einsum("bn,bnm->bm", x, gram)) + r * x - c
    at_target = np.einsum("bn,bn->b", x, c)
    for step in range(1, rounds + 1):
        corner = gradient.argmin(axis=1)
        place = (rows, corner)
        steepest, c_corner, here = gradient[place], c[place], np.einsum("bn,bn->b", gradient, x)
        slope = steepest - here
        curvature = corner_squares[place] - 2 * (steepest + c_corner) + here + at_target
        # One that has stopped stays where it is, so that no result depends on what else is in the batch.
        moves = working & (curvature > 0)
        length = np.where(moves, np.minimum(np.maximum(-slope / np.where(moves, curvature, 1.0), 0.0), 1.0), 0.0)
        decrease = -length * (2 * slope + length * curvature)
        rest, across = 1 - length, length[:, None]
        x *= rest[:, None]
        x[place] += length
        at_target = rest * at_target + length * c_corner
        change = gram.take(corner, axis=0) if shared else gram[at, corner]
        change -= c
        change *= across
        gradient *= rest[:, None]
        gradient += change
        gradient[place] += length * r[place]
        if step < 2:
            continue
        working = decrease > limit  # never true again: the decrease of a step of length 0 is 0
        n_working = np.count_nonzero(working)
        if not n_working:
            break
        if n_working <= COMPACT * len(x):
            result[at[~working]] = x[~working]
            at, x, c, r, limit, gradient, at_target, corner_squares = (
                values[working] for values in (at, x, c, r, limit, gradient, at_target, corner_squares))
            rows, working = np.arange(n_working), working[working]
    result[at] = x
    return result


def _alone(gram: np.ndarray, target: np.ndarray, ridge: np.ndarray, start: np.ndarray, smallest: float, rounds: int
           ) -> np.ndarray:
    """Return the (n,) weights of one problem: the same steps, without the cost of a batch, which is nine times that."""
    closed = np.isinf(ridge)
    x, r, c = start.copy(), np.where(closed, 0.0, ridge), np.where(closed, CLOSED, target)
    corner_squares = np.diagonal(gram) + r
    gradient, at_target = x @ gram + r * x - c, float(x @ c)
    for step in range(1, rounds + 1):
        corner = int(gradient.argmin())
        steepest, c_corner, here = float(gradient[corner]), float(c[corner]), float(gradient @ x)
        slope = steepest - here
        curvature = float(corner_squares[corner]) - 2 * (steepest + c_corner) + here + at_target
        length = min(max(-slope / curvature, 0.0), 1.0) if curvature > 0 else 0.0
        x *= 1 - length
        x[corner] += length
        at_target = (1 - length) * at_target + length * c_corner
        change = gram[corner] - c
        change *= length
        gradient *= 1 - length
        gradient += change
        gradient[corner] += length * r[corner]
        if step >= 2 and -length * (2 * slope + length * curvature) <= smallest:
            break
    return x
