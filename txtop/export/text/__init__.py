"""Write a session as plain text: tables, verdicts and published figures."""
