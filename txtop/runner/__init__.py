"""The process that conducts a run, and the client that launches and controls it."""
