"""ResNet-20 on CIFAR-10 as JPEG: 269,722 parameters, trained elsewhere.

Its published weights have seen the images of the validation part: there its accuracy means nothing, losses mean little.
"""

from benchmarks.cifar import PREPROCESSING, SHAPE, SOURCE, images
from benchmarks.task import SHARED, Task

TASK = Task(
    title="colour images: ResNet-20, CIFAR-10 as JPEG",
    shape=SHAPE,
    base=SHARED / "base" / "resnet20" / "base.onnx",
    preprocessing=PREPROCESSING,
    arrays=images,
    time_limit_s=1560,  # 400 steps of 64
    faster=1.7,
    smaller=6,
    origin="published weights, fine-tuned to the JPEG images",
    needs=(SOURCE,),
)
