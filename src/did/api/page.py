"""The evidence on one panel as a page: one HTML file that opens without a network, with its figures inside."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from did import __version__
from did.api import plots
from did.api.bench import GROUPS, NOTHING
from did.api.errors import spoken
from did.api.findings import Findings
from did.api.fit import Fit
from did.api.ladder import PRINTED
from did.api.screen import LEFT, cells_of
from did.api.tables import compared_cells
from did.estimators import entry
from did.report.content.answer import NOT_SHOWN, sentence
from did.report.content.evidence_words import evidence_table
from did.report.figures.style import SETTINGS
from did.report.workbench.model import INFERENCE, Workbench
from did.report.workbench.page import hashed, script, section, style
from did.store.provenance import write_text

if TYPE_CHECKING:
    from did.api.evidence import Evidence

TEMPLATES = Path(__file__).parents[1] / "report/templates"
WORKBENCH = "Workbench: every choice"
# Rows of a table that a page shows unfolded.
MOST = 60
WORDS = {"ci_low": "interval from", "ci_high": "to", "n_units": "units", "n_treated": "treated", "value": "estimate",
         "std_error": "std. error", "p_value": "p", "item": "changed", "m": "bound m", "n_draws": "draws",
         "mean_width": "mean width", "simulation_error": "error of it", "treated_cohort": "treated",
         "control_cohort": "control", "n_control": "units of control"}


ESTIMATE = ("estimator", "cluster", "value", "std_error", "ci_low", "ci_high", "p_value")


def write(found: Evidence, path: Path) -> Path:
    """Write the page and return its path. Raises OSError where it cannot be written."""
    write_text(path, html(found))
    return path


def html(found: Evidence) -> str:
    """Return the page as text: what was found in sentences, then each part with its table and figure."""
    title = f"Effect on {found.panel.outcome}"
    sections = [(name, heading, body) for name, heading, body in _sections(found) if body]
    contents = "".join(f'<li><a href="#{name}">{escape(heading)}</a></li>' for name, heading, _ in [
        *sections[:2], ("workbench-heading", WORKBENCH, ""), *sections[2:]])
    made = [f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(heading)}</h2>\n{body}\n</section>'
            for name, heading, body in sections]
    parts = "\n".join([*made[:2], section(found.workbench, heading=WORKBENCH, intro=_intro(found.workbench),
                                          groups=GROUPS), *made[2:]])
    look = (TEMPLATES / "report.css").read_text(encoding="utf-8") + style()
    code = (TEMPLATES / "report.js").read_text(encoding="utf-8") + script()
    policy = (f"default-src 'none'; img-src data:; style-src '{hashed(look)}'; script-src '{hashed(code)}'; "
              "base-uri 'none'; form-action 'none'")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{look}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><h1>{escape(title)}</h1>
<p>{escape(found.panel._said())}. From {escape(found.panel.name)}.</p></header>
<div class="columns">
<nav aria-labelledby="contents"><details><summary><h2 id="contents">Contents</h2></summary>
<ol>{contents}</ol></details></nav>
<main id="content" tabindex="-1">
{parts}
</main>
</div>
<footer><p>Made by did {escape(__version__)}. The page makes no request, and every number on it was computed before.</p>
</footer>
<p class="away" role="status" id="status"></p>
<script>{code}</script>
</body>
</html>
"""


def _sections(found: Evidence) -> list[tuple[str, str, str]]:
    """Name, heading and body of each part of the page; an empty body is left out."""
    findings = found.findings
    return [
        ("answer", "What was found", _list(found.sentences())),
        ("questions", "Does it hold? Six questions", _questions(found)),
        ("estimators", "By every estimator", _table("One effect by each estimator", compared_cells(found.comparison))
         + _figure(found.comparison.plot, _alt_of_comparison(found))),
        ("time", "Effects by event time", "".join(_path(name, fit) for name, fit in found.paths.items())),
        ("placebo", "Pretended onsets", _finding(findings.get("placebo_in_time"), columns=(
            "item", "value", "n_treated"), said=(
            "Estimates with the onset moved to an earlier period, data from the true onset on left out."))),
        ("bounds", "If trends were not parallel", _finding(findings.get("bounds"), draw=True, said=(
            "Intervals if the difference in trends changed after treatment by at most a multiple m of its largest "
            "change before (relative magnitudes), or if its slope changed by at most m a period (smoothness). "
            "Rambachan and Roth 2023."))),
        ("without", "Without one cluster", _finding(findings.get("leave_one_out"), columns=(
            "item", "value", "n_units", "n_treated"))),
        ("detrended", "With each unit's own line taken out", _finding(findings.get("detrended"), columns=ESTIMATE,
                                                                      said=(
            "What is left when every unit is measured from its own line before treatment. Lee and Wooldridge 2023."))),
        ("dates", "Each cohort from its own date", _finding(findings.get("own_dates"), columns=ESTIMATE, said=(
            "By estimators whose base is more than one period."))),
        ("decomposition", "What two-way fixed effects compare", _finding(findings.get("decompose"), draw=True, said=(
            "Every comparison of two cohorts behind the two-way estimate, with its weight. Those with later treated "
            "against earlier treated units take effects that change over time for trends. Goodman-Bacon 2021."))),
        ("inference", "How often intervals are right", _finding(findings.get("calibration"), said=(
            "The share of 95% intervals of the two-way estimate that hold a true zero, in placebo assignments of whole "
            "clusters on this panel."))),
        ("panel", "The panel", _cohorts(found) + _list(found.panel.notes)),
        ("skipped", "What does not apply, and why", _list(f"{name.replace('_', ' ')}: {spoken(why)}"
                                                           for name, why in found.skipped.items())),
    ]


def _questions(found: Evidence) -> str:
    """The verdict on each estimate that is judged, in a sentence, and its questions as a table."""
    parts, ladder = [], found.ladder
    for row in ladder.verdicts.to_dict("records"):
        printed = row["target"] == PRINTED and found.published
        what = f"The printed number {row['as_printed']}" if printed else "The leading estimate"
        table = evidence_table(ladder.evidence, row)
        said = "".join(sentence(row, ladder.evidence, "units")).strip()
        parts += [_paragraphs([f"{what}, by {entry(row['estimator']).running}. {said}"]),
                  _table(f"{what}: {row['verdict'].replace('_', ' ')}", [[column.heading for column in table.shown],
                                                                           *table.texts()])]
    return "".join([*parts, _paragraphs([NOT_SHOWN]) if ladder.verdicts["verdict"].str.startswith("not_shown").any()
                    else ""])


def _intro(bench: Workbench) -> str:
    """What the workbench of this panel has, and what was not made."""
    rows = bench.choices
    without = rows.loc[rows["left_out"].ne(NOTHING)]
    some = (f"{rows['estimator'].nunique()} estimators, {rows[INFERENCE].nunique()} ways to an interval")
    if without.empty:
        return f"{some}. Estimates without each cluster would have taken too long, and were not made."
    every = "all" if without["estimator"].nunique() == rows["estimator"].nunique() else without["estimator"].nunique()
    return (f"{some}, and without each of {without['left_out'].nunique()} clusters, by {every} of the estimators. "
            "Nothing is computed on this page.")


def _path(name: str, fit: Fit) -> str:
    footnotes: list[str] = []
    common, cells = cells_of(fit.rows, footnotes, fit.asked.confidence)
    notes = [*(spoken(line) for line in (*fit._judged.lines, *common)),
             *(f"[{number}] {spoken(text)}" for number, text in enumerate(footnotes, 1))]
    label = f"{entry(fit.estimator).label}{name.removeprefix(fit.estimator)}"
    return (f"<h3>{escape(label)}</h3>{_figure(fit.plot, _alt_of_path(fit))}"
            f"<details><summary>The numbers as a table</summary>{_table(f'Effects by event time, {label}', cells)}"
            f"</details>{_paragraphs(notes)}")


def _finding(found: Findings | None, *, columns: Sequence[str] = (), said: str = "", draw: bool = False) -> str:
    if found is None:
        return ""
    rows = found.frame.loc[found.frame["status"].eq("done")] if "status" in found.frame else found.frame
    if "diagnostic" in rows:   # the last of pretended onsets is the share of them, which a sentence says
        rows = rows.loc[~rows["diagnostic"].str.endswith("_share")]
    rows = rows[list(columns or found.shown or rows.columns)]
    cells = [[WORDS.get(str(name), str(name).replace("_", " ")) for name in rows.columns],
             *([_said(value) for value in row] for row in rows.itertuples(index=False, name=None))]
    table = _table(found.title, cells)
    if len(rows) > MOST:
        table = f"<details><summary>{len(rows)} rows</summary>{table}</details>"
    figure = _figure(found.plot, f"Chart of the numbers in the table {found.title}.") if draw else ""
    return _paragraphs([said] if said else []) + figure + table + _paragraphs(found.notes)


def _said(value: Any) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value).replace("_", " ")


def _cohorts(found: Evidence) -> str:
    data = found.panel.data
    cells = [["first treated", "units", "outcomes observed"]]
    for start in np.unique(data.treated_from):
        own = data.treated_from == start
        name = "never" if start >= data.n_periods else str(data.periods[max(start, 0)])
        seen = np.isfinite(data.outcome[own])
        cells.append([name, f"{int(own.sum()):,}", f"{int(seen.sum()):,} of {seen.size:,}"])
    return _table("Units by when they were first treated", cells)


def _paragraphs(sentences: Sequence[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _list(sentences: Any) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _table(caption: str, cells: Sequence[Sequence[str]]) -> str:
    """A table whose columns of numbers are aligned right, in a region of its own that scrolls."""
    left = [name in (*LEFT, "estimator", "changed") or not all(_is_number(line[at]) for line in cells[1:])
            for at, name in enumerate(cells[0])]
    name = f"table-{hashlib.sha256(caption.encode()).hexdigest()[:8]}"
    head = "".join(f'<th scope="col"{"" if side else " class=n"}>{escape(cell)}</th>'
                   for side, cell in zip(left, cells[0], strict=True))
    rows = []
    for line in cells[1:]:
        rest = "".join(f'<td{"" if side else " class=n"}>{escape(cell)}</td>'
                       for side, cell in zip(left[1:], line[1:], strict=True))
        rows.append(f'<tr><th scope="row">{escape(line[0])}</th>{rest}</tr>')
    return (f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0"><table><caption id="{name}">'
            f'<span>{escape(caption)}</span></caption><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
            "</table></div>")


def _is_number(cell: str) -> bool:
    return not any(letter.isalpha() for letter in cell.replace(" to ", "").replace("inf", "").replace("e", ""))


def _figure(draw: Callable[..., Any], alt: str) -> str:
    """A picture as an image within the page; nothing where there is nothing to draw."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: Any = SETTINGS
    file = io.BytesIO()
    with rc_context(settings):
        figure = Figure(figsize=(9, 4.5), layout="constrained")
        draw(figure.subplots())
        figure.savefig(file, format="svg", metadata=plots.FORMATS["svg"])
    picture = base64.b64encode(file.getvalue()).decode()
    label = escape(alt.partition(":")[0].partition(",")[0] if ":" in alt else alt.partition(".")[0])
    return (f'<figure><div class="picture" role="region" aria-label="{label}" tabindex="0"><img alt="{escape(alt)}" '
            f'width="864" height="432" src="data:image/svg+xml;base64,{picture}"></div></figure>')


def _alt_of_comparison(found: Evidence) -> str:
    estimates = found.to_frame()["estimate"].dropna().astype(float)
    return (f"Chart of the one effect by {len(estimates)} estimators with intervals, from {estimates.min():.3g} to "
            f"{estimates.max():.3g}. The numbers are in the table.")


def _alt_of_path(fit: Fit) -> str:
    rows = fit.rows.loc[fit.rows["event_time"].notna()]
    before, after = (rows.loc[mask, "estimate"] for mask in (rows["event_time"] < 0, rows["event_time"] >= 0))
    span = " ".join(f"{word} treatment from {part.min():.3g} to {part.max():.3g}{end}"
                    for word, part, end in (("before", before, ","), ("after", after, ".")) if len(part))
    width = fit.options.get("bin_width")
    binned = f" in bins of {width}" if width else ""
    label = entry(fit.estimator).label
    return f"Chart of effects by event time{binned} by {label}: {span} The numbers are in the table."
