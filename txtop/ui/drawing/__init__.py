"""Draw rows of text with roles: the primitives of which panels are made."""
