"""What makes a file a delivery: it appears whole, or not at all."""
