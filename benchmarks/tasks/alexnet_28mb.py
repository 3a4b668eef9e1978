"""AlexNet for 32x32 with five convolutions and three dense layers, 30.8 MB in float. Trained on a machine with more power."""

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images, jitter
from benchmarks.ratios_cifar_nets import alexnet
from benchmarks.task import MODELS, Task, Training
from webapp.samples.training import Schedule

TASK = Task(
    title="colour images: AlexNet of 7.7 M parameters, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=MODELS / "alexnet_28mb.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=2400,
    faster=18.6,
    smaller=38,
    origin="python -m benchmarks.train alexnet_28mb",
    needs=(SOURCE,),
    training=Training(
        network=alexnet,
        schedule=Schedule(epochs=60, batch_size=128, learning_rate=5e-4, weight_decay=5e-2),
        augment=jitter,
    ),
)
