"""Read what the machine and its kernel say: limits, the OOM killer, throttling, peaks."""
