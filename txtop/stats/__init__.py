"""Pure numbers: no clock, no I/O, nothing of ours but itself."""

VERSION = 3
