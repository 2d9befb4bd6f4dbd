"""Tables compared without how pandas keeps their texts, which depends on what was imported before."""

import pandas as pd


def check_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert [str(kind) for kind in found.dtypes] == [str(kind) for kind in expected.dtypes]
    pd.testing.assert_frame_equal(found.astype(object), expected.astype(object))
