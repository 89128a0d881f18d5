"""Where the time of a step goes: the worker that is profiled, and thrown away."""
