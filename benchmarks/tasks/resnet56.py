"""ResNet-56 on CIFAR-10 as JPEG: three stages of nine blocks. Trained on a machine with more power."""

from torch import nn

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images, jitter
from benchmarks.cifar_networks import STAGES_OF_RESNET_20, BasicBlock, conv_norm
from benchmarks.task import MODELS, Task, Training
from webapp.samples.training import Schedule

BLOCKS_OF_A_STAGE = 9


def resnet_56() -> nn.Sequential:
    """126 M multiply-adds."""
    blocks: list[nn.Module] = []
    before = 16
    for width, stride in STAGES_OF_RESNET_20:
        for repeat in range(BLOCKS_OF_A_STAGE):
            blocks.append(BasicBlock(before, width, 1 if repeat else stride))
            before = width
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))
    return nn.Sequential(conv_norm(3, 16, 3), nn.ReLU(), *blocks, *head)


TASK = Task(
    title="colour images: ResNet-56, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=MODELS / "resnet56.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=2400,
    faster=2.0,
    smaller=5,
    origin="python -m benchmarks.train resnet56",
    needs=(SOURCE,),
    training=Training(
        network=resnet_56,
        schedule=Schedule(epochs=30, batch_size=512, learning_rate=6e-3, weight_decay=5e-2),
        augment=jitter,
        brain_floats=True,
    ),
)
