"""Write plain tables and verdicts."""
