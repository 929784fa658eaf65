"""ImageNet classification, with the images streamed from disk."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from tensorflow_datasets.core.data_sources.base import BaseDataSource

from experiments.cores import available_cores
from experiments.data import augment
from experiments.data.imagenet import (
    Readers,
    Share,
    evaluate_batches,
    open_imagenet,
    train_batches,
)
from experiments.data.images import ImageSet
from experiments.data.order import steps_per_epoch
from experiments.nets import IMAGE_NETS
from experiments.nets.functional import Net
from experiments.training.classification import Batch, means, weighted_totals
from experiments.training.classification_task import classification_task
from experiments.training.image_config import ImageConfig, ImageData
from experiments.training.run_folder import RunFolder
from experiments.training.sharding import data_mesh, shard_shares
from experiments.training.task import Task

NUM_CLASSES = 1000
SIZE, RESIZE = 224, 256
EVALUATION_BATCH = 500


def imagenet_task(
    config: ImageConfig, *, seed: int, data_dir: str, folder: RunFolder | None = None
) -> Task:
    """Builds the task of a config; the arguments are those of `image_task`.

    Raises:
        ValueError: If the config asks for other images than those of the paper.
    """
    if config.data != ImageData("imagenet2012"):
        raise ValueError(
            "ImageNet is trained on whole, with random resized crops and flips: leave "
            "the options of the images at their defaults"
        )
    train, validation = (
        open_imagenet(split, data_dir) for split in ("train", "validation")
    )
    net = IMAGE_NETS[config.net](NUM_CLASSES)
    num_steps = steps_per_epoch(len(train), config.batch_size)
    share = Share(jax.process_index(), jax.process_count())
    readers = Readers(threads=16, workers=len(available_cores()))

    def inputs(start: int) -> Iterator[ImageSet]:
        batches = train_batches(
            train,
            seed=seed,
            batch_size=config.batch_size,
            size=SIZE,
            share=share,
            readers=readers,
            start=start,
        )
        return map(shard_shares, batches)

    return classification_task(
        config,
        net,
        seed=seed,
        num_classes=NUM_CLASSES,
        steps_per_epoch=num_steps,
        inputs=inputs,
        prepare=_normalized,
        evaluate=_evaluator(net, validation, share, readers),
    )


def _normalized(inputs: ImageSet, key: jax.Array) -> Batch:
    del key  # crops and flips are made on the host
    images = augment.normalize(jnp.asarray(inputs.images), augment.IMAGENET)
    return Batch(images, jnp.asarray(inputs.labels))


def _evaluator(net: Net, source: BaseDataSource, share: Share, readers: Readers):
    """Returns the function that measures the validation images, the paper's test."""

    @jax.jit
    def totals(params, model_state, images, labels, weights):
        images = augment.normalize(images, augment.IMAGENET)
        logits, _ = net.apply(params, model_state, images, False)
        return weighted_totals(logits, labels, weights)

    def evaluate(params, model_state):
        batches = evaluate_batches(
            source,
            batch_size=EVALUATION_BATCH,
            num_devices=data_mesh().size,
            resize=RESIZE,
            size=SIZE,
            share=share,
            readers=readers,
        )
        measured = means(
            totals(params, model_state, *shard_shares(batch)) for batch in batches
        )
        return {"test": measured}

    return evaluate
