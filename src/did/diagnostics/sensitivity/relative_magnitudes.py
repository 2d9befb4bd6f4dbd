"""Sensitivity to trends that differ after treatment by up to a multiple of the largest difference before it."""

from __future__ import annotations

import numpy as np

from did.diagnostics.sensitivity.conditional import Inequalities
from did.diagnostics.sensitivity.path import EventPath
from did.errors import DidError


def inequalities(
    path: EventPath, target: str | np.ndarray, m_bar: float, *, confidence: float = 0.95
) -> Inequalities:
    """Return the inequalities of the relative-magnitudes bound, one set per change before treatment and sign.

    The differential trend delta may change between consecutive periods from the reference on by at most ``m_bar``
    times its largest absolute change between consecutive periods up to the reference (Rambachan and Roth 2023,
    Review of Economic Studies 90:2555-2591). That set is the union, over changes before and signs,
    of the sets where the bound is ``m_bar`` times that change; the trend is in the union if it is in one of them
    (their lemma 2.2). ``target`` is ``first``, ``average`` or weights of the effects.

    Raises DidError if ``m_bar`` is negative or not a number, or for a target as `EventPath.weights` does.
    """
    if not (np.isfinite(m_bar) and m_bar >= 0):
        raise DidError(f"sensitivity: m_bar: expected a number, 0 or more; found {m_bar}; choose another")
    before, after = path.differences(1)
    bounds = m_bar * np.concatenate([before, -before])
    return Inequalities.of(path, target, after, bounds, np.zeros(len(bounds)), confidence)


def relative_magnitudes_interval(
    path: EventPath, target: str | np.ndarray, m_bar: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the ends of the confidence set of the target in units of the outcome under `inequalities`.

    The least and greatest value that the conditional least-favourable hybrid test does not reject (Andrews, Roth
    and Pakes 2023), with a tenth of the size given to its first stage; only the inequalities that reach into the
    periods from treatment on are used, as in R's HonestDiD by default. Errors as in `inequalities`.
    """
    return inequalities(path, target, m_bar, confidence=confidence).interval()
