"""Observations turned into a panel: outcome by unit and period, with system, wave, cohort and dose."""

from __future__ import annotations

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
        self._outcomes: dict[tuple, tuple[Outcome, pd.DataFrame]] = {}
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
        area_audit = self._outcome(specification, areas, where)[1].copy()
        _, unused, excluded = self._units(specification, areas, where)
        reasons = area_audit["unit"].map(excluded.set_index("unit")["reason"])
        area_audit.loc[reasons.notna(), "fate"] = "excluded"
        area_audit["reason"] = reasons.where(reasons.notna(), area_audit["reason"])
        for row in unused.itertuples():
            hit = area_audit["area_code"] == row.area_code
            area_audit.loc[hit, "reason"] += f"; not treated by {row.ics}: {row.reason}"
        return area_audit.sort_values("area_code", ignore_index=True).assign(**self._keys(name))

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
        return outcome, units.set_index("unit").reindex(outcome.units)

    def _outcome(self, specification: Specification, areas, where: str) -> tuple[Outcome, pd.DataFrame]:
        denominator = self.indicator.denominator_name(specification)
        key = (specification.window, specification.boundaries, denominator)
        if key not in self._outcomes:
            self._outcomes[key] = self._figures.outcome(denominator, areas, _periods(self.indicator, specification),
                                                        where)
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
            return units, pd.DataFrame({"area_code": []}), excluded
        key = (specification.boundaries, indicator_members(specification))
        if key not in self._members:
            people = None
            population = self.indicator.population(specification)
            if population is not None:
                people = _residents(population, self.evaluation, self.observations, where)
            self._members[key] = waves.membership(self.evaluation.waves, specification, areas, self.indicator.geography,
                                                  people, self.evaluation.reference)
        onsets = (*key, specification.window, specification.cohorts, specification.controls)
        if onsets not in self._attributes:
            self._attributes[onsets] = _units(self.indicator, self.evaluation, specification, areas, self._members[key],
                                              where)
        return self._attributes[onsets]


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


def _units(indicator: Indicator, evaluation: Evaluation, specification: Specification, areas, membership: tuple,
           where: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attributes of every unit (name, region, system, wave, cohort, intensity, exposure), the rows of the
    membership table that were not used, and the units that the specification leaves out, with the reason."""
    members, unused, excluded = membership
    systems = waves.systems(evaluation, indicator.geography)
    columns = ["unit", "system"] if "region" in areas.units else ["unit", "system", "region"]
    units = areas.units.merge(systems[columns], on="unit", how="left")
    units = units.merge(members.drop(columns="note"), on="unit", how="left", suffixes=("", "_listed"))
    units["system"] = units["system_listed"].fillna(units["system"])
    lost = units.loc[units["system"].isna()]
    if len(lost):
        raise DidError(f"{where}: unit {lost['unit'].iloc[0]} ({lost['unit_name'].iloc[0]}) has no system in "
                       f"{evaluation.waves.systems[indicator.geography]}; add it")
    onsets = _first_periods(indicator, evaluation, specification)
    units["cohort"] = units["wave"].map(onsets)
    if specification.cohorts == "by_system":
        own = {system: indicator.onset(month) for system, month in evaluation.waves.system_onsets.items()}
        treated = units["cohort"].notna() & units["system"].isin(own)
        units["cohort"] = units["cohort"].where(~treated, units["system"].map(own))
    last = period(indicator.windows[specification.window].last, indicator.frequency, "window")
    units["cohort"] = units["cohort"].where(units["cohort"] <= last).astype("str")
    if specification.controls == "never_treated":
        reached = {wave: month for wave, month in evaluation.waves.onsets.items() if indicator.onset(month) <= last}
        others = units.loc[units["cohort"].isna() & units["wave"].isin(reached)]
        excluded = pd.concat([excluded, pd.DataFrame({
            "unit": others["unit"], "reason": "Specification controls=never_treated: wave " + others["wave"].astype(int)
            .astype(str) + " was treated from " + others["wave"].map(reached)})])
    units[["intensity", "exposure"]] = units[["intensity", "exposure"]].fillna(0.0)
    # A wave that the membership rules leave untreated has no exposure of its own; treated by date, it has all.
    units["exposure"] = units["exposure"].where(units["cohort"].isna() | (units["exposure"] > 0), 1.0)
    units["wave"] = units["wave"].astype("Int64")
    return units.drop(columns="system_listed"), unused, excluded


def _first_periods(indicator: Indicator, evaluation: Evaluation, specification: Specification) -> dict[int, pd.Period]:
    """First treated period of each wave that is treated under a specification."""
    months = dict.fromkeys(evaluation.waves.treated_waves, evaluation.waves.onset)
    if specification.staggered:
        months = evaluation.waves.onsets
    return {wave: indicator.onset(month) for wave, month in months.items()}


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
