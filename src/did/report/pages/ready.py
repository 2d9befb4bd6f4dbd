"""What all figures and pages need once, made where this is imported: by the server of jobs, from whom its jobs have it.

Fonts and the widths of their letters, matplotlib's settings and the compiled templates are half of what a small figure
and a section of the report cost.
"""

from __future__ import annotations

import io
import string

from did.report.figures import style
from did.report.writers.html import environment


@style.drawing
def _drawn() -> None:
    for bold in (False, True):
        style.text_width(string.printable.strip(), bold=bold)
    figure, bottom = style.page(1.0, style.Frame("", string.ascii_letters, string.digits, "", is_synthetic=True))
    style.value_axis(style.add_axes(figure, 1.0, bottom, 5.0, 1.0), 5)
    figure.savefig(io.BytesIO(), format="svg")


_drawn()
for _name in ("outcome.html.j2", "published.html.j2", "report.html.j2"):
    environment().get_template(_name)
