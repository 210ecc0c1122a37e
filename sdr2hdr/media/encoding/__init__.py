"""The encoders, and a description of what they make that muxers understand."""
