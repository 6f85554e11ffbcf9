"""What runs in the measured processes."""
