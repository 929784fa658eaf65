import dataclasses

import pytest

from experiments.presets import IMAGENET
from experiments.training.image_config import ImageData
from experiments.training.imagenet_task import imagenet_task

CONFIG = IMAGENET["imagenet-resnet50-asam"]


@pytest.mark.parametrize(
    "options",
    [{"noise_rate": 0.4}, {"num_train": 1000}, {"shrink": 2}, {"augmentation": "none"}],
)
def test_options_of_the_images_are_refused_instead_of_ignored(options):
    config = dataclasses.replace(CONFIG, data=ImageData("imagenet2012", **options))
    with pytest.raises(ValueError, match="leave the options of the images"):
        imagenet_task(config, seed=0, data_dir="")
