"""Serve requests of a cell: form batches, run them, report each request."""
