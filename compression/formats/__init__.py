"""Converters to other runtimes, each a script for an environment of its own; nothing imports them."""
