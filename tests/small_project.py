"""A complete project on a small scale: 24 made-up months of real layouts, 13 areas, one indicator, two
specifications."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from workbooks import Area, write_dtoc, write_mye2

ROOT = Path(__file__).resolve().parents[1]
MONTHS = [str(month) for month in pd.period_range("2016-06", "2018-05", freq="M")]
YEARS = ["2016", "2017", "2018"]
# Two systems of wave one, one of wave two, three of neither.
UNITS = {"E08000001": "304", "E08000002": "305", "E08000006": "309", "E08000016": "204", "E08000017": "205",
         "E08000032": "209", "E08000035": "212", "E09000002": "716", "E09000026": "732", "E08000025": "406",
         "E08000029": "410", "E10000019": "503", "E10000027": "905"}
ELSEWHERE = [Area("9901", "-", "Resident in Scotland", "-", (1, 0, 0)),
             Area("9900", "-", "Resident In Wales", "-", (4, 2, 1)),
             Area("9902", "-", "Resident outside GB", "-", (0, 0, 3))]


DID = [sys.executable, "-c", "from did.cli.commands import main; main()"]


def make(folder: Path) -> Path:
    """Write the project into ``folder`` with a mirror alongside it (``folder.parent / "mirror"``); return the
    folder."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(ROOT / "config", folder / "config")
    _reference(folder / "data" / "reference")
    mirror = folder.parent / "mirror"
    files = {"nhs_england_dtoc": _dtoc(mirror), "ons_population": _population(mirror, folder)}
    _registry(folder, mirror, files)
    _config(folder)
    return folder


def run(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run `did` on the project's own copy of the source, as a user would, and return what came."""
    return subprocess.run([*DID, *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True,
                          **options)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a user whose installed package is the project's own copy."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PYTHONPATH": str(folder / "src"), "PATH": path}


def _reference(folder: Path) -> None:
    shutil.copytree(ROOT / "data" / "reference", folder)
    for name, column in {"upper_tier_authorities.csv": "area_code", "local_authorities.csv": "area_code",
                         "upper_tier_systems.csv": "unit", "table_a1_upper_tier.csv": "area_code"}.items():
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        table.loc[table[column].isin(UNITS)].to_csv(folder / name, index=False)


def _dtoc(mirror: Path) -> list[Path]:
    draw = random.Random(1)
    names = pd.read_csv(ROOT / "data/reference/dtoc_authorities.csv", dtype=str).set_index("ons_code")["name"]
    files = []
    for month in MONTHS:
        areas = [Area(nhs, code, names[code], "North West",
                      (draw.randrange(100, 400), draw.randrange(50, 200), draw.randrange(20)))
                 for code, nhs in UNITS.items()]
        path = mirror / "nhs_england_dtoc" / f"LA-Type-B-{month}.xls"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append(write_dtoc(path, month, [*areas, *ELSEWHERE]))
    return files


def _population(mirror: Path, folder: Path) -> list[Path]:
    draw = random.Random(2)
    districts = pd.read_csv(folder / "data/reference/local_authorities.csv", dtype=str)
    files = []
    for year in YEARS:
        rows = [(row.lad_code, row.lad_name, [draw.randrange(1000, 3000) for _ in range(91)])
                for row in districts.itertuples()]
        england = [sum(ages) for ages in zip(*(persons for *_, persons in rows), strict=True)]
        path = mirror / "ons_population" / f"MYE2-mid-{year}.xls"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.append(write_mye2(path, int(year), [("E92000001", "ENGLAND", england),
                                                  ("E12000001", "REGION", england), *rows]))
    return files


def _registry(folder: Path, mirror: Path, files: dict[str, list[Path]]) -> None:
    (folder / "config/sources/nhs_england_dtoc_2020.yaml").unlink()
    with open(mirror / "index.csv", "w", newline="") as handle:
        index = csv.writer(handle)
        index.writerow(["url", "path", "sha256", "bytes", "source", "publisher", "licence", "note"])
        for source, paths in files.items():
            place = folder / "config/sources" / f"{source}.yaml"
            registry = yaml.safe_load(place.read_text())
            registry["files"] = []
            for path in paths:
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                period = path.stem.removeprefix("LA-Type-B-").removeprefix("MYE2-mid-")
                registry["files"].append({"name": path.name, "period": period, "sha256": digest,
                                          "bytes": len(content)})
                index.writerow(["", f"{source}/{path.name}", digest, len(content), source, "", "OGL-3.0", period])
            place.write_text(yaml.safe_dump(registry, sort_keys=False))


def _config(folder: Path) -> None:
    for path in (folder / "config/indicators").glob("*.yaml"):
        if path.stem != "dtoc_total":
            path.unlink()
    place = folder / "config/indicators/dtoc_total.yaml"
    indicator = yaml.safe_load(place.read_text())
    indicator["numerator"]["source"] = "nhs_england_dtoc"
    indicator["windows"] = {"default": {"first": MONTHS[0], "last": MONTHS[-1]}}
    place.write_text(yaml.safe_dump(indicator, sort_keys=False))
    place = folder / "config/ics.yaml"
    evaluation = yaml.safe_load(place.read_text())
    evaluation["indicators"] = ["dtoc_total"]
    evaluation["families"] = {"dtoc": {"title": "Delayed transfers", "headline": "dtoc_total"}}
    evaluation["specifications"] = {"default": {"lags": "last_3"},
                              "all_ages": {"denominator": "all_ages", "lags": "last_3"}}
    evaluation["products"] = {}
    evaluation["waves"]["onset"] = "2017-06"
    place.write_text(yaml.safe_dump(evaluation, sort_keys=False))
    claims = pd.read_csv(folder / "config/published/ics.csv", dtype=str, keep_default_na=False)
    claims.loc[claims["indicator"] == "dtoc_total"].to_csv(folder / "config/published/ics.csv", index=False)
