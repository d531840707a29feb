"""Blocks of networks: padding, convolutions, attention, the U-Net."""
