"""Published claims, the ladder of evidence and its verdicts, and which specifications satisfy what was printed."""

from did.evidence.comparison import compare, in_order, unavailable, with_holm
from did.evidence.ladder import Rules, climb
from did.evidence.verdicts import judge, targets
from did.project.claims import BANDS, CLAIM_COLUMNS, load_claims, rounds_to

__all__ = ["BANDS", "CLAIM_COLUMNS", "Rules", "climb", "compare", "in_order", "judge", "load_claims", "rounds_to",
           "targets", "unavailable", "with_holm"]
