"""EfficientNet-Lite0 on photographs at 224x224, one of each class of ImageNet: nothing is labelled, so agreement counts."""

import numpy as np

from benchmarks.task import WORK, Arrays, Task

PHOTOGRAPHS = WORK / "photos" / "photos.npz"
TRAINING, VALIDATION = 400, 300


def photographs() -> Arrays:
    """400, 300 and 300 of them, drawn once; their classes are for the referee, not for the product."""
    with np.load(PHOTOGRAPHS, allow_pickle=False) as data:
        x = data["x"]
    order = np.random.default_rng(0).permutation(len(x))
    ends = TRAINING, TRAINING + VALIDATION
    parts = dict(zip(("train", "val", "test"), np.split(order, ends), strict=True))
    found: Arrays = {f"x_{part}": x[rows] for part, rows in parts.items()}
    return found | {f"y_{part}": rows for part, rows in parts.items()}


TASK = Task(
    title="large images: EfficientNet-Lite0, photographs without labels",
    shape=(3, 224, 224),
    base=WORK / "photos" / "base.onnx",
    preprocessing={
        "layout": "NCHW",
        "divide": 255,
        "mean": [0.498, 0.498, 0.498],
        "std": [0.502, 0.502, 0.502],
    },
    arrays=photographs,
    labelled=False,
    time_limit_s=600,
    faster=1.5,
    smaller=4,
    origin="published weights of EfficientNet-Lite0: python -m benchmarks.photos",
    needs=(PHOTOGRAPHS,),
)
