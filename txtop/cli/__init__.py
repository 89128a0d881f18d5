"""The commands, by what they are about. They wire the parts together and compute nothing."""
