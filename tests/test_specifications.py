"""The design of specifications, and that fitting them together gives what each gives alone."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import estimate
from did.estimators.base import Panel
from did.evidence import load_claims
from did.inference.clustered import summarise
from did.panels import specifications
from did.panels.build import Builder
from did.project.loading import load_indicator
from test_panel import areas, evaluation, in_project, observations  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]
COUNTS = ["n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters"]


@pytest.fixture
def drawn(observations):  # noqa: F811
    """The observations with counts that differ by authority and month, and England's total of them."""
    draw = np.random.default_rng(5)
    made = {}
    for source, frame in observations.items():
        frame = frame.copy()
        if source.startswith("nhs"):
            local = frame["area_type"] == "utla"
            frame.loc[local, "value"] = draw.integers(50, 400, local.sum()).astype(float)
            parts = frame.loc[frame["area_type"] != "country"].groupby("period")["value"].sum()
            country = frame["area_type"] == "country"
            if country.any():
                frame.loc[country, "value"] = frame.loc[country, "period"].map(parts)
        made[source] = frame
    return made


@pytest.fixture
def small(evaluation):  # noqa: F811
    """The evaluation with two choices of two values each as the product, and few named specifications."""
    keep = ("default", "lags_last_12", "metropolitan_unmatched", "overlap_max", "waves_by_date", "membership_record")
    return evaluation.model_copy(update={
        "specifications": {name: evaluation.specifications[name] for name in keep},
        "products": {"dtoc": {"metropolitan": ["expanded", "unmatched"], "lags": ["last_24", "last_12"]}}})


def test_the_design_has_each_combination_once_and_the_default_first(evaluation):  # noqa: F811
    indicator = load_indicator("dtoc_total", evaluation.indicators_folder)
    variants = specifications.design(evaluation, indicator)
    assert variants[0].name == "default" and variants[0].choices == ()
    assert len(variants) >= 100 and len({each.choices for each in variants}) == len(variants)
    assert not any(each.specification.staggered for each in variants)
    product = evaluation.products["dtoc"]
    wanted = {tuple(values) for values in itertools.product(*product.values())}
    found = {
        tuple(
            indicator.denominator_name(each.specification) if key == "denominator" else getattr(each.specification, key)
            for key in product
        )
        for each in variants
    }
    assert wanted <= found
    for each in variants:
        assert each.design == "one_at_a_time" or each.name == "; ".join(each.choices)


def test_named_specifications_of_other_families_are_not_in_the_design(evaluation):  # noqa: F811
    indicator = load_indicator("preventable_mortality", evaluation.indicators_folder)
    names = {each.name for each in specifications.design(evaluation, indicator)}
    assert "without_2017" in names and "window_as_printed" not in names


def test_specifications_fitted_together_are_those_fitted_alone(small, drawn):
    indicator = load_indicator("dtoc_total", small.indicators_folder)
    claims = load_claims(small.published, small.indicators)
    claims = claims.loc[claims["claim"].isin(["D1", "D7"])]
    table = specifications.specify(indicator, small, drawn, claims)
    assert list(table.columns) == specifications.COLUMNS
    assert not table.duplicated(["specification", "sample", "treatment", "estimator", "cluster"]).any()
    products = table.loc[table["design"] == "product"]
    assert set(products["sample"]) == {"full"} and set(products["estimator"]) == {"ldv"}
    assert not ((table["specification"] == "membership_record") & (table["treatment"] == "intensity")).any()
    builder = Builder(indicator, small, drawn)
    for variant in specifications.design(small, indicator):
        frame = builder.panel(variant.specification)
        for treatment in ("binary",) if variant.specification.membership != "published" else ("binary", "intensity"):
            panel = Panel.from_frame(frame, treatment=treatment, cluster_columns=["system"],
                                     exposure_column="exposure" if treatment == "binary" else None)
            for estimator, options in (("did", {}), ("ldv", {"lags": variant.specification.lags})):
                if estimator == "did" and variant.design == "product":
                    continue
                alone = summarise(estimate(estimator, panel, **options), panel).set_index("cluster")
                together = table.loc[(table["specification"] == variant.name) & (table["treatment"] == treatment)
                                     & (table["estimator"] == estimator) & (table["sample"] == "full")]
                together = together.set_index("cluster").loc[alone.index]
                np.testing.assert_allclose(together[NUMBERS].astype(float), alone[NUMBERS].astype(float), rtol=1e-9)
                pd.testing.assert_frame_equal(together[COUNTS].astype(int), alone[COUNTS].astype(int))
                assert together["note"].tolist() == alone["note"].tolist()


def test_a_choice_that_changes_nothing_changes_nothing_to_the_last_digit(small, drawn):
    indicator = load_indicator("dtoc_total", small.indicators_folder)
    default = small.specifications["default"]
    named = {"default": default, "same": default.model_copy(), "overlap": default.model_copy(update={"overlap": "max"}),
             "metropolitan": default.model_copy(update={"metropolitan": "unmatched"})}
    rows = specifications.specify(indicator, small.model_copy(update={"specifications": named, "products": {}}), drawn)
    rows = rows.loc[(rows["treatment"] == "binary") & (rows["cluster"] == "unit")]
    for _, found in rows.groupby(["estimator", "sample"]):
        estimates = found.set_index("specification")["estimate"]
        assert estimates["default"] == estimates["same"] == estimates["overlap"] != estimates["metropolitan"]


def test_a_specification_that_cannot_be_fitted_says_why(small, drawn):
    indicator = load_indicator("dtoc_total", small.indicators_folder)
    many = small.specifications["default"].model_copy(update={"lags": "last_90"})
    only = small.model_copy(update={"specifications": {"default": small.specifications["default"], "too_many": many},
                                    "products": {}})
    rows = specifications.specify(indicator, only, drawn)
    lost = rows.loc[(rows["specification"] == "too_many") & (rows["estimator"] == "ldv")]
    assert lost["estimate"].isna().all() and lost["note"].str.startswith("not fitted: ldv: lags 'last_90'").all()
    assert set(lost["cluster"]) == {"unit", "system"}


@pytest.mark.parametrize(("estimator", "options"), [("did", {}), ("ldv", {"lags": "last_12"})])
@pytest.mark.parametrize("treatment", ["binary", "intensity"])
def test_population_weights_and_the_log_are_those_of_a_panel_made_by_hand(small, drawn, estimator, options, treatment):
    indicator = load_indicator("dtoc_total", small.indicators_folder)
    default = small.specifications["default"].model_copy(update={"lags": "last_12"})
    named = {"default": default, "weighted": default.model_copy(update={"weights": "denominator"}),
             "log": default.model_copy(update={"scale": "log"})}
    rows = specifications.specify(indicator, small.model_copy(update={"specifications": named, "products": {}}), drawn)
    rows = rows[rows["estimator"].eq(estimator) & rows["treatment"].eq(treatment) & rows["sample"].eq("full")]
    rows = rows[rows["cluster"].eq("system")].set_index("specification")
    assert rows.loc["weighted", "choices"] == "weights=denominator" and rows.loc["log", "choices"] == "scale=log"
    frame = Builder(indicator, small, drawn).panel(default)
    exposure = {"exposure_column": "exposure"} if treatment == "binary" else {}
    # Weights by hand: the unit's mean denominator before June 2017, the same in every period.
    early = frame[frame["period"] < "2017-06"].groupby("unit")["weight"].mean()
    by_hand = frame.assign(people=frame["unit"].map(early), outcome=frame["outcome"])
    panel = Panel.from_frame(by_hand, treatment=treatment, weight_column="people", **exposure)
    known = summarise(estimate(estimator, panel, **options), panel).set_index("cluster").loc["system"]
    np.testing.assert_allclose(rows.loc["weighted", NUMBERS].astype(float), known[NUMBERS].astype(float), rtol=1e-8)
    assert abs(rows.loc["weighted", "estimate"] / rows.loc["default", "estimate"] - 1) > 1e-4
    # The log by hand: what a constant proportional effect takes away from treated outcomes, per unit of dose.
    panel = Panel.from_frame(frame.assign(outcome=np.log(frame["outcome"])), treatment=treatment, **exposure)
    logs = summarise(estimate(estimator, panel, **options), panel).set_index("cluster").loc["system"]
    cells = frame.merge(pd.DataFrame({"unit": panel.units, "dose": panel.dose}))
    cells = cells[cells["cohort"].notna() & (cells["period"] >= cells["cohort"])]
    for name in ("estimate", "ci_low", "ci_high"):
        without = cells["outcome"] * np.exp(-logs[name] * cells["dose"])
        expected = (cells["outcome"] - without).sum() / cells["dose"].sum()
        assert rows.loc["log", name] == pytest.approx(expected, rel=1e-9)
    assert rows.loc["log", "p_value"] == pytest.approx(logs["p_value"], rel=1e-9)
    assert f"log of the outcome: {logs['estimate']:.3g} in logs" in rows.loc["log", "note"]


def test_the_log_leaves_zeros_out_and_says_so():
    outcome = np.exp(np.random.default_rng(1).normal(size=(6, 5)))
    outcome[4, 1] = 0.0
    units = pd.Index([f"u{i}" for i in range(6)])
    panel = Panel(outcome, units, pd.period_range("2001", periods=5, freq="Y").astype(str), "Y",
                  np.array([3, 3, 5, 5, 5, 5]), np.array([1.0, 1, 0, 0, 0, 0]), "binary", {"unit": units.to_numpy()})
    logs = specifications.on_scale(panel, "log")
    assert np.isnan(logs.outcome[4, 1]) and np.isfinite(logs.outcome).sum() == 29
    row = {"estimate": 0.1, "std_error": 0.1, "ci_low": -0.1, "ci_high": 0.3, "note": "own"}
    assert specifications.in_levels(row, panel)["note"] == (
        "log of the outcome: 0.1 in logs; 1 unit-period of zero left out, which have no log; own")
    with pytest.raises(DidError, match="scale log: expected outcomes of at least 0; found -.* for u1 in 2003"):
        outcome[1, 2] = -1.0
        specifications.on_scale(panel, "log")
