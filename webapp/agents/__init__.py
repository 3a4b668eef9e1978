"""Devices that are connected: their agents' tokens, the tasks they lease, what they send."""
