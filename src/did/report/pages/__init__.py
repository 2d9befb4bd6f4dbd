"""Pages: what is said, put into templates."""
