"""Words about indicators and sources that figures and pages share."""

from __future__ import annotations

from collections.abc import Iterable

from did.project import registry
from did.project.config import Evaluation
from did.project.indicator import DENOMINATOR, Indicator
from did.words import period_name

WEIGHTED = "The rate of an area that merged is the mean of its parts', weighted by population."


def measure(indicator: Indicator, evaluation: Evaluation) -> str:
    """Unit of an indicator's outcome under the reported specification."""
    denominator = indicator.denominator_name(evaluation.specifications[evaluation.default_specification]) or ""
    return indicator.unit_of_measure.replace(DENOMINATOR, denominator.replace("_", " "))


def effect_unit(indicator: Indicator, evaluation: Evaluation) -> str:
    """Unit of an effect on an indicator: that of the outcome, or percentage points for a percentage."""
    unit = measure(indicator, evaluation)
    return "percentage points" if unit.startswith("%") else unit


def span(indicator: Indicator, evaluation: Evaluation) -> tuple[str, str]:
    """First and last period of an indicator's window under the reported specification."""
    window = indicator.windows[evaluation.specifications[evaluation.default_specification].window]
    return window.first, window.last


def sources_of(indicators: Iterable[Indicator], evaluation: Evaluation) -> dict[str, registry.Source]:
    """The registry's entries of every source that an indicator needs."""
    names = dict.fromkeys(source for each in indicators for source in each.sources)
    return {name: registry.load_named(name, evaluation.sources_folder) for name in names}


def source_lines(sources: Iterable[registry.Source]) -> list[str]:
    """The publisher, the licence and the page of each source."""
    return [f"{each.title}: {each.publisher}, {each.licence}, {each.landing_page}" for each in sources]


def source_line(indicators: Iterable[Indicator], evaluation: Evaluation) -> str:
    """Whose figures a picture is made from."""
    publishers = dict.fromkeys(source.publisher for source in sources_of(indicators, evaluation).values())
    return f"{', '.join(publishers)}; own calculation"


def subtitle(unit: str, indicator: Indicator, evaluation: Evaluation) -> str:
    """Measure, place and period, for the line under a title."""
    first, last = span(indicator, evaluation)
    text = f"{unit[:1].upper()}{unit[1:]}, {evaluation.place}, {period_name(first)} to {period_name(last)}."
    return f"{text} {WEIGHTED}" if indicator.rate is not None and indicator.rate.is_weighted else text
