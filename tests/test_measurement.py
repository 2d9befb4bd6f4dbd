"""The error of survey shares by who was asked: closed forms, and surveys drawn again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import Panel, estimate
from did.inference.measurement import effective_size, measurement_error, share_variance


def surveys(seed: int, base: int = 50, n: int = 40, clear: float = 0.0) -> tuple[Panel, np.ndarray]:
    """Shares of ``base`` respondents in 40 areas over 8 years, 12 treated from the sixth; and the base."""
    generator = np.random.default_rng(seed)
    treated = np.arange(n) < 12
    p = np.clip(0.5 + generator.normal(0, 0.1, (n, 1)) + 0.01 * np.arange(8) + 0.05 * (treated[:, None]
                & (np.arange(8) >= 5)) + clear * generator.normal(size=(n, 8)), 0.05, 0.95)
    outcome = 100 * generator.binomial(base, p) / base
    years = [str(2001 + year) for year in range(8)]
    frame = pd.DataFrame({"unit": np.repeat([f"a{at:02d}" for at in range(n)], 8), "period": np.tile(years, n),
                          "frequency": "Y", "outcome": outcome.ravel(),
                          "cohort": np.repeat(np.where(treated, "2006", None), 8)})
    return Panel.from_frame(frame, cluster_columns=[]), np.full((n, 8), base)


def test_the_error_of_did_is_the_weighted_sum_of_the_cells_variances():
    data, base = surveys(1)
    variance = share_variance(data.outcome, base, per=100.0)
    weight = np.zeros(data.outcome.shape)   # the two-way coefficient of one date is a difference of four means
    for units, sign in ((~data.never_treated, 1), (data.never_treated, -1)):
        weight[np.ix_(units, range(5, 8))], weight[np.ix_(units, range(5))] = (
            sign / (units.sum() * 3), -sign / (units.sum() * 5))
    assert estimate("did", data).estimate[0] == pytest.approx((weight * data.outcome).sum())
    found = measurement_error(data, "did", variance, draws=999)
    assert found["measurement_error"].item() == pytest.approx(np.sqrt((weight**2 * variance).sum()), rel=0.08)


def test_where_only_respondents_differ_it_is_all_of_the_error_and_where_areas_move_a_part():
    shares = {clear: np.mean([measurement_error(data, "did", share_variance(data.outcome, base, per=100.0),
                                                draws=49)["share"].item()
                              for data, base in (surveys(seed, clear=clear) for seed in range(8))])
              for clear in (0.0, 0.1)}
    assert 0.75 < shares[0.0] < 1.35 and shares[0.1] < 0.6


def test_effective_sizes_and_variances_of_weighted_shares_are_those_of_surveys_drawn_again():
    generator = np.random.default_rng(3)
    weights = generator.uniform(0.2, 3.0, 200)
    drawn = [np.average(generator.uniform(size=200) < 0.3, weights=weights) for _ in range(4000)]
    expected = share_variance(np.array(0.3), effective_size(weights))
    assert np.var(drawn) == pytest.approx(float(expected), rel=0.1)
    assert effective_size(np.ones((2, 7))).tolist() == [7, 7] and effective_size(np.array([np.nan])) == 0
    twice = share_variance(np.array([30.0]), np.array([100]), per=100.0, design_effect=2.0)
    assert twice[0] == pytest.approx(2 * share_variance(np.array([30.0]), np.array([100]), per=100.0)[0])
    assert np.isnan(share_variance(np.array([np.nan, 10.0]), np.array([5, 0]), per=100.0)).all()
    assert share_variance(np.array([0.0]), np.array([20]))[0] > 0


@pytest.mark.parametrize(("call", "said"), [
    (lambda data, v: measurement_error(data, "did", v[:, :3]), "expected .40, 8. units and periods"),
    (lambda data, v: measurement_error(data, "did", -v), "unit a00, period 2001: expected a number of 0 or more"),
    (lambda data, v: measurement_error(data, "did", v, draws=5), "draws: expected 19 or more; found 5"),
    (lambda data, v: share_variance(np.array([130.0]), np.array([5]), per=100.0), "expected 0 to 100; found 130.0"),
    (lambda data, v: share_variance(np.array([0.3]), np.array([-5])), "base: expected 0 or more; found -5"),
    (lambda data, v: share_variance(np.array([0.3]), np.array([5]), design_effect=0), "above 0; found 0"),
    (lambda data, v: effective_size(np.array([-1.0])), "weights: expected 0 or more; found -1.0"),
])
def test_what_cannot_be_is_one_line(call, said):
    data, base = surveys(2)
    with pytest.raises(DidError, match=said) as caught:
        call(data, share_variance(data.outcome, base, per=100.0))
    assert "\n" not in str(caught.value)
