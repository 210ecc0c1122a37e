"""Files: probe, read, write, copy and describe them. The only home of PyAV."""
