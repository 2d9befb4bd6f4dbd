"""The guide for users of other programs: its numbers on mpdta are those that R's did, fixest and Stata's csdid print.

Printed sources: the README of R's did 2.5.0 (estimates without covariates), an output of fixest's feols with errors by
county, and the announcement of Stata's csdid with its output for `csdid lemp lpop, ... method(dripw)`.
"""

from __future__ import annotations

import doctest
from pathlib import Path

import moderndid
import pytest

import did

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "from_r_and_stata.md"
COLUMNS = {"outcome": "lemp", "unit": "countyreal", "period": "year", "cohort": "first.treat"}
R_DID = {(2004, 2004): -0.0105, (2004, 2005): -0.0704, (2004, 2006): -0.1373, (2004, 2007): -0.1008,
         (2006, 2004): 0.0065, (2006, 2005): -0.0028, (2006, 2006): -0.0046, (2006, 2007): -0.0412,
         (2007, 2004): 0.0305, (2007, 2005): -0.0027, (2007, 2006): -0.0311, (2007, 2007): -0.0261}
R_DYNAMIC = {-3: 0.0305, -2: -0.0006, -1: -0.0245, 0: -0.0199, 1: -0.0510, 2: -0.1373, 3: -0.1008,
             "overall_event_time": -0.0772}
R_GROUP = {2004: -0.0797, 2006: -0.0229, 2007: -0.0261, "overall_cohort": -0.031}
CSDID = {(2004, 2004): (-.0145297, .0221292), (2004, 2005): (-.0764219, .0286713),
         (2004, 2006): (-.1404483, .0353782), (2004, 2007): (-.1069039, .0328865),
         (2006, 2004): (-.0004721, .0222234), (2006, 2005): (-.0062025, .0184957),
         (2006, 2006): (.0009606, .0194002), (2006, 2007): (-.0412939, .0197211),
         (2007, 2004): (.0267278, .0140657), (2007, 2005): (-.0045766, .0157178),
         (2007, 2006): (-.0284475, .0181809), (2007, 2007): (-.0287814, .016239)}
CSDID_AGGREGATED = {
    "simple": {"overall": (-.0417518, .0115028)},
    "calendar": {2004: (-.0145297, .0221292), 2005: (-.0764219, .0286713), 2006: (-.0461757, .0212107),
                 2007: (-.0395822, .0129299)},
    "cohort": {2004: (-.0845759, .0245649), 2006: (-.0201666, .0174696), 2007: (-.0287814, .016239)},
    "event_time": {-3: (.0267278, .0140657), -2: (-.0036165, .0129283), -1: (-.023244, .0144851),
                   0: (-.0210604, .0114942), 1: (-.0530032, .0163465), 2: (-.1404483, .0353782),
                   3: (-.1069039, .0328865)}}


@pytest.fixture(scope="module")
def frame():
    return moderndid.load_mpdta()


@pytest.fixture(scope="module")
def never(frame):
    return did.callaway_santanna(did.Panel(frame, **COLUMNS), control_group="never_treated").inference("clustered")


@pytest.fixture(scope="module")
def robust(frame):
    panel = did.Panel(frame, **COLUMNS, covariates=["lpop"])
    return did.callaway_santanna(panel, control_group="never_treated", method="dr").inference("clustered")


def test_estimates_are_those_that_r_prints(never):
    assert never.params.round(4).to_dict() == R_DID
    assert never.aggregate("event_time").params.round(4).to_dict() == R_DYNAMIC
    assert never.aggregate("cohort").params.round(4).to_dict() == R_GROUP


def test_estimates_and_errors_are_those_that_csdid_prints(robust):
    printed = [(robust, CSDID), *((robust.aggregate(kind), each) for kind, each in CSDID_AGGREGATED.items())]
    for fit, numbers in printed:
        ours = zip(fit.params.round(7), fit.std_errors.round(7), strict=True)
        ours = dict(zip(fit.params.index, ours, strict=True))
        # Stata prints eight digits: at most one unit of the last may differ by its rounding.
        for label, both in numbers.items():
            assert ours[label] == pytest.approx(both, abs=1.01e-7), (label, both)


def test_the_two_way_estimate_is_that_which_fixest_prints(frame):
    fit = did.did(did.Panel(frame, **COLUMNS)).inference("clustered")
    assert round(fit.params["overall"], 6) == -0.036549 and round(fit.std_errors["overall"], 6) == 0.013265
    assert round(fit.tstats["overall"], 5) == -2.75526 and round(fit.pvalues["overall"], 6) == 0.006079


def test_the_guide_runs_and_prints_what_it_shows():
    found = doctest.testfile(str(GUIDE), module_relative=False)
    assert found.attempted > 10 and found.failed == 0
