"""Figure of the evidence on one estimate: the number, its interval and what every check makes of it, on one scale."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from did.report.content.evidence_rows import COLUMNS, in_words
from did.report.figures import style
from did.report.figures.forest import draw_forest
from did.report.figures.style import Frame

NOTHING = "No estimate has an interval to judge it by."
SIMPLER = ("Lines are 95% margins of error; those of the checks, found in the usual way, are too narrow where few "
           "groups took part.")


@style.drawing
def evidence_figure(rows: pd.DataFrame, frame: Frame, *, decimals: int) -> list[Path]:
    """Draw the estimate and what each check makes of it, a line each, and save the figure; return the paths.

    ``rows`` as from `did.report.content.evidence_rows.evidence_rows`, drawn as `draw_forest` says, with ``decimals``.
    Without rows the figure says that nothing is judged.
    """
    if rows.empty:
        frame = frame.saying(NOTHING)
        return style.save(style.page(0.1, frame)[0], frame, f"{frame.title}. {NOTHING}",
                          rows.reindex(columns=COLUMNS[:-1]))
    about = f"Chart of one estimate and the checks on it. {in_words(rows)}"
    return draw_forest(rows, frame.marked(rows), decimals=decimals, about=about, footnote=SIMPLER)
