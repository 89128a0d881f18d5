"""The screens: panels laid out for the size of the terminal."""
