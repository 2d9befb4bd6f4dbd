"""What synthetic difference-in-differences is fitted to: complete outcomes of units or clusters, donors and cohorts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel, join_notes, listed
from did.estimators.callaway_santanna import without_dose
from did.estimators.synthetic_weights import noise_level
from did.estimators.within import two_way_fit

COMBINE = ("mean", "sum", "weighted_mean")
_COMBINED = {"mean": "means", "sum": "sums", "weighted_mean": "weighted means"}


@dataclasses.dataclass(frozen=True)
class Cohort:
    """The units first treated at one period.

    label    the period; ``first`` its position in the panel; ``before`` the number of the study's periods before it
    treated  (units,) 1.0 for its units, 0.0 for others
    noise    of `did.estimators.synthetic_weights.noise_level`, in units of the outcome; ``n_cells`` its treated cells
    """

    label: str
    first: int
    before: int
    treated: np.ndarray
    noise: float
    n_cells: int


@dataclasses.dataclass(frozen=True)
class Study:
    """Complete outcomes (units, periods), covariates taken out, with donors and cohorts.

    units      (units,) the panel's units; a cluster is its first unit. ``names`` are their labels, the cluster's own
    size       (units,) units of the panel behind each
    positions  (periods,) of the panel's periods
    donors     (units,) 1.0 for the never treated, 0.0 for others
    cell_cohort, cell_position   (cells,) number of the cohort and position in the panel of each treated cohort-period
    what       what the units are called; ``variant`` as asked for; ``note`` what was left out and choices made
    """

    outcome: np.ndarray
    units: pd.Index
    names: np.ndarray
    size: np.ndarray
    positions: np.ndarray
    donors: np.ndarray
    cohorts: tuple[Cohort, ...]
    what: str
    variant: str
    note: str

    @property
    def cell_cohort(self) -> np.ndarray:
        """(cells,) number of the cohort."""
        lengths = [len(self.positions) - cohort.before for cohort in self.cohorts]
        return np.repeat(np.arange(len(lengths)), lengths)

    @property
    def cell_position(self) -> np.ndarray:
        """(cells,) position in the panel's periods."""
        return np.concatenate([self.positions[cohort.before:] for cohort in self.cohorts])


def study(panel: Panel, variant: str, level: str, combine: str, covariates: list[str]) -> Study:
    """Return the complete panel that the options of `did.estimators.synthetic_did.estimate` ask for.

    Raises DidError as described there.
    """
    one_of("synthetic_did: level", level, panel.clusters)
    for name in covariates:
        one_of("synthetic_did: covariates", name, panel.covariates)
    if combine == "weighted_mean" and panel.weight is None:
        raise DidError("synthetic_did: combine weighted_mean: expected a panel with weights; found none; name a column "
                       "of weights, or use mean")
    dose = without_dose(panel, "synthetic_did")
    if not panel.never_treated.any():
        raise DidError("synthetic_did: expected donors, units never treated in the window; found all "
                       f"{panel.n_units} treated by {panel.periods[panel.treated_from.max()]}; add some never "
                       "treated, or end the window before the last cohort starts")
    kept, positions, notes = _complete(panel, covariates)
    names, size, what = kept.units.to_numpy(), np.ones(kept.n_units, dtype=int), "unit"
    if level != "unit":
        kept, names, size = _combined(kept, positions, level, combine, covariates)
        what = level
        notes.append(f"the {kept.n_units} units are {_COMBINED[combine]} by {level}, each named by its first unit")
    if panel.weight is not None and (level == "unit" or combine != "weighted_mean"):
        notes.append("regression weights are not used")
    kept, names, size, cohorts, left_out = _cohorts(kept, names, size, positions, variant)
    outcome = kept.outcome[:, positions]
    if covariates:
        outcome = outcome - _explained(kept, positions, covariates)
        notes.append(f"covariates taken out by a regression on untreated cells: {listed(covariates)}")
    donors = kept.never_treated.astype(float)
    of_donors = outcome[kept.never_treated]
    cohorts = tuple(dataclasses.replace(cohort, noise=noise_level(of_donors[:, :cohort.before])) for cohort in cohorts)
    return Study(outcome, kept.units, names, size, positions, donors, cohorts, what, variant,
                 join_notes(*notes, *left_out, dose))


def _complete(panel: Panel, covariates: list[str]) -> tuple[Panel, np.ndarray, list[str]]:
    """Return the units with everything in every period that any unit has an outcome in, those periods, and notes."""
    present = np.isfinite(panel.outcome)
    seen = present.any(axis=0)
    for name in covariates:
        present = present & np.isfinite(panel.covariates[name])
    whole = present[:, seen].all(axis=1)
    notes = [] if seen.all() else [f"no outcome in {listed(panel.periods[~seen])}: skipped"]
    lost = panel.units[~whole]
    if len(lost):
        what = "an outcome or a covariate" if covariates else "an outcome"
        notes.append(f"{len(lost)} {'units' if len(lost) > 1 else 'unit'} without {what} in a period, left out: "
                     f"{listed(lost)}")
    for mask, kind in ((panel.never_treated, "donor (never treated)"), (~panel.never_treated, "treated unit")):
        if not (mask & whole).any():
            raise DidError(f"synthetic_did: expected a {kind} with an outcome in all {int(seen.sum())} periods; found "
                           f"none, {listed(panel.units[mask & ~whole])} lacking some; fill or shorten the window")
    return panel.keep(whole), np.flatnonzero(seen), notes


def _combined(panel: Panel, positions: np.ndarray, level: str, combine: str, covariates: list[str]
              ) -> tuple[Panel, np.ndarray, np.ndarray]:
    """Return the panel of clusters, their labels and how many units each has."""
    codes, names = pd.factorize(panel.clusters[level])
    first = np.unique(codes, return_index=True)[1]
    mixed = np.flatnonzero(panel.treated_from != panel.treated_from[first][codes])
    if len(mixed):
        dates = [*panel.periods, "never"]
        here = panel.treated_from[codes == codes[mixed[0]]]
        raise DidError(f"synthetic_did: level {level}: expected the units of a cluster to start together; found "
                       f"{names[codes[mixed[0]]]} with {listed([dates[at] for at in np.unique(here)])}; use level unit")
    member = (codes == np.arange(len(names))[:, None]).astype(float)
    share = np.ones(panel.outcome.shape)
    if combine == "weighted_mean":
        share = panel.observed_weight
    total = member @ share
    empty = np.argwhere(total[:, positions] <= 0)
    if len(empty):
        cluster, period = names[empty[0, 0]], panel.periods[positions[empty[0, 1]]]
        raise DidError(f"synthetic_did: combine weighted_mean: expected weights above 0 in each {level} and period; "
                       f"found 0 in all of {cluster}, {period}; correct the weights or use mean")
    total = np.ones(total.shape) if combine == "sum" else np.where(total > 0, total, 1.0)

    def by_cluster(values: np.ndarray) -> np.ndarray:
        combined = member @ np.where(share > 0, np.nan_to_num(values) * share, 0.0) / total
        return np.where(np.isin(np.arange(panel.n_periods), positions), combined, np.nan)

    found = dataclasses.replace(
        panel.keep(np.isin(np.arange(panel.n_units), first)), outcome=by_cluster(panel.outcome), weight=None,
        covariates={name: by_cluster(panel.covariates[name]) for name in covariates})
    return found, np.asarray(names), member.sum(axis=1).astype(int)


def _cohorts(panel: Panel, names: np.ndarray, size: np.ndarray, positions: np.ndarray, variant: str
             ) -> tuple[Panel, np.ndarray, np.ndarray, tuple[Cohort, ...], list[str]]:
    """Return the units that stay, with names and sizes, their cohorts without noise, and notes on what goes."""
    needed = 1 if variant == "did" else 2
    stays, notes = panel.never_treated, []
    firsts: list[tuple[int, int]] = []
    for first in np.unique(panel.treated_from[~panel.never_treated]):
        members, before = panel.treated_from == first, int((positions < first).sum())
        if before >= needed and before < len(positions):
            stays, firsts = stays | members, [*firsts, (int(first), before)]
            continue
        why = (f"{before} {'period' if before == 1 else 'periods'} before treatment, where {needed} are needed"
               if before < needed else "no period from treatment on")
        notes.append(f"cohort {panel.periods[first]} has {why}, left out: {listed(names[members])}")
    if not firsts:
        advice = "add earlier periods" if variant == "did" else "add earlier periods or use variant did"
        raise DidError(f"synthetic_did: expected a cohort with {needed} or more periods before treatment and one after "
                       f"it; found none ({notes[0]}); {advice}")
    kept = panel.keep(stays)
    cohorts = [Cohort(str(panel.periods[first]), first, before, (kept.treated_from == first).astype(float), np.nan,
                      int((kept.treated_from == first).sum()) * (len(positions) - before)) for first, before in firsts]
    return kept, names[stays], size[stays], tuple(cohorts), notes


def _explained(panel: Panel, positions: np.ndarray, covariates: list[str]) -> np.ndarray:
    """Return (units, periods) what covariates explain, by a regression on untreated cells with both effects."""
    columns = np.stack([panel.covariates[name][:, positions] for name in covariates], axis=2)
    untreated = (~panel.treated[:, positions]).astype(float)
    fit = two_way_fit(panel.outcome[:, positions], columns, untreated)
    lost = [name for name, known in zip(covariates, fit.identified, strict=True) if not known]
    if lost:
        raise DidError(f"synthetic_did: covariates: expected values that vary in untreated cells beyond unit and "
                       f"period effects and each other; found {listed(lost)}; leave it out")
    return columns @ fit.coefficient
