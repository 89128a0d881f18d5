"""The process that measures, started as `python -m txtop.worker` by the runner.

Only this package imports torch, so that a crash, a leak or a slow import stays in its process.
"""
