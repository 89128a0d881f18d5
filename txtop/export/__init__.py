"""Write a session in the formats that other programs read, and as tables for people."""
