"""The table of where estimators fail: its designs have the truth they claim, and its page is what the script writes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import where_they_fail as page  # noqa: E402

from did.estimators.registry import entries  # noqa: E402


@pytest.mark.parametrize("design", page.DESIGNS, ids=lambda design: design.name)
def test_every_estimator_has_a_number_in_every_design(design):
    table = page.measure(design, replications=2)
    assert table["estimator"].tolist() == list(page.ALL) and np.isfinite(table[["bias", "root"]]).all(axis=None)


def test_the_page_has_every_estimator_with_one_effect_and_every_design():
    written = page.PAGE.read_text(encoding="utf-8").split(page.MARKERS[0])[1].split(page.MARKERS[1])[0]
    named = {name for name, _ in page.ALL.values()}
    assert named == {name for name, each in entries().items() if each.overall}
    made = pd.DataFrame([{"estimator": label, "design": design.name, "bias": 0.0, "coverage": 0.95, "fails": False}
                         for label in page.ALL for design in page.DESIGNS])
    lines = page.report(made).splitlines()
    assert [line.split("|")[1] for line in written.splitlines() if line.startswith("|")] == [
        line.split("|")[1] for line in lines if line.startswith("|")]
    assert lines[-1] in written and lines[0] in written
