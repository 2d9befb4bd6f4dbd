"""Tables compared without how pandas keeps their texts, which depends on what was imported before."""

import pandas as pd


def check_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        name: str(kind) for name, kind in expected.dtypes.items()}
    pd.testing.assert_frame_equal(*(each.astype(object).set_axis(each.columns.astype(object), axis=1)
                                    for each in (found, expected)))
