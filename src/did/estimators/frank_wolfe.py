"""Weights of at least zero that add to one, for many least-squares problems at once (Frank and Wolfe 1956)."""

from __future__ import annotations

import numpy as np

# Target of a weight that stays 0: its gradient is then never the lowest.
CLOSED = -1e200
# Numbers that are kept up from step to step are made anew so often, and after a step that leaves less than half.
REFRESHED, LONG = 32, 0.5
# Added to what is divided by, which may be zero and is no smaller otherwise.
SMALL = np.finfo(float).tiny
# No target or ridge left beside the matrix.
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
    gram, c, r = _folded(gram, c, r, closed)
    n, shared = start.shape[1], gram.ndim == 2
    rows, result, at, first = gram.reshape(-1, n), start.copy(), np.arange(len(start)), np.arange(len(start)) * n
    x, limit, change = start.copy(), smallest, np.empty(start.shape)
    corners = np.diagonal(gram, axis1=-2, axis2=-1) + r - 2 * c   # the function there
    gradient = (x @ gram if shared else (x[:, None] @ gram)[:, 0]) + r * x - c
    scale = np.ones(len(x))   # of x and its gradient, so that a step that shrinks them all is one number
    for step in range(1, rounds + 1):
        if step % REFRESHED == 1:
            x *= scale[:, None]
            gradient *= scale[:, None]
            scale = np.ones(len(x))
            on_target = np.einsum("bn,bn->b", x, np.broadcast_to(c, x.shape))
            value = np.einsum("bn,bn->b", x, gradient) - on_target   # the function at x
        corner = gradient.argmin(axis=1)
        place = first + corner
        # Along the way the function is value - 2 length slope + length^2 curvature.
        steepest = scale * gradient.take(place) - on_target
        slope = value - steepest
        curvature = corners.take(place) - steepest + slope + SMALL
        reach = np.maximum(np.minimum(slope, curvature), 0.0)
        length = reach / curvature
        decrease = length * (slope + slope - reach)
        value -= decrease
        if c is not ZERO:
            on_target += length * (c.take(place) - on_target)
        rest = 1 - length
        scale *= rest
        if rest.min() < LONG:
            long = np.flatnonzero(rest < LONG)
            x[long] *= scale[long, None]
            gradient[long] *= scale[long, None]
            scale[long] = 1.0
        added = length / scale
        x.reshape(-1)[place] += added
        rows.take(corner if shared else at * n + corner, axis=0, out=change, mode="clip")
        if c is not ZERO:
            change -= c
        change *= added[:, None]
        gradient += change
        if r is not ZERO:
            gradient.reshape(-1)[place] += added * r.take(place)
        if step < 2:
            continue
        working = decrease > limit
        n_working = np.count_nonzero(working)
        if n_working < len(x):
            result[at[~working]] = x[~working] * scale[~working, None]
            if not n_working:
                return result
            at, x, limit, gradient, on_target, value, corners, scale = (
                values[working] for values in (at, x, limit, gradient, on_target, value, corners, scale))
            c, r = (each if each is ZERO else each[working] for each in (c, r))
            first, change = first[:n_working], change[:n_working]
    result[at] = x * scale[:, None]
    return result


def _folded(gram: np.ndarray, c: np.ndarray, r: np.ndarray, closed: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices, the target and the ridge, the latter two `ZERO` where the matrices can hold them: those of
    each problem both, as weights add to one; a shared one a ridge that is the same for all but ``closed`` weights."""
    if gram.ndim == 3:
        if c.any():
            gram = gram - c[:, :, None] - c[:, None, :]
        return gram + r[:, :, None] * np.eye(r.shape[1]) if r.any() else gram, ZERO, ZERO
    open_ = r[~closed]
    return (gram + open_[0] * np.eye(r.shape[1]), c, ZERO) if (open_ == open_[0]).all() else (gram, c, r)


def _alone(gram: np.ndarray, c: np.ndarray, r: np.ndarray, start: np.ndarray, smallest: float, rounds: int
           ) -> np.ndarray:
    """Return the (n,) weights of one problem: the same steps, without the cost of a batch, which is many times that."""
    from scipy.linalg.blas import daxpy

    # As weights add to one, the function is x'Mx with the target in the matrix.
    matrix = gram + np.diag(r) - c - c[:, None]
    gradient, x, rows, corners, scale = matrix @ start, start.tolist(), list(matrix), np.diagonal(matrix).tolist(), 1.0
    for step in range(1, rounds + 1):
        if step % REFRESHED == 1:
            x, gradient, scale = [scale * each for each in x], scale * gradient, 1.0
            value = float(np.dot(x, gradient))
        corner = int(gradient.argmin())
        steepest = scale * gradient.item(corner)
        slope = value - steepest
        curvature = corners[corner] - steepest + slope
        length = slope / curvature if 0 < slope < curvature else float(0 < curvature <= slope)
        decrease = length * (2 * slope - length * curvature)
        value -= decrease
        scale *= 1 - length
        if length > 1 - LONG:
            x, gradient, scale = [scale * each for each in x], scale * gradient, 1.0
        added = length / scale
        x[corner] += added
        daxpy(rows[corner], gradient, a=added)
        if step >= 2 and decrease <= smallest:
            break
    return scale * np.array(x)
