"""Ways of handing the onsets and doses of some clusters to others: all of them, or among clusters near in size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from math import factorial, prod
from typing import Any

import numpy as np

# A cluster changes places with one of this many nearest to it in units.
NEAREST = 5


def n_orders(sizes: np.ndarray) -> int:
    """Return the number of distinct orders of a list that holds each label ``sizes`` times."""
    return factorial(int(sizes.sum())) // prod(factorial(int(size)) for size in sizes)


def enumerate_orders(observed: np.ndarray) -> np.ndarray:
    """Return (assignments, clusters) every distinct order of the (clusters,) label numbers, the observed included."""
    sizes = np.bincount(observed)
    filled = np.full((1, len(observed)), -1)
    for label, size in enumerate(sizes):
        free = np.nonzero(filled < 0)[1].reshape(len(filled), -1)
        chosen = np.array(list(combinations(range(free.shape[1]), int(size))))
        at = free[:, chosen]
        filled = np.repeat(filled, len(chosen), axis=0)
        filled[np.arange(len(filled))[:, None], at.reshape(len(filled), -1)] = label
    return filled


def drawn_orders(observed: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return (draws, clusters) random orders of the (clusters,) label numbers, not to be written to; the same arguments
    give the same."""
    return _drawn_orders(tuple(observed.tolist()), draws, seed)


@lru_cache(2)   # the same for every estimator of a panel
def _drawn_orders(observed: tuple[int, ...], draws: int, seed: int) -> np.ndarray:
    orders = np.random.default_rng(seed).permuted(np.broadcast_to(observed, (draws, len(observed))), axis=1)
    orders.flags.writeable = False
    return orders


def near_in_size(sizes: np.ndarray, available: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return (draws, treated clusters) the cluster that takes the place of each treated one, near it in size.

    ``sizes`` (treated clusters,) and ``available`` (clusters,) in units. The largest is replaced first, each by one
    drawn from the five unused clusters nearest to it (fewer where fewer are left); there must be as many clusters as
    places. In the smallest whole numbers that hold them, not to be written to. Raises nothing.

    >>> near_in_size(np.array([5, 1]), np.array([1, 5]), 2, np.random.default_rng(1)).shape
    (2, 2)
    """
    stream = _Stream(str(generator.bit_generator.state), generator)
    chosen, generator.bit_generator.state = _near_in_size(
        tuple(sizes.tolist()), tuple(available.tolist()), draws, stream)
    return chosen


@dataclasses.dataclass(frozen=True)
class _Stream:
    """A generator with the state it begins in, which says what it draws."""

    begins: str
    generator: np.random.Generator = dataclasses.field(compare=False)


@lru_cache(256)
def _near_in_size(sized: tuple[int, ...], availed: tuple[int, ...], draws: int, stream: _Stream
                  ) -> tuple[np.ndarray, Mapping[str, Any]]:
    """The same and the state of the generator after it: the estimators, doses and outcomes of clusters are tried in the
    same draws, which begin in the same state."""
    sizes, available, generator = np.array(sized), np.array(availed), stream.generator
    # A row for each cluster, in small numbers: what is done to all draws at once is then done many to an instruction.
    count = np.min_scalar_type(-len(available))
    chosen = np.empty((draws, len(sizes)), dtype=count)
    free, every = np.ones((len(available), draws), dtype=count), np.arange(draws)
    for used, place in enumerate(np.argsort(-sizes, kind="stable")):
        distance = np.abs(available - sizes[place])
        order = np.argsort(distance, kind="stable")
        # No more are taken than have been replaced, so that those further away are never needed.
        distance = distance[order]
        order = order[:np.searchsorted(distance, distance[min(NEAREST + used, len(order)) - 1], "right")]
        rank = np.zeros((len(order) + 1, draws), dtype=count)   # of the unused, nearest first; after none
        for at, cluster in enumerate(order):
            np.add(rank[at], free[cluster], out=rank[at + 1])
        near = np.minimum(NEAREST, rank[-1])
        # Of those as far as the last of the near ones, as many are near as there is room for, whichever.
        ties = np.append(np.flatnonzero(np.diff(distance[:len(order)])) + 1, len(order))
        nearer, reached = rank[0], rank[ties[0]]
        for end in ties[1:]:
            further = reached < near
            nearer, reached = np.where(further, reached, nearer), np.where(further, rank[end], reached)
        pick = (generator.random(draws) * near).astype(count)
        tied = nearer + (generator.random(draws) * (reached - nearer)).astype(count)
        pick = np.where(pick < nearer, pick, tied)
        taken = order[(rank[1:] <= pick).view(np.int8).sum(axis=0, dtype=count)]
        free.reshape(-1)[taken * draws + every] = 0
        chosen[:, place] = taken
    chosen.flags.writeable = False
    return chosen, generator.bit_generator.state


def near_orders(observed: np.ndarray, treated: np.ndarray, sizes: np.ndarray, draws: int,
          generator: np.random.Generator) -> np.ndarray | None:
    """Return (draws, clusters) label numbers with those of treated clusters on others near in size; None where the
    clusters that are not treated have no one label. ``treated`` says it of each label, ``sizes`` are units."""
    rest = np.unique(observed[~treated[observed]])
    if len(rest) != 1:
        return None
    places = np.flatnonzero(treated[observed])
    assignments = np.full((draws, len(observed)), rest[0])
    assignments[np.arange(draws)[:, None], near_in_size(sizes[places], sizes, draws, generator)] = observed[places]
    return assignments
