"""Options: what a user typed or saved becomes a plan, and a plan becomes a command line again."""
