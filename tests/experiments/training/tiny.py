"""A task in miniature with everything that a resumed run must get right.

Data order, augmentation, dropout, BatchNorm and momentum; its state of 5 MB takes
measurable time to save. As a command it runs what the experiments' commands run:

    python -m tests.experiments.training.tiny tiny --run-dir D
"""

import dataclasses
import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from experiments.command import main
from experiments.nets.batch_norm import BatchNorm
from experiments.nets.functional import functional
from experiments.training.accuracy import accuracy_line
from experiments.training.config import Ascent
from experiments.training.optimizer import sgd
from experiments.training.sharding import shard_batch
from experiments.training.task import Task

NUM_TRAIN, NUM_TEST, NUM_FEATURES, NUM_CLASSES = 160, 48, 16, 4
STEPS_PER_EPOCH = 10


@dataclasses.dataclass(frozen=True)
class TinyConfig:
    """Every number of a run."""

    name: str = "tiny"
    summary: str = "a test"
    ascent: Ascent = dataclasses.field(
        default_factory=lambda: Ascent(rho=0.5, normalization="elementwise")
    )
    epochs: int = 6
    learning_rate: float = 0.05
    width: int = 768
    """Units of both hidden layers; the state grows with its square."""
    diverge_at: int = 0
    """The step whose loss is not finite; 0 for none."""


def tiny_net(width: int):
    """Builds an MLP with BatchNorm and dropout."""
    return functional(
        lambda rngs: nnx.Sequential(
            nnx.Linear(NUM_FEATURES, width, rngs=rngs),
            BatchNorm(width),
            nnx.relu,
            nnx.Dropout(0.3, rngs=rngs),
            nnx.Linear(width, width, rngs=rngs),
            nnx.relu,
            nnx.Linear(width, NUM_CLASSES, rngs=rngs),
        )
    )


def random_data(seed: int, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws classes, and features around the mean of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM_CLASSES, size=num)
    centres = np.random.default_rng(0).normal(size=(NUM_CLASSES, NUM_FEATURES))
    features = centres[labels] + rng.normal(size=(num, NUM_FEATURES))
    return features.astype(np.float32), labels.astype(np.int32)


def tiny_task(
    config: TinyConfig, *, seed: int, data_dir: str = "", folder=None
) -> Task:
    """Builds the task of a config."""
    del data_dir, folder
    net = tiny_net(config.width)
    features, labels = random_data(1, NUM_TRAIN)
    schedule = optax.cosine_decay_schedule(
        config.learning_rate, config.epochs * STEPS_PER_EPOCH
    )

    def loss_fn(params, model_state, batch, key):
        x, y = batch
        logits, model_state = net.apply(params, model_state, x, True, key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        metrics = {
            "loss": jnp.sum(losses),
            "accuracy": jnp.sum(jnp.argmax(logits, axis=-1) == y) * 1.0,
            "count": jnp.full([], len(y), jnp.float32),
        }
        return jnp.mean(losses), (model_state, metrics)

    def inputs(start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for step in itertools.count(start):
            epoch, row = divmod(step, STEPS_PER_EPOCH)
            order = np.random.default_rng([seed, epoch]).permutation(NUM_TRAIN)
            batch = order.reshape(STEPS_PER_EPOCH, -1)[row]
            x = features[batch]
            if step + 1 == config.diverge_at:
                x = np.full_like(x, np.inf)
            yield shard_batch((x, labels[batch]))

    def prepare(inputs, key):
        x, y = inputs
        return x + 0.1 * jax.random.normal(key, x.shape), y

    @jax.jit
    def measure(params, model_state):
        x, y = random_data(2, NUM_TEST)
        logits, _ = net.apply(params, model_state, jnp.asarray(x), False)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return jnp.mean(losses), jnp.mean(jnp.argmax(logits, axis=-1) == y)

    def evaluate(params, model_state):
        loss, accuracy = measure(params, model_state)
        return {"test": {"loss": loss.item(), "accuracy": accuracy.item()}}

    return Task(
        init=net.init,
        loss_fn=loss_fn,
        metric_names=("loss", "accuracy", "count"),
        inputs=inputs,
        prepare=prepare,
        evaluate=evaluate,
        ascent=config.ascent,
        optimizer=sgd(learning_rate=schedule, momentum=0.9, weight_decay=5e-4),
        learning_rate=schedule,
        steps_per_epoch=STEPS_PER_EPOCH,
        num_epochs=config.epochs,
        unit="examples",
        conclude=accuracy_line,
    )


if __name__ == "__main__":
    presets = {"tiny": TinyConfig(), "tiny-sgd": TinyConfig(ascent=Ascent())}
    main(presets, TinyConfig, tiny_task, "A run of about a second.")
