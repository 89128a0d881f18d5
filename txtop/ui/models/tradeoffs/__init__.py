"""The model of the trade-offs view: groups, points, plots."""
