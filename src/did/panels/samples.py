"""Which units a named sample of an evaluation keeps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.project.config import Sample


def kept(units: pd.DataFrame, sample: Sample) -> np.ndarray:
    """Return whether each row of ``units``, with columns unit, system and wave (missing = in none), is in ``sample``.

    >>> rows = pd.DataFrame({"unit": ["a", "b", "c"], "system": ["x", "y", "y"], "wave": [1, 2, None]})
    >>> kept(rows, Sample(without_waves=[2])).tolist(), kept(rows, Sample(without_systems=["y"])).tolist()
    ([True, False, True], [True, False, False])
    """
    found = np.ones(len(units), dtype=bool)
    for column, codes in (("wave", sample.without_waves), ("system", sample.without_systems),
                          ("unit", sample.without_units)):
        if codes:
            found &= ~units[column].isin(codes).to_numpy()
    return found
