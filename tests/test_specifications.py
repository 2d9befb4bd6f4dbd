"""The design of specifications, and that fitting them together gives what each gives alone."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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


def test_a_specification_that_cannot_be_fitted_says_why(small, drawn):
    indicator = load_indicator("dtoc_total", small.indicators_folder)
    many = small.specifications["default"].model_copy(update={"lags": "last_90"})
    only = small.model_copy(update={"specifications": {"default": small.specifications["default"], "too_many": many},
                                    "products": {}})
    rows = specifications.specify(indicator, only, drawn)
    lost = rows.loc[(rows["specification"] == "too_many") & (rows["estimator"] == "ldv")]
    assert lost["estimate"].isna().all() and lost["note"].str.startswith("not fitted: ldv: lags 'last_90'").all()
    assert set(lost["cluster"]) == {"unit", "system"}
