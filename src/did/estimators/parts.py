"""The one effect of an estimator on many parts of a panel, some units kept and the others left out, or of many
treatments of all its units, found together."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Parts:
    """The one effect, estimand ``overall``, on each of several parts of a panel, or of several treatments.

    kept         (units, parts) True for the units of a part
    found        (parts,) False for a part that has to be fitted by itself; what follows says nothing of it
    estimate     (parts,) in units of the outcome, per unit of dose
    influence    (units, parts) each unit's share as in `did.estimators.base.Result`, 0 for units left out
    n_obs        (parts,) outcome cells used, each of one of the kept units
    n_parameters K of the small-sample factor, the same for all
    note         (parts,) as of a result
    dose         (units, parts) doses of the treated, 0 for the never treated; None where they are the panel's own
    """

    kept: np.ndarray
    found: np.ndarray
    estimate: np.ndarray
    influence: np.ndarray
    n_obs: np.ndarray
    n_parameters: int
    note: list[str]
    dose: np.ndarray | None = None
