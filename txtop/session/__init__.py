"""Session logs: written during a run, followed live, replayed, listed and verified.

docs/sessions.md describes the files.
"""
