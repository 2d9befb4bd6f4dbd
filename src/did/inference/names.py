"""Names of methods of inference and of schemes of placebo assignments, as tables and config files have them."""

# Placebo assignments: among clusters never treated, over all periods; among all before the first onset.
SCHEMES = ("never_treated", "before_onset")
# Methods that placebo assignments are tried with; ``clustered_unit`` is ``clustered`` at the level of units.
METHODS = ("clustered_unit", "clustered", "CR2", "CR3", "jackknife", "wild_bootstrap", "randomisation",
           "randomisation_estimate", "randomisation_near")
# Methods that a headline may be by: with one treated cluster, one that no placebo assignment is tried with.
LEADING = (*METHODS, "conley_taber")
