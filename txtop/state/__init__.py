"""The state of a session, folded from its events without clock or I/O."""
