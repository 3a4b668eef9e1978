"""A 1-D network on smartwatch motion, split by person: the built-in sample as it ships."""

from benchmarks.task import SAMPLES, Task, Training, sample_arrays
from webapp.samples.train_motion import SCHEDULE, STEPS_PER_UNIT, jitter, motion_network

TASK = Task(
    title="motion: 1-D CNN, smartwatch",
    shape=(6, 128),
    base=SAMPLES / "motion" / "model.onnx",
    preprocessing={
        "layout": "NCT",
        "divide": STEPS_PER_UNIT,
        "mean": [0.0] * 6,
        "std": [1.0] * 6,
    },
    arrays=lambda: sample_arrays("motion"),
    time_limit_s=180,  # 299 steps of 128
    faster=4.0,
    smaller=40,
    origin="webapp/samples/train_motion.py",
    training=Training(network=motion_network, schedule=SCHEDULE, augment=jitter),
)
