"""Compute figures from samples: no clock, no I/O, and nothing of txtop but its formatting."""

STATISTICS_VERSION = 4
"""The version of the formulas. Each recording names the one it was made with, so that a change
shows.
"""
