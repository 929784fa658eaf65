"""Image classification with the data set in the memory of the device."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.data import augment
from experiments.data.autoaugment import autoaugment
from experiments.data.evaluation import evaluation_batches
from experiments.data.images import ImageSet
from experiments.data.order import epoch_order, steps_per_epoch
from experiments.nets import IMAGE_NETS
from experiments.nets.functional import Net
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.image_data import load_splits
from experiments.training.optimizer import sgd
from experiments.training.sharding import data_mesh, replicated, shard_batch
from experiments.training.task import Task

STATISTICS = {
    "cifar10": augment.CIFAR10,
    "cifar100": augment.CIFAR100,
    "fashion_mnist": augment.FASHION_MNIST,
    "imagenet2012": augment.IMAGENET,
}
EVALUATION_BATCH = 500


class Batch(NamedTuple):
    """What a step trains on."""

    images: jax.Array
    """Normalized, float32 [batch, height, width, channel]."""
    labels: jax.Array
    """int32 [batch]."""


def image_task(config: ImageConfig, *, seed: int, data_dir: str) -> Task:
    """Builds the task of a config.

    Args:
        config: Every number of the run.
        seed: Of the order of the examples; the loop seeds all the rest with it.
        data_dir: The folder of the prepared data sets.
    """
    splits = load_splits(config.data, data_dir)
    net = IMAGE_NETS[config.net](splits.num_classes)
    train = jax.device_put(splits.train, replicated())
    num_steps = steps_per_epoch(len(train.labels), config.batch_size)
    schedule = optax.cosine_decay_schedule(
        config.learning_rate, config.epochs * num_steps
    )
    optimizer = sgd(
        config.ascent,
        learning_rate=schedule,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    order = functools.partial(
        epoch_order,
        jax.random.key(seed),
        num_examples=len(train.labels),
        batch_size=config.batch_size,
    )

    def inputs(start: int) -> Iterator[tuple[ImageSet, np.ndarray]]:
        for indices in _rows(order, start, num_steps):
            yield train, shard_batch(indices)

    return Task(
        init=net.init,
        loss_fn=classification_loss(net, splits.num_classes, config),
        metric_names=("loss", "accuracy", "count"),
        inputs=inputs,
        prepare=functools.partial(augmented, data=config.data),
        evaluate=_evaluator(net, splits.evaluated, config.data),
        optimizer=optimizer,
        learning_rate=schedule,
        steps_per_epoch=num_steps,
        num_epochs=config.epochs,
        unit="images",
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


def classification_loss(net: Net, num_classes: int, config: ImageConfig):
    """Returns the loss: cross-entropy with smoothed labels, a mean over the batch.

    It casts parameters and images to the compute dtype, and so is what the ascent,
    which perturbs in float32, asks for.
    """
    dtype = jnp.dtype(config.precision)

    def loss_fn(params, model_state, batch, key):
        images, labels = batch
        compute_params: Any = optax.tree.cast(params, dtype)
        logits, model_state = net.apply(
            compute_params, model_state, images.astype(dtype), True, key
        )
        targets = optax.smooth_labels(
            jax.nn.one_hot(labels, num_classes), config.label_smoothing
        )
        losses = optax.softmax_cross_entropy(logits, targets)
        metrics = {
            "loss": jnp.sum(losses),
            "accuracy": jnp.sum(jnp.argmax(logits, axis=-1) == labels) * 1.0,
            "count": jnp.full([], len(labels), jnp.float32),
        }
        return jnp.mean(losses), (model_state, metrics)

    return loss_fn


def _evaluator(net: Net, splits: dict[str, ImageSet], data: ImageData):
    """Returns the function that measures every split, each example exactly once."""
    splits = jax.device_put(splits, replicated())

    @jax.jit
    def totals(params, model_state, images: ImageSet, indices, weights):
        batch = augment.normalize(
            jnp.take(images.images, indices, axis=0), STATISTICS[data.dataset]
        )
        labels = images.labels[indices]
        logits, _ = net.apply(params, model_state, batch, False)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        correct = jnp.argmax(logits, axis=-1) == labels
        return jnp.sum(weights * losses), jnp.sum(weights * correct)

    def evaluate(params, model_state):
        result = {}
        for name, split in splits.items():
            num = len(split.labels)
            batches = zip(
                *evaluation_batches(num, EVALUATION_BATCH, num_shards=data_mesh().size),
                strict=True,
            )
            sums = [
                totals(params, model_state, split, *shard_batch(batch))
                for batch in batches
            ]
            loss, correct = (
                sum(x.item() for x in xs) for xs in zip(*sums, strict=True)
            )
            result[name] = {"loss": loss / num, "accuracy": correct / num}
        return result

    return evaluate
