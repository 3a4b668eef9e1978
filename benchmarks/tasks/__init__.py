"""A task a file: arrays, their split, and how the original network was trained. File name = task name."""
