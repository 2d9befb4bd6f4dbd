"""Indicators of the user's own: a file looked at, written down as config, and checked before anything is fitted."""
