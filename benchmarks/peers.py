"""Our estimators and their peers on the same panel: how each is called, and its numbers in one form.

The form is a frame with one row per parameter, indexed by a text that names it (``41 in 45``: the cohort of
period 41 in period 45; ``event 3``; ``overall``), and the columns estimate and std_error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel
from did.estimators.decomposition import decompose
from did.inference.clustered import summarise
from did.inference.multiplier import add_bands
from did.inference.synthetic_errors import synthetic_errors
from did.simulate.panels import panel as made_up

SEED = 20170615
DRAWS = 999
PLACEBOS = 199
GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "data" / "sim_149x107.csv"


@dataclass(frozen=True)
class Data:
    """A panel as ours take it, as a panel table, and as peers take it.

    table  the columns of `Panel.from_frame`, and the covariate x
    frame  whole-number unit, time (from 1), cohort (first treated time, 0 = never), treated (0 or 1), event
           (time less cohort; -1 for the never treated), and the floats y and x (one value per unit)
    leads, lags  the widest window around onset that every cohort has
    """

    table: pd.DataFrame
    panel: Panel
    frame: pd.DataFrame
    leads: int
    lags: int


@dataclass(frozen=True)
class Contender:
    """One way to fit: ``call`` is timed, ``read`` turns what it returns into the common form.

    differs    ``estimate`` or ``std_error`` -> the convention that makes it other than ours
    tolerance  what its estimates may differ from ours by, as a share of the largest estimate
    """

    who: str
    how: str
    call: Callable[[Data], object]
    read: Callable[[object, Data], pd.DataFrame]
    differs: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-8


@dataclass(frozen=True)
class Case:
    """What is estimated, by ours (the first contender) and by peers."""

    name: str
    contenders: tuple[Contender, ...]


def read_table(table: pd.DataFrame) -> Panel:
    """Return the panel of a table, with the covariate."""
    return Panel.from_frame(table, cluster_columns=(), covariate_columns=("x",))


def made(n_units: int, n_periods: int, cohorts: dict[int, int]) -> Data:
    """Return a made-up panel: ``cohorts`` are first treated positions -> units; effects differ by unit and grow.

    The outcome drifts with x, which is fixed within units. The same arguments give the same panel.
    """
    table, _ = made_up(n_units, n_periods, cohorts, {at: 1.0 + at / n_periods for at in cohorts}, seed=SEED,
                       dynamic=0.02, heterogeneity=0.5, noise=2.0, persistence=0.5, level=10.0, between=2.0)
    x = np.random.default_rng(SEED).standard_normal(n_units)
    drift = np.outer(x, np.linspace(0, 1, n_periods)).ravel()
    return _data(table.assign(x=np.repeat(x, n_periods), outcome=table["outcome"] + drift))


def golden() -> Data:
    """Return the panel of the file `GOLDEN`: 149 units over 107 months in the shape of the DTOC panel."""
    frame = pd.read_csv(GOLDEN)
    months = pd.period_range("2010-08", periods=int(frame["time"].max()), freq="M").astype(str).to_numpy()
    first = frame["g"].to_numpy()
    return _data(pd.DataFrame({
        "unit": [f"U{unit:04d}" for unit in frame["id"]],
        "period": months[frame["time"] - 1],
        "frequency": "M",
        "outcome": frame["y"],
        "cohort": pd.Series(np.where(first > 0, months[first - 1], None), dtype="str"),
        "x": frame["x"],
    }))


def _data(table: pd.DataFrame) -> Data:
    table = table[["unit", "period", "frequency", "outcome", "cohort", "x"]]
    panel = read_table(table)
    first = panel.treated_from
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(1, panel.n_units + 1), panel.n_periods),
        "time": np.tile(np.arange(1, panel.n_periods + 1), panel.n_units),
        "cohort": np.repeat(np.where(panel.never_treated, 0, first + 1), panel.n_periods),
        "treated": panel.treated.ravel().astype(int),
        "event": np.where(panel.never_treated[:, None], -1, panel.event_time).ravel(),
        "y": panel.outcome.ravel(),
        "x": panel.covariates["x"].ravel(),
    })
    onset = first[~panel.never_treated]
    return Data(table, panel, frame, leads=int(onset.min()), lags=panel.n_periods - 1 - int(onset.max()))


def form(keys: Iterable[str], estimates: Iterable[float], errors: Iterable[float] | float = np.nan) -> pd.DataFrame:
    """Return the common form, without rows that have no estimate or are fixed at zero."""
    table = pd.DataFrame({"estimate": np.asarray(estimates, dtype=float), "std_error": errors}, index=list(keys))
    return table[table["estimate"].notna() & (table["estimate"] != 0)].astype(float)


def of_rows(rows: pd.DataFrame, data: Data) -> pd.DataFrame:
    """Return the rows of `did.inference.clustered.summarise` in the common form."""
    position = {label: at for at, label in enumerate(data.panel.periods, start=1)}
    keys = [
        f"{position[row.cohort]} in {position[row.period]}" if row.estimand == "att_gt"
        else f"event {row.event_time}" if row.estimand == "event_time"
        else f"{row.estimand} {'' if pd.isna(row.cohort) else position[row.cohort]}".strip()
        for row in rows.itertuples()
    ]
    return form(keys, rows["estimate"], rows["std_error"].to_numpy())


def _fitted(name: str, **options: object) -> Callable[[Data], pd.DataFrame]:
    """Fit an estimator of the registry and tabulate its clustered errors."""
    def fit(data: Data) -> pd.DataFrame:
        panel = afresh(data)
        return summarise(estimate(name, panel, **options), panel)
    return fit


def afresh(data: Data) -> Panel:
    """Return the panel without what an earlier call may have found out about it."""
    return replace(data.panel)


def _ours(name: str, **options: object) -> Contender:
    return Contender("ours", name, _fitted(name, **options), of_rows)


def _event_time(data: Data, *, bands: bool = False) -> pd.DataFrame:
    panel = afresh(data)
    averages = aggregate(estimate("callaway_santanna", panel), panel, "event_time")
    rows = summarise(averages, panel)
    return add_bands(rows, averages, panel, draws=DRAWS) if bands else rows


def _without_errors(rows: object, data: Data) -> pd.DataFrame:
    return of_rows(rows, data).assign(std_error=np.nan)


def _stacked(data: Data) -> pd.DataFrame:
    return summarise(estimate("stacked", data.panel, n_leads=data.leads, n_lags=data.lags,
                              control_weights="corrected"), data.panel)


def _rolling(data: Data) -> pd.DataFrame:
    return summarise(estimate("rolling", data.panel, transformation="detrend"), data.panel)


def _one_date(data: Data) -> Panel:
    """The panel with a fifth of the units as treated, all from the first date, and the others as never treated: what
    diff-diff's synthetic estimator takes, and enough donors for placebos."""
    panel = data.panel
    treated = np.arange(panel.n_units) < panel.n_units // 5
    return replace(panel, treated_from=np.where(treated, panel.treated_from.min(), panel.n_periods),
                   dose=treated.astype(float))


def _synthetic(data: Data) -> pd.DataFrame:
    return synthetic_errors(_one_date(data), "placebo", draws=PLACEBOS, options={"estimands": ["overall"]})


def _synthetic_of(rows: pd.DataFrame, _data: Data) -> pd.DataFrame:
    return form(["overall"], rows["estimate"])


def _diff_diff_synthetic(data: Data) -> object:
    panel = _one_date(data)
    first = int(panel.treated_from.min())
    frame = data.frame.assign(ever=np.repeat(~panel.never_treated, panel.n_periods).astype(int))
    model = importlib.import_module("diff_diff").SyntheticDiD(n_bootstrap=PLACEBOS, seed=SEED)
    return model.fit(frame, outcome="y", treatment="ever", unit="unit", time="time",
                     post_periods=list(range(first + 1, panel.n_periods + 1)))


def _projections(data: Data) -> pd.DataFrame:
    return summarise(estimate("local_projections", data.panel, n_leads=data.leads, n_lags=data.lags), data.panel)


def _diff_diff_projections(data: Data) -> object:
    model = importlib.import_module("diff_diff").LPDiD(pre_window=data.leads, post_window=data.lags)
    return model.fit(data.frame, outcome="y", unit="unit", time="time", treatment="treated", only_event=True)


def _counts(data: Data) -> np.ndarray:
    """Counts with the panel's outcomes as their logarithm, tamed."""
    values = data.panel.outcome
    return np.round(20 * np.exp((values - values.mean()) / (4 * values.std())))


def _poisson(data: Data) -> pd.DataFrame:
    panel = replace(data.panel, outcome=_counts(data))
    return summarise(estimate("etwfe", panel, family="poisson", estimands=["overall"]), panel)


def _diff_diff_poisson(data: Data) -> object:
    model = importlib.import_module("diff_diff").WooldridgeDiD(method="poisson")
    return model.fit(data.frame.assign(y=_counts(data).ravel()), outcome="y", unit="unit", time="time",
                     first_treat="cohort")


def _doses(data: Data) -> pd.DataFrame:
    return summarise(estimate("dechaisemartin_dhaultfoeuille", data.panel), data.panel)


def _pairs(pairs: pd.DataFrame, data: Data) -> pd.DataFrame:
    position = {label: str(at) for at, label in enumerate(data.panel.periods, start=1)}
    names = [f"{position[row.treated_cohort]} and {position.get(row.control_cohort, 'never')}"
             for row in pairs.itertuples()]
    return form([*names, *(f"weight of {name}" for name in names)],
                [*pairs["estimate"], *pairs["weight"]])


def _diff_diff(name: str, **settings: object) -> Callable[..., object]:
    """An estimator of diff-diff with the columns of `Data.frame`; its other arguments may follow the data."""
    def fit(data: Data, **more: object) -> object:
        model = getattr(importlib.import_module("diff_diff"), name)(**settings)
        return model.fit(data.frame, outcome="y", unit="unit", time="time", first_treat="cohort", **more)
    return fit


def _group_time(result: object, _data: Data) -> pd.DataFrame:
    cells = result.group_time_effects
    return form([f"{g} in {t}" for g, t in cells], [cell["effect"] for cell in cells.values()],
                [cell["se"] for cell in cells.values()])


def _study(study: object, _data: Data) -> pd.DataFrame:
    return form([f"event {e}" for e in study.event_time], study.att, np.asarray(study.se))


def _diff_diff_imputation(data: Data) -> tuple[object, object]:
    fit = _diff_diff("ImputationDiD")(data)
    return fit, fit.aggregate("event_study")


def _imputation_of(found: tuple[object, object], data: Data) -> pd.DataFrame:
    fit, study = found
    return pd.concat([form(["overall"], [fit.overall_att], [fit.overall_se]), _study(study, data)])


def _sun_abraham_of(result: object, _data: Data) -> pd.DataFrame:
    effects = result.event_study_effects
    return form([f"event {e}" for e in effects], [one["effect"] for one in effects.values()],
                [one["se"] for one in effects.values()])


def _projections_of(result: object, _data: Data) -> pd.DataFrame:
    study = result.event_study
    return form([f"event {int(e)}" for e in study["horizon"]], study["coefficient"])


def _stacked_diff_diff(data: Data) -> object:
    return _diff_diff("StackedDiD", kappa_pre=data.leads, kappa_post=data.lags)(data).aggregate("event_study")


def _bacon_of(result: object, _data: Data) -> pd.DataFrame:
    names = [f"{one.treated_group} and {'never' if one.control_group == 'never_treated' else one.control_group}"
             for one in result.comparisons]
    return form([*names, *(f"weight of {name}" for name in names)],
                [*(one.estimate for one in result.comparisons), *(one.weight for one in result.comparisons)])


def _feols(formula: str) -> Callable[[Data], object]:
    return lambda data: importlib.import_module("pyfixest").feols(formula, data.frame, vcov={"CRV1": "unit"})


def _coefficients(fit: object, _data: Data) -> pd.DataFrame:
    """Coefficients of pyfixest: ``treated`` is the overall effect, ``event::3`` an event time."""
    keys = [f"event {int(float(name.split('::')[1]))}" if "::" in name else "overall" for name in fit.coef().index]
    return form(keys, fit.coef(), fit.se().to_numpy())


def _saturated(data: Data) -> pd.DataFrame:
    fit = importlib.import_module("pyfixest").event_study(
        data.frame[["unit", "time", "cohort", "y"]], yname="y", idname="unit", tname="time", gname="cohort",
        estimator="saturated", cluster="unit", att=False)
    return fit.aggregate(weighting="shares")


def _aggregated(table: pd.DataFrame, _data: Data) -> pd.DataFrame:
    return form([f"event {int(e)}" for e in table.index], table["Estimate"],
                table["Std. Error"].to_numpy(dtype=float))


def _did2s(data: Data) -> object:
    return importlib.import_module("pyfixest").did2s(
        data.frame, yname="y", first_stage="~ 0 | unit + time", second_stage="~ i(event, ref=-1)",
        treatment="treated", cluster="unit")


def _after_treatment(fit: object, data: Data) -> pd.DataFrame:
    table = _coefficients(fit, data)
    return table[[int(key.split()[1]) >= 0 for key in table.index]]


def _panel_ols(data: Data) -> object:
    model = importlib.import_module("linearmodels").PanelOLS
    indexed = data.frame.set_index(["unit", "time"])
    return model(indexed["y"], indexed[["treated"]], entity_effects=True, time_effects=True).fit(
        low_memory=True, cov_type="clustered", cluster_entity=True)


NOT_YET = {"control_group": "not_yet_treated", "base_period": "varying"}
DRAWN = {"std_error": "errors are drawn, ours are analytic: not compared"}
UNSCALED = "divides the controls' part by the number treated, not by the sum of their weights as R's DRDID"
NO_FACTOR = "errors without G/(G-1), and with another N-K, than Stata and fixest"
TWO_STAGE = "errors of did2s, which do not centre effects by cohort and event time as R's didimputation"
ONE_SET = "errors of a regression with one set of period effects for all stacks, and none of units"


def _with_covariate(method: str, differs: Mapping[str, str]) -> tuple[Contender, Contender]:
    def fit(data: Data) -> object:
        return _diff_diff("CallawaySantAnna", estimation_method=method, **NOT_YET)(data, covariates=["x"])

    return (_ours("callaway_santanna", method=method),
            Contender("diff-diff", f"CallawaySantAnna, {method}", fit, _group_time, differs))


READING = Case("a table to a Panel", (
    Contender("ours", "Panel.from_frame", lambda data: read_table(data.table), lambda *_: form([], [])),
))
GROUP_TIME = (
    Case("group-time effects", (
        _ours("callaway_santanna"),
        Contender("diff-diff", "CallawaySantAnna", _diff_diff("CallawaySantAnna", **NOT_YET), _group_time),
    )),
    Case("the same, a covariate, ipw", _with_covariate("ipw", {})),
    Case("the same, a covariate, dr", _with_covariate("dr", {"estimate": UNSCALED, "std_error": UNSCALED})),
    Case("group-time effects to event times", (
        Contender("ours", "callaway_santanna, aggregate", _event_time, of_rows),
        Contender("diff-diff", "CallawaySantAnna, aggregate",
                  lambda data: _diff_diff("CallawaySantAnna", **NOT_YET)(data).aggregate("event_study"), _study),
    )),
    Case(f"the same, bands of {DRAWS} draws", (
        Contender("ours", "add_bands", lambda data: _event_time(data, bands=True), _without_errors),
        Contender("diff-diff", "CallawaySantAnna, n_bootstrap",
                  lambda data: _diff_diff("CallawaySantAnna", n_bootstrap=DRAWS, seed=SEED, **NOT_YET)(
                      data).aggregate("event_study"), _study, DRAWN),
    )),
)
OTHERS = (
    Case("two-way", (
        _ours("did"),
        Contender("pyfixest", "feols", _feols("y ~ treated | unit + time"), _coefficients),
        Contender("linearmodels", "PanelOLS, low_memory", _panel_ols,
                  lambda fit, _: form(["overall"], fit.params, fit.std_errors.to_numpy()),
                  {"std_error": NO_FACTOR}),
    )),
    Case("two-way event study", (
        _ours("event_study"),
        Contender("pyfixest", "feols, i()", _feols("y ~ i(event, ref=-1) | unit + time"), _coefficients),
    )),
    Case("Sun and Abraham", (
        _ours("sun_abraham"),
        Contender("pyfixest", "event_study, saturated", _saturated, _aggregated),
        Contender("diff-diff", "SunAbraham", _diff_diff("SunAbraham"), _sun_abraham_of),
    )),
    Case("imputation", (
        _ours("imputation"),
        Contender("diff-diff", "ImputationDiD", _diff_diff_imputation, _imputation_of),
        # Its first stage stops at 1e-6.
        Contender("pyfixest", "did2s", _did2s, _after_treatment, {"std_error": TWO_STAGE}, tolerance=1e-5),
    )),
    Case("stacked", (
        Contender("ours", "stacked, corrected weights", _stacked, of_rows),
        Contender("diff-diff", "StackedDiD", _stacked_diff_diff, _study, {"std_error": ONE_SET}),
    )),
    Case("rolling", (
        Contender("ours", "rolling, each unit's own line", _rolling, of_rows),
    )),
    Case("synthetic", (
        Contender("ours", f"synthetic_did of one date, {PLACEBOS} placebo assignments", _synthetic, _synthetic_of),
        Contender("diff-diff", f"SyntheticDiD, {PLACEBOS} placebo assignments", _diff_diff_synthetic,
                  lambda fit, _data: form(["overall"], [fit.att]), tolerance=1e-4),
    )),
    Case("local projections", (
        Contender("ours", "local_projections, every event time", _projections, of_rows),
        Contender("diff-diff", "LPDiD", _diff_diff_projections, _projections_of, DRAWN | {
            "std_error": "errors with another factor of small samples: not compared"}),
    )),
    Case("Poisson", (
        Contender("ours", "etwfe of counts, an effect per cohort and period", _poisson, of_rows),
        Contender("diff-diff", "WooldridgeDiD, Poisson", _diff_diff_poisson,
                  lambda fit, _data: form(["overall"], [fit.overall_att]), tolerance=1e-5),
    )),
    Case("doses", (
        Contender("ours", "dechaisemartin_dhaultfoeuille, every event time and placebo", _doses, of_rows),
    )),
    Case("decomposition", (
        Contender("ours", "decompose", lambda data: decompose(data.panel), _pairs),
        Contender("diff-diff", "BaconDecomposition", _diff_diff("BaconDecomposition"), _bacon_of),
    )),
)
