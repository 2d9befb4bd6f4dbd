"""What was changed in the panel that a row of the diagnostics table is about, as typed columns."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Change:
    """What a changed panel leaves out or consists of. Codes and numbers only: words for them are made at the end.

    variant             code of the kind of change, such as ``without_cluster``; empty for the panel as it is
    left_out            what is left out: a label of a cluster, a year, or a name of a group; empty if nothing is
    part, part_of       the part of the units that is kept, such as ``lowest``, and of what, such as ``intensity``
    called              what the cluster that is left out or kept is called; its label where it has no name
    period              ISO text: the placebo onset, or the last period kept; empty if neither
    part_low, part_high smallest and largest dose of a part by dose, NaN otherwise
    n_left_out          units that are left out by name, or because what they are grouped by is not known; None
                        where that is not counted
    n_left_out_treated  how many of those left out by name are treated; None where that is not counted

    >>> Change("without_year", left_out="2015").left_out
    '2015'
    """

    variant: str = ""
    left_out: str = ""
    part: str = ""
    part_of: str = ""
    called: str = ""
    period: str = ""
    part_low: float = np.nan
    part_high: float = np.nan
    n_left_out: int | None = None
    n_left_out_treated: int | None = None

    def columns(self) -> dict[str, object]:
        """Return the fields as columns of a row of the diagnostics table."""
        return dict(vars(self))
