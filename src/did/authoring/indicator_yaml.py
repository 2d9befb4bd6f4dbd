"""The YAML of a new indicator and its sources, from what is given, guessed or asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from did.authoring.look import Look
from did.errors import DidError, one_of
from did.project.config import Evaluation
from did.project.indicator import first_treated
from did.project.paths import DEFAULT_CONFIG
from did.readers.periods import FREQUENCY, as_written
from did.store.provenance import sha256

# Populations that weigh rates where areas merge, and that tell how much of a partly covered area is inside.
WEIGHTS = {"upper_tier": ("ons_population", "population_all"), "ccg": ("ccg_population", "population"),
           "stp": ("ccg_population", "population")}
DIRECTIONS = ("higher_better", "lower_better", "none")
Ask = Callable[[str, str, Any], str]


class Choices:
    """Options given, guessed or asked for, and a list of what was guessed."""

    def __init__(self, name: str, given: Mapping[str, Any], ask: Ask | None, check: str) -> None:
        self.name, self.given, self.ask = name, given, ask
        self.check = check   # the command that checks the indicator
        self.decided: list[str] = []

    def get(self, key: str, words: str, guess: Any, *, why: str = "") -> Any:
        """What is given; else what is asked for, with ``guess`` as default; else the guess, noted as decided."""
        found = self.given.get(key)
        if found is not None:
            return found
        if self.ask is not None:
            return self.ask(key, words, guess)
        if guess not in (None, ""):
            self.decided.append(f"--{key.replace('_', '-')} {guess}{f' ({why})' if why else ''}")
        return guess

    def must(self, key: str, words: str, guess: Any, *, found: str = "") -> Any:
        """As `get`, but DidError if there is nothing."""
        value = self.get(key, words, guess)
        if value in (None, ""):
            option = "--" + key.replace("_", "-")
            raise DidError(f"indicator {self.name}: expected {option} ({words}); "
                           f"found none{f', and {found}' if found else ''}; give {option}")
        return value


def _quoted(value: Any) -> str:
    """A YAML scalar or flow collection: JSON is YAML, and plain words stay plain."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]*", value) and value.lower() not in (
            "y", "n", "yes", "no", "on", "off", "true", "false", "null"):
        return value
    return json.dumps(value, ensure_ascii=False)


def _own_path(file: str | Path) -> str:
    """The path of a file from the project's folder, if it is inside; else the whole path."""
    path, here = Path(file).resolve(), Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else os.fspath(path)


def check_command(name: str, config: str | Path) -> str:
    """The command that checks an indicator of an evaluation."""
    return f"did{'' if Path(config) == DEFAULT_CONFIG else f' --config {config}'} indicator check {name}"


def _file_lines(file: str | Path, check: str) -> str:
    path = Path(file)
    plain_name = re.sub(r"[^A-Za-z0-9._ ()+-]", "_", path.name).lstrip("._ ()+-") or "data"
    return (f"files:\n  - name: {_quoted(plain_name)}\n    path: {_quoted(_own_path(path))}   # copied from here by "
            f"fetch\n    sha256: \"{sha256(path)}\"   # {check} --accept notes a new one\n"
            f"    bytes: {path.stat().st_size}\n")


def source_text(name: str, file: str, seen: Look, options: dict[str, Any], choices: Choices) -> str:
    """The YAML of a source: one file, how it is read, and its checksum."""
    publisher = choices.get("publisher", "who publishes the figures", "unknown")
    licence = choices.get("licence", "licence of the file", "unknown")
    page = choices.get("page", "the publisher's page (http address)", "unknown")
    lines = "".join(f"  {key}: {_quoted(value)}\n" for key, value in options.items())
    title = choices.given.get("title") or name.replace("_", " ").capitalize()
    return (f"# A file of your own and how it is read. Keys and options: docs/add_an_indicator.md\nid: {name}\n"
            f"title: {_quoted(title)}\npublisher: {_quoted(publisher)}\nlanding_page: {_quoted(page)}\n"
            f"licence: {_quoted(licence)}\nreader: {seen.reader}\noptions:\n{lines}{_file_lines(file, choices.check)}")


def onset_rule(frequency: str, month: str, span: int = 1) -> str:
    """``containing`` if treatment begins in the first quarter of its period's months, else ``following``.

    June 2017 is early in the financial year 2017/18 and in 2017 to 2019 (``span`` 3), and late in the second quarter
    and in the calendar year.
    """
    start = pd.Period(month, freq="M")
    length, begins = {"M": (1, start.month), "Q": (3, (start.month - 1) // 3 * 3 + 1), "Y": (12 * span, 1),
                      "FY": (12 * span, 4)}[frequency]
    return "containing" if ((start.month - begins) % 12) / length < 0.25 else "following"


def indicator_text(name: str, shape: dict[str, Any], geography: str, rule: str, evaluation: Evaluation,
                   choices: Choices) -> str:
    """The YAML of an indicator: ``shape`` as found in its file, ``geography`` the panel's areas, ``rule`` of the onset.
    Raises DidError for a unit that is not given and a direction that is none."""
    title = choices.get("title", "Title", shape.get("title") or name.replace("_", " ").capitalize())
    label = choices.get("label", "Short label for axes", title if len(title) <= 40 else name.replace("_", " "))
    ratio = shape["rate"] is None
    per = float(choices.get("per", "The outcome is per this many of the denominator", shape.get("per") or 100.0)
                if ratio else choices.given.get("per") or 1)
    default_unit = "%" if ratio and per == 100 or shape["percent"] else f"per {per:,.0f}" if ratio else ""
    unit = choices.must("unit", "unit of the outcome, such as '% of attendances'", default_unit)
    direction = choices.get("direction", "which way is better: higher_better, lower_better, none", "none")
    one_of(f"indicator {name}: --direction", direction, DIRECTIONS)
    family = choices.get("family", "family of outcomes it is shown with", name)
    kind = shape["frequency"]
    first = choices.get("first", "first period", shape["periods"][0] if shape["periods"] else None)
    last = choices.get("last", "last period", shape["periods"][-1] if shape["periods"] else None)
    span = shape.get("span", 1)
    start = f"treated from {_onset_words(evaluation.waves.onset, kind, rule, span)}"
    if evaluation.waves.table:
        start = "the period that contains a unit's first treated date " + (
            "is treated" if rule == "containing" else "is not; the next is")
    source = name if not choices.given.get("denominator_file") else f"{name}_denominator"
    if ratio:
        figures = (f"numerator: {{source: {name}, measures: [{shape['numerator']}]}}   "
                   f"# summed over areas, then divided\n"
                   f"denominators:\n  counts: {{source: {source}, measures: [{shape['denominator']}]}}\n")
    elif evaluation.waves.table:
        figures = f"rate: {{source: {name}, measure: {shape['rate']}}}   # published without counts\n"
    else:
        weights = WEIGHTS[geography.rpartition("_2")[0] or geography]
        figures = (f"rate:   # published without counts; where areas merged it is averaged with weights\n"
                   f"  source: {name}\n  measure: {shape['rate']}\n"
                   f"  weights: {{source: {weights[0]}, measure: {weights[1]}}}\n")
    lines = [
        f"# One outcome. Check it with: {choices.check}",
        f"id: {name}", f"title: {_quoted(title)}", f"label: {_quoted(label)}", figures.rstrip("\n"),
        f"per: {per:g}", f"unit_of_measure: {_quoted(unit)}",
        f"direction: {direction}   # higher_better, lower_better or none",
        f"geography: {geography}   # areas of the panel",
        f"aggregation: {'sum' if ratio else 'population_weighted'}",
        f"frequency: {FREQUENCY[kind]}   # M, Q or Y",
        *(["years: financial   # 2017 is 2017/18, April to March"] if kind == "FY" else []),
        *([f"span: {span}   # years of each figure: 2015 is {_spanned(2015, kind, span)}"] if span > 1 else []),
        f"onset_rule: {rule}   # {start}",
        "windows:", f"  default: {{first: {_quoted(str(first))}, last: {_quoted(str(last))}}}",
        "published_estimator: did   # the estimator that leads its page",
        f"family: {family}",
        *([f"family_title: {_quoted(choices.given.get('family_title') or title)}"]
          if family == name or family not in evaluation.families or choices.given.get("family_title") else []),
        f"evaluations: [{evaluation.id}]   # who takes it up; nothing else need be edited",
        *(["residents: {source: ons_population, measure: population_all}   # weighs partly covered authorities"]
          if geography == "upper_tier" else []),
        *([f"leave_out: {_quoted(list(choices.given['leave_out']))}   # codes that are no areas of the panel"]
          if choices.given.get("leave_out") else []),
        "minimum_treated: 5",
        "caveats:",
        *(f"  - {_quoted(caveat)}" for caveat in _caveats(shape, evaluation, rule)), ""]
    return "\n".join(lines)


def _onset_words(month: str, kind: str, rule: str, span: int) -> str:
    period = first_treated(month, FREQUENCY[kind], financial=kind == "FY", rule=rule, span=span)
    words = _spanned(period.year, kind, span) if span > 1 else as_written(str(period), kind)
    return f"{words} when the onset is {month}"


def _spanned(year: int, kind: str, span: int) -> str:
    """A period of several years as a reader would write it."""
    return f"{as_written(str(year), kind)} to {as_written(str(year + span - 1), kind)}"


def _caveats(shape: dict[str, Any], evaluation: Evaluation, rule: str) -> list[str]:
    found = ["The figures come from a file of the user's own, which is not a published edition with a known checksum."]
    if shape["frequency"] == "FY":
        found.append("Years are financial years: 2017 is April 2017 to March 2018.")
    start = "a unit's first treated date" if evaluation.waves.table else evaluation.waves.onset
    span = shape.get("span", 1)
    if span > 1:
        found += [f"Each figure covers {span} years and overlaps with its neighbours: a change shows in full only "
                  f"{span} years later, and the figures of neighbouring periods are not independent.",
                  _neither(evaluation, shape, rule)]
    elif rule == "following":
        found.append(f"The period that contains {start} counts as before the onset.")
    elif shape["frequency"] != "M" and not evaluation.waves.table:
        found.append(f"The period that contains {start} counts as treated.")
    if shape["rate"] and not evaluation.waves.table:
        found.append("No counts are given: where areas merged, rates are averaged with weights of all-age population, "
                     "which is not the rate of the merged area.")
    return found


def _neither(evaluation: Evaluation, shape: dict[str, Any], rule: str) -> str:
    """Which periods of several years are left out, because they hold the onset."""
    if evaluation.waves.table:
        return "Periods that hold a first treated date after the first quarter of their months are left out."
    kind, span, month = shape["frequency"], shape["span"], evaluation.waves.onset
    end = first_treated(month, "Y", financial=kind == "FY", rule=rule, span=span).year
    begin = first_treated(month, "Y", financial=kind == "FY", rule="containing").year + 1 - span
    listed = ", ".join(_spanned(year, kind, span) for year in range(begin, end))
    return (f"Left out, because they hold months before and after {month} and are neither before nor after: "
            f"{listed or 'none'}. Where each wave has its own date, periods that hold a later wave's count as before.")
