"""Tables of fits and comparisons as text, Markdown, HTML and LaTeX, from the cells that `did estimate` shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.api.errors import spoken
from did.api.screen import LEFT, aligned, cells_of
from did.words import markdown_cell, markdown_table

if TYPE_CHECKING:
    from did.api.comparison import Comparison
    from did.api.fit import Fit

_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
          "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}"}


def _parts(fit: Fit) -> tuple[str, list[str], list[list[str]], list[str]]:
    """The title of a fit's table, remarks on all rows, its cells, and the notes below it."""
    from did.estimators import entry

    footnotes: list[str] = []
    common, cells = cells_of(fit.rows, footnotes, fit.asked.confidence)
    if all(not line[-1] for line in cells[1:]):
        cells = [line[:-1] for line in cells]
    title = f"{fit.panel.outcome}: {entry(fit.estimator).label}{fit._shown.settings}"
    above = [*fit._judged.lines, *common]
    below = [*(f"[{number}] {text}" for number, text in enumerate(footnotes, 1)), *fit._notes]
    return title, [spoken(line) for line in above], cells, [spoken(line) for line in below]


def markdown(fit: Fit) -> str:
    """Return a fit as a Markdown table."""
    title, above, cells, below = _parts(fit)
    table = markdown_table(pd.DataFrame(cells[1:], columns=cells[0]),
                           right=[name for name in cells[0] if name not in LEFT])
    return "\n\n".join([f"**{markdown_cell(title)}**", *map(markdown_cell, above), table, *map(markdown_cell, below)])


def html(fit: Fit) -> str:
    """Return a fit as an HTML table with its notes."""
    title, above, cells, below = _parts(fit)
    return "".join([f"<p><strong>{escape(title)}</strong></p>", *(f"<p>{escape(line)}</p>" for line in above),
                    html_table(cells), *(f"<p><small>{escape(line)}</small></p>" for line in below)])


def html_table(cells: list[list[str]]) -> str:
    """Return cells, the heading first, as an HTML table; numbers are aligned right."""
    sides = ["left" if name in LEFT else "right" for name in cells[0]]
    head = "".join(f'<th scope="col" style="text-align:{side}">{escape(cell)}</th>'
                   for side, cell in zip(sides, cells[0], strict=True))
    rows = []
    for line in cells[1:]:
        first = f'<th scope="row" style="text-align:left">{escape(line[0])}</th>'
        rows.append(f"<tr>{first}" + "".join(f'<td style="text-align:{side}">{escape(cell)}</td>' for side, cell in
                                             zip(sides[1:], line[1:], strict=True)) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def latex(fit: Fit) -> str:
    """Return a fit as a LaTeX table; its rules are those of the package booktabs."""
    title, above, cells, below = _parts(fit)
    shape = "".join("l" if name in LEFT else "r" for name in cells[0])
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}", rf"\begin{{tabular}}{{{shape}}}",
             r"\toprule", " & ".join(map(_tex, cells[0])) + r" \\", r"\midrule",
             *(" & ".join(map(_tex, line)) + r" \\" for line in cells[1:]), r"\bottomrule", r"\end{tabular}"]
    notes = [_tex(line) for line in (*above, *below)]
    if notes:
        lines += [r"\par\footnotesize", *(f"{line}\\par" for line in notes)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def compared_cells(found: Comparison) -> list[list[str]]:
    """Return the cells of a comparison, the heading first: an estimator a row, those skipped with their reason."""
    cells: list[list[str]] = []
    frames = {name: fit.rows for name, fit in found.fits.items()}
    if frames:
        together = pd.concat(frames.values(), ignore_index=True).assign(band_low=np.nan, band_high=np.nan)
        # A row without an interval says why; what others note is in their own summaries.
        bare = [note if pd.isna(low) and pd.isna(high) else "" for note, low, high in
                zip(together["note"], together["ci_low"], together["ci_high"], strict=True)]
        together = together.assign(note="")
        confidence = next(iter(found.fits.values())).asked.confidence
        cells = cells_of(together, [], confidence)[1]
        names = list(frames)
        cells = [["estimator", *cells[0][1:-1], "note"],
                 *([name, *line[1:-1], spoken(note)] for name, line, note in zip(names, cells[1:], bare, strict=True))]
    width = len(cells[0])
    if not found.skipped and not any(line[-1] for line in cells[1:]):
        return [line[:-1] for line in cells]
    return cells + [[name, *["-"] * (width - 2), spoken(reason)] for name, reason in found.skipped.items()]


def compared_text(found: Comparison) -> str:
    """Return a comparison as aligned text, with why each method of inference was chosen."""
    lines = aligned(compared_cells(found), ("estimator", *LEFT))
    names: dict[str, list[str]] = {}
    for name, fit in found.fits.items():
        for line in fit._judged.lines:
            names.setdefault(spoken(line).removesuffix(f" for {name}"), []).append(name)
    why = [f"{', '.join(those)}: {line}" for line, those in names.items()]
    return "\n".join([f"{found.panel.outcome}: one effect by several estimators", *lines, *(["", *why] if why else [])])
