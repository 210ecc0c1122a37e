"""The version, which is written into every file and cache entry."""

__version__ = "0.1.0"
