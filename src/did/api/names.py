"""The names of `did`: every registered estimator and diagnostic as a function, found by its registration."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any, get_args

from did.api.comparison import Comparison, compare
from did.api.errors import EstimationError, InferenceError, OptionError, PanelError, spoken
from did.api.evidence import Evidence, evidence
from did.api.example import example
from did.api.findings import DIAGNOSTICS, Findings, diagnosed
from did.api.fit import Fit
from did.api.fitting import fitted
from did.api.panel import Panel
from did.api.wald import Wald
from did.errors import DidError, suggest
from did.estimators import entries, entry
from did.estimators.registry import NEIGHBOURS, Option, type_words

# What the example of an estimator that asks for neighbours adds to its panel.
NEAR = ', neighbours=[("C20", "C21")]'
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
        if option.name in ("aggregation", "covariates"):   # what the estimator does by itself, and those of the panel
            default = None
        parameters.append(inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default,
                                            annotation=_accepted(option, default)))
        lines += _option_lines(option, default)
    return _dressed(function, name, inspect.Signature(parameters, return_annotation=Fit), _told(name, lines))


def _accepted(option: Option, default: object) -> Any:
    """The type of an option in Python, where one value may stand for a list of it."""
    kind: Any = option.type
    for part in get_args(kind):
        kind = part | kind
    return kind | None if default is None else kind


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
             "Returns\n-------\ndid.Fit\n    Estimates and errors in units of the outcome; effects " + known.kind + ".",
             "Raises\n------\ndid.OptionError\n    For an option that is not one or a value it cannot have.\n"
             "did.EstimationError\n    For a panel that it cannot be fitted to, with the reason.",
             "Source\n------\n" + "\n".join(textwrap.wrap(known.words.source or "its author", 112)),
             f'Examples\n--------\n>>> import did\n>>> panel = did.Panel(did.example(), outcome="visits", '
             f'unit="clinic", period="year", cohort="first_year"'
             f"{NEAR if NEIGHBOURS in known.needs else ''})\n"
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


def stub() -> str:
    """Return the types of the names of `did`, for editors and type checkers: the text of ``src/did/__init__.pyi``."""
    said = "Types of the public names, from the registries: python -m did.api.names > src/did/__init__.pyi."
    lines = [f'"""{said}"""', "", "from typing import Any", ""]
    places: dict[str, list[str]] = {}
    for name, found in FIXED.items():
        places.setdefault(found.__module__, []).append(f"{name} as {name}")
    lines += [f"from {place} import {each}" for place, those in sorted(places.items()) for each in sorted(those)]
    lines += ["", "__version__: str", "", "def __getattr__(name: str) -> Any: ..."]
    for name in (*(each for each, known in entries().items() if known.module.startswith("did.")), *DIAGNOSTICS):
        given = list(inspect.signature(named(name)).parameters.values())
        words = [f"{each.name}: {_type(each.annotation)}{'' if each.default is each.empty else f' = {each.default!r}'}"
                 for each in given]
        keyword = next((at for at, each in enumerate(given) if each.kind is each.KEYWORD_ONLY), None)
        words = words if keyword is None else [*words[:keyword], "*", *words[keyword:]]
        result = "Fit" if name in entries() else "Findings"
        lines.append(f"def {name}(\n    " + ",\n    ".join(words) + f",\n) -> {result}: ...")
    return "\n".join(lines) + "\n"


def _type(annotation: Any) -> str:
    if annotation is Panel:
        return "Panel"
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "") if isinstance(
        annotation, type) and not hasattr(annotation, "__args__") else str(annotation)


def _dressed(function: Callable[..., Any], name: str, signature: inspect.Signature, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__module__ = "did"
    function.__doc__ = doc
    function.__dict__["__signature__"] = signature
    return function


if __name__ == "__main__":
    print(stub(), end="")
