"""A trained run as a loss of its parameters."""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.data import augment
from experiments.nets import IMAGE_NETS
from experiments.nets.functional import ModelState, Params
from experiments.training.checkpoint import Checkpoints
from experiments.training.classification import Batch
from experiments.training.clean_statistics import clean_statistics
from experiments.training.image_config import ImageConfig
from experiments.training.image_data import load_splits
from experiments.training.image_task import STATISTICS, task_of_splits
from experiments.training.loop import initial_state
from experiments.training.run_folder import RunFolder
from experiments.training.streams import run_keys


class TrainedNet(NamedTuple):
    """The newest checkpoint of a run, and the loss that it was trained on."""

    config: ImageConfig
    seed: int
    step: int
    params: Params
    model_state: ModelState
    """At the parameters themselves, as evaluation takes it."""
    batches: list[Batch]
    """Training examples without augmentation, normalized, labels as trained on."""
    loss_fn: Callable[[Params, Batch, ModelState], jax.Array]
    """The loss of a batch, with running BatchNorm statistics and no dropout."""


def load_trained(
    path: pathlib.Path, data_dir: str, *, num_examples: int, batch_size: int
) -> TrainedNet:
    """Reads a run folder and the data of the run.

    Raises:
        FileNotFoundError: If the folder holds no run, or one without a checkpoint.
        ValueError: If the run is not one on images that fit in memory.
        CheckpointError: If none of its checkpoints can be read.
    """
    folder = RunFolder(path)
    if not folder.config.exists():
        raise FileNotFoundError(
            f"no run in {path}: give the folder of one seed, RUN_DIR/PRESET/seedK"
        )
    if not folder.checkpoints.exists():
        raise FileNotFoundError(f"the run in {path} has no checkpoint yet")
    values = json.loads(folder.config.read_text())
    if (dataset := values["data"]["dataset"]) not in STATISTICS:
        raise ValueError(
            f"{path} holds a run on {dataset}: only runs of "
            "python -m experiments.cifar can be measured"
        )
    config, seed = ImageConfig.from_json(values), values["seed"]
    splits = load_splits(config.data, data_dir)
    task = task_of_splits(config, splits, seed=seed)
    with Checkpoints(folder.checkpoints) as checkpoints:
        state = checkpoints.read_newest(initial_state(task, seed)())
        step = checkpoints.last_saved
    if step is None:
        raise FileNotFoundError(f"the run in {path} has no checkpoint yet")
    clean = clean_statistics(task, run_keys(seed).statistics)

    train = splits.train
    order = np.random.default_rng(0).permutation(len(train.labels))[:num_examples]
    batches = [
        Batch(
            augment.normalize(
                jnp.asarray(train.images[part]), STATISTICS[config.data.dataset]
            ),
            jnp.asarray(train.labels[part]),
        )
        for part in np.split(order, range(batch_size, len(order), batch_size))
    ]
    return TrainedNet(
        config,
        seed,
        step,
        state.params,
        clean(state.params, state.model_state),
        batches,
        evaluation_loss(config, splits.num_classes),
    )


def evaluation_loss(
    config: ImageConfig, num_classes: int
) -> Callable[[Params, Batch, ModelState], jax.Array]:
    """Returns the training loss of a config with nothing random in it, in float32."""
    net = IMAGE_NETS[config.net](num_classes)

    def loss_fn(params: Params, batch: Batch, model_state: ModelState) -> Any:
        logits, _ = net.apply(params, model_state, batch.images, False)
        targets = optax.smooth_labels(
            jax.nn.one_hot(batch.labels, num_classes), config.label_smoothing
        )
        return jnp.mean(optax.softmax_cross_entropy(logits, targets))

    return loss_fn
