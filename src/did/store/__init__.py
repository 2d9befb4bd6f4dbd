"""The tables between the stages, and files that are written whole, sealed and traced."""
