"""The public face: a panel of any data frame, fits by every registered estimator, comparisons, checks, figures."""
