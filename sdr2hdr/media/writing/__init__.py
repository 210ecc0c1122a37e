"""From encoded frames to finished files: segments and their joining, pictures, and raw frames."""
