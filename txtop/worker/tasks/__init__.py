"""Run a loaded model once: generate tokens or encode sequences."""
