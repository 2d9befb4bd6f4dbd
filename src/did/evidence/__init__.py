"""Published claims, a verdict on each, and which specifications of the analysis satisfy them."""

from did.evidence.verdicts import compare, in_order, unavailable, with_holm
from did.project.claims import BANDS, CLAIM_COLUMNS, load_claims, rounds_to

__all__ = ["BANDS", "CLAIM_COLUMNS", "compare", "in_order", "load_claims", "rounds_to", "unavailable", "with_holm"]
