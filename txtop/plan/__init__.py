"""Describe what is measured: cells, plans, requests."""
