"""A made-up panel to try things on."""

from __future__ import annotations

from importlib import resources

import pandas as pd


def example() -> pd.DataFrame:
    """Return a made-up panel of 36 clinics over 10 years, an effect of 3 visits planted from the first treated year
    on.

    Columns: clinic, network (a group of 4 clinics), year, visits, first_year (missing = never treated), size. Networks
    1 and 2 are treated from 2016 on, 3 to 5 from 2019 on. Raises nothing.

    >>> import did
    >>> did.example().shape
    (360, 6)
    """
    with resources.files("did.api").joinpath("example.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)
