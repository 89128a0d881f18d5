"""Fold events into the state of a session, without clock or I/O."""
