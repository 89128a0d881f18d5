"""Talk to the terminal: what it can do, writing to it, leaving it as it was."""
