"""`did new`: a working evaluation of another roll-out, with a small made-up panel to be replaced by a real one."""

from __future__ import annotations

import csv
import io
import re
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from did.errors import DidError
from did.project import shipped
from did.project.claims import CLAIM_COLUMNS
from did.store.provenance import sha256, write_text

NAME = re.compile(r"[a-z][a-z0-9_]*")
YEARS = range(2010, 2022)
# First treated year -> number of units; None: never treated.
COHORTS: dict[int | None, int] = {2014: 8, 2016: 8, 2018: 8, None: 16}
EFFECT = 4.0   # visits per 1,000 residents, for each unit of dose
REMARK = "SYNTHETIC: made up by did new"


def create(name: str, folder: str | Path = ".") -> list[str]:
    """Write the skeleton of an evaluation ``name`` into the project ``folder`` and return the files' paths within it.

    They are ``config/NAME.yaml``, an indicator and a source in ``config/NAME/``, an empty claims file, the schemas that
    editors complete config from (unless they are there), and in ``data/NAME/`` the waves table and a made-up panel: 40
    units, 12 years, treated in 2014, 2016 or 2018 or never, with a dose; the effect planted is `EFFECT` for each unit
    of dose. The same name gives the same bytes.

    Raises DidError for a name that is not small letters, digits and underscores, one that a folder of the stages has,
    and if any of the files is there already.
    """
    folder = Path(folder)
    taken = ("indicators", "sources", "published", "schema", "raw", "interim", "processed", "reference", "demo",
             "figures")
    if not NAME.fullmatch(name) or name in taken:
        raise DidError(f"name of the evaluation: expected small letters, digits and underscores, beginning with a "
                       f"letter, and none of {', '.join(taken)}; found '{name}'; choose another")
    waves, panel = _tables()
    texts = {f"data/{name}/reference/waves.csv": waves, f"data/{name}/synthetic_visits.csv": panel,
             f"config/{name}/published.csv": _csv([CLAIM_COLUMNS])}
    there = [path for path in (f"config/{name}.yaml", f"config/{name}", f"data/{name}") if (folder / path).exists()]
    if there:
        raise DidError(f"{there[0]}: expected nothing there yet; found it; choose another name, or remove it")
    for path, text in texts.items():
        write_text(folder / path, text)
    checksum = sha256(folder / f"data/{name}/synthetic_visits.csv")
    for template, path in (("evaluation.yaml", f"config/{name}.yaml"),
                           ("indicator.yaml", f"config/{name}/indicators/visits.yaml"),
                           ("source.yaml", f"config/{name}/sources/visits.yaml")):
        text = resources.files(__name__).joinpath(template).read_text(encoding="utf-8")
        write_text(folder / path, Template(text).substitute(name=name, sha256=checksum))
        texts[path] = ""
    schemas = [f"{shipped.SCHEMA}/{which}.json" for which in ("evaluation", "indicator", "source")]
    return sorted([*texts, *shipped.laid_out(schemas, folder)])


def _tables() -> tuple[str, str]:
    """The waves table and the panel, as CSV text: counts are Poisson, with unit and year effects."""
    rng = np.random.default_rng(20240101)
    waves = [["unit", "name", "system", "region", "first_treated", "dose"]]
    panel = [["district", "name", "year", "visits", "residents", "remark"]]
    cohorts = [year for year, number in COHORTS.items() for _ in range(number)]
    for place, first in enumerate(cohorts):
        code, label = f"D{place + 1:02d}", f"District {place + 1}"
        dose = 1 + place % 3 if first else 0
        waves.append([code, label, f"S{place % 10 + 1:02d}", ["North", "South"][place % 2], first or "", dose or ""])
        residents = int(rng.integers(8_000, 40_000))
        level = rng.normal(120, 12)
        for year in YEARS:
            rate = level + 1.5 * (year - YEARS[0]) + rng.normal(0, 2)
            rate += EFFECT * dose if first and year >= first else 0
            panel.append([code, label, year, int(rng.poisson(rate * residents / 1000)), residents, REMARK])
    return _csv(waves), _csv(panel)


def _csv(rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
