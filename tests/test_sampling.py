"""The error that the sampling of respondents alone gives an estimate."""

import numpy as np
import pandas as pd
import pytest

from did.diagnostics.sampling import sampling_rows
from did.estimators.base import Panel
from did.simulate.panels import panel


def shares(n_answers: int, seed: int = 4) -> tuple[Panel, np.ndarray]:
    """Percentages of ``n_answers`` people each who answer yes with probability 0.4 and nothing else."""
    frame, _ = panel(200, 6, {4: 80}, 0.0, seed=1)
    drawn = np.random.default_rng(seed).binomial(n_answers, 0.4, len(frame))
    data = Panel.from_frame(frame.assign(outcome=100 * drawn / n_answers))
    return data, np.full(data.outcome.shape, n_answers)


def test_where_nothing_but_sampling_differs_it_is_the_whole_error():
    data, answers = shares(150)
    row = sampling_rows(data, answers, ["did"], {}, per=100, design_effect=1.0).iloc[0]
    # Of a difference of differences of means: 80 and 120 units, 2 and 4 periods, each share p (1 - p) / n.
    truth = 100 * np.sqrt(0.4 * 0.6 / 150 * (1 / 80 + 1 / 120) * (1 / 2 + 1 / 4))
    assert row["value"] == pytest.approx(truth, rel=0.15) and row["statistic"] == pytest.approx(1, abs=0.5)


def test_a_design_effect_of_four_doubles_it_and_a_scale_scales_it():
    data, answers = shares(150)
    once, fourfold = (sampling_rows(data, answers, ["did"], {}, per=100, design_effect=each)["value"].item()
                      for each in (1.0, 4.0))
    assert fourfold == pytest.approx(2 * once, rel=1e-9)


@pytest.mark.parametrize(("answers", "effect", "reason"), [
    (True, None, "no design_effect"), (False, 1.0, "without the number of answers")])
def test_what_cannot_be_had_is_skipped_with_its_reason(answers, effect, reason):
    data, known = shares(150)
    row = sampling_rows(data, known if answers else None, ["did"], {}, per=100, design_effect=effect).iloc[0]
    assert row["status"] == "skipped" and reason in row["reason"] and pd.isna(row["value"])


def test_shares_beyond_all_are_one_line_of_the_table():
    data, answers = shares(150)
    row = sampling_rows(data, answers, ["did"], {}, per=10, design_effect=1.0).iloc[0]
    assert row["status"] == "skipped" and "expected 0 to 10" in row["reason"]
