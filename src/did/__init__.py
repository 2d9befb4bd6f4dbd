"""Difference-in-differences evaluation of health policy, from publishers' files to report."""

__version__ = "0.1.0"
