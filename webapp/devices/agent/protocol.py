"""What server and agent have agreed on; the server reads it too, so this imports nothing."""

PROTOCOL = 1
"""Raised when an agent of before could not work with a server of after."""

ADDRESS = "/api/agent/v1"
ARCHIVE = "adadeep-agent.pyz"
SESSION = "X-Agent-Session"
"""The header that tells one run of an agent from the next, so that two never measure for one device."""

FEWEST_RUNS, MOST_RUNS = 5, 400
"""Timed runs of one graph: fewer say nothing about p10 and p90, more say nothing new."""
