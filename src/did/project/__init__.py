"""What a project folder says: config models, their checks, the registry of sources, published claims and paths."""
