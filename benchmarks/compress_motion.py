"""Motion network: at most one point lost, file at least 15 times smaller, at least 3.6 times faster."""

import json

from benchmarks.pipeline import compress_sample

if __name__ == "__main__":
    print(json.dumps(compress_sample("motion", smaller=15, faster=3.6), indent=1))
