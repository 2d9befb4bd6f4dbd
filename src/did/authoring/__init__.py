"""New indicators and evaluations: a file looked at, written down as config, and checked before anything is fitted."""
