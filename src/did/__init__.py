"""Difference-in-differences: estimators, inference that holds with few clusters, and checks, from any data frame.

    import did

    panel = did.Panel(df, outcome="y", unit="id", period="t", cohort="g", cluster="state")
    fit = did.callaway_santanna(panel, control_group="not_yet_treated")
    fit.summary(), fit.aggregate("event_time").plot(), fit.bounds(), fit.inference("randomisation")
    did.compare(panel, ["did", "callaway_santanna", "synthetic_did"]).plot()

`dir(did)` lists every estimator and check; what is not asked for is not imported. The page docs/python.md has examples.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

__version__ = "0.1.0"


class _Package(ModuleType):
    """This package: a room that is imported does not take the place of the public function of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "evidence" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    # Asked for by `from did import fetch` too, before the room is imported.
    if name.startswith("__") or (name != "evidence" and importlib.util.find_spec(f"{__name__}.{name}")):
        raise AttributeError(name)
    # By name, so that importing a part of the package loads nothing else.
    found = importlib.import_module("did.api.names").named(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*importlib.import_module("did.api.names").names(), "__version__"})
