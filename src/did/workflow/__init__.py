"""The plan of a run, how it is started, the server for its jobs, and whether files are still as they were written."""
