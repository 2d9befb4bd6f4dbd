"""Published claims, a verdict on each, and which specifications of the analysis satisfy them."""

from did.evidence.verdicts import TABLE_COLUMNS, compare
from did.project.claims import BANDS, CLAIM_COLUMNS, load_claims, rounds_to

__all__ = ["BANDS", "CLAIM_COLUMNS", "TABLE_COLUMNS", "compare", "load_claims", "rounds_to"]
