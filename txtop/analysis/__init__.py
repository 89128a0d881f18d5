"""Derive numbers from a session's state: metrics, utilisation, energy, ratios and comparisons.

The text tables, the exports, the runner and the screens read the figures from here, so that they
cannot differ. The statistics themselves are in `stats`, which knows no sessions.
"""
