"""One module per stage: read the tables of the stage before, call the pure functions, write the next table."""
