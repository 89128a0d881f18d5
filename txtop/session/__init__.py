"""The session log: written while a run goes on, followed, played, found and exported."""
