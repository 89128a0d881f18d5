"""The model of the detail view of one cell."""
