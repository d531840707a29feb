"""What is scored, and the sums of its cases."""
