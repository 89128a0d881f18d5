"""Render the trade-offs view."""
