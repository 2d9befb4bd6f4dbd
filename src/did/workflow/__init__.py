"""The workflow: its plan, how it is started, the server for its jobs, and whether files are still what was written."""
