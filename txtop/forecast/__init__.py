"""Predict time and memory, before a run and during it.

The home screen, the matrix builder, the live screen and the runner of an A/B ask for predictions.
Nothing here loads a model.
"""
