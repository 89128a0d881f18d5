"""Describe models without loading them: configurations, sizes, limits."""
