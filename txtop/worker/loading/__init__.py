"""Load a model: find it, read it, convert it, place it."""
