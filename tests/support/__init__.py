"""Code that tests share and programs that they start: nothing here is a test.

Modules are imported as `support.x`, since pyproject.toml puts tests/ on pytest's path. A file that
is run as a script puts tests/ there itself.
"""
