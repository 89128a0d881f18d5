"""The acceptance run on a GPU: `python3 tests/gpu/accept.py 1|2|3`, `rehearse` without one."""
