"""Pure numbers: no clock, no I/O, nothing of ours but itself."""

STATISTICS_VERSION = 3
