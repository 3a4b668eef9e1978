"""A small AlexNet in the manner of cuda-convnet on CIFAR-10 as JPEG: three convolutions, three dense layers."""

from collections import OrderedDict

from torch import nn

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images, jitter
from benchmarks.task import MODELS, WORK, Task, Training
from webapp.samples.training import Schedule


def alexnet() -> nn.Sequential:
    """1,050,090 parameters, 36 M multiply-adds."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(3, 64, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(64, 64, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(64, 96, 3, padding=1),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        drop1=nn.Dropout(0.3),
        fc1=nn.Linear(96 * 16, 512),
        relu4=nn.ReLU(),
        drop2=nn.Dropout(0.3),
        fc2=nn.Linear(512, 192),
        relu5=nn.ReLU(),
        fc3=nn.Linear(192, 10),
    )
    return nn.Sequential(layers)


TASK = Task(
    title="colour images: AlexNet of a million parameters, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=WORK / "alexnet" / "base.onnx",
    kept=MODELS / "alexnet.half.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=600,  # 178 steps of 64
    faster=9.8,
    smaller=38,
    origin="python -m benchmarks.train alexnet",
    needs=(SOURCE,),
    training=Training(
        network=alexnet,
        schedule=Schedule(epochs=24, batch_size=128, learning_rate=2e-3, weight_decay=5e-2),
        augment=jitter,
        brain_floats=True,
    ),
)
