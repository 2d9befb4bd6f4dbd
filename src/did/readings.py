"""Many readings of one indicator: a declared design of choices, each fitted on arrays that readings share."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd

from did import panel as panels
from did.config import Evaluation, Indicator, Reading
from did.errors import DidError
from did.estimators import estimate
from did.estimators.base import Panel, Result
from did.inference.clustered import by_cluster
from did.outcomes import Observations

# Choices that make a panel; the rest is up to the estimator.
PANEL = ("window", "boundaries", "denominator", "membership", "metropolitan", "predecessors", "partial", "overlap",
           "controls")
COLUMNS = ["reading", "design", "choices", "n_choices", "sample", "treatment", "estimator", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
           "n_treated_clusters", "note"]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A reading of the design: its name, how it came into the design, and how it differs from the default."""

    name: str
    design: str
    reading: Reading
    choices: tuple[str, ...]


def design(evaluation: Evaluation, indicator: Indicator) -> list[Variant]:
    """Return the readings an indicator is varied over, the default first.

    Every named reading that keeps the default's cohorts (``one_at_a_time``), then the full product of the choices
    that ``evaluation.products`` declares for the indicator's family (``product``), named by what differs from
    the default. A combination that a named reading is already is not repeated.
    """
    default = evaluation.readings[evaluation.default_reading]
    named = {name: reading for name, reading in evaluation.readings_of(indicator).items()
             if reading.cohorts == default.cohorts}
    found = [Variant(name, "one_at_a_time", named[name], _differences(named[name], default, indicator))
             for name in sorted(named, key=lambda name: name != evaluation.default_reading)]
    seen = {variant.choices for variant in found}
    product = evaluation.products.get(indicator.family, {})
    for values in itertools.product(*product.values()):
        reading = default.model_copy(update=dict(zip(product, values, strict=True)))
        choices = _differences(reading, default, indicator)
        if choices not in seen:
            seen.add(choices)
            found.append(Variant("; ".join(choices), "product", reading, choices))
    return found


def _differences(reading: Reading, default: Reading, indicator: Indicator) -> tuple[str, ...]:
    """The choices of a reading that are not the default's, as ``key=value``."""
    def value(of: Reading, key: str) -> str:
        held = indicator.denominator_name(of) if key == "denominator" else getattr(of, key)
        return ", ".join(held) if isinstance(held, list) else str(held)

    return tuple(f"{key}={value(reading, key)}" for key in Reading.model_fields
                 if key != "families" and value(reading, key) != value(default, key))


def vary(indicator: Indicator, evaluation: Evaluation, observations: Observations,
         claimed: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fit one indicator under every reading of its design: rows of the readings table without indicator.

    Named readings are fitted by every estimator but those over event time, in every sample and treatment;
    combinations by the estimator, treatment and sample of the ``claimed`` cells only (the claims on this indicator; all
    cells of the published estimator if None). One row per cluster level. A reading that an estimator cannot fit has
    a row without an estimate whose note says why. Outcomes and memberships that readings share are made once.

    Raises DidError for everything that did.panel.build describes.
    """
    static = [name for name in evaluation.estimators if name != "event_study"]
    every = [(estimator, treatment, sample) for estimator in static for treatment in evaluation.treatments
             for sample in evaluation.samples]
    wanted = [cell for cell in every if cell[0] == indicator.published_estimator] if claimed is None else [
        cell for cell in every if ((claimed["estimator"] == cell[0]) & (claimed["treatment"] == cell[1])
                                   & (claimed["sample"] == cell[2])).any()]
    made = _Made(indicator, evaluation, observations)
    rows = []
    for variant in design(evaluation, indicator):
        cells = every if variant.design == "one_at_a_time" else wanted
        for estimator, treatment, sample in cells:
            if treatment == "intensity" and variant.reading.membership != "published":
                continue
            about = {"reading": variant.name, "design": variant.design, "choices": "; ".join(variant.choices),
                     "n_choices": len(variant.choices), "sample": sample}
            rows += [about | row for row in made.fitted(variant.reading, estimator, treatment, sample)]
    return pd.DataFrame(rows, columns=COLUMNS)


class _Made:
    """What readings of one indicator share, made when first asked for."""

    def __init__(self, indicator: Indicator, evaluation: Evaluation, observations: Observations) -> None:
        self.indicator, self.evaluation = indicator, evaluation
        self.builder = panels.Builder(indicator, evaluation, observations)
        self.frames: dict[tuple, pd.DataFrame] = {}
        self.panels: dict[tuple, tuple[Panel, np.ndarray, np.ndarray]] = {}
        self.rows: dict[tuple, list[dict]] = {}

    def fitted(self, reading: Reading, estimator: str, treatment: str, sample: str) -> list[dict]:
        """Rows of one cell, one per cluster level; the lags matter to no estimator but ldv."""
        key = (*_key(reading), estimator, treatment, sample,
               reading.lags if estimator == "ldv" else "")
        if key not in self.rows:
            self.rows[key] = self._fit(reading, estimator, treatment, sample)
        return self.rows[key]

    def _fit(self, reading: Reading, estimator: str, treatment: str, sample: str) -> list[dict]:
        # What is wrong with the data stops the stage; what a reading leaves an estimator without is said in its row.
        key, cell = _key(reading), {"treatment": treatment, "estimator": estimator}
        if key not in self.frames:
            self.frames[key] = self.builder.panel(reading)
        try:
            panel = self._panel(key, treatment, sample)
            result: Result = estimate(estimator, panel, **({"lags": reading.lags} if estimator == "ldv" else {}))
        except DidError as error:
            return [cell | {"cluster": cluster, "note": f"not fitted: {error}"}
                    for cluster in self.evaluation.clusters]
        return [cell | {name: column[0] for name, column in block.items()} for block in by_cluster(result, panel)]

    def _panel(self, key: tuple, treatment: str, sample: str) -> Panel:
        if key not in self.panels:
            frame = self.frames[key]
            arrays = Panel.from_frame(frame, exposure_column="exposure", where=f"indicator {self.indicator.id}",
                                      cluster_columns=[c for c in self.evaluation.clusters if c != "unit"])
            units = frame.drop_duplicates("unit").set_index("unit").loc[arrays.units]
            self.panels[key] = arrays, units["intensity"].to_numpy(), (
                units["wave"] != self.evaluation.waves.removable_wave).fillna(True).to_numpy(dtype=bool)
        arrays, intensity, without_wave = self.panels[key]
        if treatment == "intensity":
            arrays = dataclasses.replace(arrays, treatment="intensity",
                                         dose=np.where(arrays.never_treated, 0.0, intensity))
        return arrays.keep(without_wave) if sample == "wave_two_removed" else arrays


def _key(reading: Reading) -> tuple:
    return *(getattr(reading, field) for field in PANEL), *reading.drop_periods
