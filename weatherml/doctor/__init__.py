"""What is wrong with the installation and with what lies on disk, what to do about it, and what can go."""
