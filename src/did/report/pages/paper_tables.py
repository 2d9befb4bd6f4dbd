"""The tables of a paper: effects by family and what was reproduced, as CSV, LaTeX, HTML and Word from one frame."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from did.estimators import entries
from did.report.content.facts import DAGGER, Facts, Front, estimator_name, few_treated_note, rests_on_few, short_name
from did.report.content.notes import remarks
from did.report.content.summary_tables import comparison_table
from did.report.writers import word
from did.store.provenance import atomic, write_text
from did.store.result_csv import write_csv
from did.words import MINUS, count, decimals_for, interval, listed, number, period_name

SYNTHETIC = ("SYNTHETIC DATA. These results come from made-up data in the publishers' formats. They say nothing about "
             "any real place or policy.")
CELL = ["indicator", "treatment", "sample", "estimator"]
# What is the same whatever the clustering, and what is not.
SHARED = ["estimate", "n_obs", "n_units", "n_treated", "few_treated"]
BY_CLUSTER = ["std_error", "ci_low", "ci_high", "p_value", "p_adjusted", "n_clusters", "n_treated_clusters"]
CLAIM = ["claim", "figure", "indicator", "outcome", "estimator", "treatment", "sample", "unit", "as_printed",
         "published_value", "published_sign", "published_significance", "published_n"]
JUDGED = ["std_error", "ci_low", "ci_high", "p_value", "p_holm", "n_clusters", "significance_agrees", "number",
          "reasons"]
# What a word for the number means, in a sentence each.
NUMBERS = (
    "Exact: our estimate rounds to the printed value, with the printed sign, significance and number of observations. "
    "Close: it lies within a small share of its standard error of it, with the same. Agrees: no value was printed, and "
    "what was printed is what we find. Differs: everything else. Whether an effect is shown is another question, which "
    "the table of verdicts answers.")
TEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
       "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "[": "{[}",
       "]": "{]}", "*": "{*}", '"': "''", MINUS: "$-$", DAGGER: r"\dag{}", "\N{EN DASH}": "--", "\N{EM DASH}": "---",
       "\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
       "\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''", "\N{NO-BREAK SPACE}": "~"}
BRACKETS = ("({})", "[{}]")  # of the standard errors of the first and second clustering
LONG = 14  # characters from which a column of text wraps
STYLE = """:root { color-scheme: light dark; }
body { font: 1rem/1.4 system-ui, sans-serif; margin: 1.5rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }
caption { text-align: left; font-weight: bold; padding: .5rem 0; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; font-weight: normal; }
thead th { border-bottom: 1px solid; font-weight: bold; vertical-align: bottom; }
.right { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }"""


@dataclass(frozen=True)
class Table:
    """One table of a paper.

    name : of the files; title : of the document; caption : above the table.
    numbers : tidy frame for the CSV, every digit kept; words : the same rows as text, one column per column shown.
    right : columns of ``words`` that are aligned right; notes : sentences below; is_synthetic : made-up data.
    """

    name: str
    title: str
    caption: str
    numbers: pd.DataFrame
    words: pd.DataFrame
    notes: Sequence[str]
    right: Sequence[str] = ()
    is_synthetic: bool = False


def side_by_side(rows: pd.DataFrame, keys: Sequence[str], *, clusters: Sequence[str], shared: Sequence[str] = SHARED,
                 by_cluster: Sequence[str] = BY_CLUSTER) -> pd.DataFrame:
    """Return one row per ``keys`` of a table that has one per level of clustering.

    ``shared`` columns are taken once, those in ``by_cluster`` get the name of the level behind them
    (``std_error_unit``), a level that a row has not is missing, and ``note`` joins the notes of all, each once.
    Order of first appearance. Raises pandas' MergeError if a key and level comes twice.
    """
    keys = list(keys)
    rows = rows.loc[rows["cluster"].isin(list(clusters))]
    wide = rows.drop_duplicates(keys)[[*keys, *shared]]
    for cluster in clusters:
        own = rows.loc[rows["cluster"] == cluster, [*keys, *by_cluster, "note"]]
        wide = wide.merge(own.rename(columns={name: f"{name}_{cluster}" for name in [*by_cluster, "note"]}), on=keys,
                          how="left", validate="one_to_one")
    notes = [f"note_{cluster}" for cluster in clusters]
    joined = [_joined(row) for row in zip(*(wide[name].astype(object).fillna("") for name in notes), strict=True)]
    return wide.drop(columns=notes).assign(note=joined)


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(part for note in notes for part in remarks(note)))


def effects(estimates: pd.DataFrame, facts: Facts, units: Mapping[str, str]) -> pd.DataFrame:
    """Return a family's overall effects under the reported specification, both clusterings in one row.

    ``estimates`` as in docs/tables.md; ``units`` maps an indicator to the unit of its effects. Ordered by outcome,
    treatment, sample and estimator, the published one first. Columns: family, outcome, effect_unit, those of
    `side_by_side`, is_synthetic. Empty if nothing was estimated.
    """
    rows = estimates.loc[estimates["estimand"].eq("overall") & estimates["specification"].eq(facts.specification)
                         & estimates["treatment"].isin(list(facts.treatments))
                         & estimates["indicator"].isin(list(facts.outcomes))]
    wide = side_by_side(rows, CELL, clusters=list(facts.clusters))
    first = [facts.estimator, facts.other_estimator]
    order = {"indicator": list(facts.outcomes), "treatment": list(facts.treatments), "sample": list(facts.samples),
             "estimator": list(dict.fromkeys([*first, *wide["estimator"]]))}
    wide = wide.sort_values(CELL, key=lambda column: column.map(order[column.name].index), kind="stable",
                            ignore_index=True)
    unit = [f"{units[row.indicator]}{f' per {facts.dose}' if row.treatment != 'binary' else ''}"
            for row in wide.itertuples()]
    wide.insert(0, "family", facts.title)
    wide.insert(2, "outcome", wide["indicator"].map(facts.outcomes))
    return wide.assign(effect_unit=unit, is_synthetic=bool(rows["is_synthetic"].any()))


def effects_words(wide: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return the rows of `effects` as text: estimate (standard error) [standard error], intervals, and counts."""
    lines, first = [], next(iter(facts.clusters))
    for row in wide.to_dict("records"):
        places = decimals_for(row[f"std_error_{first}"])
        errors = [form.format(number(row[f"std_error_{cluster}"], places))
                  for form, cluster in zip(BRACKETS, facts.clusters, strict=False)]
        mark = DAGGER if rests_on_few(row["few_treated"]) else ""
        line = {"Outcome": row["outcome"], "Treatment": facts.treatments[row["treatment"]],
                "Sample": facts.samples.get(row["sample"], row["sample"]),
                "Estimator": short_name(row["estimator"]),
                "Estimate": " ".join([f"{number(row['estimate'], places)}{mark}", *errors])}
        for cluster, name in facts.clusters.items():
            line[f"95% {name}"] = interval(row[f"ci_low_{cluster}"], row[f"ci_high_{cluster}"], places)
        line |= {"N": count(row["n_obs"]), facts.units.capitalize(): count(row["n_units"]),
                 "Treated": count(row["n_treated"])}
        for cluster, name in list(facts.clusters.items())[1:]:
            line[f"Clusters {name} (treated)"] = (f"{count(row[f'n_clusters_{cluster}'])} "
                                                  f"({count(row[f'n_treated_clusters_{cluster}'])})")
        lines.append(line)
    return pd.DataFrame(lines)


def family_table(name: str, estimates: pd.DataFrame, facts: Facts, units: Mapping[str, str]) -> Table:
    """Return the main table of a family, as `effects` and `effects_words` give its rows."""
    wide = effects(estimates, facts, units)
    words = effects_words(wide, facts)
    kinds = [f"{kind} brackets, clustered {by}" for kind, by in zip(("round", "square"), facts.clusters.values(),
                                                                  strict=False)]
    by_unit: dict[str, list[str]] = {}
    for indicator, outcome in facts.outcomes.items():
        by_unit.setdefault(units[indicator], []).append(outcome)
    said = (f"in {next(iter(by_unit))}" if len(by_unit) == 1 else
            "; ".join(f"in {unit} for {listed(outcomes)}" for unit, outcomes in by_unit.items()))
    used = [f"{short_name(each)}: {estimator_name(each)}" for each in dict.fromkeys(wide["estimator"])]
    cells = [f"by {each.short} {each.words.cells}" for name, each in entries().items()
             if name in set(wide["estimator"]) and each.words.cells]
    notes = [f"Effects {said}; of intensity, for each {facts.dose}. {'. '.join(used)}.",
             f"Standard errors: in {listed(kinds)}. 95% intervals by the t distribution with one degree of freedom "
             "fewer than clusters.",
             f"N: {'; '.join([f'{facts.units} times periods used', *cells])}.",
             few_treated_note(wide["few_treated"], facts.units),
             f"Source: {'; '.join(facts.sources)}. Own calculation." if facts.sources else ""]
    period = f"{period_name(facts.first)} to {period_name(facts.last)}, treated from {period_name(facts.onset)}"
    return Table(name=name, title=facts.title, numbers=wide, words=words, notes=[note for note in notes if note],
                 caption=f"Effects on outcomes of the family {facts.title}, {facts.place}, {period}",
                 right=[each for each in words.columns if each not in ("Outcome", "Treatment", "Sample", "Estimator")],
                 is_synthetic=bool(wide["is_synthetic"].any()))


def claims(reproduction: pd.DataFrame, front: Front) -> pd.DataFrame:
    """Return one row per published claim, ours by every clustering alongside it: `CLAIM`, ours, `JUDGED` by
    clustering."""
    rows = reproduction.loc[reproduction["specification"].eq(front.specification)]
    shared = [*CLAIM[1:], *SHARED, "difference", "value_agrees", "sign_agrees", "n_agrees", "status"]
    wide = side_by_side(rows, ["claim"], clusters=list(front.clusters), shared=shared, by_cluster=JUDGED)
    return wide.assign(is_synthetic=bool(rows["is_synthetic"].any()))


def reproduction_table(name: str, reproduction: pd.DataFrame, front: Front, *, is_synthetic: bool = False) -> Table:
    """Return what was printed alongside ours, a row per claim, with the word for the number by every clustering.

    ``is_synthetic``: the run is of made-up data, which a table without claims has no row to tell.
    """
    wide = claims(reproduction, front)
    rows = reproduction.loc[reproduction["specification"].eq(front.specification)]
    words = comparison_table(rows, front, whole=False) if len(rows) else pd.DataFrame(columns=["Cell"])
    words = words.rename(columns={column: column.replace(" interval", "") for column in words.columns})
    for cluster, by in front.clusters.items():
        words[f"Number {by}"] = wide[f"number_{cluster}"].fillna("").str.replace("_", " ").to_numpy()
    notes = [NUMBERS,
             f"Published: {front.citation}" if front.citation else "",
             few_treated_note(rows["few_treated"], front.families[0].units if front.families else "units")]
    return Table(name=name, title="What was reproduced", caption="Printed findings alongside those of this run",
                 numbers=wide, words=words, notes=[note for note in notes if note],
                 right=["Ours", *(column for column in words.columns if column.startswith("95%"))],
                 is_synthetic=is_synthetic or bool(wide["is_synthetic"].any()))


def write(table: Table, folder: str | Path) -> None:
    """Write ``NAME.csv``, ``.tex``, ``.html`` and ``.docx`` of a table into ``folder``, each whole or not at all."""
    folder = Path(folder)
    write_csv(folder / f"{table.name}.csv", table.numbers)
    write_text(folder / f"{table.name}.tex", latex(table))
    write_text(folder / f"{table.name}.html", web_page(table))
    with atomic(folder / f"{table.name}.docx") as part:
        part.write_bytes(word.document(table.words, title=table.title, caption=table.caption, notes=table.notes,
                                       right=table.right, banner=SYNTHETIC if table.is_synthetic else ""))


def tex(text: object) -> str:
    """Return ``text`` as one cell of a LaTeX table or a piece of running text: special characters as themselves."""
    words = " ".join(("" if pd.isna(text) else str(text)).split())
    return re.sub("|".join(map(re.escape, TEX)), lambda found: TEX[found[0]], words)


def latex(table: Table) -> str:
    """Return a table as a LaTeX fragment: longtable with booktabs' rules, the header repeated on every page.

    To be read in by ``\\input``; needs the packages array, booktabs and longtable. Text that is long wraps in
    columns that share the line; nothing of the data can become a command.
    """
    words = table.words.fillna("").astype(str)
    wraps = [name for name in words.columns if name not in table.right
             and max((len(text) for text in words[name]), default=0) > LONG]
    total = sum(_usual(words[name]) for name in wraps)
    columns = "".join("r" if name in table.right else _wrapped(_usual(words[name]) / total) if name in wraps else "l"
                      for name in words.columns)
    heads = [f"\\multicolumn{{1}}{{r}}{{{_stacked(name)}}}" if name in table.right else tex(name)
             for name in words.columns]
    head = f"\\toprule\n{' & '.join(heads)} \\\\\n\\midrule"
    label = table.name.replace("_", "-")
    banner = f"\\textbf{{{tex(SYNTHETIC)}}} " if table.is_synthetic else ""
    rows, before = [], None
    for row in words.itertuples(index=False, name=None):
        space = "\\addlinespace\n" if before is not None and row[0] != before and "Sample" in words.columns else ""
        rows.append(f"{space}{' & '.join(tex(cell) for cell in row)} \\\\")
        before = row[0]
    body = "\n".join(rows)
    notes = " ".join(tex(line) for line in table.notes).replace("/", "/\\allowbreak{}")  # long addresses
    return f"""% Needs \\usepackage{{array,booktabs,longtable}}; wide: set it on a page on its side.
{{\\footnotesize\\setlength{{\\tabcolsep}}{{3pt}}\\setlength{{\\LTcapwidth}}{{\\linewidth}}
\\begin{{longtable}}{{@{{}}{columns}@{{}}}}
\\caption{{{banner}{tex(table.caption)}}}\\label{{tab:{label}}}\\\\
{head}
\\endfirsthead
{head}
\\endhead
\\bottomrule
\\endlastfoot
{body}
\\end{{longtable}}
\\par\\noindent {notes}\\par}}
"""


def _usual(column: pd.Series) -> float:
    """Length of a column's longer texts, within bounds."""
    return min(40.0, float(column.str.len().quantile(0.9)))


def _wrapped(share: float) -> str:
    return f">{{\\raggedright\\arraybackslash}}p{{{0.34 * share:.3f}\\linewidth}}"


def _stacked(name: str) -> str:
    """A heading of numbers in lines of two words, so that it is no wider than they are."""
    parts = name.split(" ")
    lines = [tex(" ".join(parts[place:place + 2])) for place in range(0, len(parts), 2)]
    return lines[0] if len(lines) == 1 else "\\shortstack[r]{" + " \\\\ ".join(lines) + "}"


def web_page(table: Table) -> str:
    """Return a table as a page of HTML by itself: caption, header cells with their scope, notes; nothing from outside.
    """
    words = table.words.fillna("").astype(str)
    side = [' class="right"' if name in table.right else "" for name in words.columns]
    head = "".join(f'<th scope="col"{kind}>{html.escape(name)}</th>'
                   for name, kind in zip(words.columns, side, strict=True))
    rows = []
    for first, *rest in words.itertuples(index=False, name=None):
        cells = "".join(f"<td{kind}>{html.escape(cell)}</td>" for cell, kind in zip(rest, side[1:], strict=True))
        rows.append(f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>')
    banner = f"<p><strong>{html.escape(SYNTHETIC)}</strong></p>\n" if table.is_synthetic else ""
    notes = "\n".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    body = "\n".join(rows)
    return f"""<!DOCTYPE html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(table.title)}</title>
<style>
{STYLE}
</style>
</head>
<body>
<main>
<h1>{html.escape(table.title)}</h1>
{banner}<div role="region" tabindex="0" aria-labelledby="caption">
<table>
<caption id="caption">{html.escape(table.caption)}</caption>
<thead>
<tr>{head}</tr>
</thead>
<tbody>
{body}
</tbody>
</table>
</div>
{notes}
</main>
</body>
</html>
"""
