"""The groups of options in `--help`, in their order; apart because commands share them."""

from __future__ import annotations

from cyclopts import Group

WHAT = Group("What to measure", sort_key=1)
LONG = Group("How long", sort_key=2)
SERVING = Group("Serving", sort_key=3)
WHERE = Group("Where", sort_key=4)
OUTPUT = Group("Output", sort_key=5)
