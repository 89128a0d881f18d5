"""The messages between processes: events to the runner and the log, commands to the worker."""
