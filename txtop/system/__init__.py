"""The machine and its kernel: limits, processor, OOM killer, throttling, published peaks."""
