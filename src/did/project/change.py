"""What may be changed in an evaluation for a run; without pandas, so that a run starts at once."""

from __future__ import annotations

import dataclasses
import hashlib
import re


@dataclasses.dataclass(frozen=True)
class Change:
    """What is changed: the specification that is reported, systems left out of every sample, periods left out."""

    specification: str | None = None
    without_systems: tuple[str, ...] = ()
    without_periods: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is changed, for a title; empty for nothing."""
        said = [f"specification {self.specification}"] if self.specification else []
        return ", ".join(said + [f"without {each}" for each in (*self.without_systems, *self.without_periods)])

    @property
    def name(self) -> str:
        """A name for folders: letters, digits and _ only."""
        plain = re.sub("[^a-z0-9]+", "_", self.words.lower()).strip("_")
        return plain if len(plain) <= 40 else f"{plain[:31]}_{hashlib.sha256(self.words.encode()).hexdigest()[:8]}"


UNCHANGED = Change()
