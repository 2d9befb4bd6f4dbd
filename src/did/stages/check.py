"""Stage 6: our estimates of one indicator again by a second program; a difference beyond rounding stops the run."""

from __future__ import annotations

import pandas as pd

from did.errors import DidError
from did.evidence.second_opinion import second_opinion
from did.project.config import Evaluation
from did.project.paths import Paths
from did.stages.fit import DOSES, leading_cells, of_sample
from did.store import tables
from did.words import plural


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Write the second_opinion table of one indicator and return one line about it.

    Under the reported specification: every cell with a headline interval, and the event studies of its treatment and
    sample. Raises DidError for a mistake in the claims file, a table that is missing, and an estimate that differs from
    that of the second program by more than `evidence.second_program` of the evaluation, naming it.
    """
    specification = evaluation.default_specification
    frame = tables.read("panel", paths.panel(indicator), specification=[specification])
    ours = tables.read("estimates", paths.estimates(indicator), specification=[specification],
                       cluster=[evaluation.clusters[0]])
    keys = {"indicator": indicator, "specification": specification}
    cells = dict.fromkeys(cell[:2] for cell in leading_cells(indicator, specification, evaluation))
    found = [second_opinion(of_sample(frame, sample, evaluation),
                            ours.loc[ours["sample"].eq(sample) & ours["treatment"].eq(treatment)],
                            dose=DOSES[treatment], lags=evaluation.specifications[specification].lags)
             .assign(**keys, sample=sample, treatment=treatment) for sample, treatment in cells]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    table = table.reindex(columns=list(tables.SCHEMAS["second_opinion"].columns))
    table["is_synthetic"] = bool(frame["is_synthetic"].any())
    tables.write("second_opinion", table, paths.second_opinion(indicator))
    done = table.loc[table["status"].eq("done")]
    if done.empty:
        return f"{indicator}: nothing that a second program could check"
    worst = done.loc[done["difference"].astype(float).idxmax()]
    if worst["difference"] > evaluation.evidence.second_program:
        raise DidError(f"{indicator}: {worst['estimator']}, {worst['treatment']}, {worst['sample']}: expected the "
                       f"estimate of {worst['program']}, {worst['second']:.10g}; found {worst['estimate']:.10g}; do "
                       "not use the numbers, and report this: one of the two programs is wrong")
    return (f"{indicator}: {plural(len(done), 'estimate')} checked by a second program, largest difference "
            f"{worst['difference']:.0e}")
