"""Where each stage keeps its files, relative to the project folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The evaluation that commands are about if none is named.
DEFAULT_CONFIG = Path("config/ics.yaml")
# Tables of an indicator that stages hand on, in the order they are made.
TABLES = ("panel", "area_audit", "estimates", "influence", "specifications", "calibration", "headline", "diagnostics",
          "trends", "weights", "comparison", "second_opinion", "evidence", "evidence_items", "verdicts")
# Of a family.
FAMILY_TABLES = ("adjusted_p_values", "tested_claims")


@dataclass(frozen=True)
class Paths:
    """Folders of one project: ``data`` for what stages hand on, ``results`` for what people read."""

    data: Path = Path("data")
    results: Path = Path("results")
    logs: Path = Path("logs")

    @classmethod
    def of(cls, mode_kind: str, folder: str = "") -> Paths:
        """Paths of a data mode and of an evaluation's own ``folder`` (Evaluation.own_folder; "" for none).

        What is made up is in a folder ``demo`` of each, so that made-up and real files, tables and results can never be
        taken for each other.
        """
        made_up = "demo" if mode_kind == "demo" else ""
        return cls(*(base / made_up / folder for base in (cls.data, cls.results, cls.logs)))

    @classmethod
    def with_results(cls, folder: str = "") -> list[Paths]:
        """Paths of an evaluation's own ``folder`` where there are results: of real data, of made-up data, or both."""
        return [paths for kind in ("live", "demo") if (paths := cls.of(kind, folder)).manifest.is_file()]

    @property
    def manifest(self) -> Path:
        """Checksums of what went into the results and of what came out, written last."""
        return self.results / "manifest.json"

    def raw(self, source: str) -> Path:
        """Folder of a source's files as published, with their ``manifest.json``."""
        return self.data / "raw" / source

    def observations(self, source: str) -> Path:
        """Table of a source; the methods below are tables of an indicator, named as in docs/tables.md."""
        return self.data / "interim" / "observations" / f"{source}.parquet"

    @property
    def modules(self) -> Path:
        """Folder of the checksums of the modules that each stage is made of."""
        return self.data / "interim" / "modules"

    @property
    def config(self) -> Path:
        """Folder of the parts of the evaluation that the stages use."""
        return self.data / "interim" / "config"

    def panel(self, indicator: str) -> Path:
        return self.data / "processed" / "panel" / f"{indicator}.parquet"

    def area_audit(self, indicator: str) -> Path:
        return self.data / "processed" / "area_audit" / f"{indicator}.parquet"

    def estimates(self, indicator: str) -> Path:
        return self.data / "processed" / "estimates" / f"{indicator}.parquet"

    def influence(self, indicator: str) -> Path:
        return self.data / "processed" / "influence" / f"{indicator}.parquet"

    def specifications(self, indicator: str) -> Path:
        return self.data / "processed" / "specifications" / f"{indicator}.parquet"

    def calibration(self, indicator: str) -> Path:
        return self.data / "processed" / "calibration" / f"{indicator}.parquet"

    def headline(self, indicator: str) -> Path:
        return self.data / "processed" / "headline" / f"{indicator}.parquet"

    def diagnostics(self, indicator: str) -> Path:
        return self.data / "processed" / "diagnostics" / f"{indicator}.parquet"

    def trends(self, indicator: str) -> Path:
        return self.data / "processed" / "trends" / f"{indicator}.parquet"

    def weights(self, indicator: str) -> Path:
        return self.data / "processed" / "weights" / f"{indicator}.parquet"

    def comparison(self, indicator: str) -> Path:
        return self.data / "processed" / "comparison" / f"{indicator}.parquet"

    def second_opinion(self, indicator: str) -> Path:
        return self.data / "processed" / "second_opinion" / f"{indicator}.parquet"

    def evidence(self, indicator: str) -> Path:
        return self.data / "processed" / "evidence" / f"{indicator}.parquet"

    def evidence_items(self, indicator: str) -> Path:
        return self.data / "processed" / "evidence_items" / f"{indicator}.parquet"

    def verdicts(self, indicator: str) -> Path:
        return self.data / "processed" / "verdicts" / f"{indicator}.parquet"

    def adjusted_p_values(self, family: str) -> Path:
        """Table of a family."""
        return self.data / "processed" / "adjusted_p_values" / f"{family}.parquet"

    def tested_claims(self, family: str) -> Path:
        """Table of a family."""
        return self.data / "processed" / "tested_claims" / f"{family}.parquet"

    @property
    def answers(self) -> Path:
        """The verdicts of the whole evaluation, those that cannot run among them."""
        return self.data / "processed" / "verdicts.parquet"

    @property
    def reproduction(self) -> Path:
        """Table of the whole evaluation."""
        return self.data / "processed" / "reproduction.parquet"

    def section(self, indicator: str) -> Path:
        """An indicator's section of the report, as HTML."""
        return self.data / "processed" / "section" / f"{indicator}.html"

    @property
    def published_section(self) -> Path:
        """What the report's annex says of everything that was published, as HTML."""
        return self.data / "processed" / "published.html"

    @property
    def pictures(self) -> Path:
        """Folder of the figures themselves."""
        return self.results / "figures"

    @property
    def drawn(self) -> Path:
        """Folder of what belongs to the figures and is shown with them: the numbers (CSV) and the alternative text."""
        return self.data / "processed" / "figures"
