"""Sessions in a browser: a page with a terminal, and a viewer process behind each."""
