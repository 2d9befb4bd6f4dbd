"""What a reader meets: content (what is said), figures, writers (kinds of file) and pages. Nothing here estimates."""
