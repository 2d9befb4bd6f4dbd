"""Stage 8: the verdicts on all published claims together, and the specifications that satisfy them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from did.evidence import baseline, in_order, load_claims, unavailable
from did.evidence.comparison import counts
from did.evidence.ranking import choices, judged, ranking
from did.evidence.verdicts import unavailable as without_files
from did.fetch.availability import reason
from did.project import result_files
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.evaluation_facts import front_facts, stage_tables
from did.report.pages.section import published_html
from did.store import tables
from did.store.provenance import write_text
from did.store.result_csv import write_csv
from did.words import listed, plural


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str], strict: Path | None = None,
        renew: Path | None = None) -> str:
    """Write the reproduction table, the verdicts of all outcomes and everything that ``result_files.reproduce_files``
    lists, and return what was found: the claims by the word for the number, and the verdicts.

    Claims on the indicators ``without``, which are not available in this run, get rows that say so. ``strict``: where
    recorded verdicts lie that those of this run must equal; ``renew``: where to record them, after what changed is
    reported in the lines returned.

    Raises DidError for a mistake in the claims file, a table that is missing, and, if ``strict``, for a changed
    verdict, once all is written.
    """
    claims = load_claims(evaluation.published, evaluation.indicators)
    indicators = [name for name in evaluation.indicators if name not in without]
    families = result_files.families(evaluation, without)
    found = stage_tables(("specifications", *result_files.EVIDENCE_TABLES), indicators, evaluation, paths)
    lost = unavailable(claims, {name: reason(evaluation, name, paths) for name in without},
                       evaluation.default_specification, evaluation.clusters, is_synthetic=bool(
                           found["specifications"]["is_synthetic"].any())).assign(p_method="")   # none is tested
    tested = [tables.read("tested_claims", paths.tested_claims(family)) for family in families]
    found["verdicts"] = verdicts = _verdicts(found["verdicts"], lost, evaluation)
    tables.write("verdicts", verdicts, paths.answers)
    for name in result_files.EVIDENCE_TABLES:
        write_csv(paths.results / result_files.table_file(name), found[name])
    table = tables.check("reproduction", in_order(pd.concat([*tested, lost], ignore_index=True), claims))
    tables.write("reproduction", table, paths.reproduction)
    first = evaluation.clusters[0]
    specifications = judged(found["specifications"], claims, evaluation.evidence.close)
    ranked = ranking(specifications, families, evaluation.default_specification, first)
    moved = choices(specifications, first)
    for name, frame in zip(result_files.REPRODUCTION_TABLES, (table, specifications, ranked, moved), strict=True):
        write_csv(paths.results / result_files.table_file(name), frame)
    front = front_facts(evaluation, without=without, paths=paths)
    default = evaluation.specifications[evaluation.default_specification]
    write_text(paths.published_section, published_html(
        evaluation, front, reproduction=table, specifications=specifications, ranked=ranked, moved=moved,
        denominators={name: load_indicator(each.total, evaluation.indicators_folder).denominator_name(default) or ""
                      for name, each in front.families.items()}))
    numbers, judged_as = ([f"{n} {word.replace('_', ' ')}" for word, n in each.items()]
                        for each in (counts(table), verdicts["verdict"].value_counts()))
    lines = [f"{plural(table['claim'].nunique(), 'claim')}: {listed(numbers)}; verdicts: {listed(judged_as)}"]
    if claims.empty:
        lines = ["nothing published to compare with; "
                 f"{plural(specifications['specification'].nunique(), 'specification')}"]
    if renew:
        changed = baseline.lines(baseline.changes(verdicts, renew)) if renew.is_file() else []
        lines += [*changed, f"{plural(len(verdicts), 'verdict')} recorded in {renew}, {len(changed)} of them changed"]
        baseline.renew(verdicts, renew)
    if strict:
        baseline.check(verdicts, strict)
    return "\n".join(lines)


def _verdicts(found: pd.DataFrame, lost: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The verdicts of the whole evaluation, in the order of its outcomes."""
    synthetic = bool(found["is_synthetic"].any())
    verdicts = pd.concat([found, without_files(lost).assign(is_synthetic=synthetic)], ignore_index=True)
    order = {name: place for place, name in enumerate(evaluation.indicators)}
    return tables.check("verdicts", verdicts.sort_values("indicator", key=lambda names: names.map(order), kind="stable",
                                                         ignore_index=True))
