"""The registry of estimators: one entry makes an estimator known to every command, table, figure and page.

An estimator of this package has its entry in `did.estimators.shipped`. One from elsewhere is registered by calling
`register`, or by its package, which then names the entry in its pyproject.toml:

    [project.entry-points."did.estimators"]
    my_estimator = "my_package:ENTRY"
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, get_args

from did.errors import DidError, one_of

if TYPE_CHECKING:
    import numpy as np

    from did.estimators.base import Panel, Result
    from did.estimators.design import Design
    from did.estimators.parts import Parts

# What a result holds: one effect; effects by event time (and perhaps their average); effects by cohort and period, of
# which averages are made; or differences before treatment alone, which are no effects.
Kind = Literal["one effect", "by event time", "by cohort and period", "before treatment"]
ONE_EFFECT, EVENT_TIME, COHORT_PERIOD, BEFORE = get_args(Kind)
# What an estimator needs of its panel or of the evaluation: a treatment without a dose; how many outcomes before
# treatment it takes as lags; which units border each other (or how exposed they are).
Need = Literal["binary treatment", "lags", "neighbours"]
BINARY, LAGS, NEIGHBOURS = get_args(Need)
GROUP = "did.estimators"
TYPES = ((int, "whole number"), (float, "number"), (bool, "yes or no"))
# The estimator that others are set alongside: two-way fixed effects with one coefficient.
TWO_WAY = "did"

Place = str | Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of an estimator, as `did estimate` and the reference page have it.

    name      its name on the command line, with underscores; estimators may share one, of the same type
    type      ``str``, ``int``, ``float``, or a list of one of these
    what      what it does, for the help
    keyword   the fit function's keyword, if it is not ``name``; None for what it does not take: covariates that the
              panel carries, and choices about averages made of its effects
    choices   the words it may be; empty for any
    at_least  the least number it may be
    metavar   what stands for the value in the help
    flag      its words on the command line, if they are not ``name``
    """

    name: str
    type: type | object
    what: str
    keyword: str | None = ""
    choices: tuple[str, ...] = ()
    at_least: int | None = None
    metavar: str = ""
    flag: str = ""

    @property
    def on_command_line(self) -> str:
        """Its words on the command line, without the two dashes."""
        return self.flag or self.name.replace("_", "-")

    @property
    def of_fit(self) -> str | None:
        """The fit function's keyword, None if it has none."""
        return self.name if self.keyword == "" else self.keyword


AVERAGES = (
    Option("aggregation", list[str], "the averages to give: simple, event_time, cohort, calendar; group_time for the "
           "effects themselves", keyword=None, metavar="KINDS"),
    Option("min_event_time", int, "first event time of averages", keyword=None, metavar="E"),
    Option("max_event_time", int, "last event time of averages", keyword=None, metavar="E"),
    Option("balance_event_time", int, "average by event time (by nothing else) over the cohorts observed to event "
           "time E", keyword=None, at_least=0, metavar="E", flag="balance"),
)


@dataclasses.dataclass(frozen=True)
class Words:
    """How an estimator is spoken of. ``{unit}`` and ``{units}`` stand for what the units are called.

    summary    what it does and takes for granted, in a sentence or two
    source     paper, and where the equation is
    short      its name in narrow columns; by default the label without what is in brackets
    running    its name within a sentence; by default the same
    own_dates  its name among estimators that treat each cohort from its own date; by default the label
    whom       whom the treated are compared with, after "was 3 days higher"
    cells      the unit-periods it counts, where they are not all, after "by LDV"
    """

    summary: str = ""
    source: str = ""
    short: str = ""
    running: str = ""
    own_dates: str = ""
    whom: str = "than that of comparison {units}"
    cells: str = ""


def once(panel: Panel, lags: str) -> list[dict[str, object]]:
    """Return the options of the fits that a run makes of an estimator: here one fit, without options."""
    return [{}]


@dataclasses.dataclass(frozen=True)
class Estimator:
    """One estimator, with all that other parts of the package ask of it.

    name         its name in config files and tables: small letters, digits and _
    label        its name in headings
    kind         what its result holds: see `Kind`
    fit          ``fit(panel, **options) -> Result``, or where it is, as ``module:function``
    design       ``design(panel, **options) -> Design`` or its place, where it is one regression; None elsewhere
    repeated     ``repeated(panel, outcomes, **options)``, or where it is: the (outcomes, parameters) estimates for each
                 of (outcomes, units, periods) in place of the panel's own, missing where that is; None where it cannot
                 tell. For estimators that are much quicker that way
    parts        ``parts(panel, kept, **options) -> Parts``, or where it is: the one effect on each part of the panel,
                 the units in a column of ``kept`` (units, parts), or None; likewise
    doses        ``doses(panel, dose, **options) -> Parts``, or where it is: the one effect of each treatment in place
                 of the panel's own, doses in a column of ``dose`` (units, treatments) from its onset on, or None;
                 likewise
    own_options  what can be chosen, each a keyword of ``fit``, whose signature holds the defaults; choices about
                 averages need not be named
    needs        what it needs: see `Need`
    own_dates    whether cohorts may be treated from different dates
    overall      whether its result, or that of its averages, has one effect ``overall``; a keyword ``estimands`` of
                 ``fit`` must then take this word alone
    averaged_by  the estimator whose one effect is shown as the average of this one's, if it has none of its own
    base         the periods before treatment that its average is relative to, ``all`` or ``last``; "" if it has none
    is_additive  whether effects on outcomes that add up, add up
    is_linear    whether the estimate is linear in the outcome once treatment is fixed, so that a test of no effect can
                 be inverted by taking an effect out of the outcome
    tests        inference to read first to last where few clusters are treated (docs/inference.md)
    defaults     commands that fit it when no estimator is named, of ``estimate`` and ``sweep``
    seen_once    the option and its word under which units may be seen once, as in repeated cross-sections; elsewhere
                 they are refused
    in_run       from a panel and the lags of a specification, the options of each fit that a run makes
    words        how it is spoken of
    """

    name: str
    label: str
    kind: Kind
    fit: Place
    design: Place | None = None
    repeated: Place | None = None
    parts: Place | None = None
    doses: Place | None = None
    own_options: tuple[Option, ...] = ()
    needs: tuple[Need, ...] = ()
    own_dates: bool = True
    overall: bool = True
    averaged_by: str = ""
    base: str = ""
    is_additive: bool = False
    is_linear: bool = True
    tests: tuple[str, ...] = ("wild_bootstrap", "bias_reduced_cr2", "randomisation")
    defaults: tuple[str, ...] = ()
    seen_once: tuple[str, str] | None = None
    in_run: Callable[[Panel, str], list[dict[str, object]]] = once
    words: Words = Words()

    @property
    def call(self) -> Callable[..., Result]:
        """The fit function; its module is imported on first use."""
        return _resolved(self.fit)

    @property
    def call_design(self) -> Callable[..., Design]:
        """The function that gives its regression. Raises DidError if it is none."""
        if self.design is None:
            raise DidError(f"estimator {self.name}: expected one with a design; found none; take one that is a "
                           "regression")
        return _resolved(self.design)

    @property
    def call_repeated(self) -> Callable[..., np.ndarray | None] | None:
        """The function that gives its estimates for many outcomes, if it has one."""
        return None if self.repeated is None else _resolved(self.repeated)

    @property
    def call_parts(self) -> Callable[..., Parts | None] | None:
        """The function that gives its effect on many parts of a panel, if it has one."""
        return None if self.parts is None else _resolved(self.parts)

    @property
    def call_doses(self) -> Callable[..., Parts | None] | None:
        """The function that gives its effect of many treatments, if it has one."""
        return None if self.doses is None else _resolved(self.doses)

    @property
    def module(self) -> str:
        """The module that the fit function is in."""
        return self.fit.partition(":")[0] if isinstance(self.fit, str) else self.fit.__module__

    @property
    def parameters(self) -> Mapping[str, object]:
        """The keywords of the fit function and their defaults."""
        return parameters(self.call)

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be chosen: its own options, and of effects by cohort and period those of their averages."""
        return self.own_options + (AVERAGES if self.kind == COHORT_PERIOD else ())

    @property
    def over_time(self) -> bool:
        """Whether it has effects over event time, which a figure shows."""
        return self.kind in (EVENT_TIME, COHORT_PERIOD)

    @property
    def short(self) -> str:
        """Its name in narrow columns."""
        return self.words.short or self.label.partition(" (")[0]

    @property
    def running(self) -> str:
        """Its name within a sentence."""
        return self.words.running or self.label.partition(" (")[0]

    @property
    def among_own_dates(self) -> str:
        """Its name among estimators that treat each cohort from its own date."""
        return self.words.own_dates or self.label

    def option(self, name: str) -> Option | None:
        """The option of this name, or None."""
        return next((option for option in self.options if option.name == name), None)


_ENTRIES: dict[str, Estimator] = {}
_READ = {"entry points": False}


def register(entry: Estimator) -> Estimator:
    """Make an estimator known and return its entry.

    Raises DidError for a name that is not one or is taken, an unknown kind or need, and an option that another
    estimator has with another type.
    """
    where = f"estimator {entry.name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", entry.name):
        raise DidError(f"{where}: name: expected small letters, digits and _; found '{entry.name}'; rename it")
    if entry.name in _ENTRIES:
        raise DidError(f"{where}: name: expected one that is not taken; found that of "
                       f"{_ENTRIES[entry.name].label}; choose another")
    one_of(f"{where}: kind", entry.kind, get_args(Kind))
    for need in entry.needs:
        one_of(f"{where}: needs", need, get_args(Need))
    for option in entry.options:
        other = next((each for known in _ENTRIES.values() if (each := known.option(option.name))), option)
        if other.type != option.type:
            raise DidError(f"{where}: option {option.name}: expected {type_words(other.type)}, as other estimators "
                           f"have it; found {type_words(option.type)}; rename the option")
    _ENTRIES[entry.name] = entry
    return entry


def entries() -> dict[str, Estimator]:
    """Return every registered estimator by name: those of this package first, in the order they are shown.

    Raises DidError if the entry of an installed package cannot be read or registered.
    """
    importlib.import_module("did.estimators.shipped")
    if not _READ["entry points"]:
        for point in metadata.entry_points(group=GROUP):
            _register_point(point)
        _READ["entry points"] = True
    return dict(_ENTRIES)


def entry(name: str) -> Estimator:
    """Return the entry of an estimator. Raises DidError for an unknown name, with the closest known one."""
    known = entries()
    one_of("estimator", name, known)
    return known[name]


def names(**where: object) -> tuple[str, ...]:
    """Return the names of the estimators whose attributes are as given, such as ``overall=True``.

    >>> names(kind="by cohort and period")
    ('callaway_santanna',)
    """
    return tuple(name for name, each in entries().items()
                 if all(getattr(each, word) == value for word, value in where.items()))


def defaults_of(command: str) -> tuple[str, ...]:
    """Return the estimators that a command, ``estimate`` or ``sweep``, fits when none is named.

    >>> defaults_of("sweep")
    ('did', 'callaway_santanna')
    """
    return tuple(name for name, each in entries().items() if command in each.defaults)


@cache
def parameters(call: Callable[..., object]) -> Mapping[str, object]:
    """Return the keywords of a fit or design function, and their defaults."""
    return {word: given.default for word, given in inspect.signature(call).parameters.items() if word != "panel"}


def type_words(kind: object) -> str:
    """Return what a value of a type is, in words.

    >>> type_words(int), type_words(list[str])
    ('whole number', 'list of text')
    """
    parts = get_args(kind)
    if parts:
        return f"list of {type_words(parts[0])}s".replace("texts", "text")
    return next((words for type_, words in TYPES if type_ is kind), "text")


def _resolved(place: Place) -> Callable[..., Any]:
    if not isinstance(place, str):
        return place
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def _register_point(point: metadata.EntryPoint) -> None:
    where = f"package {point.dist.name if point.dist else point.module}, entry point {point.name} of {GROUP}"
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise DidError(f"{where}: expected an Estimator at {point.value}; found none: {error}; correct or remove the "
                       "package") from error
    if not isinstance(found, Estimator):
        raise DidError(f"{where}: expected an Estimator at {point.value}; found {type(found).__name__}; correct or "
                       "remove the package")
    if _ENTRIES.get(found.name) is not found:   # the package may have called `register` itself
        register(found)
