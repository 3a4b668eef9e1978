"""A data folder of its own for each of several processes that share the tests.

Loaded before anything reads the settings (``-p tests.apart``).
"""

import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER")

if WORKER:
    home = os.environ.get("ADADEEP_HOME", "~/.adadeep")
    os.environ["ADADEEP_HOME"] = f"{home.rstrip('/')}-{WORKER}"
