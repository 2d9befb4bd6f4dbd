"""The tables of what was published, the evidence on it and its verdicts."""

from __future__ import annotations

import pandera.pandas as pa

from did.inference.names import LEADING
from did.store.columns import CODE, COUNT, EFFECT, NEVER, NOT_COMPUTED, NOT_MEASURED, SHARE, TEXT, P
from did.store.schema_parts import count, number, schema, text

# Whether a printed number comes out, and whether an effect is shown (docs/evidence.md).
NUMBERS = ("exact", "close", "agrees", "differs", "not_printed", "cannot_run")
VERDICTS = ("holds", "fragile", "not_shown", "not_shown_as_published", "shown_here", "contradicted", "cannot_run")
QUESTIONS = ("second_program", "same_number", "apart_from_zero", "trends", "own_dates", "one_thing")
ANSWERS = ("yes", "no", "not_applicable")


def agrees() -> pa.Column:
    return text(checks=pa.Check.isin(["yes", "no", "not printed", "cannot run"]))


# A claim, our estimate alongside it, and what follows; a text that was not printed is empty.
_CLAIM = {
    **{name: text() for name in ("claim", "figure", "pane", "indicator", "outcome", "estimator", "treatment", "sample",
                                  "estimand", "cohort", "period")},
    "event_time": count(nullable=True),
    "unit": text(),
    "as_printed": text(),
    "published_value": number(),
    "rounding": text(),
    "published_sign": text(),
    "published_significance": text(),
    "published_n": count(nullable=True),
    "published_n_panel": count(nullable=True),
    "not_comparable": text(),
    "specification": text(),
    "cluster": text(),
    **{name: number() for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")},
}
_COMPARED = {
    **{name: count(nullable=True) for name in ("n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters")},
    "difference": number(),
    **{name: agrees() for name in ("value_agrees", "value_in_interval", "sign_agrees", "significance_agrees",
                                    "n_agrees")},
    "status": text(checks=pa.Check.isin(["printed", "not printed", "cannot run"])),
    "number": text(checks=pa.Check.isin(NUMBERS)),
    "reasons": text(),
    **{f"did_{name}": number() for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")},
    "did_n_obs": count(nullable=True),
    "few_treated": pa.Column("boolean", nullable=True, coerce=True),
    "note": text(),
}
# The p-values that are adjusted for many tests, and what they are by.
TESTED_P = {"p_tested": number(), "p_method": text(checks=pa.Check.isin(["", *LEADING])), "p_size": number()}
_TESTED = {**_CLAIM, **TESTED_P, "p_holm": number(), **_COMPARED}
# What an estimate is of.
_CELL = ("indicator", "specification", "sample", "treatment", "estimator")

EVIDENCE_SCHEMAS: dict[str, pa.DataFrameSchema] = {
    "comparison": schema("comparison", "a published finding alongside our estimate", ["claim", "cluster"],
                          {**_CLAIM, **_COMPARED}),
    "second_opinion": schema(
        "second_opinion",
        "an estimate of ours and the same by a second program",
        ["indicator", "specification", "sample", "treatment", "estimator", "event_time", "bin_width"],
        {
            **{name: text() for name in _CELL},
            "event_time": count(nullable=True),
            "bin_width": count(nullable=True),
            "estimate": number(),
            "second": number(),
            "difference": number(),
            "program": text(),
            "status": text(checks=pa.Check.isin(["done", "skipped"])),
            "reason": text(),
        },
        own={
            "estimate": ("ours", EFFECT, "skipped"),
            "second": ("the estimate by the second program", EFFECT, "skipped"),
            "difference": ("their difference as a share of the larger of our estimate and our standard error", SHARE,
                           "skipped"),
            "program": ("the second program, with its version", TEXT, NEVER),
            "reason": ("why it was skipped", TEXT, "it was done"),
        },
    ),
    "evidence": schema(
        "evidence",
        "the answer to one question about a published finding, or about the headline of an outcome",
        ["target", "step"],
        {
            "target": text(),
            "claim": text(),
            **{name: text() for name in _CELL},
            "step": count(),
            "question": text(checks=pa.Check.isin(QUESTIONS)),
            "rule": text(),
            "threshold": number(),
            "answer": text(checks=pa.Check.isin(ANSWERS)),
            "reason": text(),
            **{name: number() for name in ("estimate", "ci_low", "ci_high", "share", "sign_share", "smallest",
                                            "largest")},
            "n_tried": count(nullable=True),
            "n_met": count(nullable=True),
            "source_table": text(),
            "source_rows": text(),
        },
        own={
            "estimate": ("the estimate the step turns on", EFFECT, NOT_COMPUTED),
            "ci_low": ("lower end of its 95% interval", EFFECT, NOT_COMPUTED),
            "ci_high": ("upper end of its 95% interval", EFFECT, NOT_COMPUTED),
            "n_tried": ("estimates that were tried", COUNT, "the step is about one"),
            "reason": ("code of why the answer is what it is (docs/evidence.md)", CODE, NEVER),
        },
    ),
    "evidence_items": schema(
        "evidence_items",
        "an estimate that a step of the evidence looks at",
        ["target", "step", "place"],
        {
            "target": text(),
            "step": count(),
            "place": count(),
            "kind": text(),
            "label": text(),
            "called": text(),
            "estimator": text(),
            **{name: number() for name in ("estimate", "ci_low", "ci_high")},
            "sign_kept": pa.Column("boolean", nullable=True, coerce=True),
            "interval_kept": pa.Column("boolean", nullable=True, coerce=True),
            "source_table": text(),
            "source_row": text(),
        },
    ),
    "verdicts": schema(
        "verdicts",
        "a published finding, or the headline of an outcome, with its verdict",
        ["target"],
        {
            **{name: text() for name in ("target", "claim", "figure", "outcome", *_CELL, "unit", "as_printed")},
            "published_value": number(),
            "rounding": text(),
            "published_sign": text(),
            "published_significance": text(),
            "published_n": count(nullable=True),
            "not_comparable": text(),
            **{name: number() for name in ("estimate", "ci_low", "ci_high", "p_value")},
            "method": text(checks=pa.Check.isin(["", *LEADING])),
            "holds": pa.Column("boolean", nullable=True, coerce=True),
            "coverage": number(),
            "cluster": text(),
            **{name: count(nullable=True) for name in ("n_obs", "n_units", "n_treated", "n_clusters",
                                                        "n_treated_clusters")},
            "number": text(checks=pa.Check.isin(NUMBERS)),
            "verdict": text(checks=pa.Check.isin(VERDICTS)),
            "reason": text(),
            **{f"answer_{step}": text(checks=pa.Check.isin(["", *ANSWERS])) for step in range(1, 6)},
            "rests_on": text(),
            "rests_on_called": text(),
            "rests_on_estimate": number(),
            "second_difference": number(),
            "note": text(),
        },
        own={
            "verdict": ("whether an effect is shown: holds, fragile, not_shown, not_shown_as_published, shown_here, "
                        "contradicted or cannot_run", CODE, NEVER),
            "ci_low": ("lower end of the headline interval", EFFECT, "no method gives one"),
            "ci_high": ("upper end of the headline interval", EFFECT, "no method gives one"),
            "p_value": ("two-sided p-value of no effect by the method of the headline interval", P, "there is none"),
            "method": ("method of inference that the interval is by", CODE, "there is no interval"),
            "coverage": ("share of placebo assignments in which its 95% interval holds a true zero", SHARE,
                         NOT_MEASURED),
            "cluster": ("level of assignment, whose clusters the method respects", CODE, "there is no interval"),
            "reason": ("code of what decides the verdict (docs/evidence.md)", CODE, NEVER),
            "figure": ("figure of the publication", TEXT, "nothing was published"),
            "unit": ("unit of the effect, as printed", TEXT, "nothing was published"),
            "note": ("why it cannot run", TEXT, "it can"),
        },
    ),
    "tested_claims": schema("tested_claims", "a published finding with Holm's p-value over its family",
                             ["claim", "cluster"], _TESTED),
    "reproduction": schema("reproduction", "a published finding alongside our estimate, once per clustering",
                            ["claim", "cluster"], _TESTED),
}
