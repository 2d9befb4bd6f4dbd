"""Published claims, a verdict on each, and which readings of the analysis satisfy them."""

from did.reproduce.claims import BANDS, CLAIM_COLUMNS, load_claims, rounds_to
from did.reproduce.verdicts import TABLE_COLUMNS, compare

__all__ = ["BANDS", "CLAIM_COLUMNS", "TABLE_COLUMNS", "compare", "load_claims", "rounds_to"]
