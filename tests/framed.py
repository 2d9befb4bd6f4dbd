"""Figures called with plain words, which become their frame."""

from __future__ import annotations

from dataclasses import fields

from did.report.figures.style import Frame

PARTS = [field.name for field in fields(Frame)]


def draw_framed(figure, rows, **options):
    """Return what ``figure`` does with ``rows``, the frame of those options that are parts of one, and the others."""
    frame = Frame(**{name: options.pop(name) for name in PARTS if name in options})
    return figure(rows, frame, **options)
