"""From a source file to integer planes: streams, clocks, damage, bars, and batches of frames."""
