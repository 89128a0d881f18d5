"""Tasks with known answers: their files, and those that ship with txtop."""
