"""The ImageNet row of the paper: ResNet-50 with SGD, SAM and ASAM.

    python -m experiments.prepare imagenet2012 --data-dir D
    python -m experiments.imagenet imagenet-resnet50-asam --data-dir D --seed 0 1 2

Settings as recalled: batch 512, learning rate 0.2, weight decay 1e-4, 100 epochs (SGD
200). The same command again resumes. Not run.
"""

from experiments.command import main
from experiments.presets import IMAGENET
from experiments.training.image_config import ImageConfig
from experiments.training.imagenet_task import imagenet_task

if __name__ == "__main__":
    main(IMAGENET, ImageConfig, imagenet_task, __doc__ or "")
