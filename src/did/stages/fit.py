"""Stage 4: every estimator fitted to one indicator's panel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import entry, estimate, in_run, panel_rows
from did.estimators.base import Panel, Result
from did.estimators.registry import TWO_WAY
from did.inference.calibration import is_quick
from did.inference.clustered import cluster_shares, tabulated
from did.inference.multiplier import banded
from did.panels.samples import kept
from did.project.claims import judged_cells, load_claims
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.slices import without_words
from did.store import tables

# The columns of the panel table that doses are in.
DOSES = {"binary": "exposure", "intensity": "intensity"}


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Fit the evaluation's estimators to a panel, write the estimates and influence tables, return one line about it.

    The default specification is fitted in every sample and treatment, and by the staggered estimators each
    specification that treats units from different dates, but for those that cannot be; the other specifications are for
    the specify stage. Raises DidError for everything the estimators of the default specification describe.
    """
    panels = tables.read("panel", paths.panel(indicator))
    frames = dict(tuple(panels.groupby("specification", sort=False)))
    settings = without_words(load_indicator(indicator, evaluation.indicators_folder))
    specifications = {name: specification for name, specification in evaluation.specifications_of(settings).items()
                if specification.staggered or name == evaluation.default_specification}
    found, keys, left_out = [], [], ""
    shares: dict[tuple[str, str, str, str], pd.DataFrame] = {}
    for name, specification in specifications.items():
        frame = frames.get(name)
        if frame is None:
            raise DidError(f"{paths.panel(indicator)}: expected the specification '{name}'; run: did align {indicator}")
        staggered, leading = specification.staggered, leading_cells(indicator, name, evaluation)
        for sample in [evaluation.sample] if staggered else evaluation.samples:
            treatments = evaluation.treatments[:1] if staggered else evaluation.treatments
            for treatment, panel in panels_of(frame, sample, treatments, evaluation).items():
                for estimator in evaluation.staggered_estimators if staggered else evaluation.estimators:
                    leads = (sample, treatment, estimator) in leading and has_headline(
                        estimator, panel, specification.lags, evaluation)
                    try:
                        results = in_run(estimator, panel, specification.lags)
                    except DidError as error:
                        if not staggered:
                            raise
                        # Nothing was asked of it that could be mistaken. `did.stages.diagnose` has a row on it.
                        left_out += f"; left out under {name}: {error}"
                        continue
                    for result in results:
                        found.append((result, panel, banded(result, panel, seed=evaluation.seed)))
                        keys.append((indicator, name, sample, leads))
                        if not staggered and result.parameters["estimand"].eq("overall").any():
                            shares[indicator, sample, treatment, estimator] = cluster_shares(
                                result.only("overall"), panel)
                if treatment == "intensity":
                    for result, within in within_treated(panel):
                        found.append((result, within, banded(result, within)))
                        keys.append((indicator, name, sample, False))
                        shares[indicator, sample, within.treatment, TWO_WAY] = cluster_shares(result, within)
    n_rows = [len(blocks) * len(result.estimate) for result, _, blocks in found]
    table = tabulated(found)
    for column, values in zip(("indicator", "specification", "sample", "headline"), zip(*keys, strict=True),
                              strict=True):
        table[column] = np.repeat(values, n_rows)
    table["headline"] &= table["estimand"].eq("overall")
    table["minimum_treated"] = settings.minimum_treated
    table["few_treated"] = table["n_treated"] < settings.minimum_treated
    table["is_synthetic"] = bool(panels["is_synthetic"].any())
    tables.write("estimates", table, paths.estimates(indicator))
    influence = pd.concat(shares, names=["indicator", "sample", "treatment", "estimator", "row"]).reset_index(
        level=[0, 1, 2, 3])
    tables.write("influence", influence.assign(is_synthetic=table["is_synthetic"].iloc[0]), paths.influence(indicator))
    return f"{indicator}: {len(table):,} estimates, {len(specifications)} specifications{left_out}"


def leading_cells(indicator: str, name: str, evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return (sample, treatment, estimator) of the estimates of a specification that may get a headline interval.

    Under the reported specification every treatment and estimator in the first sample, and every other cell that a
    claim prints something on; under those that treat units from different dates the first treatment and the estimators
    for them. `has_headline` says whether one can be measured. Raises DidError for a mistake in the claims file.
    """
    sample = evaluation.sample
    if evaluation.specifications[name].staggered:
        return [(sample, evaluation.treatments[0], estimator) for estimator in evaluation.staggered_estimators]
    first = [(sample, treatment, estimator) for treatment in evaluation.treatments
             for estimator in evaluation.estimators]
    return list(dict.fromkeys(first + claimed_cells(indicator, evaluation)))


def claimed_cells(indicator: str, evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return (sample, treatment, estimator) of the cells that a claim prints something on and that the evaluation runs.
    Raises DidError for a mistake in the claims file."""
    claims = load_claims(evaluation.published)
    return judged_cells(claims.loc[claims["indicator"].eq(indicator)], estimators=evaluation.estimators,
                        treatments=evaluation.treatments, samples=evaluation.samples)


def panel_of(frame: pd.DataFrame, sample: str, treatment: str, evaluation: Evaluation, weight: str | None = None
             ) -> Panel:
    """The Panel of one sample and treatment from the panel table of one specification, with a column of weights if one
    is named."""
    return panels_of(frame, sample, [treatment], evaluation, weight)[treatment]


def panels_of(frame: pd.DataFrame, sample: str, treatments: Iterable[str], evaluation: Evaluation,
              weight: str | None = None) -> dict[str, Panel]:
    """`panel_of` by treatment: they differ in the dose alone, so that all else is read from the rows once."""
    rows, (first, *others) = of_sample(frame, sample, evaluation), treatments
    panel = Panel.from_frame(rows, treatment=first, exposure_column=DOSES["binary"], weight_column=weight,
                             cluster_columns=[level for level in evaluation.clusters if level != "unit"])
    units = panel_rows.factorized(rows["unit"], "unit", "panel")[0] if others else np.empty(0, dtype=int)
    return {first: panel} | {other: dataclasses.replace(panel, treatment=other, dose=panel_rows.doses(
        rows, DOSES[other], units, panel.units, panel.never_treated, "panel")) for other in others}


def has_headline(estimator: str, panel: Panel, lags: str, evaluation: Evaluation) -> bool:
    """Whether `did calibrate` gives the one effect of ``estimator`` an interval whose coverage is measured."""
    if not entry(estimator).overall:
        return False
    return evaluation.inference.refits > 0 or is_quick(estimator, options_of(estimator, panel, lags), panel)


def options_of(estimator: str, panel: Panel, lags: str) -> dict[str, object]:
    """The options of the fit that a run takes the one effect of ``estimator`` from."""
    return entry(estimator).in_run(panel, lags)[0]


def of_sample(frame: pd.DataFrame, sample: str, evaluation: Evaluation) -> pd.DataFrame:
    """The rows of the panel table that a sample keeps."""
    return frame.loc[kept(frame, evaluation.samples[sample])]


def within_treated(panel: Panel) -> list[tuple[Result, Panel]]:
    """The effect of the dose among treated units alone, with the panel it was fitted to: more of it against less.

    Treatment ``intensity_within_treated``, by difference-in-differences, in units of the outcome per unit of dose. No
    untreated unit enters, so nothing rests on zero being a dose like the others; what it asks is that units of high
    and of low dose would have gone on alike (Callaway, Goodman-Bacon and Sant'Anna 2024, working paper 32117 of the
    NBER, strong parallel trends). Empty where the treated do not differ in dose.
    """
    treated = panel.keep(~panel.never_treated)
    if np.ptp(treated.dose) == 0:
        return []
    treated = dataclasses.replace(treated, treatment="intensity_within_treated")
    return [(estimate(TWO_WAY, treated), treated)]


