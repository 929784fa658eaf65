"""The image experiment on made-up images and a small net, as a command for a pod.

    python -m tests.experiments.pod batch --run-dir D

With SIGKILL_AT=k or SIGTERM_AT=k in the environment, process 1 sends itself that signal
before step k.
"""

import itertools
import os
import signal

import jax
import numpy as np
from flax import nnx

from experiments.command import main
from experiments.data.images import ImageSet
from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import Net, functional
from experiments.nets.layers import conv, dropout_layer, linear
from experiments.training import image_task
from experiments.training.config import Ascent
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.image_data import ImageSplits
from experiments.training.task import Task

NUM_CLASSES, SIDE, BATCH = 4, 8, 16
STEPS_PER_EPOCH = 3


def make_images(seed: int, num: int) -> ImageSet:
    """Draws images whose class is their mean colour."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM_CLASSES, size=num).astype(np.int32)
    noise = rng.integers(64, size=(num, SIDE, SIDE, 3))
    return ImageSet((noise + 48 * labels[:, None, None, None]).astype(np.uint8), labels)


class PodNet(nnx.Module):
    """A convolution, BatchNorm, dropout and two linear layers, one worth splitting."""

    def __init__(self, num_classes: int, *, rngs: nnx.Rngs):
        self.conv = conv(3, 8, 3, strides=2, rngs=rngs)
        self.norm = BatchNorm(8)
        self.dropout = dropout_layer(0.3, rngs=rngs)
        width = 8 * (SIDE // 2) ** 2
        self.hidden = linear(width, width, rngs=rngs)
        self.head = linear(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images to logits."""
        x = self.dropout(nnx.relu(self.norm(self.conv(x))))
        return self.head(nnx.relu(self.hidden(x.reshape(len(x), -1))))


def pod_net(num_classes: int) -> Net:
    """Builds the net."""
    return functional(lambda rngs: PodNet(num_classes, rngs=rngs))


POD_NETS = {"small": pod_net}


def config(name: str, ascent: Ascent) -> ImageConfig:
    """Returns a config of a few steps."""
    return ImageConfig(
        name=name,
        data=ImageData("cifar10"),
        net="small",
        ascent=ascent,
        epochs=3,
        batch_size=BATCH,
        learning_rate=0.01,
    )


PRESETS = {
    "batch": config("batch", Ascent(rho=0.5, normalization="elementwise")),
    "group": config("group", Ascent(rho=0.5, normalization="elementwise", group=4)),
}


def pod_task(config: ImageConfig, *, seed: int, data_dir: str, folder) -> Task:
    """Builds the task of a config."""
    del data_dir, folder
    splits = ImageSplits(
        make_images(0, STEPS_PER_EPOCH * BATCH + 5),
        {"test": make_images(1, 37)},
        NUM_CLASSES,
    )
    task = image_task.task_of_splits(config, splits, seed=seed)

    def inputs(start):
        steps = itertools.count(start + 1)
        for step, x in zip(steps, task.inputs(start), strict=False):
            for name in ("SIGKILL", "SIGTERM"):
                if jax.process_index() == 1 and os.getenv(f"{name}_AT") == str(step):
                    os.kill(os.getpid(), getattr(signal, name))
            yield x

    return task._replace(inputs=inputs)


if __name__ == "__main__":
    image_task.IMAGE_NETS = POD_NETS
    main(PRESETS, ImageConfig, pod_task, "A run of seconds.")
