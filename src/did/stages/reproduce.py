"""Stage 7: a verdict on every published claim, and the readings that satisfy it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from did import tables
from did.availability import reason
from did.config import Evaluation, load_indicator
from did.outputs import contents
from did.outputs.evaluation_facts import verdicts
from did.outputs.facts import levels
from did.outputs.reproduction import Setting, page
from did.outputs.text import listed, plural, write_csv
from did.paths import Paths
from did.provenance import write_text
from did.reproduce import baseline, load_claims
from did.reproduce.ranking import choices, judged, ranking
from did.reproduce.verdicts import counts


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str], strict: Path | None = None,
        renew: Path | None = None) -> str:
    """Write everything that ``contents.reproduce_files`` lists and return what was found: the claims by verdict.

    Claims on the indicators ``without``, which are not available in this run, get rows that say so. ``strict``: where
    recorded verdicts lie that those of this run must equal; ``renew``: where to record them, after what changed is told
    in the lines returned.

    Raises DidError for a mistake in the claims file, a claim without an estimate, a table that is missing, and, if
    ``strict``, for a changed verdict, once all is written.
    """
    claims = load_claims(evaluation.published, evaluation.indicators)
    members = {name: load_indicator(name, evaluation.indicators_folder) for name in evaluation.indicators
               if name not in without}
    estimates, varied = (pd.concat([tables.read(table, getattr(paths, table)(name)) for name in members],
                                   ignore_index=True) for table in ("estimates", "readings"))
    table = verdicts(evaluation, estimates, members, {name: reason(evaluation, name, paths) for name in without})
    first = evaluation.clusters[0]
    readings = judged(varied, claims)
    families = contents.families(evaluation, without)
    ranked = ranking(readings, families, evaluation.default_reading, first)
    moved = choices(readings, first)
    for name, frame in zip(contents.REPRODUCTION_TABLES, (table, readings, ranked, moved), strict=True):
        write_csv(paths.results / name, frame)
    if claims.empty:
        (paths.results / contents.REPRODUCTION_PAGE).unlink(missing_ok=True)
        return f"nothing published to compare with; {plural(readings['reading'].nunique(), 'reading')}"
    write_text(paths.results / contents.REPRODUCTION_PAGE, page(
        table, readings, ranked, moved, _setting(evaluation, members, families)))
    lines = [_summary(table)]
    if renew:
        changed = baseline.lines(baseline.changes(table, renew)) if renew.is_file() else []
        lines += [*changed, f"{plural(len(table), 'verdict')} recorded in {renew}, {len(changed)} of them changed"]
        baseline.renew(table, renew)
    if strict:
        baseline.check(table, strict)
    return "\n".join(lines)


def _summary(table: pd.DataFrame) -> str:
    found = [f"{n} {word}" for word, n in counts(table).items()]
    return f"{plural(table['claim'].nunique(), 'claim')}: {listed(found)}"


def _setting(evaluation: Evaluation, members: dict, families: dict[str, list[str]]) -> Setting:
    """What the page says that is in no table."""
    return Setting(
        title=evaluation.title, citation=evaluation.publication.citation, default=evaluation.default_reading,
        reading=evaluation.readings[evaluation.default_reading], indicators=members,
        families={name: (evaluation.families[name].title, found) for name, found in families.items()},
        clusters=levels(evaluation), units=evaluation.units,
        figures=contents.readings_figures(evaluation, members))
