"""Who borders whom: units near treated ones, in rings, and a panel without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.sparse import csr_array

from did.errors import DidError, listed, suggest
from did.estimators.base import Panel
from did.estimators.labels import label


def with_neighbours(panel: Panel, pairs: Iterable[tuple[str, str]], where: str = "neighbours") -> Panel:
    """Return the panel with ``pairs`` of units that border each other, each pair in one order or in both; labels are
    read as those of units (`did.estimators.labels`).

    Raises DidError, beginning with ``where``, for no pair, what is no pair, a unit that is not in the panel (with the
    closest name) and a unit that borders itself.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(4, 5, {3: 1}, 1.0, seed=1)[0])
    >>> chain = with_neighbours(data, zip(data.units[:-1], data.units[1:]))
    >>> steps(chain, 2)[:, -1].tolist()  # the treated unit, its neighbour, theirs, and one beyond two steps
    [0, 1, 2, 3]
    """
    found = tuple(dict.fromkeys((label(one), label(other)) for one, other in _in_pairs(pairs, where)))
    if not found:
        raise DidError(f"{where}: expected pairs of units that border each other; found none; add rows")
    known = set(panel.units)
    for one, other in found:
        unknown = next((unit for unit in (one, other) if unit not in known), None)
        if unknown is not None:
            raise DidError(f"{where}: expected units of the panel; found '{unknown}'{suggest(unknown, list(known))}; "
                           "use the panel's own labels, or remove the row")
        if one == other:
            raise DidError(f"{where}: expected two units; found '{one}' as its own neighbour; remove the row")
    return dataclasses.replace(panel, neighbours=found)


def _in_pairs(pairs: Iterable, where: str) -> Iterator[Sequence | np.ndarray]:
    """The pairs one by one; DidError for what is none."""
    for pair in pairs if isinstance(pairs, Iterable) else [pairs]:
        if not isinstance(pair, Sequence | np.ndarray) or isinstance(pair, str) or len(pair) != 2:
            raise DidError(f"{where}: expected pairs of units, such as [('a', 'b'), ('a', 'c')]; found {pair!r}; "
                           "write each border as two units")
        yield pair


def steps(panel: Panel, rings: int) -> np.ndarray:
    """Return (units, periods) borders to cross from a unit to the nearest one treated by then: 0 if it is itself,
    ``rings`` + 1 if there is none within ``rings``.

    Pairs with a unit that has since been left out of the panel count for nothing. Raises nothing.
    """
    places = panel.units.get_indexer([unit for pair in panel.neighbours for unit in pair]).reshape(-1, 2)
    places = places[(places >= 0).all(axis=1)]
    both = np.concatenate([places, places[:, ::-1]])
    borders = csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(panel.n_units, panel.n_units))
    distance = np.full(panel.outcome.shape, rings + 1)
    reached = panel.treated.astype(float)
    for ring in range(rings + 1):
        distance[(reached > 0) & (distance > ring)] = ring
        reached = borders @ reached
    return distance


def beyond_border(panel: Panel, rings: int = 1) -> tuple[Panel, np.ndarray]:
    """Return the panel without the never-treated units that are ever within ``rings`` of a treated one, and the
    (units,) mask of these. A panel for any estimator: its controls border nobody treated. Raises nothing.
    """
    near = panel.never_treated & (steps(panel, rings) <= rings).any(axis=1)
    return panel.keep(~near), near


def named(panel: Panel, units: np.ndarray) -> str:
    """Return how many units a (units,) mask has and which, as 3 units (a, b, c)."""
    n = int(units.sum())
    if not n:
        return "none"
    return f"{n} unit{'s' * (n != 1)} ({listed(panel.units[units])})"
