"""The process that measures: `python -m txtop.bench`, the only part that imports torch."""
