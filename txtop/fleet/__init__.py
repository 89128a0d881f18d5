"""Runs on several machines: each measures and records for itself, and its log is copied here."""
