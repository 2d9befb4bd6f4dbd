"""Tables as lines of JSON, for `--json`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd


def json_lines(frame: pd.DataFrame, event: str) -> list[str]:
    """Return one JSON object per row: its columns and the key ``event``.

    Numbers keep every digit of a double, so that reading them gives the same double; what is missing or not finite
    is null.
    """
    columns = [_values(frame[name]) for name in frame.columns]
    return [json.dumps({**dict(zip(frame.columns, row, strict=True)), "event": event}, ensure_ascii=False)
            for row in zip(*columns, strict=True)]


def _values(column: pd.Series) -> list:
    if pd.api.types.is_numeric_dtype(column):
        given = np.isfinite(column.to_numpy(dtype=float, na_value=np.nan))
    else:
        given = column.notna().to_numpy()
    return [value if has else None for value, has in zip(column.tolist(), given, strict=True)]
