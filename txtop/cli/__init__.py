"""The commands, by topic. They connect the other packages and compute nothing themselves."""
