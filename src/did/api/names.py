"""The names of `did`: every registered estimator and diagnostic as a function, found by its registration."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from did.api.comparison import Comparison, compare
from did.api.errors import EstimationError, InferenceError, OptionError, PanelError, spoken
from did.api.evidence import Evidence, evidence
from did.api.example import example
from did.api.findings import DIAGNOSTICS, Findings, diagnosed
from did.api.fit import Fit, fitted
from did.api.panel import Panel
from did.api.wald import Wald
from did.errors import DidError, suggest
from did.estimators import entries, entry
from did.estimators.registry import Option, type_words

FIXED = {each.__name__: each for each in (
    Panel, Fit, Findings, Comparison, Evidence, Wald, compare, evidence, example, DidError, PanelError, OptionError,
    EstimationError, InferenceError)}


def names() -> list[str]:
    """Return every public name: classes and functions, registered estimators, and diagnostics.

    >>> "callaway_santanna" in names()
    True
    """
    return [*FIXED, *entries(), *DIAGNOSTICS]


@cache
def named(name: str) -> Any:
    """Return what a public name stands for. Raises AttributeError, with the closest name, for one that is none."""
    if name in FIXED:
        return FIXED[name]
    if name in entries():
        return _estimator(name)
    if name in DIAGNOSTICS:
        return _diagnostic(name)
    raise AttributeError(f"did has no '{name}'{suggest(name, names())}")


def _estimator(name: str) -> Callable[..., Fit]:
    def function(panel: Panel, **options: Any) -> Fit:
        return fitted(name, panel, options)

    known = entry(name)
    defaults = known.parameters
    parameters = [inspect.Parameter("panel", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Panel)]
    lines = []
    for option in known.options:
        default = defaults.get(option.of_fit) if option.of_fit else None
        if option.name == "aggregation":
            default = None
        kind = option.type | None if default is None else option.type  # type: ignore[operator]
        parameters.append(inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default,
                                            annotation=kind))
        lines += _option_lines(option, default)
    return _dressed(function, name, inspect.Signature(parameters, return_annotation=Fit), _told(name, lines))


def _option_lines(option: Option, default: object) -> list[str]:
    choices = f"; one of {', '.join(option.choices)}" if option.choices else ""
    if option.name == "covariates":
        said = "those of the panel"
    elif default is None:
        said = "chosen by the estimator"
    else:
        said = repr(default)
    words = f"{option.name} : {type_words(option.type)}, by default {said}"
    return [words, *textwrap.wrap(f"{spoken(option.what)}{choices}.", 108, initial_indent="    ",
                                  subsequent_indent="    ")]


def _told(name: str, options: list[str]) -> str:
    """The docstring of an estimator's function, from its entry."""
    known = entry(name)
    summary = known.words.summary.format(unit="unit", units="units")
    head = f"Return the fit of: {known.label}."
    parts = [head, "\n".join(textwrap.wrap(summary, 112)), "Parameters\n----------\npanel : did.Panel\n"
             + "\n".join(options),
             "Returns\n-------\ndid.Fit: estimates and errors in units of the outcome; effects " + known.kind + ".",
             "Raises\n------\ndid.OptionError for an option that is not one or a value it cannot have;\n"
             "did.EstimationError for a panel that it cannot be fitted to, with the reason.",
             "Source\n------\n" + "\n".join(textwrap.wrap(known.words.source or "its author", 112)),
             f'Examples\n--------\n>>> import did\n>>> panel = did.Panel(did.example(), outcome="visits", '
             f'unit="clinic", period="year", cohort="first_year")\n'
             f">>> fit = did.{name}(panel{_needed(name)})\n>>> bool(fit.params.notna().any())\nTrue"]
    return "\n\n".join(part for part in parts if part)


def _needed(name: str) -> str:
    """Arguments of the example, for options without a default."""
    known = entry(name)
    missing = [option.name for option in known.own_options
               if option.of_fit and known.parameters.get(option.of_fit) is inspect.Parameter.empty]
    return "".join(f', {option}="all"' if option == "lags" else f", {option}=2" for option in missing)


def _diagnostic(name: str) -> Callable[..., Findings]:
    def function(panel: Panel, **options: Any) -> Findings:
        return diagnosed(name, panel, **options)

    found = DIAGNOSTICS[name].find
    signature = inspect.signature(found).replace(return_annotation=Findings)
    return _dressed(function, name, signature, inspect.getdoc(found) or "")


def _dressed(function: Callable[..., Any], name: str, signature: inspect.Signature, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "did"
    function.__doc__ = doc
    function.__dict__["__signature__"] = signature
    return function
