"""Weights of at least zero that add to one, for many least-squares problems at once (Frank and Wolfe 1956)."""

from __future__ import annotations

import numpy as np

# Problems that are done are taken out once this share of those at work is left, so that they cost no more time.
COMPACT = 0.7
# Target of a weight that stays 0: its gradient is then never the lowest.
CLOSED = -1e200
# Numbers that are kept up from step to step are made anew so often, and after a step that leaves less than half.
REFRESHED, LONG = 32, 0.5
# No ridge left beside the matrix.
ZERO = np.zeros(())


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
    closed = np.isinf(ridge)
    # A problem's numbers next to each other: what is asked for may be columns of something larger.
    r, c = (np.ascontiguousarray(np.where(closed, fill, each)) for fill, each in ((0.0, ridge), (CLOSED, target)))
    if len(start) == 1:
        return _alone(gram if gram.ndim == 2 else gram[0], c[0], r[0], start[0], float(smallest[0]), rounds)[None]
    gram, r = _with_ridge(gram, r, closed)
    result, at, n = start.copy(), np.arange(len(start)), start.shape[1]
    shared = gram.ndim == 2
    x, limit, working, first = start.copy(), smallest, np.ones(len(start), dtype=bool), np.arange(len(start)) * n
    squares = np.broadcast_to(np.diagonal(gram, axis1=-2, axis2=-1), x.shape) + r   # of corners
    gradient = (x @ gram if shared else (x[:, None] @ gram)[:, 0]) + r * x - c
    changes = gram if shared else gram - c[:, None, :]
    scale = np.ones(len(x))   # of x and its gradient, so that a step that shrinks them all is one number
    for step in range(1, rounds + 1):
        if step % REFRESHED == 1:
            x *= scale[:, None]
            gradient *= scale[:, None]
            scale = np.ones(len(x))
            on_target = np.einsum("bn,bn->b", x, c)
            square = np.einsum("bn,bn->b", x, gradient) + on_target   # x'(G + R)x
        corner = gradient.argmin(axis=1)
        place = first + corner
        c_corner = c.take(place)
        # What a step of length one would change in x'(G + R)x and x'c, half of it or all, but for its curvature.
        across = scale * gradient.take(place) + c_corner
        of_square, of_target = across - square, c_corner - on_target
        curvature = squares.take(place) - across - of_square
        # One that has stopped stays where it is, so that no result depends on what else is in the batch.
        divisor = np.where(working & (curvature > 0), curvature, np.inf)
        length = np.minimum(np.maximum(of_target - of_square, 0.0) / divisor, 1.0)
        square_change = length * (of_square + of_square + length * curvature)
        target_change = length * of_target
        square += square_change
        on_target += target_change
        rest = 1 - length
        scale *= rest
        if rest.min() < LONG:
            long = np.flatnonzero(rest < LONG)
            x[long] *= scale[long, None]
            gradient[long] *= scale[long, None]
            scale[long] = 1.0
        added = length / scale
        x.reshape(-1)[place] += added
        if shared:
            change = changes.take(corner, axis=0)
            change -= c
        else:
            change = changes.reshape(-1, n).take(at * n + corner, axis=0)
        change *= added[:, None]
        gradient += change
        if r is not ZERO:
            gradient.reshape(-1)[place] += added * r.take(place)
        if step < 2:
            continue
        # Never true again for one that stops: the decrease of a step of length 0 is 0.
        working = target_change + target_change - square_change > limit
        n_working = np.count_nonzero(working)
        if not n_working:
            break
        if n_working <= COMPACT * len(x):
            result[at[~working]] = x[~working] * scale[~working, None]
            at, x, c, limit, gradient, on_target, square, squares, scale = (
                values[working] for values in (at, x, c, limit, gradient, on_target, square, squares, scale))
            r = r if r is ZERO else r[working]
            first, working = np.arange(n_working) * n, working[working]
    result[at] = x * scale[:, None]
    return result


def _with_ridge(gram: np.ndarray, r: np.ndarray, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices with the ridge on their diagonal, and `ZERO` in place of it; both as they are where problems
    that share a matrix differ in the ridge of weights that are not ``closed``."""
    if gram.ndim == 3:
        gram = gram.copy()
        gram[:, np.arange(r.shape[1]), np.arange(r.shape[1])] += r
        return gram, ZERO
    open_ = r[~closed]
    return (gram + open_[0] * np.eye(r.shape[1]), ZERO) if (open_ == open_[0]).all() else (gram, r)


def _alone(gram: np.ndarray, c: np.ndarray, r: np.ndarray, start: np.ndarray, smallest: float, rounds: int
           ) -> np.ndarray:
    """Return the (n,) weights of one problem: the same steps, without the cost of a batch, which is many times that."""
    from scipy.linalg.blas import daxpy

    gradient, change = gram @ start + r * start - c, gram - c + np.diag(r)
    x, changes, targets, corner_squares = start.tolist(), list(change), c.tolist(), (np.diagonal(gram) + r).tolist()
    scale = 1.0
    for step in range(1, rounds + 1):
        if step % REFRESHED == 1:
            x, gradient, scale = [scale * each for each in x], scale * gradient, 1.0
            at_target = float(np.dot(x, c))
            squares = float(np.dot(x, gradient)) + at_target
        corner = int(gradient.argmin())
        steepest, c_corner, corner_square = scale * gradient.item(corner), targets[corner], corner_squares[corner]
        slope, across = steepest + at_target - squares, steepest + c_corner
        curvature = corner_square - 2 * across + squares
        length = min(max(-slope / curvature, 0.0), 1.0) if curvature > 0 else 0.0
        rest = 1 - length
        at_target = rest * at_target + length * c_corner
        squares = rest * (rest * squares + 2 * length * across) + length**2 * corner_square
        scale *= rest
        if rest < LONG:
            x, gradient, scale = [scale * each for each in x], scale * gradient, 1.0
        x[corner] += length / scale
        daxpy(changes[corner], gradient, a=length / scale)
        if step >= 2 and -length * (2 * slope + length * curvature) <= smallest:
            break
    return scale * np.array(x)
