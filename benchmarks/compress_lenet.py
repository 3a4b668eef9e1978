"""LeNet-5: at most one point lost, file at least 20 times smaller and faster than the original."""

import json

from benchmarks.pipeline import compress_sample

if __name__ == "__main__":
    print(json.dumps(compress_sample("digits", smaller=20, faster=1.15), indent=1))
