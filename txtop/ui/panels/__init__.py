"""Render panels: one file per panel, from its model to styled lines."""
