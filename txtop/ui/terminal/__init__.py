"""The terminal: its capabilities, the driver that writes to it, its restoring."""
