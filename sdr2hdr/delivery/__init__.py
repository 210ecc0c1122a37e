"""What makes a file a delivery: whole or not there, measured, checked, and read back."""
