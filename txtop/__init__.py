"""txtop benchmarks Hugging Face Transformers models, live in a terminal."""

__version__ = "0.1.0"
