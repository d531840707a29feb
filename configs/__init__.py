"""Shipped configurations: whole experiments here, model parameters under `model/`."""
