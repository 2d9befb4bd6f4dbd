"""Few treated clusters among many: the noise of their estimate is read off what the other clusters did.

With treatment d_gt of cluster g less its mean over time, n_g its weight and e_gt the cluster's mean error,

    estimate - effect -> W = sum_g n_g sum_t d_gt e_gt / sum_g n_g sum_t d_gt^2,    g over the treated clusters

as the untreated ones become many, however few are treated. Conley and Taber (2011, Review of Economics and Statistics
93:113-125, equations 5 and 8) put residuals of untreated clusters in the place of the treated ones'. They suppose that
all clusters are alike in how much they vary. Ferman and Pinto (2019, Review of Economics and Statistics 101:452-467,
section III) let the variance fall with the number M of units, A + B / M, and rescale the residuals.
"""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, join_notes, listed
from did.estimators.within import within
from did.inference.clustered import rounding_error
from did.inference.confidence_set import shape_of

KINDS = ("conley_taber", "ferman_pinto")
COLUMNS = ["estimate", "p_value", "ci_low", "ci_high", "shape", "draws", "enumerated", "n_clusters",
           "n_treated_clusters", "note"]
# Effects closer in size than this share are tied: they differ by rounding.
TIED = 1e-8
# Untreated clusters below which the noise of the treated is poorly known.
FEW_UNTREATED = 20
# Where the ends of a set are looked for, in units of the draws' spread, and how often the step is halved.
STEPS, HALVINGS = np.concatenate([np.arange(0.0, 10.0, 0.25), np.geomspace(10.0, 1000.0, 9)]), 40


def few_treated(panel: Panel, level: str, kind: str = "conley_taber", *, draws: int = 9999, seed: int = 20170601,
                coverage: float = 0.95) -> pd.DataFrame:
    """Return the two-way fixed effects estimate (`did.estimators.did`) with a test for few treated clusters.

    The panel is that of the clusters' mean outcomes by ``level``, each with its weight, whose estimate is that of the
    units if units have outcomes in the same periods. One row, `COLUMNS`: estimate and set in units of the outcome per
    unit of dose.

    ``conley_taber``: each treated cluster's residuals are replaced by those of an untreated one, drawn with
    replacement; all ways are tried if there are at most ``draws``. p_value is the share at least as large in size as
    the estimate, of the draws and the estimate itself, so that p is never 0 and few untreated clusters cannot claim
    much (Alvarez, Ferman and Wüthrich 2025, arXiv 2504.19841, on finite samples). The interval, that covers
    ``coverage``, inverts the test; it is unbounded where p cannot be as small as 1 - ``coverage``.
    ``ferman_pinto``: residuals are those under the hypothesis, of all clusters; W of each cluster over the root of
    A + B / M, from a regression of squared W on 1 / M, is drawn with replacement and multiplied by the root of the
    variance of the cluster whose place it takes, with signs as they are. A fitted variance below a hundredth of the
    mean counts as that. The estimate drawn is that of the treated less the mean of the others. The set inverts the
    test and is searched in steps to 1,000 times the spread of the draws (shape: `did.inference.confidence_set`).

    Clusters that hold units of several onsets have no test, nor do panels with fewer than three untreated clusters,
    where a unit lacks outcomes in a period or changes its weight, or where nothing varies: numbers are then missing and
    the note says why. It also says if fewer than 20 clusters are untreated. Raises DidError for an unknown level or
    kind, ``draws`` below 1 and a ``coverage`` outside 0 to 1.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(100, 8, {5: 4}, 9.0, seed=2, units_per_system=4)[0])
    >>> found = few_treated(data, "system")
    >>> int(found["draws"].iloc[0]), round(float(found["p_value"].iloc[0]), 3)
    (24, 0.08)
    """
    one_of("few treated clusters: level", level, panel.clusters)
    one_of("few treated clusters: kind", kind, KINDS)
    if draws < 1:
        raise DidError(f"few treated clusters: draws: expected 1 or more; found {draws}; ask for more")
    if not 0 < coverage < 1:
        raise DidError(f"few treated clusters: coverage: expected a share between 0 and 1; found {coverage}; use 0.95")
    panel, unit = panel.scaled()
    model = _model(panel, level)
    if isinstance(model, str):
        return pd.DataFrame([dict.fromkeys(COLUMNS, np.nan) | {
            "shape": "", "draws": 0, "enumerated": False, "note": f"no test: {model}"}], columns=COLUMNS)
    generator = np.random.default_rng(seed)
    row: dict[str, Any] = {"estimate": model.estimate * unit, "n_clusters": len(model.weight),
           "n_treated_clusters": int(model.treated.sum()), "enumerated": False, "draws": draws}
    n_untreated = int((~model.treated).sum())
    few = f"only {n_untreated} untreated clusters by {level} to learn from" if n_untreated < FEW_UNTREATED else ""
    if kind == "conley_taber":
        size, row["enumerated"] = _conley_taber(model, draws, generator)
        row |= {"draws": len(size), "p_value": share_as_large(size, abs(model.estimate))}
        # The test inverted: as far as so many draws are at least as large that p stays above 1 - coverage.
        least = int(np.floor((1 - coverage) * (1 + len(size)) - 1 + 1e-9)) + 1
        reach = np.sort(size)[-least] * unit if least > 0 else np.inf
        low, high, gaps = row["estimate"] - reach, row["estimate"] + reach, False
    else:
        test = _FermanPinto.of(model, draws, generator)
        row["p_value"] = test.p_value(0.0)
        low, high, gaps = test.accepted(1 - coverage)
        low, high = low * unit, high * unit
    row |= {"ci_low": low, "ci_high": high, "shape": shape_of(low, high, gaps=gaps), "note": join_notes(
        few, "all ways of drawing untreated clusters" if row["enumerated"] else "")}
    return pd.DataFrame([row], columns=COLUMNS)


@dataclasses.dataclass(frozen=True)
class _Model:
    """The panel of cluster means.

    outcome  (clusters, periods) less cluster and period effects; dosed the same of treatment
    paths    (clusters, periods) treatment less its mean over time; weight (clusters,) and sizes (clusters,) in units
    treated  (clusters,) whose treatment changes within the window
    """

    outcome: np.ndarray
    dosed: np.ndarray
    paths: np.ndarray
    weight: np.ndarray
    sizes: np.ndarray
    treated: np.ndarray

    @property
    def estimate(self) -> float:
        return float(self._product(self.dosed, self.outcome) / self._product(self.dosed, self.dosed))

    def _product(self, one: np.ndarray, other: np.ndarray) -> float:
        return (self.weight[:, None] * one * other).sum()

    def residual(self, effect: float) -> np.ndarray:
        """(clusters, periods) outcome less ``effect`` of treatment and all effects."""
        return self.outcome - effect * self.dosed

    @property
    def shares(self) -> np.ndarray:
        """(treated,) of each treated cluster in the estimate, such that W is their sum times its own W."""
        own = self.weight[self.treated] * (self.paths[self.treated] ** 2).sum(axis=1)
        return own / own.sum()

    def swapped(self, residual: np.ndarray) -> np.ndarray:
        """(treated, clusters) W of each treated cluster with the residuals of each cluster in place of its own."""
        paths = self.paths[self.treated]
        return paths @ residual.T / (paths**2).sum(axis=1, keepdims=True)


def share_as_large(sizes: np.ndarray, size: float) -> float:
    """Return the share of ``sizes`` (draws,) and ``size`` itself that are at least ``size``, up to rounding.

    >>> share_as_large(np.array([1.0, 2.0, 3.0]), 2.0)
    0.75
    """
    return float((1 + (sizes >= size * (1 - TIED)).sum()) / (1 + len(sizes)))


def _model(panel: Panel, level: str) -> _Model | str:
    weight = panel.observed_weight
    used = (weight > 0).any(axis=1)
    codes, names = pd.factorize(panel.clusters[level][used])
    # Only where each unit keeps its weight throughout are the clusters' means the estimate of the units.
    seen = weight[used][:, (weight > 0).any(axis=0)]
    uneven = np.ptp(seen, axis=1) > 1e-12 * seen.max(axis=1)
    if uneven.any():
        unit = panel.units[used][int(np.argmax(uneven))]
        return (f"unit {unit} has no outcome in some period, or another weight, so that "
                "cluster means give another estimate")
    member = (np.arange(len(names))[:, None] == codes).astype(float)
    onset = panel.treated_from[used]
    mixed = [name for code, name in enumerate(names) if len(set(onset[codes == code])) > 1]
    if mixed:
        return f"units of {level} {listed(mixed)} are first treated at different times"
    total = member @ weight[used]
    seen = (total > 0).any(axis=0)
    total = total[:, seen]
    if not (total > 0).all():
        return f"{level} {names[int(np.argmin((total > 0).all(axis=1)))]} has no outcome in some period"
    outcome = member @ (weight[used] * np.nan_to_num(panel.outcome[used]))[:, seen] / total
    dose = np.where(panel.treated[used], panel.dose[used, None], 0.0)[:, seen]
    dose = member @ (weight[used][:, seen] * dose) / total
    # A cluster's mean weight over time: its means then have the estimate of the units where all are observed.
    mean = np.repeat(total.mean(axis=1, keepdims=True), total.shape[1], axis=1)
    paths = dose - dose.mean(axis=1, keepdims=True)
    treated = np.ptp(dose, axis=1) > 0
    n_untreated = int((~treated).sum())
    if not treated.any():
        return f"no cluster by {level} is treated within the window"
    if n_untreated < 3:
        return (f"{n_untreated} cluster{'s' * (n_untreated != 1)} by {level} without a change in treatment; the noise "
                "of the treated is read off at least 3")
    model = _Model(within(outcome, mean), within(dose, mean), paths, mean[:, 0], member.sum(axis=1), treated)
    residual = model.residual(model.estimate)
    if np.sqrt((residual**2).mean()) <= rounding_error(panel.outcome[used], np.ones((1, 1)))[0]:
        return "nothing is left of the outcome alongside treatment and effects"
    return model


def _conley_taber(model: _Model, draws: int, generator: np.random.Generator) -> tuple[np.ndarray, bool]:
    """(draws,) sizes of W with the residuals of untreated clusters, and whether all ways were tried."""
    swapped = model.shares[:, None] * model.swapped(model.residual(model.estimate))[:, ~model.treated]
    n_treated, n_untreated = swapped.shape
    enumerated = n_untreated**n_treated <= draws
    chosen = (np.array(list(product(range(n_untreated), repeat=n_treated))) if enumerated
              else generator.integers(0, n_untreated, size=(draws, n_treated)))
    return np.abs(swapped[np.arange(n_treated), chosen].sum(axis=1)), enumerated


@dataclasses.dataclass(frozen=True)
class _FermanPinto:
    """The test of any effect from one set of drawn clusters, so that p changes smoothly with the effect.

    chosen  (draws, clusters) the cluster whose normalised W stands for that of each treated cluster, which come first,
            and of each untreated one
    unit    spread of the drawn estimates
    """

    model: _Model
    chosen: np.ndarray
    unit: float

    @classmethod
    def of(cls, model: _Model, draws: int, generator: np.random.Generator) -> _FermanPinto:
        chosen = generator.integers(0, len(model.weight), size=(draws, len(model.weight)))
        first = cls(model, np.concatenate([chosen[:, model.treated], chosen[:, ~model.treated]], axis=1), 1.0)
        return dataclasses.replace(first, unit=float(np.std(first.drawn(model.estimate))) or 1.0)

    def drawn(self, effect: float) -> np.ndarray:
        """(draws,) estimates less ``effect`` if that is the effect."""
        model, n_treated = self.model, int(self.model.treated.sum())
        swapped = model.swapped(model.residual(effect))
        at_treated, at_others = np.flatnonzero(model.treated), np.flatnonzero(~model.treated)
        weight = model.weight[at_others] / model.weight[at_others].sum()
        total = np.zeros(len(self.chosen))
        for place, share in enumerate(model.shares):
            deviation = np.sqrt(fitted_variance(swapped[place], model.sizes))
            normal = swapped[place] / deviation
            own = deviation[at_treated[place]] * normal[self.chosen[:, place]]
            others = (weight * deviation[at_others] * normal[self.chosen[:, n_treated:]]).sum(axis=1)
            total += share * (own - others)
        return total

    def p_value(self, effect: float) -> float:
        """Share of draws at least as far from zero as the estimate is from ``effect``."""
        size = abs(self.model.estimate - effect)
        return share_as_large(np.abs(self.drawn(effect)), size)

    def accepted(self, alpha: float) -> tuple[float, float, bool]:
        """Ends of the set with p above ``alpha``, and whether an effect between them is rejected."""
        ends, gaps = [], False
        for side in (-1.0, 1.0):
            inside = np.array([self.p_value(self.model.estimate + side * step * self.unit) > alpha for step in STEPS])
            kept = np.flatnonzero(inside)
            if not len(kept) or kept[-1] == len(STEPS) - 1:
                ends.append(self.model.estimate + side * (np.inf if len(kept) else 0.0))
                continue
            gaps |= len(kept) <= kept[-1]
            near, far = STEPS[kept[-1]], STEPS[kept[-1] + 1]
            for _ in range(HALVINGS):
                middle = (near + far) / 2
                good = self.p_value(self.model.estimate + side * middle * self.unit) > alpha
                near, far = (middle, far) if good else (near, middle)
            ends.append(self.model.estimate + side * (near + far) / 2 * self.unit)
        return ends[0], ends[1], gaps


def fitted_variance(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (clusters,) A + B / M fitted by least squares to squared ``values`` (clusters,), M being ``sizes``.

    Never below a hundredth of the mean square, which a line may fall below; the mean square where all sizes are equal.
    Ferman and Pinto 2019, section III, step 3. Raises nothing.

    >>> fitted_variance(np.array([1.0, 1.0, 3.0, 3.0]), np.array([4, 4, 1, 1])).round(6).tolist()
    [1.0, 1.0, 9.0, 9.0]
    """
    squares = values**2
    inverse = 1 / np.asarray(sizes, dtype=float)
    spread = inverse - inverse.mean()
    slope = (spread @ squares) / (spread @ spread) if np.ptp(inverse) > 0 else 0.0
    return np.maximum(squares.mean() + slope * spread, squares.mean() / 100)
