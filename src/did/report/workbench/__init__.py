"""The workbench: pick a choice that was made and see the estimate, its interval and its place among all others."""
