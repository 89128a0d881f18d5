"""Render the detail view of one cell."""
