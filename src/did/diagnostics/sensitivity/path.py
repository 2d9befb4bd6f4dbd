"""Event-study coefficients and their covariance, as the sensitivity analysis takes them."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.errors import DidError

TARGETS = ("first", "average")


@dataclasses.dataclass(frozen=True)
class EventPath:
    """Event-study coefficients around a reference period just before treatment, which is left out.

    estimate    (pre + post,) coefficients in event-time order, in units of the outcome; consecutive periods but
                for the reference between the two parts, whose coefficient is 0
    covariance  (pre + post, pre + post), positive definite
    n_pre       number of coefficients before the reference, 1 or more; the others are after it
    lengths     (post,) periods that each effect from treatment on is of, or None if all are of as many
    working     a covariance of the same shape by which estimators are chosen, or None for ``covariance``: with few
                clusters an estimator chosen by the estimated covariance makes its own error look too small

    Raises DidError if the shapes do not fit, a number is missing, there is no coefficient on one side, or the
    covariance is not positive definite.
    """

    estimate: np.ndarray
    covariance: np.ndarray
    n_pre: int
    lengths: np.ndarray | None = None
    working: np.ndarray | None = None

    def __post_init__(self) -> None:
        size = len(self.estimate)
        if np.shape(self.covariance) != (size, size):
            raise DidError(f"sensitivity: covariance: expected {size} x {size} for {size} coefficients; found shape "
                           f"{np.shape(self.covariance)}; pass the covariance of the same coefficients")
        if not 1 <= self.n_pre < size:
            raise DidError(f"sensitivity: n_pre: expected 1 to {size - 1} of {size} coefficients before the reference; "
                           f"found {self.n_pre}; keep one or more on each side")
        if not (np.isfinite(self.estimate).all() and np.isfinite(self.covariance).all()):
            raise DidError("sensitivity: expected coefficients and covariance without missing values; found some; "
                           "leave out what is not identified")
        # Scaled to unit variances, so that the verdict does not depend on units.
        variance = np.diag(self.covariance)
        scale = np.sqrt(np.where(variance > 0, variance, 1.0))
        if (variance <= 0).any() or np.linalg.eigvalsh(self.covariance / np.outer(scale, scale))[0] <= 1e-12:
            raise DidError("sensitivity: covariance: expected a positive definite matrix; found a singular one; use "
                           "fewer coefficients (wider bins) or more clusters")

    @property
    def n_post(self) -> int:
        """Number of coefficients from treatment on."""
        return len(self.estimate) - self.n_pre

    def weights(self, target: str | np.ndarray) -> np.ndarray:
        """Return the (post,) weights of a target: ``first`` effect, ``average`` effect (by ``lengths``), or as given.

        Raises DidError for another name, another number of weights than effects, or weights all zero.
        """
        if isinstance(target, str):
            if target not in TARGETS:
                raise DidError(f"sensitivity: target: expected one of {', '.join(TARGETS)} or weights; found "
                               f"'{target}'; choose one")
            if target == "first":
                return np.eye(self.n_post)[0]
            lengths = np.ones(self.n_post) if self.lengths is None else np.asarray(self.lengths, dtype=float)
            return lengths / lengths.sum()
        weights = np.asarray(target, dtype=float)
        if weights.shape != (self.n_post,) or not np.isfinite(weights).all() or not weights.any():
            raise DidError(f"sensitivity: target: expected {self.n_post} finite weights, not all zero; found "
                           f"{weights.tolist()}; give one per effect from treatment on")
        return weights

    def differences(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that take first (``order`` 1) or second (2) differences of the path, reference included.

        Two matrices with a column per coefficient, oldest difference first: those among periods up to the
        reference, and those that reach into the periods from treatment on (one per such period).
        """
        size = len(self.estimate) + 1
        rows = np.diff(np.eye(size), n=order, axis=0)
        rows = np.delete(rows, self.n_pre, axis=1)
        n_before = len(rows) - self.n_post
        return rows[:n_before], rows[n_before:]


def original_interval(path: EventPath, target: str | np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the target under exactly parallel trends: estimate +- normal quantile x error."""
    from scipy.special import ndtri

    weights = np.concatenate([np.zeros(path.n_pre), path.weights(target)])
    centre = float(weights @ path.estimate)
    half_length = float(ndtri((1 + confidence) / 2) * np.sqrt(weights @ path.covariance @ weights))
    return centre - half_length, centre + half_length
