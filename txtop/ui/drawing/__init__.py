"""Panels of lines, each a pure function of a view, and what draws them."""
