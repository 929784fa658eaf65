"""A net for CPUs."""

from experiments.nets.functional import Net
from experiments.nets.resnet import resnet


def small(num_classes: int) -> Net:
    """Builds ResNet-8: 78,042 parameters for 10 classes.

    Meant for images of 16x16 to 32x32 pixels.
    """
    return resnet(8, num_classes)
