"""Extended two-way fixed effects against published numbers, GLMs with dummies, other estimators, and known truths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from did.cli.commands import main
from did.errors import DidError
from did.estimators import Panel, estimate
from did.inference.clustered import summarise
from test_imputation import random_frame, spread

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)
ALL = ("overall", "event_time", "cohort", "calendar")
# Of random_frame: cohorts 2017-11 (u00 to u03) and 2018-01 (u04 to u07), 8 units never treated, 9 months.


def made(seed: int, kind: str = "poisson") -> pd.DataFrame:
    """`random_frame` with counts (poisson) or shares (logit) as outcome, an exposure and a fixed covariate."""
    generator = np.random.default_rng(seed)
    frame = random_frame(seed)
    unit = frame["unit"].str[1:].astype(int)
    level = 2.0 + 0.1 * unit + 0.2 * generator.normal(size=len(frame))
    frame["population"] = 100.0 + 10 * unit + generator.integers(0, 20, len(frame))
    frame["x"] = np.sin(unit + 1.0)
    frame["outcome"] = (generator.poisson(np.exp(level)) if kind == "poisson"
                        else generator.uniform(0.1, 0.9, len(frame))).astype(float)
    return frame


def expected_by_glm(panel: Panel, family: str, *, by_unit: bool, exposure: bool = False, covariate: str | None = None,
                    scale: str = "outcome") -> tuple[float, np.ndarray]:
    """The overall effect and each unit's influence, from statsmodels' GLM with all dummies written out."""
    units, periods = np.nonzero(panel.observed_weight > 0)
    weight = panel.observed_weight[units, periods]
    offset = np.log(weight) if exposure else np.zeros(len(units))
    weight = np.ones(len(units)) if exposure else weight
    start, y = panel.treated_from[units], panel.outcome[units, periods]
    treated = periods >= start
    x = np.zeros(len(units)) if covariate is None else panel.covariates[covariate][units, periods]

    def design(on: np.ndarray) -> np.ndarray:
        groups = units if by_unit else start
        columns = [groups == g for g in np.unique(groups)] + [periods == t for t in np.unique(periods)[1:]]
        cells = [(g, t) for g in np.unique(start) for t in np.unique(periods[start == g]) if t >= g]
        columns += [on * (start == g) * (periods == t) for g, t in cells]
        if covariate is not None:
            if not by_unit:
                columns += [x * (start == g) for g in np.unique(start)]
            columns += [x * (periods == t) for t in np.unique(periods)[1:]]
            mean = {g: np.average(x[start == g], weights=weight[start == g]) for g in np.unique(start)}
            columns += [on * (start == g) * (periods == t) * (x - mean[g]) for g, t in cells]
        return np.column_stack(columns).astype(float)

    kinds = {"linear": sm.families.Gaussian(), "poisson": sm.families.Poisson(), "logit": sm.families.Binomial()}
    z1, z0 = design(treated), design(np.zeros(len(units)))
    fit = sm.GLM(y, z1, family=kinds[family], offset=offset, freq_weights=weight).fit(tol=1e-14, maxiter=200)
    mean = fit.family.link.inverse
    slope = {"linear": np.ones_like, "poisson": np.exp, "logit": lambda e: mean(e) * (1 - mean(e))}[family]
    eta1, eta0 = z1 @ fit.params + offset, z0 @ fit.params + offset
    share = np.where(treated, weight, 0) / weight[treated].sum()
    gradient = (share * slope(eta1)) @ z1 - (share * slope(eta0)) @ z0
    value = share @ (mean(eta1) - mean(eta0))
    if scale == "link":
        value, gradient = share @ (eta1 - eta0), share @ (z1 - z0)
    hessian = z1.T @ (z1 * (weight * slope(eta1))[:, None])
    scores = pd.DataFrame(z1 * (weight * (y - mean(eta1)))[:, None]).groupby(units).sum().to_numpy()
    return value, scores @ np.linalg.solve(hessian, gradient)


@pytest.mark.parametrize(("family", "options"), [
    ("linear", {}), ("linear", {"effects": "cohort"}), ("linear", {"covariates": ["x"], "effects": "cohort"}),
    ("linear", {"covariates": ["x"]}), ("poisson", {}), ("poisson", {"effects": "cohort"}),
    ("poisson", {"weight_use": "exposure"}), ("poisson", {"weight_use": "exposure", "effects": "cohort"}),
    ("poisson", {"covariates": ["x"]}), ("poisson", {"scale": "link"}), ("logit", {}), ("logit", {"scale": "link"}),
])
def test_effects_and_influence_equal_a_glm_with_dummies(family, options):
    frame = made(1, family)
    frame.loc[[3, 40, 130], "outcome"] = np.nan
    panel = Panel.from_frame(frame, weight_column="population", covariate_columns=["x"])
    result = estimate("etwfe", panel, family=family, **options)
    value, influence = expected_by_glm(
        panel, family, by_unit=options.get("effects", "cohort" if family == "logit" else "unit") == "unit",
        exposure="weight_use" in options, covariate="x" if "covariates" in options else None,
        scale=options.get("scale", "outcome"))
    assert result.estimate[0] == pytest.approx(value, rel=1e-7)
    np.testing.assert_allclose(result.influence[0], influence, rtol=1e-6, atol=1e-8 * np.abs(influence).max())


@few
@given(seeds)
def test_linear_effects_of_a_complete_panel_are_those_of_imputation(seed):
    panel = Panel.from_frame(random_frame(seed))
    ours, theirs = estimate("etwfe", panel, estimands=ALL), estimate("imputation", panel, estimands=ALL)
    np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=1e-8, atol=1e-10)
    pd.testing.assert_frame_equal(ours.parameters.drop(columns="note"), theirs.parameters.drop(columns="note"))
    by_cohort = estimate("etwfe", panel, estimands=ALL, effects="cohort")
    np.testing.assert_allclose(by_cohort.estimate, ours.estimate, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("effects", ["unit", "cohort"])
def test_a_planted_ratio_is_found_with_an_exposure(effects):
    panel = Panel.from_frame(made(2), weight_column="population")
    rate = np.exp(0.05 * np.arange(16) * (effects == "unit"))[:, None] * (1 + 0.1 * np.arange(9))
    ratio = np.where(panel.treated, 1 + 0.1 * panel.event_time, 1.0)
    exact = dataclasses.replace(panel, outcome=rate * panel.weight * ratio)
    options = {"family": "poisson", "weight_use": "exposure", "effects": effects}
    link = estimate("etwfe", exact, scale="link", estimands="event_time", **options)
    np.testing.assert_allclose(link.estimate, np.log(1 + 0.1 * np.arange(6)), atol=1e-9)
    counts = estimate("etwfe", exact, estimands="overall", **options)
    effect = (rate * panel.weight * (ratio - 1))[panel.treated].mean()
    assert counts.estimate[0] == pytest.approx(effect, rel=1e-9)


@pytest.mark.parametrize("family", ["poisson", "logit"])
def test_the_interval_covers_a_planted_effect_at_its_level(family):
    generator = np.random.default_rng(3)
    panel = Panel.from_frame(random_frame(0, n_units=90))
    start = np.repeat([3, 5, 9], 30)
    panel = dataclasses.replace(panel, treated_from=start, dose=(start < 9) * 1.0)
    level = generator.normal(size=90)[:, None] * 0.3 + 0.1 * np.sin(np.arange(9))
    covered = []
    for _ in range(100):
        with_, without = level + 0.5 * panel.treated, level
        if family == "poisson":
            outcome = generator.poisson(np.exp(2 + with_)).astype(float)
            truth = (np.exp(2 + with_) - np.exp(2 + without))[panel.treated].mean()
        else:  # parallel on the scale of the link by cohort, so no level of a unit's own
            with_, without = with_ - level + 0.2, np.full_like(level, 0.2)
            outcome = (generator.random(panel.outcome.shape) < 1 / (1 + np.exp(-with_))).astype(float)
            truth = 1 / (1 + np.exp(-0.7)) - 1 / (1 + np.exp(-0.2))
        result = estimate("etwfe", dataclasses.replace(panel, outcome=outcome), family=family, estimands="overall")
        row = summarise(result, panel).iloc[0]
        covered.append(row["ci_low"] <= truth <= row["ci_high"])
    assert 0.88 <= np.mean(covered) <= 1


@few
@given(seeds, st.sampled_from(["linear", "poisson"]))
def test_invariances_to_order_labels_and_scale(seed, family):
    frame = made(seed)

    def found(rows: pd.DataFrame, **options) -> np.ndarray:
        result = estimate("etwfe", Panel.from_frame(rows), family=family, **options)
        return np.vstack([result.estimate, spread(result)])

    ours = found(frame)
    np.testing.assert_array_equal(found(frame.sample(frac=1, random_state=seed)), ours)
    unit = frame["unit"].str[1:].astype(int)
    np.testing.assert_allclose(found(frame.assign(unit="z" + (99 - unit).astype(str))), ours, rtol=1e-6, atol=1e-8)
    for factor in (1e-12, 7.0, 1e100):
        np.testing.assert_allclose(found(frame.assign(outcome=factor * frame["outcome"])), factor * ours, rtol=1e-6,
                                   atol=1e-7 * factor)
    if family == "linear":
        month = frame["period"].str[-2:].astype(int)
        shifted = frame.assign(outcome=frame["outcome"] + 1e4 * unit**2 - 300 * np.sin(month))
        np.testing.assert_allclose(found(shifted), ours, rtol=1e-6, atol=1e-7)
    else:  # a log ratio has no unit of measure, and a rate of each unit's own is taken up by its effect
        link = found(frame, scale="link")
        np.testing.assert_allclose(found(frame.assign(outcome=7 * frame["outcome"]), scale="link"), link, rtol=1e-6)


def test_zeros_and_gaps_are_left_out_and_named():
    frame = made(4)
    none = frame.assign(outcome=frame["outcome"].where(~frame["unit"].isin(["u00", "u09"]), 0.0))
    result = estimate("etwfe", Panel.from_frame(none), family="poisson")
    assert "no count above 0, left out: u00, u09" in result.note and result.n_units == 14
    only = frame.dropna(subset="cohort")
    result = estimate("etwfe", Panel.from_frame(only), family="poisson", estimands="calendar")
    assert "nobody untreated, left out: 2018-01" in result.note
    assert result.parameters["period"].tolist() == ["2017-11", "2017-12"]
    cell = frame.assign(outcome=frame["outcome"].where((frame["cohort"] != "2018-01") | (frame["period"] != "2018-01"),
                                                      0.0))
    panel = Panel.from_frame(cell)
    result = estimate("etwfe", panel, family="poisson", estimands=("cohort", "event_time"))
    assert "2018-01 in 2018-01" in result.note and "expected count with treatment is then 0" in result.note
    # As small a count as is wished in place of none gives the same effect in the limit.
    tiny = dataclasses.replace(panel, outcome=np.where(panel.outcome == 0, 1e-9, panel.outcome))
    near = estimate("etwfe", tiny, family="poisson", estimands=("cohort", "event_time"))
    np.testing.assert_allclose(result.estimate, near.estimate, rtol=1e-6)
    np.testing.assert_allclose(result.influence, near.influence, rtol=1e-5, atol=1e-7)
    link = estimate("etwfe", panel, family="poisson", estimands="cohort", scale="link")
    assert "left out of log ratios: 2018-01 in 2018-01" in link.note and np.isfinite(link.estimate).all()
    bare = frame.assign(x=frame["x"].where(frame["unit"] != "u12"))
    result = estimate("etwfe", Panel.from_frame(bare, covariate_columns=["x"]), family="poisson", covariates=["x"])
    assert "no x, left out: u12" in result.note


def changed(frame: pd.DataFrame, where: pd.Series, value: float) -> pd.DataFrame:
    return frame.assign(outcome=frame["outcome"].where(~where, value))


FAULTS = {
    "family": ("poisson", {"family": "poison"}, lambda f: f, ["did you mean 'poisson'"]),
    "effects": ("poisson", {"effects": "system"}, lambda f: f, ["effects", "cohort"]),
    "unit effects of a logit": ("logit", {"family": "logit", "effects": "unit"}, lambda f: f,
                                ["choose effects cohort"]),
    "scale": ("poisson", {"scale": "log"}, lambda f: f, ["scale", "link"]),
    "estimand": ("poisson", {"estimands": "group"}, lambda f: f, ["estimands", "cohort"]),
    "exposure without weights": ("poisson", {"family": "poisson", "weight_use": "exposure"}, lambda f: f,
                                 ["found no weights"]),
    "exposure of a linear fit": ("poisson", {"weight_use": "exposure"}, lambda f: f, ["found family linear"]),
    "a negative count": ("poisson", {"family": "poisson"}, lambda f: changed(f, f.index == 13, -2.0),
                         ["unit u01", "2017-12", "0 or more", "found -2"]),
    "a share above 1": ("logit", {"family": "logit"}, lambda f: changed(f, f.index == 13, 1.5),
                        ["unit u01", "from 0 to 1", "found 1.5"]),
    "no count in a cohort": ("poisson", {"family": "poisson"}, lambda f: changed(f, f["cohort"] == "2018-01", 0.0),
                             ["cohort 2018-01", "count above 0", "0 in all 20 unit-periods of its 4 units"]),
    "separation in a cohort's period": (
        "logit", {"family": "logit"},
        lambda f: changed(f, (f["cohort"] == "2018-01") & (f["period"] == "2018-02"), 1.0),
        ["cohort 2018-01 in 2018-02", "found 1 in all 4 unit-periods", "separates"]),
    "separation before treatment": (
        "logit", {"family": "logit"}, lambda f: changed(f, (f["cohort"] == "2018-01") & (f["period"] < "2018-01"), 0.0),
        ["cohort 2018-01 before treatment", "found 0 in all 20"]),
    "a covariate that varies": ("poisson", {"covariates": ["x"]}, lambda f: f.assign(x=np.arange(len(f)) * 1.0),
                                ["covariate 'x'", "unit u00", "found 0 to 8"]),
    "an unknown covariate": ("poisson", {"covariates": ["z"]}, lambda f: f, ["covariates", "'z'"]),
    "nothing to compare with": ("poisson", {}, lambda f: changed(f, f["period"] >= f["cohort"].fillna("9"), np.nan),
                                ["expected a treated unit-period", "found none"]),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_cannot_be_done_is_answered_in_one_line(name):
    kind, options, change, words = FAULTS[name]
    with pytest.raises(DidError) as error:
        estimate("etwfe", Panel.from_frame(change(made(5, kind)), covariate_columns=["x"]), **options)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_separation_by_a_covariate_and_doses_are_answered_in_one_line():
    frame = made(5, "logit")
    frame["x"] = frame["unit"].isin(["u08", "u09"]).astype(float)
    frame.loc[frame["unit"].isin(["u08", "u09"]), "outcome"] = 1.0
    with pytest.raises(DidError, match="unit u0[89].*separation"):
        estimate("etwfe", Panel.from_frame(frame, covariate_columns=["x"]), family="logit", covariates=["x"])
    with pytest.raises(DidError, match="binary"):
        estimate("etwfe", Panel.from_frame(frame, treatment="intensity"))


def test_the_command_line_takes_the_options(tmp_path):
    frame = made(4).assign(cohort=lambda f: f["cohort"].fillna("never"))
    frame.to_csv(tmp_path / "panel.csv", index=False)
    words = ["estimate", str(tmp_path / "panel.csv"), "--outcome", "outcome", "--unit", "unit", "--period", "period",
             "--cohort", "cohort", "--estimator", "etwfe", "--output", str(tmp_path / "found.csv")]
    options = ["--weights", "population", "--family", "poisson", "--effects", "cohort", "--weight-use", "exposure",
               "--scale", "link", "--aggregation", "simple,calendar", "--covariates", "x"]
    outcome = CliRunner().invoke(main, [*words, *options])
    assert outcome.exit_code == 0, outcome.output
    assert "family poisson, effects cohort, weight_use exposure, scale link" in outcome.output
    panel = Panel.from_frame(made(4), weight_column="population", covariate_columns=["x"])
    expected = estimate("etwfe", panel, family="poisson", effects="cohort", weight_use="exposure", scale="link",
                        estimands=["overall", "calendar"], covariates=["x"])
    found = pd.read_csv(tmp_path / "found.csv").query("inference == 'clustered'")
    np.testing.assert_allclose(found["estimate"], expected.estimate, rtol=1e-12)
