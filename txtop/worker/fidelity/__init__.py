"""Compare the outputs of a cell with those of a more precise reference."""
