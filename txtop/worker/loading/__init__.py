"""Load a model: find, read, convert and place it."""
