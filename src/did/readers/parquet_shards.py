"""What files of a folder sum to, as a sealed table, and what a job that sums has to know, as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.estimators.moments import Moments
from did.estimators.summed import Groups
from did.readers.arrow_panel import Calendar
from did.readers.panel_columns import Columns
from did.readers.parquet_folder import Layout, Shard
from did.store import seals

# Rows of the table: units that a word stands for, sums by cohort, one more number, sums by cluster, units.
WORD, COHORT, SQUARES, CLUSTER, UNIT = "word", "cohort", "squares", "cluster", "unit"


def as_json(layout: Layout) -> dict[str, Any]:
    """Return a layout as what JSON can hold."""
    known = dataclasses.asdict(layout.known)
    known["cohort"] = {word: place if np.isfinite(place) else None for word, place in layout.known.cohort.items()}
    return {"columns": dataclasses.asdict(layout.columns), "frequency": layout.frequency,
            "anticipation": layout.anticipation, "known": known}


def of_json(found: Mapping[str, Any]) -> Layout:
    """Return the layout of `as_json`. Raises KeyError or TypeError for another thing."""
    columns = found["columns"] | {name: tuple(found["columns"][name]) for name in ("clusters", "covariates")}
    known = Calendar(**found["known"] | {"cohort": {
        word: np.inf if place is None else place for word, place in found["known"]["cohort"].items()}})
    return Layout(Columns(**columns), found["frequency"], found["anticipation"], known)


def write(shard: Shard, path: str | Path) -> None:
    """Write a shard, whole or not at all, with its seal; equal shards, equal bytes."""
    moments = shard.moments
    parts = [pd.DataFrame(list(_rows(shard)), columns=["what", "label", "number", "values"]),
             pd.DataFrame({"what": UNIT, "label": "", "number": shard.hashes.view(np.int64), "values": None})]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    seals.write(frame.astype({"what": "str", "label": "str", "number": "int64"}), path,
                {b"periods": str(moments.n_periods).encode()})


def _rows(shard: Shard) -> Iterator[tuple[str, str, int, list[float] | None]]:
    for word, count in shard.counts.items():
        yield WORD, word, count, None
    moments = shard.moments
    for number, weight, mean, cross in zip(moments.units, moments.weight, moments.mean, moments.cross, strict=True):
        yield COHORT, "", int(number), [weight, *mean, *cross.ravel()]
    yield SQUARES, "", 0, [moments.squares]
    for level, groups in shard.groups.items():
        for label, cohort, number, total in zip(groups.cluster, groups.cohort, groups.n_units, groups.total,
                                                strict=True):
            yield f"{CLUSTER} {level}", label, int(number), [cohort, *total]


def read(path: str | Path, again: str) -> Shard:
    """Return the shard of `write`. Raises DidError if a single byte is not as it was written; ``again`` says what
    makes the file again."""
    frame, metadata = seals.read(path, again)
    n_periods = int(metadata[b"periods"])
    parts = dict(list(frame.groupby("what", sort=False)))
    cohorts = parts[COHORT]
    # Each an array of its own: sums over parts of another come out in another order.
    weight, mean, cross = map(np.ascontiguousarray, np.split(np.stack(cohorts["values"].tolist()), [1, 1 + n_periods],
                                                             axis=1))
    moments = Moments(cohorts["number"].to_numpy(), weight.ravel(), mean,
                      cross.reshape(-1, 1 + n_periods, 1 + n_periods), float(parts[SQUARES]["values"].iloc[0][0]))
    words, groups = parts.get(WORD), {}
    for what, part in parts.items():
        if str(what).startswith(f"{CLUSTER} "):
            values = np.stack(part["values"].tolist())
            groups[str(what).removeprefix(f"{CLUSTER} ")] = Groups(
                part["label"].to_numpy(dtype=object), values[:, 0].astype(np.int64), part["number"].to_numpy(),
                np.ascontiguousarray(values[:, 1:]))
    units = parts.get(UNIT)
    return Shard({} if words is None else dict(zip(words["label"].tolist(), words["number"].tolist(), strict=True)),
                 moments, groups, np.zeros(0, dtype=np.uint64) if units is None else
                 units["number"].to_numpy().view(np.uint64))
