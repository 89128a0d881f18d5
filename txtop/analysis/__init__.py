"""Derive numbers from a session's state."""
