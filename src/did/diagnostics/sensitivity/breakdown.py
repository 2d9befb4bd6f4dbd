"""The largest violation of parallel trends under which an effect is still told from zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from did.diagnostics.sensitivity.path import EventPath
from did.diagnostics.sensitivity.relative_magnitudes import inequalities
from did.diagnostics.sensitivity.smoothness import Frontier

STEPS = 40
HALVINGS = 30


def first_including_zero(includes_zero: Callable[[float], bool], largest: float) -> float:
    """Return the least size at which ``includes_zero`` holds: 0 if at once, infinity if not up to ``largest``.

    `STEPS` equal steps up to ``largest``, then halving of the step in which zero comes in.
    """
    if includes_zero(0.0):
        return 0.0
    low = 0.0
    for high in np.linspace(0, largest, STEPS + 1)[1:]:
        if includes_zero(float(high)):
            break
        low = float(high)
    else:
        return np.inf
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if includes_zero(middle) else (middle, high)
    return float(low)


def relative_magnitudes_breakdown(
    path: EventPath, target: str | np.ndarray, *, largest: float = 10.0, confidence: float = 0.95
) -> float:
    """Return the Mbar up to which zero is rejected; only the value zero is tested. Infinite if beyond ``largest``."""
    def includes_zero(m_bar: float) -> bool:
        return bool(inequalities(path, target, m_bar, confidence=confidence).accepted(np.zeros(1)).any())

    return first_including_zero(includes_zero, largest)


def smoothness_breakdown(frontier: Frontier, *, largest: float, confidence: float = 0.95) -> float:
    """Return the M, in units of the outcome per period, up to which the fixed-length interval leaves out zero.

    Infinite if beyond ``largest``.
    """
    def includes_zero(m: float) -> bool:
        low, high = frontier.interval(m, confidence=confidence)
        return low <= 0 <= high

    return first_including_zero(includes_zero, largest)
