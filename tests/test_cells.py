"""Estimates without each cluster, and under other assignments, from means over clusters: as fitting again gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from did.estimators import overall
from did.estimators.base import Panel
from did.inference.cells import by_cells
from did.inference.methods import Question, infer
from did.inference.refit import without_each
from did.simulate.panels import panel

LINEAR = ("did", "callaway_santanna", "sun_abraham", "imputation", "stacked", "rolling", "local_projections", "etwfe",
          "dechaisemartin_dhaultfoeuille")
OF_UNITS = {"ldv_ridge": {"lags": "all"}, "synthetic_did": {}}


@pytest.fixture(scope="module")
def data() -> Panel:
    return Panel.from_frame(panel(60, 10, {4: 12, 7: 12}, 2.0, seed=5, units_per_system=6)[0])


def fitted_again(data: Panel, name: str, options: dict) -> dict[str, float]:
    labels = data.clusters["system"]
    return {label: float(overall(name, data.keep(labels != label), **options).estimate[0]) for label in set(labels)}


@pytest.mark.parametrize("name", [*LINEAR, *OF_UNITS])
def test_without_each_cluster_it_is_what_fitting_again_gives(data, name):
    options, results = OF_UNITS.get(name, {}), []
    found = without_each(lambda one: [overall(name, one, **options)], data, "system",
                         results := [overall(name, data, **options)])
    found = {label: next(iter(own.values())) for label, own in found.items()}
    expected = fitted_again(data, name, options)
    assert found == pytest.approx(expected, rel=1e-9)
    in_cells = without_each(lambda one: [overall(name, one, **options)], data, "system", results, only_cells=True)
    assert (in_cells == {}) == (name in OF_UNITS)


@pytest.mark.parametrize("name", ["imputation", "stacked", "event_study", "etwfe"])
def test_assignments_give_the_same_test_as_with_weights_of_one(data, name):
    """A panel with weights is never put together; weights of one change nothing else."""
    weighed = dataclasses.replace(data, weight=np.ones_like(data.outcome))
    assert by_cells(weighed, "system") is None
    for method in ("randomisation", "jackknife"):
        one, other = (infer(method, Question(each, name, "system", draws=29)) for each in (data, weighed))
        columns = ["estimate", "std_error", "p_value", "ci_low", "ci_high"]
        np.testing.assert_allclose(one[columns].to_numpy(float), other[columns].to_numpy(float), rtol=1e-8, atol=1e-10)
        assert one["note"].tolist() == other["note"].tolist()


def test_what_is_not_alike_is_not_put_together(data):
    cells = by_cells(data, "system")
    assert cells.n_units == 10 and cells.weight.sum() == data.outcome.size
    gap = data.outcome.copy()
    gap[0, 0] = np.nan
    assert by_cells(dataclasses.replace(data, outcome=gap), "system") is None
    assert by_cells(data, "unit") is None
    mixed = data.treated_from.copy()
    mixed[0] = 5
    assert by_cells(dataclasses.replace(data, treated_from=mixed), "system").n_units == 11
