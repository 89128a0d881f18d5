"""Build the trade-offs view: groups, points, axes."""
