"""AlexNet for 32x32 with five convolutions and three dense layers: 6.9 M parameters, 28 MB in float."""

from collections import OrderedDict

from torch import nn

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images, jitter
from benchmarks.ratios_cifar_nets import alexnet
from benchmarks.task import MODELS, WORK, Task, Training
from webapp.samples.training import Schedule


def alexnet_28mb() -> nn.Sequential:
    """226 M multiply-adds; what is dropped before the dense layers is gone from the file."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in alexnet(dense=896).named_children():
        if name in ("fc1", "fc2"):
            layers[f"drop_{name}"] = nn.Dropout(0.4)
        layers[name] = layer
    return nn.Sequential(layers)


TASK = Task(
    title="colour images: AlexNet of 6.9 M parameters, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=WORK / "alexnet_28mb" / "base.onnx",
    kept=MODELS / "alexnet_28mb.half.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=10_800,  # 2,160 steps of 64
    faster=18.6,
    smaller=38,
    origin="python -m benchmarks.train alexnet_28mb",
    needs=(SOURCE,),
    training=Training(
        network=alexnet_28mb,
        schedule=Schedule(epochs=20, batch_size=128, learning_rate=7e-4, weight_decay=5e-2),
        augment=jitter,
        brain_floats=True,
    ),
)
