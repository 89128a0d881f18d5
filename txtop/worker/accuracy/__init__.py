"""Answer the items of tasks with a loaded model."""
