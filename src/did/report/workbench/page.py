"""The workbench as HTML: a form and its answer, which a script fills, and without scripts a table of every choice."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from did.report.content.facts import mappings
from did.report.workbench.model import INFERENCE, Dimension, Workbench, chance, embedded
from did.words import count, number

HERE = Path(__file__).parent
# Up to so many values are radio buttons.
FEW = 3


def style() -> str:
    """The style of the workbench, which goes after that of the report."""
    return (HERE / "workbench.css").read_text(encoding="utf-8")


def script() -> str:
    """The script of the workbench."""
    return (HERE / "workbench.js").read_text(encoding="utf-8")


def hashed(text: str) -> str:
    """The checksum by which a page's own security policy knows a style or a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def section(bench: Workbench, *, heading: str, intro: str, groups: Mapping[str, Sequence[str]], level: int = 2) -> str:
    """Return the section of a page: the form, the place of its answer, the data and the table without scripts.

    ``groups`` are the names of the dimensions by the legend of the fieldset that they are in; ``level`` is that of the
    heading. All text is escaped.
    """
    by_name = {each.name: each for each in bench.dimensions}
    inner = {legend: "".join(_control(by_name[name]) for name in names if name in by_name)
             for legend, names in groups.items()}
    controls = "\n".join(f"<fieldset><legend>{escape(legend)}</legend>{text}</fieldset>"
                         for legend, text in inner.items() if text)
    return template("workbench.html").substitute(
        level=level, below=level + 1, heading=escape(heading), intro=escape(intro), controls=controls,
        data=embedded(bench), tables=_tables(bench))


def template(name: str) -> Template:
    return Template((HERE / name).read_text(encoding="utf-8"))


def _control(each: Dimension) -> str:
    """A choice as radio buttons if it has few values, else as a list."""
    if len(each.values) <= FEW:
        options = "".join(f'<label><input type="radio" name="{escape(each.name)}" value="{at}"> {escape(label)}</label>'
                          for at, label in enumerate(each.values.values()))
        return (f'<fieldset class="group" data-dimension><legend>{escape(each.label)}</legend>{options}</fieldset>')
    options = "".join(f'<option value="{at}">{escape(label)}</option>' for at, label in enumerate(each.values.values()))
    return (f'<label data-dimension>{escape(each.label)} <select name="{escape(each.name)}" autocomplete="off">'
            f"{options}</select></label>")


# Without scripts ----------------------------------------------------------------------------------------------


def _tables(bench: Workbench) -> str:
    """Every choice, in a folded table for each outcome and treatment, a column for each way to its interval."""
    inner = [each for each in bench.dimensions if each.name not in (*bench.together, INFERENCE)]
    tables, lines = (list(map(tuple, bench.choices[names].to_numpy(object))) for names in (
        list(bench.together), [each.name for each in inner]))
    rows = mappings(bench.choices[[INFERENCE, "estimate", "ci_low", "ci_high", "n_units", "n_treated"]].assign(
        _chance=chance(bench.choices)))
    found: dict[tuple, dict[tuple, dict[str, dict]]] = {}
    for table, line, row in zip(tables, lines, rows, strict=True):
        found.setdefault(table, {}).setdefault(line, {})[row[INFERENCE]] = row
    usual = {tables[at]: lines[at] for at in reversed(bench.reported)}
    by_name = {each.name: each.values for each in bench.dimensions}
    parts = []
    for key, own in found.items():
        unit, decimals = bench.units.get(key, ""), bench.decimals(key)
        words = [by_name[name][value] for name, value in zip(bench.together, key, strict=True)]
        parts.append(_table(inner, bench.dimensions[-1].values, own, usual.get(key, next(iter(own))),
                            ", ".join(filter(None, [*words, unit])), decimals))
    return "\n".join(parts)


def _table(inner: Sequence[Dimension], by: Mapping[str, str], rows: Mapping[tuple, Mapping[str, Mapping]],
           usual: tuple, caption: str, decimals: int) -> str:
    """A table of ``rows``: values of the dimensions ``inner`` -> way to the interval, one of ``by`` -> a choice."""
    ways = set().union(*rows.values())
    used = [code for code in by if code in ways]
    lines = []
    for key, own in rows.items():
        first = next(iter(own.values()))
        what = "; ".join(f"{'' if each.name == 'estimator' else f'{each.label.lower()}: '}{each.values[value]}"
                         for each, value, as_usual in zip(inner, key, usual, strict=True)
                         if each.name == "estimator" or value != as_usual)
        cells = [number(first["estimate"], decimals, signed=True), count(first["n_units"]), count(first["n_treated"]),
                 *(_interval(own.get(code), decimals) for code in used)]
        lines.append(f"<tr><th scope=row>{escape(what)}{''.join(f'<td>{cell}' for cell in cells)}")
    head = "".join(f"<th scope=col>{escape(each)}" for each in (
        "Choice", "Estimate", "Units", "Treated", *(by[code] for code in used)))
    name = f"every-{hashlib.sha256(caption.encode()).hexdigest()[:8]}"
    return (f"<details><summary>{escape(caption)}: {len(lines):,} choices</summary>"
            f"<div class=scroll role=region tabindex=0 aria-labelledby={name}><table><caption id={name}>"
            f"{escape(caption)}</caption><thead><tr>{head}<tbody>{''.join(lines)}</table></div></details>")


def _interval(row: Mapping | None, decimals: int) -> str:
    """An interval, and whether it is unlikely to be chance; empty where there is none."""
    if row is None or row["_chance"] == "no_interval":
        return ""
    low, high = ("no end" if row[end] is None or not math.isfinite(row[end]) else number(row[end], decimals)
                 for end in ("ci_low", "ci_high"))
    return f"{low} to {high}{'; unlikely chance' if row['_chance'] == 'unlikely' else ''}"
