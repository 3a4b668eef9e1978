"""VGG-16 with norms on CIFAR-10 as JPEG, 59 MB in float. Trained on a machine with more power.

Its file is too large for the repository; it stays where it was trained.
"""

from torch import nn

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images, jitter
from benchmarks.cifar_networks import conv_norm
from benchmarks.ratios_cifar_nets import VGG_16
from benchmarks.task import WORK, Task, Training
from webapp.samples.training import Schedule


def vgg_16() -> nn.Sequential:
    """Thirteen convolutions with norms and one dense layer: 313 M multiply-adds."""
    layers: list[nn.Module] = []
    before = 3
    for width in VGG_16:
        if width:
            layers += [conv_norm(before, width, 3), nn.ReLU()]
            before = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.4), nn.Linear(before, 10))


TASK = Task(
    title="colour images: VGG-16, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=WORK / "vgg16" / "base.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=2400,
    faster=18.6,
    smaller=38,
    origin="python -m benchmarks.train vgg16",
    needs=(SOURCE,),
    training=Training(
        network=vgg_16,
        schedule=Schedule(epochs=50, batch_size=256, learning_rate=1.5e-3, weight_decay=5e-2),
        augment=jitter,
        brain_floats=True,
    ),
)
