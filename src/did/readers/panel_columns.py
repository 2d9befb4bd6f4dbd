"""The columns of anyone's panel, and what they are called in a `Panel`."""

from __future__ import annotations

import dataclasses

from did.errors import DidError


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names of a file's columns. ``clusters`` and ``covariates`` may be empty; None = there is none.

    One of ``cohort`` and ``treatment`` is needed: each unit's first treated period, or whether a row is treated.
    """

    outcome: str
    unit: str
    period: str
    cohort: str | None = None
    clusters: tuple[str, ...] = ()
    weight: str | None = None
    covariates: tuple[str, ...] = ()
    dose: str | None = None
    treatment: str | None = None

    def check(self) -> None:
        """Raise DidError unless exactly one of cohort and treatment is named, and the outcome is nothing else too."""
        if (self.cohort is None) == (self.treatment is None):
            raise DidError(f"--cohort: expected a column of first treated periods, or --treatment with one of whether "
                           f"a row is treated; found {'neither' if self.cohort is None else 'both'}; name one of them")
        for option, column in self._pairs()[1:]:
            if column == self.outcome:
                raise DidError(f"{option}: expected another column than the outcome, which it would explain by itself; "
                               f"found '{column}', as --outcome has it; name another")
            if column == self.period and option in ("--unit", "--cohort", "--treatment", "--weights", "--dose"):
                raise DidError(f"{option}: expected another column than that of the periods; found '{column}', as "
                               "--period has it; name another")

    def named(self) -> dict[str, str]:
        """Option of the command -> column, for every column asked for (the last of several with one option)."""
        return {column: option for option, column in self._pairs() if column is not None}

    def _pairs(self) -> list[tuple[str, str | None]]:
        pairs: list[tuple[str, str | None]] = [
            ("--outcome", self.outcome), ("--unit", self.unit), ("--period", self.period), ("--cohort", self.cohort),
            ("--treatment", self.treatment), ("--weights", self.weight), ("--dose", self.dose)]
        pairs += [("--cluster", name) for name in self.clusters]
        pairs += [("--covariates", name) for name in self.covariates]
        return pairs


def level_of(column: str, columns: Columns) -> str:
    """Return the cluster level of a panel by `load` that a column makes: ``unit`` if it is that of the units.

    >>> level_of("clinic", Columns("visits", "clinic", "year", "first_year"))
    'unit'
    """
    return level_name(None if column == columns.unit else column)


def level_name(column: str | None) -> str:
    """The cluster level of a column (None = the unit itself), where `unit` is taken."""
    return "unit" if column is None else "unit (column)" if column == "unit" else column


def outcome_notes(cell: str, n_gone: int, n_rows: int, n_cells: int) -> list[str]:
    """Return what to say of ``n_gone`` rows without an outcome, the first of them in ``cell``, and of the unit-periods,
    ``n_cells`` in all, that no row is of."""
    notes = []
    if n_gone:
        more = f" and {n_gone - 1} more" if n_gone > 1 else ""
        notes.append(f"no outcome in {cell}{more}; taken as not observed")
    if n_rows < n_cells:
        notes.append(f"{n_cells - n_rows} of {n_cells} unit-periods have no row; taken as not observed")
    return notes
