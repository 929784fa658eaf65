"""The CIFAR tables of the paper: eight nets, three optimizers, two data sets.

    python -m experiments.prepare cifar10 --data-dir D
    python -m experiments.cifar cifar10-resnet20-asam --data-dir D --seed 0 1 2 3 4

Each preset is a cell of a table; `cifar10-resnet32-noise40-asam` and the like are those
of the label-noise table, `cifar10-wrn16_8-elementwise-rho0.5` and the like the points
of the figure of normalization schemes; `cifar10-small-*` run in minutes on a CPU. The
same command again resumes. PRESET --help lists every number.
"""

from experiments.command import main
from experiments.presets import CIFAR, NORMALIZATION
from experiments.training.image_config import ImageConfig
from experiments.training.image_task import image_task

if __name__ == "__main__":
    main({**CIFAR, **NORMALIZATION}, ImageConfig, image_task, __doc__ or "")
