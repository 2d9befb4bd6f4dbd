"""Many specifications of one indicator: a declared design of choices, each fitted on arrays that specifications
share."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import doses_of, entry, overall, panel_rows
from did.estimators.base import Panel, join_notes
from did.estimators.registry import LAGS
from did.inference.clustered import by_cluster
from did.inference.parts import by_cluster_of_parts
from did.panels import build as panels
from did.panels.outcomes import Observations, Outcome
from did.panels.samples import kept
from did.project.config import Evaluation
from did.project.indicator import Indicator
from did.project.specification import Specification

# Choices that make a panel; the rest is up to the estimator.
PANEL = ("window", "boundaries", "denominator", "membership", "metropolitan", "predecessors", "partial", "overlap",
           "controls")
COLUMNS = ["specification", "design", "choices", "n_choices", "sample", "treatment", "estimator", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
           "n_treated_clusters", "note"]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A specification of the design: its name, how it came into the design, and how it differs from the default."""

    name: str
    design: str
    specification: Specification
    choices: tuple[str, ...]


def design(evaluation: Evaluation, indicator: Indicator) -> list[Variant]:
    """Return the specifications an indicator is varied over, the default first.

    Every named specification that keeps the default's cohorts (``one_at_a_time``), then the full product of the choices
    that ``evaluation.products`` declares for the indicator's family (``product``), named by what differs from
    the default. A combination that a named specification is already is not repeated.
    """
    default = evaluation.specifications[evaluation.default_specification]
    named = {name: specification for name, specification in evaluation.specifications_of(indicator).items()
             if specification.cohorts == default.cohorts}
    found = [Variant(name, "one_at_a_time", named[name], _differences(named[name], default, indicator))
             for name in sorted(named, key=lambda name: name != evaluation.default_specification)]
    seen = {variant.choices for variant in found}
    product = evaluation.products.get(indicator.family, {})
    for values in itertools.product(*product.values()):
        specification = default.model_copy(update=dict(zip(product, values, strict=True)))
        choices = _differences(specification, default, indicator)
        if choices not in seen:
            seen.add(choices)
            found.append(Variant("; ".join(choices), "product", specification, choices))
    return found


def _differences(specification: Specification, default: Specification, indicator: Indicator) -> tuple[str, ...]:
    """The choices of a specification that are not the default's, as ``key=value``."""
    def value(of: Specification, key: str) -> str:
        held = indicator.denominator_name(of) if key == "denominator" else getattr(of, key)
        return ", ".join(held) if isinstance(held, list) else str(held)

    return tuple(f"{key}={value(specification, key)}" for key in Specification.model_fields
                 if key != "families" and value(specification, key) != value(default, key))


def specify(indicator: Indicator, evaluation: Evaluation, observations: Observations,
         claimed: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fit one indicator under every specification of its design: rows of the specifications table without indicator.

    Named specifications are fitted by every estimator but those over event time, in every sample and treatment;
    combinations by the estimator, treatment and sample of the ``claimed`` cells only (the claims on this indicator; all
    cells of the published estimator if None). One row per cluster level. A specification that an estimator cannot fit
    has a row without an estimate whose note says why. Outcomes and memberships that specifications share are made once.

    Raises DidError for everything that did.panels.build.build describes.
    """
    static = [name for name in evaluation.estimators if entry(name).overall]
    every = [(estimator, treatment, sample) for estimator in static for treatment in evaluation.treatments
             for sample in evaluation.samples]
    wanted = [cell for cell in every if cell[0] == indicator.published_estimator] if claimed is None else [
        cell for cell in every if ((claimed["estimator"] == cell[0]) & (claimed["treatment"] == cell[1])
                                   & (claimed["sample"] == cell[2])).any()]
    cells = [(variant, *cell) for variant in design(evaluation, indicator)
             for cell in (every if variant.design == "one_at_a_time" else wanted)
             if cell[1] != "intensity" or variant.specification.membership == "published"]
    made = _Made(indicator, evaluation, observations)
    made.fit_together([(variant.specification, *cell) for variant, *cell in cells])
    rows = []
    for variant, estimator, treatment, sample in cells:
        about = {"specification": variant.name, "design": variant.design, "choices": "; ".join(variant.choices),
                 "n_choices": len(variant.choices), "sample": sample}
        rows += [about | row for row in made.fitted(variant.specification, estimator, treatment, sample)]
    return pd.DataFrame(rows, columns=COLUMNS)


class _Made:
    """What specifications of one indicator share, made when first asked for."""

    def __init__(self, indicator: Indicator, evaluation: Evaluation, observations: Observations) -> None:
        self.indicator, self.evaluation = indicator, evaluation
        self.builder = panels.Builder(indicator, evaluation, observations)
        self.arrays: dict[tuple, tuple[Outcome, pd.DataFrame]] = {}
        self.panels: dict[tuple, Panel] = {}
        self.rows: dict[tuple, list[dict]] = {}

    def fitted(self, specification: Specification, estimator: str, treatment: str, sample: str) -> list[dict]:
        """Rows of one cell, one per cluster level."""
        key = _row_key(specification, estimator, treatment, sample)
        if key not in self.rows:
            self.rows[key] = self._fit(specification, estimator, treatment, sample)
        return self.rows[key]

    def fit_together(self, cells: list[tuple[Specification, str, str, str]]) -> None:
        """Fit cells (specification, estimator, treatment, sample) that differ in who was treated, or how strongly,
        alone, by estimators that have a way to."""
        groups: dict[tuple, dict[tuple, Panel]] = {}
        for specification, estimator, treatment, sample in cells:
            if entry(estimator).doses is None or (specification.weights, specification.scale) != ("equal", "level"):
                continue
            self._arrays(specification)
            with contextlib.suppress(DidError):   # said where it is fitted
                panel = self._panel(_key(specification), treatment, sample)
                treated = np.unique(panel.treated_from[~panel.never_treated])
                if len(treated) == 1 and np.array_equal(panel.dose > 0, ~panel.never_treated):
                    same = (estimator, specification.lags, treated[0], panel.outcome.tobytes(),
                            *(tuple(labels) for labels in panel.clusters.values()))
                    groups.setdefault(same, {})[_row_key(specification, estimator, treatment, sample)] = panel
        for (estimator, lags, *_), panels_ in groups.items():
            if len(panels_) > 1:
                self._fit_doses(estimator, lags, panels_)

    def _fit_doses(self, estimator: str, lags: str, panels_: dict[tuple, Panel]) -> None:
        panel = next(iter(panels_.values()))
        # A choice that changes no dose changes nothing, to the last digit.
        doses = {each.dose.tobytes(): each.dose for each in panels_.values()}
        place = {key: number for number, key in enumerate(doses)}
        with contextlib.suppress(DidError):
            parts = doses_of(estimator, panel, np.column_stack(list(doses.values())),
                             **entry(estimator).in_run(panel, lags)[0])
            blocks = [] if parts is None else by_cluster_of_parts(parts, panel)
            for key, each in panels_.items():
                at = place[each.dose.tobytes()]
                if parts is not None and parts.found[at]:
                    cell = {"treatment": each.treatment, "estimator": estimator}
                    self.rows[key] = [cell | {name: column[at] for name, column in block.items()} for block in blocks]

    def _arrays(self, specification: Specification) -> tuple[Outcome, pd.DataFrame]:
        key = _key(specification)
        if key not in self.arrays:
            self.arrays[key] = self.builder.arrays(specification)
        return self.arrays[key]

    def _fit(self, specification: Specification, estimator: str, treatment: str, sample: str) -> list[dict]:
        # What is wrong with the data stops the stage; what a specification leaves an estimator without is said in its
        # row.
        key, cell = _key(specification), {"treatment": treatment, "estimator": estimator}
        self._arrays(specification)
        try:
            plain = self._panel(key, treatment, sample)
            panel = on_scale(self._weighed(plain, key, specification), specification.scale)
            # The first fit of a run: others are the same effects in bins.
            options = entry(estimator).in_run(panel, specification.lags)[0]
            result = overall(estimator, panel, **options)
        except DidError as error:
            return [cell | {"cluster": cluster, "note": f"not fitted: {error}"}
                    for cluster in self.evaluation.clusters]
        rows = [cell | {name: column[0] for name, column in block.items()} for block in by_cluster(result, panel)]
        return [in_levels(row, plain) for row in rows] if specification.scale == "log" else rows

    def _weighed(self, panel: Panel, key: tuple, specification: Specification) -> Panel:
        """The panel with each unit's mean denominator before the first onset as its weight, if so specified."""
        if specification.weights == "equal":
            return panel
        if self.indicator.rate is not None and not self.indicator.rate.is_weighted:
            raise DidError("weights: expected a denominator; found a rate without one; name the key 'weights' of its "
                           "rate, or write weights: equal")
        outcome, _ = self.arrays[key]
        early = outcome.weight[outcome.units.get_indexer(panel.units), :int(panel.treated_from.min())]
        weight = np.array([each[~np.isnan(each)].mean() if not np.isnan(each).all() else np.nan for each in early])
        if not (weight > 0).all():
            unit = panel.units[int(np.argmin(weight > 0))]
            raise DidError(f"weights: expected a denominator of every unit before the first onset; found none for "
                           f"{unit}; write weights: equal")
        return dataclasses.replace(panel, weight=np.where(
            np.isfinite(panel.outcome), (weight / weight.mean())[:, None], 0.0))

    def _panel(self, key: tuple, treatment: str, sample: str) -> Panel:
        if (key, treatment, sample) not in self.panels:
            outcome, units = self.arrays[key]
            if (key, "binary", sample) not in self.panels:
                if (key, "binary", "") not in self.panels:
                    self.panels[key, "binary", ""] = panel_of(outcome, units, self.indicator, [
                        level for level in self.evaluation.clusters if level != "unit"])
                self.panels[key, "binary", sample] = self.panels[key, "binary", ""].keep(
                    kept(units.reset_index(names="unit"), self.evaluation.samples[sample]))
            if treatment == "intensity":
                panel = self.panels[key, "binary", sample]
                dose = units["intensity"].reindex(panel.units).to_numpy()
                self.panels[key, treatment, sample] = dataclasses.replace(
                    panel, treatment="intensity", dose=np.where(panel.never_treated, 0.0, dose))
        return self.panels[key, treatment, sample]


def panel_of(outcome: Outcome, units: pd.DataFrame, indicator: Indicator, clusters: list[str]) -> Panel:
    """Return what `Panel.from_frame` makes of a row per unit and period, from the arrays and, of each of their units in
    ``units``, its cohort, exposure and clusters. Raises DidError as it does."""
    where = f"indicator {indicator.id}"
    code, labels = panel_rows.factorized(outcome.units.to_series(), "unit", where)
    names = pd.Index(labels, dtype="str")
    first, _, periods = panel_rows.consecutive_periods(outcome.periods.to_series(), indicator.frequency, where)
    cohort, words = panel_rows.cohorts(units["cohort"], code, names, where)
    treated_from = panel_rows.first_treated(cohort, words, names, first, periods, indicator.frequency, "error", where)
    panel_rows.refuse_undefined_design(treated_from, names, periods, where)
    dose = panel_rows.doses(units, "exposure", code, names, treated_from == len(periods), where)
    return Panel(outcome.outcome, names, periods, indicator.frequency, treated_from, dose, "binary", {
        "unit": names.to_numpy(), **{level: panel_rows.clusters(units[level], code, names, where)
                                     for level in clusters}})


def on_scale(panel: Panel, scale: str) -> Panel:
    """Return the panel with the outcome on ``scale``: ``level``, as it is, or ``log``, missing where it is zero.

    Raises DidError for an outcome below zero.
    """
    if scale == "level":
        return panel
    if (panel.outcome < 0).any():
        unit, period = (int(place[0]) for place in np.nonzero(panel.outcome < 0))
        raise DidError(f"scale log: expected outcomes of at least 0; found {panel.outcome[unit, period]:g} for "
                       f"{panel.units[unit]} in {panel.periods[period]}; write scale: level")
    with np.errstate(divide="ignore"):
        logs = np.log(panel.outcome)
    return dataclasses.replace(panel, outcome=np.where(np.isfinite(logs), logs, np.nan))


def in_levels(row: dict, panel: Panel) -> dict:
    """Return an estimate of the log of the outcome as what it amounts to for the treated, in units of the outcome.

    ``row`` has estimate, std_error, ci_low and ci_high in logs (per unit of dose), and a note; ``panel`` the outcomes
    as they are. A constant proportional effect b raises the outcome y of a unit of dose w by y (1 - exp(-b w)): the
    result is the sum of that over treated cells with an outcome, divided by the sum of w. Ends of the interval alike;
    std_error by the delta method. p_value stays. Unit-periods of zero have no log, and the note counts them.

    >>> from did.simulate.panels import panel as made
    >>> data = Panel.from_frame(made(6, 4, {2: 2}, 0.0, seed=1)[0])
    >>> row = {"estimate": 0.0, "std_error": 0.1, "ci_low": -0.2, "ci_high": 0.2, "note": ""}
    >>> found = in_levels(row, data)
    >>> found["estimate"], bool(found["ci_low"] < 0 < found["ci_high"]), found["note"]
    (0.0, True, 'log of the outcome: 0 in logs')
    """
    cells = panel.treated & np.isfinite(panel.outcome)
    outcome, dose = panel.outcome[cells], np.broadcast_to(panel.dose[:, None], cells.shape)[cells]
    total = dose.sum()

    def level(log: float) -> float:
        return float((outcome * -np.expm1(-log * dose)).sum() / total)

    slope = float((outcome * dose * np.exp(-row["estimate"] * dose)).sum() / total)
    zeros = int((panel.outcome == 0).sum())
    note = f"log of the outcome: {row['estimate']:.3g} in logs" + (
        f"; {zeros} unit-period{'s' * (zeros > 1)} of zero left out, which have no log" if zeros else "")
    return row | {name: level(row[name]) for name in ("estimate", "ci_low", "ci_high")} | {
        "std_error": row["std_error"] * slope, "note": join_notes(note, row["note"])}


def _key(specification: Specification) -> tuple:
    return *(getattr(specification, field) for field in PANEL), *specification.drop_periods


def _row_key(specification: Specification, estimator: str, treatment: str, sample: str) -> tuple:
    lags = specification.lags if LAGS in entry(estimator).needs else ""
    return *_key(specification), estimator, treatment, sample, lags, specification.weights, specification.scale
