"""The process that measures: `python -m txtop.worker`, the only part that imports torch."""
