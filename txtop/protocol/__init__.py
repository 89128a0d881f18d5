"""Define what the processes tell each other: events upward, commands downward."""
