"""LeNet-5: at most one point lost, file at least 20 times smaller and faster than the original."""

import json

from benchmarks.pipeline import compress_sample

if __name__ == "__main__":
    goals = {"accuracy": 0.1, "latency": 0.3, "energy": 0.0, "storage": 0.6}
    print(json.dumps(compress_sample("digits", goals), indent=1))
