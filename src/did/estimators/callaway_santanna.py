"""Group-time average treatment effects of Callaway and Sant'Anna."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, one_of, suggest
from did.estimators.base import (
    ESTIMATED,
    NOT_IDENTIFIED,
    PERIODS_PER_YEAR,
    REFERENCE,
    Panel,
    Result,
    join_notes,
    listed,
    parameter_table,
    scale_free,
)
from did.estimators.drdid import METHODS, dependence
from did.estimators.group_time import Cohort, Sample, cohorts_of
from did.estimators.group_time_moments import effects
from did.estimators.within import ROUNDING

CONTROL_GROUPS = ("not_yet_treated", "never_treated")
BASE_PERIODS = ("varying", "universal")
UNBALANCED = ("trim", "pairwise")
DATA = ("panel", "repeated_cross_sections")


@scale_free
def estimate(
    panel: Panel,
    *,
    control_group: str = "not_yet_treated",
    base_period: str = "varying",
    anticipation: int = 0,
    method: str = "unconditional",
    unbalanced: str = "trim",
    base_window: int | str | None = None,
    data: str = "panel",
) -> Result:
    """Return the average effect on cohort g in period t, for every cohort and period.

        ATT(g, t) = E[Y_t - Y_b | cohort g] - E[Y_t - Y_b | controls]

    b is the last period more than ``anticipation`` before g; for t before that under ``base_period="varying"`` the
    previous period, whose effects are changes from one period to the next. Controls are the ``never_treated``, or
    every unit ``not_yet_treated`` by max(t, b) + anticipation. ``method`` adjusts for ``panel.covariates``, in a
    linear form: ``reg`` by regression, ``ipw`` by the odds of treatment, ``dr`` by both (doubly robust); without
    covariates all are the same. Covariates and ``panel.weight`` (sampling weights) are those of the earlier of t and
    b. Callaway and Sant'Anna 2021, Journal of Econometrics 225:200-230; Sant'Anna and Zhao 2020, Journal of
    Econometrics 219:101-122. Equal to R's did 2.5.1 without bootstrap; under anticipation of two periods or more the
    base of the anticipated periods is that of 2.5.1.901 (its pull request 276).

    ``base_window`` puts a mean in place of Y_b, so that effects do not rest on one noisy period: of the N periods that
    end with b (a whole number), of all up to b (``all``); or the last period up to b of the season of t, that is the
    same month or quarter in the year before (``season``). Controls, and the period of covariates and weights, stay
    those of b (with ``season``, of the period taken). Parallel trends must then hold from the first of these periods
    on. A cohort with fewer than N periods uses those it has, and the note says so; cells without a period of their
    season are left out and, from treatment on, noted.

    ``data="repeated_cross_sections"`` compares the means of whoever is observed in t and in b, in place of changes of
    units: R's ``panel = FALSE`` (for units some of which are seen twice, its ``allow_unbalanced_panel``), for surveys
    whose respondents are units seen once. Each observation has its own covariates and weight; ``unbalanced`` does not
    apply, and ``base_window`` cannot be taken (`did.estimators.drdid_rc`; Callaway and Sant'Anna 2021, appendix B).

    One parameter ``att_gt`` per cohort and period, with event_time t - g, in units of the outcome; a universal
    base period is a row of estimate 0 noted ``reference``. Errors follow R's did: normal, without a
    small-sample factor. A cell that is not identified has estimate NaN and says why, naming the covariate; a
    cohort of one unit is noted. Units with a missing outcome, weight or covariate are dropped and named
    (``unbalanced="trim"``), or left out of the cells they are missing from (``"pairwise"``). Periods nobody has
    are skipped, cohorts without a base period are dropped, and without never-treated units the periods from the
    last cohort on (less anticipation) are dropped and that cohort serves as control. The note names them all,
    and says if doses other than 1 (shares of exposure) are not used.

    Raises DidError if an option is unknown, the season of years or a window of repeated cross-sections is asked for, or
    the treatment is not binary; there is no never-treated unit under ``never_treated``; fewer than two periods, no
    treated unit or no control is left; a covariate is the same in all units of a cohort (each period), or collinear
    with those before it; or no cell is identified. (R's did warns of the cells, without the covariate's name, and keeps
    what the rest gives.)
    """
    one_of("callaway_santanna: control_group", control_group, CONTROL_GROUPS)
    one_of("callaway_santanna: base_period", base_period, BASE_PERIODS)
    one_of("callaway_santanna: method", method, METHODS)
    one_of("callaway_santanna: unbalanced", unbalanced, UNBALANCED)
    whole_number("callaway_santanna: anticipation", anticipation, "periods", 0)
    one_of("callaway_santanna: data", data, DATA)
    _window(panel, base_window)
    sections = data != DATA[0]
    if sections and base_window is not None:
        raise DidError("callaway_santanna: base_window: expected none with repeated cross-sections, whose units have "
                       f"no mean before treatment; found {base_window}; leave one of the two out")
    dose = without_dose(panel, "callaway_santanna")
    names = () if method == "unconditional" else tuple(panel.covariates)
    asked = Asked("callaway_santanna", control_group, anticipation, names, unbalanced == "trim" and not sections,
                  sections=sections)
    kept, sample, firsts, note = sample_of(panel, asked)
    refuse_flat(sample, "callaway_santanna")
    cohorts, said = cohorts_for(panel, sample, firsts, base_period, anticipation, base_window)
    note = join_notes(note, said)
    never_only, units = control_group == "never_treated", panel.units if kept.all() else panel.units[kept]
    value, shares, reasons = effects(sample, cohorts, units, never_treated_only=never_only, method=method,
                                     sections=sections)
    parameters = cell_table(panel, sample, cohorts, reasons, shares.n_treated())
    if (parameters["state"] != ESTIMATED).all():
        advice = ("use other covariates or another method" if sample.names else
                  "add controls or periods" if sections else
                  "use --unbalanced pairwise or add controls")
        raise DidError(f"callaway_santanna: expected a cohort and period that can be estimated by {method}; "
                       f"found none: {next(filter(None, reasons))}{f' ({note})' if note else ''}; {advice}")
    if method == "unconditional" and panel.covariates:
        note = join_notes(note, f"covariates not used: {listed(panel.covariates)}")
    return Result(
        estimator="callaway_santanna",
        parameters=parameters,
        estimate=value,
        shares=shares,
        n_obs=int(np.isfinite(sample.outcome).sum()),
        n_parameters=None,
        note=join_notes(note, dose),
        distribution="normal",
        anticipation=anticipation,
    )


def whole_number(at: str, value: object, unit: str, least: int) -> None:
    """Raise DidError, beginning with ``at``, unless ``value`` is a whole number of ``unit``, ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DidError(f"{at}: expected a whole number of {unit}, {least} or more; found {value}")


def cohorts_for(panel: Panel, sample: Sample, firsts: np.ndarray, base_period: str, anticipation: int,
                base_window: int | str | None) -> tuple[list[Cohort], str]:
    """Return the cells of the cohorts ``firsts`` under options of `estimate`, and the note on short windows."""
    window, season = _window(panel, base_window)
    cohorts = cohorts_of(sample, firsts, universal=base_period == "universal", anticipation=anticipation,
                         window=window, season=season)
    return cohorts, _short_windows(panel, sample, cohorts, anticipation, window, season)


def _window(panel: Panel, base_window: int | str | None) -> tuple[int | None, int]:
    """Return how many periods the base averages (None = all) and, for a base of the season, the periods of a year."""
    if base_window is None:
        return 1, 0
    if base_window == "all":
        return None, 0
    if base_window == "season":
        length = PERIODS_PER_YEAR[panel.frequency]
        if length == 1:
            raise DidError("callaway_santanna: base_window season: expected months or quarters, which come again each "
                           "year; found years; use a number of periods or all")
        return 1, length
    if isinstance(base_window, str) and base_window.isdecimal():   # as a command line has it
        base_window = int(base_window)
    if isinstance(base_window, str):
        raise DidError("callaway_santanna: base_window: expected a whole number of periods, all or season; found "
                       f"'{base_window}'{suggest(base_window, ('all', 'season'))}")
    whole_number("callaway_santanna: base_window", base_window, "periods", 1)
    return base_window, 0


def _short_windows(panel: Panel, sample: Sample, cohorts: list[Cohort], anticipation: int, window: int | None,
                   season: int) -> str:
    """Return the note on cohorts with fewer periods than the base takes, or none of the season of some period."""
    notes = []
    for cohort in cohorts:
        n_before = int((sample.positions + anticipation < cohort.first).sum())
        if window is not None and n_before < window:
            notes.append(f"cohort {panel.periods[cohort.first]} has {n_before} of the {window} periods of its base")
        after = np.flatnonzero(sample.positions + anticipation >= cohort.first)
        lost = panel.periods[sample.positions[np.setdiff1d(after, cohort.period)]]
        if season and len(lost):
            notes.append(f"cohort {panel.periods[cohort.first]}: no period of the season before treatment for "
                         f"{listed(lost)}, left out")
    return join_notes(*notes)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What an estimator of group-time effects asks of a panel.

    estimator      its name, which errors begin with
    control_group  one of `CONTROL_GROUPS`
    anticipation   periods before treatment that may have an effect
    covariates     names of the panel's covariates it adjusts for
    trim           leave out units with a missing period, not only those with none
    n_before       periods a cohort must have before treatment
    sections       units are observations of repeated cross-sections
    """

    estimator: str
    control_group: str
    anticipation: int
    covariates: tuple[str, ...]
    trim: bool
    n_before: int = 1
    sections: bool = False


def sample_of(panel: Panel, asked: Asked) -> tuple[np.ndarray, Sample, np.ndarray, str]:
    """Return the mask of the units used, the sample, the cohorts' first positions, and what was left out."""
    names, trim, anticipation = asked.covariates, asked.trim, asked.anticipation
    control_group, estimator = asked.control_group, asked.estimator
    covariates = np.stack([panel.covariates[name] for name in names]) if names else np.empty(
        (0, *panel.outcome.shape))
    first, notes = panel.treated_from, []
    observed = np.isfinite(panel.outcome).any(axis=0) if not panel.is_complete else np.ones(panel.n_periods, dtype=bool)
    positions = np.flatnonzero(observed)
    if len(positions) < panel.n_periods:
        skipped = panel.periods[~observed]
        notes.append(f"no outcome in {listed(skipped)}: skipped, and the period before serves as base")
    never = panel.never_treated
    if not never.any():
        if control_group == "never_treated":
            raise DidError(f"{estimator}: control_group never_treated: expected units never treated in "
                           f"the window; found all {panel.n_units} treated by "
                           f"{panel.periods[first.max()]}; use not_yet_treated or add controls")
        last = first.max()
        positions = positions[positions < last - anticipation]
        never = first == last
        notes.append(f"no never-treated units: cohort {panel.periods[last]} serves as control and "
                     f"{panel.periods[max(last - anticipation, 0)]} and later are left out")
    if len(positions) < 2:
        raise DidError(f"{estimator}: expected two periods or more with outcomes before every unit is "
                       f"treated; found {len(positions)}; add periods or controls")
    early = ~never & (np.searchsorted(positions, first - anticipation) < asked.n_before)
    if early.any():
        of_anticipation = f" and {anticipation} of anticipation" if anticipation else ""
        too_few = "no period" if asked.n_before == 1 else f"fewer than {asked.n_before} periods"
        notes.append(f"{too_few} before treatment{of_anticipation}, left out: {_by_cohort(panel, early)}")
    late = ~never & (first > positions[-1])
    if late.any():
        notes.append(f"no period from treatment on is left, effects before it only: {_by_cohort(panel, late)}")
    kept = ~early
    usable = _usable(panel, covariates, positions)
    incomplete = kept & (~usable.all(axis=1) if trim else ~usable.any(axis=1))
    what = " or ".join(["outcome", *(["weight"] if panel.weight is not None else []),
                        *(["covariate"] if names else [])])
    count = f"{int(incomplete.sum())} {'units' if incomplete.sum() > 1 else 'unit'}"
    if incomplete.any():
        often = "in a period" if trim else "in every period"
        notes.append(f"{count} without an {what.replace(' or ', ' or a ')} {often}, left out: "
                     f"{listed(panel.units[incomplete])}")
        kept &= ~incomplete
    if not trim and not asked.sections and not usable[kept].all():
        notes.append("units with a missing period are used in the cells they have both periods for")
    if control_group == "never_treated" and not (never & kept).any():
        often, advice = ("", "use --unbalanced pairwise") if trim else (" in every period", "add controls")
        raise DidError(f"{estimator}: control_group never_treated: no never-treated unit is left after {count} "
                       f"with a missing {what}{often} were dropped; {advice}")
    firsts = np.flatnonzero(np.bincount(first[kept & ~never]))
    if not len(firsts) or not (never & kept).any() and len(firsts) < 2:
        periods = "a period" if asked.n_before == 1 else f"{asked.n_before} periods"
        side = f"treated unit with {periods} before treatment" if not len(firsts) else "control unit"
        raise DidError(f"{estimator}: expected a {side}; found none among the {int(kept.sum())} units "
                       f"with outcomes ({join_notes(*notes) or 'nothing was left out'}); add units or periods"
                       + (", or use --unbalanced pairwise" if incomplete.any() and trim else ""))
    whole = kept.all() and len(positions) == panel.n_periods
    outcome = panel.outcome if whole else panel.outcome[np.ix_(kept, positions)]
    weight = None
    if panel.weight is not None:
        weight = panel.observed_weight[kept][:, positions]
        # Without a weight the unit is not in the period.
        outcome = np.where(weight > 0, outcome, np.nan)
    beyond = max(panel.n_periods, int(positions[-1]) + anticipation) + 1
    sample = Sample(outcome, positions, np.where(never, beyond, first)[kept], beyond, weight,
                    covariates[:, kept][:, :, positions], names)
    return kept, sample, firsts, join_notes(*notes)


def _usable(panel: Panel, covariates: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return (units, positions) whether outcome, weight and covariates are there."""
    if panel.is_complete and panel.weight is None and not len(covariates):
        return np.ones((panel.n_units, 1), dtype=bool)   # in one column, for all of them
    weighed = np.isfinite(panel.outcome) if panel.weight is None else panel.observed_weight > 0
    return np.asarray((weighed & np.isfinite(covariates).all(axis=0))[:, positions])


def _by_cohort(panel: Panel, units: np.ndarray) -> str:
    """Return the units of a (units,) mask in words, by cohort."""
    first = panel.treated_from
    return listed([f"cohort {panel.periods[one]} ({listed(panel.units[units & (first == one)])})"
                  for one in np.unique(first[units])])


def refuse_flat(sample: Sample, estimator: str) -> None:
    """Raise DidError at a covariate that the cohort or other covariates determine in every period.

    A covariate with one value per cohort cannot be told from the cohorts' own changes: what a regression or a
    logit makes of it is extrapolation from one cohort to the next. Cells where a covariate fails by itself are
    left to their own reasons.
    """
    if not sample.names:
        return
    cohort = np.unique(sample.first, return_inverse=True)[1]
    weight = np.ones(sample.outcome.shape) if sample.weight is None else sample.weight
    seen = np.isfinite(sample.covariates).all(axis=0) & (weight > 0)
    for column, name in enumerate(sample.names):
        values = np.where(seen, sample.covariates[column], np.nan)
        if not any(_varies(values[:, period]) for period in range(values.shape[1])):
            raise DidError(f"{estimator}: covariate '{name}': expected values that differ between units; "
                           "found one for all, collinear with the constant; leave it out")
        if not any(_varies(values[cohort == one, period]) for one in range(cohort.max() + 1)
                   for period in range(values.shape[1])):
            raise DidError(f"{estimator}: covariate '{name}': expected values that differ between units of a "
                           "cohort or between untreated units; found one value per cohort, which cannot be told from "
                           "the cohort's own change; leave it out")
    reason = ""
    for period in range(seen.shape[1]):
        rows = seen[:, period]
        design = np.column_stack([np.ones(rows.sum()), sample.covariates[:, rows, period].T])
        reason = dependence(design, weight[rows, period], sample.names, "")
        if not reason:
            break
    if reason:
        raise DidError(f"{estimator}: covariates: expected covariates that add to each other; found in every "
                       f"period: {reason}; leave one out")


def _varies(values: np.ndarray) -> bool:
    """Return whether the observed values of one period differ by more than rounding."""
    seen = values[np.isfinite(values)]
    return len(seen) > 1 and bool(np.ptp(seen) > ROUNDING * np.abs(seen).max())


def without_dose(panel: Panel, name: str) -> str:
    """Return the note on doses that the estimator ``name`` does not use, empty if every treated dose is 1.

    Raises DidError if the treatment is not binary: effects of a cohort are per treated unit, not of dose.
    """
    if panel.treatment != "binary":
        raise DidError(f"{name}: treatment: expected binary, since its effects are per treated unit, not per unit of "
                       f"dose; found {panel.treatment}; use estimator did, event_study, imputation or stacked for "
                       "doses")
    used = (panel.dose[~panel.never_treated] != 1).any()
    return "the dose is not used: effects are per treated unit" if used else ""


def cell_table(
    panel: Panel, sample: Sample, cohorts: list[Cohort], reasons: list[str], n_treated: np.ndarray
) -> pd.DataFrame:
    """Return the ``parameters`` of group-time cells; n_treated (cells,) counts the treated units of each."""
    cohort = np.concatenate([np.full(len(one.period), one.first) for one in cohorts])
    period = np.concatenate([sample.positions[one.period] for one in cohorts])
    reference = np.concatenate([one.reference for one in cohorts])
    states = [REFERENCE if is_reference else NOT_IDENTIFIED if reason else ESTIMATED
              for is_reference, reason in zip(reference, reasons, strict=True)]
    notes = [
        reason if reason else "" if is_reference
        else "one treated unit: its error leaves out that unit's own variation" if n == 1 else ""
        for is_reference, reason, n in zip(reference, reasons, n_treated, strict=True)
    ]
    return parameter_table("att_gt", cohort=panel.periods[cohort], period=panel.periods[period],
                           event_time=period - cohort, state=states, note=notes)


def first_weight(panel: Panel, places: np.ndarray) -> np.ndarray:
    """Return the sampling weight of the units at ``places`` of the panel in the first period each is observed (1 if
    unweighted)."""
    if panel.weight is None:
        return np.broadcast_to(1.0, len(places))
    weight = panel.observed_weight[places]
    return weight[np.arange(len(places)), (weight > 0).argmax(axis=1)]


@dataclasses.dataclass(frozen=True)
class CohortOfUnits:
    """Code (units,) of each unit's cohort among ``labels`` (-1: none of them) and its weight (units,)."""

    labels: pd.Index
    code: np.ndarray
    weight: np.ndarray


def cohort_of_units(result: Result, panel: Panel) -> CohortOfUnits:
    """Return which of a group-time result's cohorts each of its units belongs to, and its sampling weight."""
    labels = pd.Index(result.parameters["cohort"].unique())
    places = result.places(panel)
    number = np.full(panel.n_periods + 1, -1)
    number[panel.periods.get_indexer(labels)] = np.arange(len(labels))   # none for the never treated
    return CohortOfUnits(labels, number[panel.treated_from[places]], first_weight(panel, places))
