"""What training a classifier is made of, wherever its images come from."""

from collections.abc import Callable, Iterator, Mapping

import jax
import optax

from experiments.nets.functional import Net
from experiments.training.accuracy import accuracy_line
from experiments.training.classification import Batch, classification_loss
from experiments.training.clean_statistics import with_clean_statistics
from experiments.training.image_config import ImageConfig
from experiments.training.optimizer import sgd
from experiments.training.step import PyTree
from experiments.training.streams import run_keys
from experiments.training.task import Task


def classification_task(
    config: ImageConfig,
    net: Net,
    *,
    seed: int,
    num_classes: int,
    steps_per_epoch: int,
    inputs: Callable[[int], Iterator[PyTree]],
    prepare: Callable[[PyTree, jax.Array], Batch],
    evaluate: Callable[[PyTree, PyTree], Mapping[str, Mapping[str, float]]],
) -> Task:
    """Builds the task of a config: SGD whose learning rate falls along a cosine.

    Args:
        config: Every number of the run.
        net: The classifier.
        seed: Of the run.
        num_classes: Its number of logits.
        steps_per_epoch: Steps of an epoch.
        inputs: As of `Task`.
        prepare: As of `Task`.
        evaluate: As of `Task`. Where no step sees the parameters themselves, the
            statistics of BatchNorm are estimated anew before.
    """
    schedule = optax.cosine_decay_schedule(
        config.learning_rate, config.epochs * steps_per_epoch
    )
    task = Task(
        init=net.init,
        loss_fn=classification_loss(net, num_classes, config),
        metric_names=("loss", "accuracy", "count"),
        inputs=inputs,
        prepare=prepare,
        evaluate=evaluate,
        ascent=config.ascent,
        optimizer=sgd(
            learning_rate=schedule,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        ),
        learning_rate=schedule,
        steps_per_epoch=steps_per_epoch,
        num_epochs=config.epochs,
        unit="images",
        conclude=accuracy_line,
    )
    return with_clean_statistics(task, run_keys(seed).statistics)
