"""Models of what the panels draw: plain values, pure, without Textual or Rich."""
