"""Other tools on the same task: one file a tool, run in an environment of its own (``make bench-peers``)."""
