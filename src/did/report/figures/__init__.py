"""Figures, one file each, drawn from tables."""
