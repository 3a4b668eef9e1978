"""Motion network: at most one point lost, file at least 15 times smaller, at least 3.6 times faster."""

import json

from benchmarks.pipeline import compress_sample

if __name__ == "__main__":
    goals = {"accuracy": 0.1, "latency": 0.45, "energy": 0.0, "storage": 0.45}
    print(json.dumps(compress_sample("motion", goals), indent=1))
