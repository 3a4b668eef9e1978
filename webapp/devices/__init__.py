"""The catalogue of targets."""
