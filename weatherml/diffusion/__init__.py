"""The mathematics of diffusion: noise levels, schedules, predictions; x = y + sigma n throughout."""
