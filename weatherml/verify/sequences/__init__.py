"""Verification of emulators, classifiers and segmenters on the samples of a dataset of sequences."""
