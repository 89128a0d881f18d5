"""Measurements of txtop's own effect on the numbers that it shows."""
