"""The part of an evaluation that each stage uses: a stage is given this part alone, and runs again when it changes.

A key outside a stage's part is not there for it: to read one is an AttributeError. So a stage cannot come to depend on
a key that its line below does not list. An indicator has two parts: whole, and `without_words`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cached_property
from typing import TypeVar

from did.errors import one_of
from did.project import result_files
from did.project.config import Evaluation
from did.project.config_parts import Strict
from did.project.indicator import Indicator
from did.project.loading import load_indicator

Part = TypeVar("Part", bound=Strict)

OF_INDICATOR = ("align", "fit", "calibrate", "diagnose", "specify", "compare", "check", "judge", "draw")
OF_FAMILY = ("adjust", "family")
# Keys of an indicator that decide no number.
WORDS = frozenset({"title", "label", "unit_of_measure", "direction", "family_title", "caveats", "evaluations"})
# Sections that stages use in part; every other key is used whole.
SECTIONS = ("waves", "publication", "robustness", "inference")

_PANEL = """reference waves.table waves.units waves.membership waves.partial_districts waves.systems waves.treated_waves
            waves.onset waves.onsets waves.system_onsets waves.records"""
_FITTED = "indicators_folder default_specification specifications samples treatments estimators clusters"
_WORDS = """indicators_folder sources_folder indicators families place units dose dose_counted
            default_specification specifications samples treatments estimators clusters waves.table waves.onset
            publication.coefficients publication.printed_numbers publication.conclusion publication.context"""
_WHOLE = f"{_WORDS} title question publication.citation"
# Stage -> the keys it reads; a key of a section is written with a point.
KEYS: dict[str, frozenset[str]] = {stage: frozenset(keys.split()) for stage, keys in {
    "align": f"indicators_folder default_specification specifications {_PANEL}",
    "fit": f"{_FITTED} published staggered_estimators seed inference.refits",
    "calibrate": f"""{_FITTED} published staggered_estimators seed draws inference.order
                     inference.tolerance inference.draws inference.refits inference.wild_draws""",
    "diagnose": f"""{_FITTED} published staggered_estimators seed draws robustness reference waves.table waves.units
                    waves.systems""",
    "specify": f"{_FITTED} products published {_PANEL}",
    "compare": "indicators_folder published default_specification treatments samples estimators evidence",
    "check": f"{_FITTED} published evidence",
    "judge": "indicators_folder default_specification specifications samples treatments evidence",
    "adjust": """indicators_folder indicators families default_specification specifications samples treatments
                 estimators clusters draws seed""",
    "draw": f"{_WORDS} published staggered_estimators reference waves.onsets waves.units waves.systems",
    "family": f"{_FITTED} sources_folder indicators families place units dose published",
    "reproduce": f"{_WHOLE} published evidence",
    "tabulate": _WHOLE,
    "workbook": f"{_WHOLE} contact",
    "workbench": f"{_WHOLE} staggered_estimators products inference.tolerance",
    "report": f"""{_WHOLE} published contact id seed staggered_estimators reference waves.onsets waves.units
                  waves.systems inference.order""",
}.items()}


def without_words(indicator: Indicator) -> Indicator:
    """Return an indicator as the stages that decide numbers are given it, so that they need not run again for an edited
    word."""
    return _only(indicator, {*Indicator.model_fields} - WORDS)


class Parts:
    """The parts of one evaluation in a run that has no files for the indicators ``without``."""

    def __init__(self, evaluation: Evaluation, without: Collection[str] = ()) -> None:
        self.evaluation, self.without = evaluation, without

    def of_stage(self, stage: str, member: str | None = None) -> Evaluation:
        """Return what ``stage`` uses for ``member``, the indicator or the family that it works on.

        A stage that is not in `KEYS`, as the manifest, which records the whole, gets the whole. Raises DidError for a
        family or an indicator that the run does not have, and for an indicator whose file is mistaken.
        """
        if stage not in KEYS:
            return self.evaluation
        if stage not in OF_INDICATOR:
            return self._part(stage, member)
        part = self._part(stage, load_indicator(member, self.evaluation.indicators_folder).family)
        if "indicators" not in KEYS[stage]:
            return part
        one_of("indicator", member, [name for name in self.evaluation.indicators if name not in self.without])
        return part.model_copy(update={"indicators": list(dict.fromkeys([*part.indicators, member]))})

    def text(self, stage: str, family: str | None = None) -> str:
        """Return what ``stage`` uses for a family, or for any indicator of it, as JSON.

        Raises DidError as `of_stage`.
        """
        return json.dumps(self._part(stage, family).model_dump(mode="json"), indent=1) + "\n"

    def _part(self, stage: str, family: str | None) -> Evaluation:
        """The keys of a stage; of what is listed by family, what concerns this one."""
        keys = KEYS[stage]
        part = _only(self.evaluation, {key.partition(".")[0] for key in keys})
        for section in SECTIONS:
            inner = {key.partition(".")[2] for key in keys if key.startswith(f"{section}.")}
            if inner:
                part = part.model_copy(update={section: _only(getattr(self.evaluation, section), inner)})
        return part if family is None else part.model_copy(update=self._concerning(stage, family))

    def _concerning(self, stage: str, family: str) -> dict[str, object]:
        """What is listed by family, of one: so that an edit of another family leaves its figures as they are.

        Of indicators, a stage of an indicator asks which is the headline, and a stage of a family for its members.
        """
        evaluation, keys, found = self.evaluation, KEYS[stage], {}
        if "specifications" in keys:
            found["specifications"] = {name: specification for name, specification in evaluation.specifications.items()
                                 if specification.families is None or family in specification.families}
        if "products" in keys:
            found["products"] = {name: each for name, each in evaluation.products.items() if name == family}
        if "indicators" not in keys:
            return found
        one_of("family", family, self._available)
        names = [self._headlines[family]] if stage in OF_INDICATOR else self._members[family]
        return found | {"indicators": names, "families": {family: evaluation.families[family]}}

    @cached_property
    def _available(self) -> dict[str, list[str]]:
        return result_files.families(self.evaluation, self.without)

    @cached_property
    def _headlines(self) -> dict[str, str]:
        return result_files.headlines(self.evaluation, self.without)

    @cached_property
    def _members(self) -> dict[str, list[str]]:
        return result_files.families(self.evaluation)


def _only(model: Part, keys: Collection[str]) -> Part:
    """A copy of a model without the other keys."""
    copy = model.model_copy()
    for key in {*type(model).model_fields} - {*keys}:
        del copy.__dict__[key]
    return copy
