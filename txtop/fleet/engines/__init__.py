"""The engines of `--on`, a file each: how a command line is run elsewhere, and what is held."""
