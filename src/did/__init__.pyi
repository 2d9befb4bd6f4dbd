"""Types of the public names, from the registries: python -m did.api.names > src/did/__init__.pyi."""

from typing import Any

from did.api.comparison import Comparison as Comparison
from did.api.comparison import compare as compare
from did.api.errors import EstimationError as EstimationError
from did.api.errors import InferenceError as InferenceError
from did.api.errors import OptionError as OptionError
from did.api.errors import PanelError as PanelError
from did.api.evidence import Evidence as Evidence
from did.api.evidence import evidence as evidence
from did.api.example import example as example
from did.api.findings import Findings as Findings
from did.api.fit import Fit as Fit
from did.api.panel import Panel as Panel
from did.api.wald import Wald as Wald
from did.errors import DidError as DidError

__version__: str

def __getattr__(name: str) -> Any: ...
def did(
    panel: Panel,
    *,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def ldv(
    panel: Panel,
    *,
    lags: str = 'all',
) -> Fit: ...
def ldv_ridge(
    panel: Panel,
    *,
    lags: str = 'all',
    shrinkage: str = 'ridge',
    strength: float | None = None,
) -> Fit: ...
def event_study(
    panel: Panel,
    *,
    reference: int | list[int] = -1,
    bin_width: int = 1,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def callaway_santanna(
    panel: Panel,
    *,
    control_group: str = 'not_yet_treated',
    base_period: str = 'varying',
    anticipation: int = 0,
    base_window: str | None = None,
    method: str = 'unconditional',
    unbalanced: str = 'trim',
    data: str = 'panel',
    covariates: str | list[str] | None = None,
    aggregation: str | list[str] | None = None,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    balance_event_time: int | None = None,
) -> Fit: ...
def sun_abraham(
    panel: Panel,
    *,
    reference: int | list[int] = -1,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def imputation(
    panel: Panel,
    *,
    aggregation: str | list[str] | None = None,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def imputation_leads(
    panel: Panel,
    *,
    leads: int | None = None,
    bin_width: int = 1,
) -> Fit: ...
def stacked(
    panel: Panel,
    *,
    leads: int | None = None,
    max_event_time: int | None = None,
    control_group: str = 'not_yet_treated',
    control_weights: str = 'equal',
) -> Fit: ...
def synthetic_did(
    panel: Panel,
    *,
    variant: str = 'synthetic_did',
    level: str = 'unit',
    combine: str = 'mean',
    aggregation: str | list[str] | None = None,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def rolling(
    panel: Panel,
    *,
    transformation: str = 'demean',
    errors: str = 'clustered',
    control_group: str = 'not_yet_treated',
    anticipation: int = 0,
    method: str = 'reg',
    covariates: str | list[str] | None = None,
    aggregation: str | list[str] | None = None,
) -> Fit: ...
def local_projections(
    panel: Panel,
    *,
    leads: int | None = None,
    max_event_time: int | None = None,
    weighting: str = 'variance',
    base_window: str = 1,
    composition: str = 'changing',
    control_group: str = 'not_yet_treated',
) -> Fit: ...
def etwfe(
    panel: Panel,
    *,
    family: str = 'linear',
    effects: str | None = None,
    weight_use: str = 'weight',
    scale: str = 'outcome',
    aggregation: str | list[str] | None = None,
    covariates: str | list[str] | None = None,
) -> Fit: ...
def spillover(
    panel: Panel,
    *,
    neighbours: str | None = None,
    rings: int = 1,
    exposure: str | None = None,
    border: str = 'estimated',
) -> Fit: ...
def dechaisemartin_dhaultfoeuille(
    panel: Panel,
    *,
    leads: int | None = None,
    max_event_time: int | None = None,
    normalise: str = 'dose',
) -> Fit: ...
def decompose(
    panel: Panel,
) -> Findings: ...
def placebo_in_time(
    panel: Panel,
    estimator: str = 'did',
    every: int = 1,
) -> Findings: ...
def leave_one_out(
    panel: Panel,
    estimator: str = 'did',
    level: str | None = None,
) -> Findings: ...
