"""What files say of their colour, and the one decision how their codes are read."""
