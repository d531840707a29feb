"""The synthetic convective world: its ground, its noise and its one-step law."""
