"""Build the detail view of one cell."""
