"""Sequences on disk and on their way to a model: emulation, classification, segmentation."""
