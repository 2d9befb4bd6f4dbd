"""The tables of what was published, and of the panels made from it."""

from __future__ import annotations

import pandera.pandas as pa

from did.store.columns import CODE, COUNT, NEVER, TEXT
from did.store.schema_parts import count, flag, number, schema, text

STATUS = ["ok", "zero_by_rule", "suppressed", "missing", "estimated"]
FATE = ["kept", "merged", "excluded", "imputed", "set_aside"]

PANEL_SCHEMAS: dict[str, pa.DataFrameSchema] = {
    "observations": schema(
        "observations",
        "a published value",
        ["source", "measure", "area_code", "period"],
        {
            "source": text(),
            "measure": text(),
            "area_code": text(),
            "period": text(),
            "frequency": text(checks=pa.Check.isin(["M", "Q", "Y"])),
            "area_name": text(),
            "area_type": text(),
            "value": number(),
            "numerator": number(),
            "denominator": number(),
            "status": text(checks=pa.Check.isin(STATUS)),
            "file": text(),
            "sheet": text(),
            "row": count(nullable=True),
            "period_published": text(),
            "note": text(),
        },
        own={
            "value": ("the value published", "as the source has it", "missing, or not published"),
            "status": ("ok, zero_by_rule, suppressed, missing or estimated", CODE, NEVER),
            "file": ("file the value is from", TEXT, NEVER),
            "sheet": ("sheet of the file", TEXT, "the file has no sheets"),
            "row": ("row of the sheet, or line of the file, counted from 1", COUNT, "it is a sum of several rows"),
        },
    ),
    "panel": schema(
        "panel",
        "a unit in a period",
        ["specification", "unit", "period"],
        {
            "indicator": text(),
            "specification": text(),
            "unit": text(),
            "period": text(),
            "frequency": text(checks=pa.Check.isin(["M", "Q", "Y"])),
            "unit_name": text(),
            "outcome": number(),
            "numerator": number(),
            "weight": number(),
            "system": text(),
            "wave": count(nullable=True),
            "cohort": text(nullable=True),
            "intensity": number(nullable=False),
            "exposure": number(nullable=False),
            "denominator_status": text(checks=pa.Check.isin(["ok", "estimated", "carried_forward"])),
            "region": text(),
        },
        own={
            "indicator": ("outcome, the name of its file in config/indicators", CODE, NEVER),
            "unit": ("code of the unit", CODE, NEVER),
            "outcome": ("the outcome", "unit of the outcome", "no figure in the period"),
            "cohort": ("first treated period of the unit", "ISO period", "never treated in the window"),
        },
    ),
    "area_audit": schema(
        "area_audit",
        "what became of an area of the sources",
        ["indicator", "specification", "area_code"],
        {
            "indicator": text(),
            "specification": text(),
            "area_code": text(),
            "area_name": text(),
            "fate": text(checks=pa.Check.isin(FATE)),
            "unit": text(nullable=True),
            "n_periods": count(),
            "total": number(),
            "not_compared": flag(),
            "reason": text(),
        },
        own={
            "unit": ("unit of the panel it is part of", CODE, "it is in none"),
            "n_periods": ("periods it has figures for", COUNT, NEVER),
            "reason": ("why", TEXT, "kept as it is"),
        },
    ),
}
