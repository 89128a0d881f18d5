"""Serve requests: form batches, answer, report each request."""
