"""Finished HDR files: what they say and show, and other HDR10 metadata in their place."""
