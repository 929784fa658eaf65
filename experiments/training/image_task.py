"""Image classification with the data set in the memory of the device."""

import functools
import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import augment
from experiments.data.autoaugment import autoaugment
from experiments.data.evaluation import evaluation_batches
from experiments.data.images import ImageSet
from experiments.data.order import epoch_order, steps_per_epoch
from experiments.nets import IMAGE_NETS
from experiments.nets.functional import Net
from experiments.training.classification import Batch, means, weighted_totals
from experiments.training.classification_task import classification_task
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.image_data import ImageSplits, load_splits
from experiments.training.run_folder import RunFolder
from experiments.training.sharding import data_mesh, replicate, shard_batch
from experiments.training.streams import run_keys
from experiments.training.task import Task

STATISTICS = {
    "cifar10": augment.CIFAR10,
    "cifar100": augment.CIFAR100,
}
EVALUATION_BATCH = 500


def image_task(
    config: ImageConfig, *, seed: int, data_dir: str, folder: RunFolder | None = None
) -> Task:
    """Builds the task of a config.

    Args:
        config: Every number of the run.
        seed: Of the order of the examples; the loop seeds all the rest with it.
        data_dir: The folder of the prepared data sets.
        folder: Of the run; images keep nothing in it.

    Raises:
        FileNotFoundError: If the data set is not prepared; the message has the command.
        ValueError: If the config asks for ImageNet, which does not fit in memory, or
            for more examples than there are.
    """
    del folder
    if config.data.dataset not in STATISTICS:
        raise ValueError(
            f"{config.data.dataset} is no data set of this command, whose are "
            f"{', '.join(STATISTICS)}: see python -m experiments.imagenet"
        )
    return task_of_splits(config, load_splits(config.data, data_dir), seed=seed)


def task_of_splits(config: ImageConfig, splits: ImageSplits, *, seed: int) -> Task:
    """Builds the task of a config on images that are in memory."""
    net = IMAGE_NETS[config.net](splits.num_classes)
    train = replicate(splits.train)
    num_steps = steps_per_epoch(len(train.labels), config.batch_size)
    order = functools.partial(
        epoch_order,
        run_keys(seed).order,
        num_examples=len(train.labels),
        batch_size=config.batch_size,
    )

    def inputs(start: int) -> Iterator[tuple[ImageSet, np.ndarray]]:
        for indices in _rows(order, start, num_steps):
            yield train, shard_batch(indices)

    return classification_task(
        config,
        net,
        seed=seed,
        num_classes=splits.num_classes,
        steps_per_epoch=num_steps,
        inputs=inputs,
        prepare=functools.partial(augmented, data=config.data),
        evaluate=_evaluator(net, splits.evaluated, config.data),
    )


def _rows(order, start: int, num_steps: int) -> Iterator[np.ndarray]:
    """Yields the indices of each batch from step `start` on, epoch by epoch."""
    first_epoch, skipped = divmod(start, num_steps)
    for epoch in itertools.count(first_epoch):
        yield from np.asarray(order(epoch=epoch))[skipped:]
        skipped = 0


def augmented(
    inputs: tuple[ImageSet, jax.Array], key: jax.Array, *, data: ImageData
) -> Batch:
    """Gathers a batch and varies it, inside the compiled step.

    Args:
        inputs: The whole training set and the indices of the batch, int32 [batch].
        key: The random key of the step.
        data: What to do.

    Returns:
        The batch.
    """
    train, indices = inputs
    images = jnp.take(jnp.asarray(train.images), indices, axis=0)
    labels = jnp.asarray(train.labels)[indices]
    crop_key, flip_key, policy_key, cutout_key = jax.random.split(key, 4)
    if data.augmentation != "none":
        images = augment.random_crop(crop_key, images, padding=4)
        images = augment.random_flip(flip_key, images)
    if data.augmentation == "autoaugment":
        images = autoaugment(policy_key, images)
    images = augment.normalize(images, STATISTICS[data.dataset])
    if data.cutout:
        images = augment.cutout(cutout_key, images, size=data.cutout)
    return Batch(images, labels)


def _evaluator(net: Net, splits: dict[str, ImageSet], data: ImageData):
    """Returns the function that measures every split, each example exactly once."""
    splits = replicate(splits)

    @jax.jit
    def totals(params, model_state, split: ImageSet, indices, weights):
        images = jnp.take(jnp.asarray(split.images), indices, axis=0)
        images = augment.normalize(images, STATISTICS[data.dataset])
        logits, _ = net.apply(params, model_state, images, False)
        return weighted_totals(logits, jnp.asarray(split.labels)[indices], weights)

    def measure(params, model_state, split: ImageSet) -> dict[str, float]:
        batches = evaluation_batches(
            len(split.labels), EVALUATION_BATCH, num_shards=data_mesh().size
        )
        return means(
            totals(params, model_state, split, *shard_batch(batch))
            for batch in zip(*batches, strict=True)
        )

    return lambda params, model_state: {
        name: measure(params, model_state, split) for name, split in splits.items()
    }
