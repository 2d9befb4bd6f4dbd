"""Stage 7: the evidence on one indicator: each question with its answer, and a verdict on each published number."""

from __future__ import annotations

import numpy as np

from did.evidence import Rules, judge, targets
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.result_files import staggered_specification
from did.project.slices import without_words
from did.store import tables
from did.words import plural

READ = ("headline", "diagnostics", "specifications", "second_opinion")


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Write the evidence, evidence_items and verdicts tables of one indicator and return one line about them.

    Of every claim that prints something and, where none is on it, of the headline: the first treatment and sample by
    the published estimator under the reported specification. Nothing is estimated here. Raises DidError for a table
    that is missing or breaks its contract.
    """
    frames = {name: tables.read(name, getattr(paths, name)(indicator)) for name in READ}
    first = {"specification": evaluation.default_specification, "sample": evaluation.sample,
             "treatment": evaluation.treatments[0]}
    head = frames["headline"]
    estimators = head.loc[np.logical_and.reduce([head[name].eq(value) for name, value in first.items()]), "estimator"]
    published = without_words(load_indicator(indicator, evaluation.indicators_folder)).published_estimator
    # By an estimator that has no interval of measured coverage nothing is judged: then by the first that has one.
    leading = first | {"estimator": published if published in set(estimators) else next(iter(estimators), published)}
    asked = targets(tables.read("comparison", paths.comparison(indicator)), frames["headline"], leading)
    made = judge(asked, frames, Rules(**dict(evaluation.evidence)), staggered=staggered_specification(evaluation) or "")
    synthetic = bool(frames["headline"]["is_synthetic"].any())
    for name, frame in zip(("evidence", "evidence_items", "verdicts"), made, strict=True):
        tables.write(name, frame.assign(is_synthetic=synthetic), getattr(paths, name)(indicator))
    said = ", ".join(f"{row.target} {row.verdict.replace('_', ' ')}" for row in made[2].itertuples())
    return f"{indicator}: {plural(len(asked), 'verdict')}: {said}" if asked else f"{indicator}: nothing to judge"
