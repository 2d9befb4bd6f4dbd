"""What an indicator's files and config would become, before anything is fitted, and what would stop it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

from did import fetch, readers
from did.errors import DidError
from did.fetch.own_files import note_checksums
from did.panels.build import Builder, neither
from did.project import registry
from did.project.config import Evaluation
from did.project.data_mode import DataMode, parse_mode
from did.project.indicator import Indicator
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import DEFAULT_CONFIG, Paths
from did.report.content.describe import measure

BARS = "▁▂▃▄▅▆▇█"
SHOWN = 5
Report = dict[str, Any]


def check(name: str, *, config: str | Path, evaluation: Evaluation | None, data: str | None = None,
          offline: bool = False, accept: bool = False) -> Report:
    """Return everything about an indicator that can be known without fitting, as plain values for text or JSON.

    Keys: ``indicator``, ``run`` (the command that would run it), ``files``, ``first_observations``, ``coverage``,
    ``areas`` (what becomes of each, by fate and reason), ``panel`` (units, periods, before and after the onset and
    neither, treated by wave), ``series`` (means of treated and untreated units by period), ``specifications``,
    ``notes``, ``stops`` (sentences; empty if nothing would stop it). Files are fetched or found as the workflow does;
    ``accept`` notes the new checksums of the user's own files. Nothing is raised for mistakes in config or data: they
    are in ``stops``, and what comes after them is absent. ``evaluation`` None: it is read from ``config``.
    """
    report: Report = {"indicator": name, "run": run_command(config), "notes": [], "stops": []}
    try:
        _fill(report, name, config, evaluation, data, offline, accept)
    except DidError as error:
        report["stops"].append(str(error))
    return report


def run_command(config: str | Path) -> str:
    """The command that runs an evaluation."""
    return "did run" if Path(config) == DEFAULT_CONFIG else f"did run {config}"


def _fill(report: Report, name: str, config: str | Path, evaluation: Evaluation | None, data: str | None,
          offline: bool, accept: bool) -> None:
    evaluation = evaluation or load_evaluation(config)
    indicator = load_indicator(name, evaluation.indicators_folder)
    mode = parse_mode(data or evaluation.data)
    paths = Paths.of(mode.kind, evaluation.own_folder)
    if name not in evaluation.indicators:
        place = Path(evaluation.indicators_folder) / f"{name}.yaml"
        report["stops"].append(f"{place}: expected the evaluation to take it up; found it neither in "
                               f"'indicators' of {config} nor '{evaluation.id}' in its own key "
                               f"'evaluations'; write 'evaluations: [{evaluation.id}]' in it")
    report |= {"title": indicator.title, "unit_of_measure": measure(indicator, evaluation),
               "geography": indicator.geography, "frequency": indicator.frequency, "years": indicator.years,
               "data": data or evaluation.data}
    observations, report["files"], stops = {}, [], []
    for source_name in indicator.sources:
        try:
            frame, files = _observed(source_name, evaluation, mode, paths, offline, accept)
        except DidError as error:
            stops.append(str(error))
            continue
        observations[source_name] = frame
        report["files"] += files
    report["stops"] += stops
    own = _own_observations(indicator, observations)
    if len(own):
        report |= {"first_observations": _first(own), "coverage": _coverage(own, indicator)}
        report["notes"] += [words for frame in observations.values() for words in frame.attrs.get("left_out", [])]
    if stops:
        return
    builder = Builder(indicator, evaluation, observations)
    panel, area_audit = builder.build(evaluation.default_specification)
    report |= {"areas": _areas(area_audit), "panel": _panel(panel, indicator, evaluation), "series": _series(panel)}
    report["stops"] += _stops(panel, name)
    report["notes"] += _notes(panel, report, evaluation)
    report["notes"] += [f"{row.area_name}: {row.reason}" for row in area_audit.itertuples() if row.not_compared]
    report["specifications"] = _specifications(builder, indicator, evaluation, report["stops"])


def _observed(name: str, evaluation: Evaluation, mode: DataMode, paths: Paths, offline: bool,
              accept: bool) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Observations of a source, its files fetched or found, and what the files are."""
    source = registry.load_named(name, evaluation.sources_folder)
    folder = paths.raw(name)
    if source.is_own and accept:
        note_checksums(source, Path(evaluation.sources_folder) / f"{name}.yaml")
        source = registry.load_named(name, evaluation.sources_folder)
    manifest = folder / "manifest.json"
    if mode.kind == "demo" and not source.is_own and manifest.is_file():
        import json

        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    else:
        files = fetch.fetch(source, folder, mode=mode, offline=offline)["files"]
    raw = [readers.RawFile(folder / file, file, entry.get("period"), source.synthetic or entry.get("how") == "demo")
           for file, entry in sorted(files.items())]
    frame = readers.read(source.reader, source.id, raw, source.options)
    listed = [{"source": name, "name": file, "bytes": entry["bytes"], "sha256": entry["sha256"], "how": entry["how"],
               "publisher": source.publisher, "licence": source.licence} for file, entry in sorted(files.items())]
    return frame, listed


def _own_observations(indicator: Indicator, observations: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Observations of the indicator's figures (numerator, or rate), of those sources that could be read."""
    if indicator.rate is not None:
        wanted = {indicator.rate.source: [indicator.rate.measure]}
    else:
        wanted = dict.fromkeys(indicator.numerator.sources, indicator.numerator.measures)
    frames = [observations[name].loc[observations[name]["measure"].isin(measures)]
              for name, measures in wanted.items() if name in observations]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _first(own: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["period", "area_code", "area_name", "measure", "value", "status"]
    shown = own[columns].head(SHOWN).astype({"value": object})
    return shown.where(shown.notna(), None).to_dict("records")


def _coverage(own: pd.DataFrame, indicator: Indicator) -> dict[str, Any]:
    """Periods and areas that have figures, gaps among them, and how many values have which status."""
    periods = sorted(own["period"].unique())
    whole = pd.period_range(periods[0], periods[-1], freq=own["frequency"].iloc[0]).astype(str)
    areas = own.groupby("period")["area_code"].nunique()
    by_area = own.groupby("area_code")["period"].nunique()
    window = next(iter(indicator.windows.values()))
    return {"first": periods[0], "last": periods[-1], "periods": len(periods),
            "missing_periods": sorted(set(whole) - set(periods)), "window": [window.first, window.last],
            "areas": int(len(by_area)), "areas_a_period": [int(areas.min()), int(areas.max())],
            "areas_in_every_period": int((by_area == len(periods)).sum()), "observations": int(len(own)),
            "status": {str(key): int(count) for key, count in own["status"].value_counts().items()}}


def _areas(area_audit: pd.DataFrame) -> list[dict[str, Any]]:
    """What becomes of the areas of the sources: number by fate and reason, the most frequent first."""
    counts = area_audit.groupby(["fate", "reason"], sort=True)["area_code"].agg(["size", "first"]).reset_index()
    counts = counts.sort_values(["size", "fate", "reason"], ascending=[False, True, True])
    return [{"fate": row.fate, "reason": row.reason, "areas": int(row.size_), "for_example": row.first_}
            for row in counts.rename(columns={"size": "size_", "first": "first_"}).itertuples()]


def _panel(panel: pd.DataFrame, indicator: Indicator, evaluation: Evaluation) -> dict[str, Any]:
    periods = sorted(panel["period"].unique())
    onset = str(indicator.onset(evaluation.waves.onset))
    units = panel.drop_duplicates("unit")
    treated = units["cohort"].notna()
    waves = units.loc[treated, "wave"].value_counts().sort_index()
    others = units.loc[~treated, "wave"].fillna(0).value_counts().sort_index()
    left_out = [period for period in neither(indicator, evaluation) if period in periods]
    return {"units": len(units), "periods": len(periods), "onset": onset, "neither": left_out,
            "before": sum(period < onset for period in set(periods) - set(left_out)),
            "after": sum(period >= onset for period in periods),
            "treated_by_wave": {str(wave): int(count) for wave, count in waves.items()},
            "untreated": int((~treated).sum()),
            "untreated_by_wave": {str(wave) if wave else "none": int(count) for wave, count in others.items()},
            "missing_outcomes": int(panel["outcome"].isna().sum()), "is_synthetic": bool(panel["is_synthetic"].any())}


def _series(panel: pd.DataFrame) -> dict[str, Any]:
    """Means over units, not weighted, by period: of the treated and of the others; None where there are none."""
    group = panel["cohort"].notna().map({True: "treated", False: "untreated"})
    means = panel.groupby([group, "period"])["outcome"].mean().unstack("period")
    return {"periods": list(means.columns)} | {
        str(name): [None if pd.isna(value) else float(value) for value in row]
        for name, row in zip(means.index, means.to_numpy(), strict=True)}


def _stops(panel: pd.DataFrame, name: str) -> list[str]:
    """What is no mistake of config or data, and leaves nothing to estimate."""
    units = panel.drop_duplicates("unit")
    treated = int(units["cohort"].notna().sum())
    where = f"indicator {name}"
    stops = []
    if not treated:
        stops.append(f"{where}: expected treated units; found none among {len(units)}; add areas of a treated wave")
    elif treated == len(units):
        stops.append(f"{where}: expected untreated units to compare with; found all {treated} treated; add areas that "
                     "were not treated")
    if panel["outcome"].isna().all():
        stops.append(f"{where}: expected outcomes; found every one missing; see the statuses of the observations")
    return stops


def _notes(panel: pd.DataFrame, report: Report, evaluation: Evaluation) -> list[str]:
    """What does not stop it and a reader should know."""
    notes = []
    size = report["panel"]
    if size["neither"]:
        notes.append(f"{', '.join(size['neither'])}: figures of several years that hold months before and after the "
                     "onset; neither before nor after, left out")
    panel = panel.loc[~panel["period"].isin(size["neither"])]
    if panel["outcome"].isna().any():
        hit = panel.loc[panel["outcome"].isna()]
        row = hit.iloc[0]
        notes.append(f"{len(hit)} outcomes are missing, of {hit['unit'].nunique()} units (first: "
                     f"{row.unit}, {row.unit_name}, in {row.period}); estimators that need whole series drop them")
    if size["before"] < 3:
        notes.append(f"only {size['before']} periods before the onset: trends before it cannot be tested")
    treated = sum(size["treated_by_wave"].values())
    if 0 < treated < 5:
        notes.append(f"only {treated} treated units: errors by the usual formula are too small")
    if size["is_synthetic"]:
        notes.append("part of the figures is made up (data: demo): results say nothing about the world")
    elif report["data"].startswith("demo"):
        notes.append("the figures are of your own file and not made up, though the run is a demonstration")
    return notes


def _specifications(builder: Builder, indicator: Indicator, evaluation: Evaluation, stops: list[str]) -> dict[str, str]:
    """Every other specification that concerns the indicator: ok, or what would stop it, which is a stop."""
    found = {}
    for name in evaluation.specifications_of(indicator):
        try:
            builder.build(name)
            found[name] = "ok"
        except DidError as error:
            found[name] = str(error)
            stops.append(str(error))
    return found


def sparkline(values: Sequence[float | None], low: float, high: float, width: int = 60) -> str:
    """A series as bars of eight heights between ``low`` and ``high``; gaps are spaces. Long series are averaged down to
    ``width`` characters."""
    frame = pd.Series(values, dtype=float)
    if len(frame) > width:
        frame = frame.groupby(frame.index * width // len(frame)).mean()
    span = (high - low) or 1.0
    return "".join(" " if pd.isna(value) else BARS[min(int((value - low) / span * 8), 7)] for value in frame)


def as_text(report: Report) -> str:
    """The report for a reader: what was found, then what would stop it."""
    lines = [f"{report['indicator']}: {report.get('title', '')}".rstrip(": ")]
    for file in report.get("files", []):
        if file["how"] != "demo":
            lines.append(f"  file        {file['source']}/{file['name']}, {file['bytes'] / 1e6:.2f} MB, sha256 "
                         f"{file['sha256'][:12]}, {file['publisher']}, licence {file['licence']}")
    made_up = {file["source"] for file in report.get("files", []) if file["how"] == "demo"}
    lines += [f"  file        {source}: SYNTHETIC" for source in sorted(made_up)]
    for place, row in enumerate(report.get("first_observations", [])):
        value = "" if row["value"] is None else f"{row['value']:,.6g}"
        lines.append(f"  {'first rows' if not place else '':<10}  {row['period']:<8} {row['area_code']:<10} "
                     f"{row['area_name'][:32]:<32} {row['measure']:<12} {value:>12} {row['status']}")
    if "coverage" in report:
        lines += _coverage_lines(report["coverage"])
    for place, row in enumerate(report.get("areas", [])[:8]):
        reason = shorten(row["reason"], 90, placeholder=" ...")
        lines.append(f"  {'areas' if not place else '':<10}  {row['areas']:>4} {row['fate']:<9} {reason} (such as "
                     f"{row['for_example']})")
    if len(report.get("areas", [])) > 8:
        lines.append(f"{'':14}and {len(report['areas']) - 8} more reasons; --json has them all")
    if "panel" in report:
        lines += _panel_lines(report)
    lines += [f"  note        {words}" for words in report["notes"]]
    lines += [f"  STOP        {words}" for words in report["stops"]]
    name = report["indicator"]
    many = len(report["stops"])
    lines.append(f"{name}: {many} thing{'s' * (many != 1)} would stop it" if many
                 else f"{name}: nothing would stop it; run: {report['run']}")
    return "\n".join(lines)


def _coverage_lines(coverage: dict[str, Any]) -> list[str]:
    least, most = coverage["areas_a_period"]
    a_period = f"{most}" if least == most else f"{least} to {most}"
    status = ", ".join(f"{count:,} {key}" for key, count in coverage["status"].items())
    lines = [f"  coverage    {coverage['first']} to {coverage['last']}, {coverage['periods']} periods; "
             f"{coverage['areas']} areas, {a_period} a period, {coverage['areas_in_every_period']} in every one; "
             f"{status}"]
    if coverage["missing_periods"]:
        lines.append(f"              no figures for {', '.join(coverage['missing_periods'][:6])}"
                     + (", ..." if len(coverage["missing_periods"]) > 6 else ""))
    return lines


def _panel_lines(report: Report) -> list[str]:
    size, series = report["panel"], report["series"]
    waves = ", ".join(f"{count} of wave {wave}" for wave, count in size["treated_by_wave"].items()) or "none"
    others = ", ".join(f"{count} of {'no wave' if wave == 'none' else f'wave {wave}'}"
                       for wave, count in size["untreated_by_wave"].items())
    lines = [f"  panel       {size['units']} units x {size['periods']} periods: {size['before']} before and "
             f"{size['after']} from the onset {size['onset']} on"
             + (f", {len(size['neither'])} neither" if size["neither"] else ""),
             f"  treated     {waves}", f"  untreated   {size['untreated']}: {others}"]
    values = [value for key in ("treated", "untreated") for value in series.get(key, []) if value is not None]
    if values:
        low, high = min(values), max(values)
        for key in ("treated", "untreated"):
            if key in series:
                lines.append(f"  {key:<10}  {sparkline(series[key], low, high)}")
        lines.append(f"              means of units, {low:,.4g} to {high:,.4g} {report['unit_of_measure']}")
    return lines
