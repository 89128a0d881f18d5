"""Predict time and memory, before a run and during it."""
