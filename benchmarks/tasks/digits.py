"""LeNet-5 on MNIST: the built-in sample, network and arrays as they ship."""

from benchmarks.task import SAMPLES, Task, Training, sample_arrays
from webapp.samples.train_digits import MEAN, SCHEDULE, STD, jitter, lenet

TASK = Task(
    title="digits: LeNet-5, MNIST",
    shape=(1, 28, 28),
    base=SAMPLES / "digits" / "model.onnx",
    preprocessing={"layout": "NCHW", "divide": 255, "mean": [MEAN], "std": [STD]},
    arrays=lambda: sample_arrays("digits"),
    time_limit_s=300,  # 1,000 steps of 128
    faster=1.4,
    smaller=35,
    origin="webapp/samples/train_digits.py",
    training=Training(network=lenet, schedule=SCHEDULE, augment=jitter),
)
