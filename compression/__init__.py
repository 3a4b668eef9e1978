"""Compress a trained network: a model in, a smaller model and an honest report out."""
