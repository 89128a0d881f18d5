"""Cells, plans and requests: the description of what a run measures."""
