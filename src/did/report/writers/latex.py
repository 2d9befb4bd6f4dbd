"""The writer of LaTeX: tables that a paper reads in, in which nothing of the data can become a command."""

from __future__ import annotations

from collections.abc import Sequence

from did.report.content.facts import DAGGER
from did.report.content.table import Table, usual
from did.words import MINUS

TEX = str.maketrans({
       "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
       "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "[": "{[}",
       "]": "{]}", "*": "{*}", '"': "''", MINUS: "$-$", DAGGER: r"\dag{}", "\N{EN DASH}": "--", "\N{EM DASH}": "---",
       "\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
       "\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''", "\N{NO-BREAK SPACE}": "~"})
LONG = 14  # characters from which a column of text wraps


def document(tables: Sequence[Table], *, banner: str = "") -> str:
    """Return the tables as a LaTeX fragment, one after the other: longtables with booktabs' rules, the header repeated
    on every page.

    To be read in by ``\\input``; needs the packages array, booktabs and longtable. Text that is long wraps in columns
    that share the line. Equal arguments give equal text.
    """
    return ("% Needs \\usepackage{array,booktabs,longtable}; wide: set it on a page on its side.\n"
            + "\n".join(_table(table, banner) for table in tables))


def tex(text: object) -> str:
    """Return ``text`` as one cell of a LaTeX table or a piece of running text: special characters as themselves."""
    return " ".join(str(text).split()).translate(TEX)


def _table(table: Table, banner: str) -> str:
    columns, shown = table.cells, table.shown
    wraps = [not column.is_numeric and max((len(text) for text in texts), default=0) > LONG
             for column, texts in zip(shown, columns, strict=True)]
    total = sum(min(40.0, usual(texts)) for wrap, texts in zip(wraps, columns, strict=True) if wrap)
    long = ">{{\\raggedright\\arraybackslash}}p{{{:.3f}\\linewidth}}"
    sides = "".join("r" if column.is_numeric else long.format(0.34 * min(40.0, usual(texts)) / total) if wrap else "l"
                    for column, texts, wrap in zip(shown, columns, wraps, strict=True))
    heads = [f"\\multicolumn{{1}}{{r}}{{{_stacked(column.heading)}}}" if column.is_numeric else tex(column.heading)
             for column in shown]
    head = f"\\toprule\n{' & '.join(heads)} \\\\\n\\midrule"
    body = "\n".join(f"{' & '.join(map(tex, row))} \\\\" for row in table.texts())
    notes = " ".join(map(tex, table.notes)).replace("/", "/\\allowbreak{}")  # long addresses
    said = f"\\textbf{{{tex(banner)}}} " if banner else ""
    label = table.name.replace("_", "-")
    return f"""{{\\footnotesize\\setlength{{\\tabcolsep}}{{3pt}}\\setlength{{\\LTcapwidth}}{{\\linewidth}}
\\begin{{longtable}}{{@{{}}{sides}@{{}}}}
\\caption{{{said}{tex(table.caption)}}}\\label{{tab:{label}}}\\\\
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


def _stacked(name: str) -> str:
    """A heading of numbers in lines of two words, so that it is no wider than they are."""
    parts = name.split(" ")
    lines = [tex(" ".join(parts[place:place + 2])) for place in range(0, len(parts), 2)]
    return lines[0] if len(lines) == 1 else "\\shortstack[r]{" + " \\\\ ".join(lines) + "}"
