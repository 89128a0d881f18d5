"""Write a session as one HTML page: no script, no network, every text escaped."""
