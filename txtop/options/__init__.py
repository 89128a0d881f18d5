"""Turn typed options into a plan, and a plan back into a command line."""
