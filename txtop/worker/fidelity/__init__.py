"""Compare the outputs of two precisions of one model."""
