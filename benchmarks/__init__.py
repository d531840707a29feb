"""What measures: worlds with a known law, and one script a figure; see README.md."""
