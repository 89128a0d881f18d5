"""txtop: how fast a Transformers model really is, measured here and shown live."""

__version__ = "0.1.0"
