"""Scripts that reproduce the figures of RESULTS.md."""
