"""The tables of a paper: effects by family and what was reproduced, in one file each of LaTeX, Word and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from did.estimators import entries
from did.project.result_files import PAPER
from did.report.content.facts import Facts, Front, estimator_name, few_treated_note, having, short_name
from did.report.content.names import Names
from did.report.content.published import claims_table
from did.report.content.result_tables import effects_table
from did.report.content.table import SYNTHETIC, Table
from did.report.writers import latex, word
from did.report.writers.markdown import table_text
from did.store.provenance import atomic, write_text
from did.words import listed, period_name


def tables(frames: Mapping[str, pd.DataFrame], front: Front) -> list[Table]:
    """Return a table of effects for each family and, where something was published, one of what was reproduced.
    ``frames`` are estimates, headline and reproduction as in docs/tables.md."""
    made = [family_table(frames["estimates"], frames["headline"], facts) for facts in front.families.values()]
    reproduction = frames["reproduction"]
    rows = reproduction.loc[reproduction["specification"].eq(front.specification)]
    if len(rows):
        claims = claims_table(rows, front).slim(keep={"Cell"})
        notes = [f"Published: {front.citation}"] if front.citation else []
        made.append(replace(claims, name="reproduction", notes=[*claims.notes, *notes]))
    return made


def family_table(estimates: pd.DataFrame, headline: pd.DataFrame, facts: Facts) -> Table:
    """Return the main table of a family: overall effects under the reported specification, of its headline outcome
    first, with the interval that leads and then those as published."""
    rows = having(estimates, estimand="overall", specification=facts.specification, treatment=list(facts.treatments),
                  indicator=list(facts.outcomes))
    rows = rows.sort_values("indicator", key=lambda names: names.ne(facts.total), kind="stable")
    table = effects_table(rows, Names([facts]), headline)
    slim = replace(table, columns=[column for column in table.columns if column.heading != "Remarks"]).slim(
        keep={"Outcome", "Treatment", "Estimator"})
    used = [f"{short_name(each)}: {estimator_name(each)}" for each in dict.fromkeys(rows["estimator"])]
    cells = [f"by {each.short} {each.words.cells}" for name, each in entries().items()
             if name in set(rows["estimator"]) and each.words.cells]
    notes = [f"{'. '.join(used)}.",
             "The headline interval is by the method named; its measured coverage is how often it was right on these "
             "data where nothing was done. An estimate without one was not calibrated. The others allow for clustering "
             "alone, by the t distribution with one degree of freedom fewer than clusters"
             f"{f'; those {next(iter(facts.clusters.values()))} are as published' if facts.n_published else ''}.",
             f"Observations: {'; '.join([f'{facts.units} times periods used', *cells])}.",
             few_treated_note(rows["few_treated"], facts.units),
             f"Source: {'; '.join(facts.sources)}. Own calculation." if facts.sources else ""]
    period = f"{period_name(facts.first)} to {period_name(facts.last)}, treated from {period_name(facts.onset)}"
    return replace(slim, name=f"effects-{facts.total}", notes=[*slim.notes, *filter(None, notes)],
                   caption=f"Effects on {listed([facts.title])}, {facts.place}, {period}")


def write(made: Sequence[Table], folder: str | Path, *, title: str, is_synthetic: bool) -> None:
    """Write the tables as ``paper.tex``, ``paper.docx`` and ``paper.md`` into ``folder``, each whole or not at all."""
    folder, banner = Path(folder), SYNTHETIC if is_synthetic else ""
    write_text(folder / f"{PAPER}.tex", latex.document(made, banner=banner))
    said = [f"> **{banner}**"] if banner else []
    write_text(folder / f"{PAPER}.md", "\n\n".join([f"# {title}", *said, *map(table_text, made)]) + "\n")
    with atomic(folder / f"{PAPER}.docx") as part:
        part.write_bytes(word.document(made, title=title, banner=banner))
