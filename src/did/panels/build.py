"""Observations turned into a panel: outcome by unit and period, with system, wave, cohort and dose."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

from did.areas import geography, plain_units, waves
from did.errors import DidError, suggest
from did.panels.outcomes import Observations, Outcome, Outcomes
from did.project.config import Evaluation
from did.project.config_parts import period
from did.project.indicator import Indicator, Measure
from did.project.specification import Specification
from did.project.waves_table import read_table


def build_all(indicator: Indicator, evaluation: Evaluation,
              observations: Observations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the panels of one indicator under the specifications that are reported, and its area_audit under every
    named one.

    As `build`, the specifications below one another. Reported are the default specification and those that treat units
    from different dates; panels of the others are made where they are fitted (did.panels.specifications). What they
    share is made once.
    """
    builder = Builder(indicator, evaluation, observations)
    specifications = evaluation.specifications_of(indicator)
    reported = [name for name, specification in specifications.items()
                if specification.staggered or name == evaluation.default_specification]
    built = {name: builder.build(name) for name in reported}
    area_audit = [built[name][1] if name in built else builder.area_audit(name) for name in specifications]
    panels = pd.concat([panel for panel, _ in built.values()], ignore_index=True)
    return panels, pd.concat(area_audit, ignore_index=True)


def build(indicator: Indicator, evaluation: Evaluation, specification_name: str,
          observations: Observations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the panel and area_audit tables of one indicator under one specification.

    ``observations`` maps a source to its observations table. Returns the ``panel`` table (one row per unit
    and period) and the ``area_audit`` table (one row per area of the sources). Counts are summed over areas and
    then divided; only a rate without counts is averaged, with weights.

    Raises DidError if a period of the window has no figures, an area is missing in some period, a code is
    unknown, the areas do not add up to England, or a unit has no system, wave or denominator.
    """
    return Builder(indicator, evaluation, observations).build(specification_name)


class Builder:
    """Builds panels of one indicator, keeping the areas, outcomes and memberships that specifications share."""

    def __init__(self, indicator: Indicator, evaluation: Evaluation, observations: Observations) -> None:
        if evaluation.waves.table is not None:
            observations = {name: frame.assign(area_type=plain_units.AREA_TYPE)
                            for name, frame in observations.items()}
        self.indicator, self.evaluation = indicator, evaluation
        self.observations = _without(indicator, observations)
        self._figures = Outcomes(indicator, self.observations)
        self._areas: dict[str, geography.UpperTier | geography.ChainAreas | plain_units.PlainUnits] = {}
        self._outcomes: dict[tuple, tuple[Outcome, Callable[[], pd.DataFrame]]] = {}
        self._named: pd.DataFrame | None = None
        self._lists: dict[str, list[waves.Listed]] = {}
        self._members: dict[tuple, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = {}
        self._attributes: dict[tuple, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = {}

    def build(self, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The panel and area_audit tables under a named specification; see `build`."""
        specification = self.evaluation.specifications[name]
        where = f"indicator {self.indicator.id}, specification {name}"
        return self._aligned(specification, where).assign(**self._keys(name)), self.area_audit(name)

    def area_audit(self, name: str) -> pd.DataFrame:
        """The area audit table under a named specification; see `build`."""
        specification = self.evaluation.specifications[name]
        where = f"indicator {self.indicator.id}, specification {name}"
        areas = self._areas_of(specification)
        area_audit = self._outcome(specification, areas, where)[1]()
        _, unused, excluded = self._units(specification, areas, where)
        reasons = area_audit["unit"].map(excluded.set_index("unit")["reason"])
        left_out, reason = reasons.notna(), reasons.where(reasons.notna(), area_audit["reason"])
        more: dict[str, str] = {}
        for row in unused.itertuples():
            more[row.area_code] = more.get(row.area_code, "") + f"; not treated by {row.ics}: {row.reason}"
        if more:
            reason += area_audit["area_code"].map(more).fillna("")
        return area_audit.assign(fate=area_audit["fate"].mask(left_out, "excluded"), reason=reason, **self._keys(name))

    def _keys(self, name: str) -> dict:
        used = [self.observations[source] for source in self.indicator.sources]
        return {"indicator": self.indicator.id, "specification": name,
                "is_synthetic": any(bool(frame["is_synthetic"].any()) for frame in used)}

    def panel(self, specification: Specification) -> pd.DataFrame:
        """The panel under any specification, without the columns indicator, specification and is_synthetic."""
        return self._aligned(specification, f"indicator {self.indicator.id}")

    def arrays(self, specification: Specification) -> tuple[Outcome, pd.DataFrame]:
        """The outcome under any specification, on arrays that others share, and the attributes of each of its units."""
        return self._parts(specification, f"indicator {self.indicator.id}")

    def _aligned(self, specification: Specification, where: str) -> pd.DataFrame:
        outcome, units = self._parts(specification, where)
        rows = units.iloc[np.repeat(np.arange(len(units)), len(outcome.periods))]
        return pd.concat([outcome.frame(), rows.reset_index(drop=True)], axis=1).assign(
            frequency=self.indicator.frequency)

    def _parts(self, specification: Specification, where: str) -> tuple[Outcome, pd.DataFrame]:
        indicator, areas = self.indicator, self._areas_of(specification)
        outcome = self._outcome(specification, areas, where)[0]
        units, _, excluded = self._units(specification, areas, where)
        dropped = _dropped(indicator, specification, _periods(indicator, specification))
        dropped += neither(indicator, self.evaluation)
        kept = ~outcome.units.isin(excluded["unit"])
        if len(dropped) or not kept.all():
            outcome = outcome.less(kept, outcome.periods.isin(dropped))
        return outcome, units.reindex(outcome.units)

    def _outcome(self, specification: Specification, areas, where: str
                 ) -> tuple[Outcome, Callable[[], pd.DataFrame]]:
        denominator = self.indicator.denominator_name(specification)
        key = (specification.window, specification.boundaries, denominator)
        if key not in self._outcomes:
            outcome, area_audit = self._figures.outcome(denominator, areas, _periods(self.indicator, specification),
                                                        where)
            self._outcomes[key] = outcome, cache(area_audit)
        return self._outcomes[key]

    def _areas_of(self, specification: Specification):
        if specification.boundaries not in self._areas:
            self._areas[specification.boundaries] = self._load_areas(specification.boundaries)
        return self._areas[specification.boundaries]

    def _load_areas(self, boundaries: str):
        evaluation = self.evaluation
        if evaluation.waves.table is None:
            return geography.load(self.indicator.geography, evaluation.reference, boundaries)
        return plain_units.PlainUnits(read_table(evaluation), evaluation.waves.table)

    def _units(self, specification: Specification, areas,
               where: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        if isinstance(areas, plain_units.PlainUnits):
            units, excluded = plain_units.attributes(areas, self.indicator, specification, where)
            return units.set_index("unit"), pd.DataFrame({"area_code": []}), excluded
        # Which unit an area lies in is the same on any boundaries.
        key = indicator_members(specification)
        if key not in self._members:
            self._members[key] = waves.membership(self._listed(specification, areas, where), self.evaluation.waves,
                                                  specification)
        onsets = (*key, specification.window, specification.cohorts, specification.controls)
        if onsets not in self._attributes:
            if self._named is None:
                self._named = _named(self.indicator, self.evaluation, areas)
            self._attributes[onsets] = _units(self.indicator, self.evaluation, specification, self._named,
                                              self._members[key], where)
        return self._attributes[onsets]

    def _listed(self, specification: Specification, areas, where: str) -> list[waves.Listed]:
        evaluation, population = self.evaluation, self.indicator.population(specification)
        if specification.membership not in self._lists:
            self._lists[specification.membership] = waves.listed(
                evaluation.waves, specification.membership, areas, self.indicator.geography,
                lambda: _residents(population, evaluation, self.observations, where), evaluation.reference)
        return self._lists[specification.membership]


def _without(indicator: Indicator, observations: Observations) -> Observations:
    """The observations, with the areas that the indicator leaves out marked as such in the sources of its figures.

    Raises DidError for a code that none of these sources has: with a misspelt one a total would stay in.
    """
    names = dict.fromkeys(name for each in indicator.figures for name in each.sources)
    there = {code for name in names for code in observations[name]["area_code"].unique() if indicator.leave_out}
    for code in indicator.leave_out:
        if code not in there:
            raise DidError(f"indicator {indicator.id}: key 'leave_out': expected codes of its figures' areas; found "
                           f"'{code}', which {', '.join(names)} does not have{suggest(code, there)}; correct or remove "
                           "it")

    def marked(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(area_type=frame["area_type"].mask(frame["area_code"].isin(indicator.leave_out), "left_out"))

    return {name: marked(frame) if indicator.leave_out and name in names else frame
            for name, frame in observations.items()}


def neither(indicator: Indicator, evaluation: Evaluation) -> list[str]:
    """Periods of several years that hold an onset and are neither before nor after it; their outcomes are left out."""
    if indicator.span == 1:
        return []
    table = evaluation.waves.table
    months = [evaluation.waves.onset] if table is None else read_table(evaluation)["first_treated"].dropna()
    return sorted({period for month in dict.fromkeys(months) for period in indicator.holding(month)})


def indicator_members(specification: Specification) -> tuple[str, ...]:
    """The choices of a specification that decide who is a member of what, and how strongly."""
    return (specification.membership, specification.metropolitan, specification.predecessors, specification.partial,
            specification.overlap)


def _periods(indicator: Indicator, specification: Specification) -> pd.Index:
    window = indicator.windows[specification.window]
    first, last = (period(text, indicator.frequency, "window") for text in (window.first, window.last))
    return pd.period_range(first, last, freq=indicator.frequency).astype(str)


def _dropped(indicator: Indicator, specification: Specification, periods: pd.Index) -> list[str]:
    """The periods a specification leaves out, its spans written out."""
    found = []
    for text in specification.drop_periods:
        where = f"indicator {indicator.id}: key 'drop_periods' of a specification"
        ends = [period(end.strip(), indicator.frequency, where) for end in text.split(" to ")]
        span = pd.period_range(ends[0], ends[-1], freq=indicator.frequency).astype(str)
        strange = sorted(set(span) - set(periods))
        if strange or not len(span):
            raise DidError(f"{where} must name periods {periods[0]} to {periods[-1]}; found '{text}'")
        found += list(span)
    return found


def _named(indicator: Indicator, evaluation: Evaluation, areas) -> pd.DataFrame:
    """Name, region and system of every unit, by unit, whether or not a membership table names it."""
    systems = waves.systems(evaluation, indicator.geography)
    columns = ["unit", "system"] if "region" in areas.units else ["unit", "system", "region"]
    return areas.units.merge(systems[columns], on="unit", how="left").set_index("unit")


def _units(indicator: Indicator, evaluation: Evaluation, specification: Specification, named: pd.DataFrame,
           membership: tuple, where: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attributes by unit (name, region, system, wave, cohort, intensity, exposure), the rows of the
    membership table that were not used, and the units that the specification leaves out, with the reason."""
    members, unused, excluded = membership
    found = members.set_index("unit").reindex(named.index)
    wave, system = found["wave"].to_numpy(), found["system"].where(found["system"].notna(), named["system"])
    lost = named.loc[system.isna()]
    if len(lost):
        raise DidError(f"{where}: unit {lost.index[0]} ({lost['unit_name'].iloc[0]}) has no system in "
                       f"{evaluation.waves.systems[indicator.geography]}; add it")
    last = period(indicator.windows[specification.window].last, indicator.frequency, "window")
    onsets = _first_periods(indicator, evaluation, specification)
    first = [onsets.get(each) for each in wave]
    if specification.cohorts == "by_system":
        own = {system: indicator.onset(month) for system, month in evaluation.waves.system_onsets.items()}
        first = [own.get(name, onset) if onset is not None else None for name, onset in zip(system, first, strict=True)]
    cohort = [str(onset) if onset is not None and onset <= last else None for onset in first]
    if specification.controls == "never_treated":
        reached = {wave: month for wave, month in evaluation.waves.onsets.items() if indicator.onset(month) <= last}
        others = [(unit, f"Specification controls=never_treated: wave {int(each)} was treated from {reached[each]}")
                  for unit, each, onset in zip(named.index, wave, cohort, strict=True)
                  if onset is None and each in reached]
        excluded = pd.concat([excluded, pd.DataFrame(others, columns=["unit", "reason"], dtype="str")])
    intensity, exposure = (found[column].fillna(0.0).to_numpy() for column in ("intensity", "exposure"))
    # A wave that the membership rules leave untreated has no exposure of its own; treated by date, it has all.
    untreated = np.array([onset is None for onset in cohort])
    return named.assign(system=system, wave=pd.array(wave, dtype="Int64"), cohort=pd.array(cohort, dtype="str"),
                        intensity=intensity, exposure=np.where(untreated | (exposure > 0), exposure, 1.0)
                        ), unused, excluded


def _first_periods(indicator: Indicator, evaluation: Evaluation, specification: Specification) -> dict[int, pd.Period]:
    """First treated period of each wave that is treated under a specification."""
    months = dict.fromkeys(evaluation.waves.treated_waves, evaluation.waves.onset)
    if specification.staggered:
        months = evaluation.waves.onsets
    of = {month: indicator.onset(month) for month in set(months.values())}
    return {wave: of[month] for wave, month in months.items()}


def _residents(population: Measure, evaluation: Evaluation, observations: Observations,
               where: str) -> pd.DataFrame:
    """District populations (area_code, value) of the last mid-year before the onset."""
    year = str(period(evaluation.waves.onset, "M", "waves.onset").year - 1)
    source = observations[population.source]
    rows = source.loc[(source["measure"] == population.measure) & (source["area_type"] == "lad")
                      & (source["period"] == year), ["area_code", "value"]]
    if rows.empty:
        raise DidError(f"{where}: no population by district for mid-{year}, the last before the onset; "
                       "expected it to weigh partly covered areas")
    return rows
