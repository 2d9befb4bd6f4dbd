"""Pieces of the report page: tables, pictures, sections and texts."""
