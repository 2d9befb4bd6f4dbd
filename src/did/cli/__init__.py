"""The command line: one file for each group of commands, and the reference pages made from them."""
