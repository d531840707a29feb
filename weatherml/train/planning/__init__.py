"""What a run will need, told before it starts: memory, time, and the settings that fit a card."""
