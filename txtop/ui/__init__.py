"""The screen: views built from a session's state, and the panels that draw them."""
