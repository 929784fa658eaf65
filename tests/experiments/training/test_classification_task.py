import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.nets.functional import Net
from experiments.presets import CIFAR
from experiments.training.classification import Batch
from experiments.training.classification_task import classification_task
from experiments.training.config import Ascent

CONFIG = dataclasses.replace(CIFAR["cifar10-resnet20-sgd"], epochs=3, learning_rate=0.2)
MEAN = 5.0  # of the images


def task_of(ascent: Ascent):
    """A net whose state is a running mean of its images, evaluated to that."""

    def apply(params, model_state, x, train, key=None):
        mean = 0.9 * model_state["mean"] + 0.1 * jnp.mean(x)
        return x[:, 0, 0] @ params["kernel"], {"mean": mean}

    images = np.full((4, 1, 1, 2), MEAN, np.float32)
    batch = Batch(jnp.asarray(images), jnp.zeros(4, jnp.int32))
    return classification_task(
        dataclasses.replace(CONFIG, ascent=ascent),
        Net(
            lambda key: ({"kernel": jnp.zeros((2, 10))}, {"mean": jnp.zeros([])}), apply
        ),
        seed=0,
        num_classes=10,
        steps_per_epoch=7,
        inputs=lambda start: itertools.repeat(batch),
        prepare=lambda inputs, key: inputs,
        evaluate=lambda params, model_state: {"test": jax.device_get(model_state)},
    )


@pytest.mark.parametrize(
    ("ascent", "mean"),
    [(Ascent(rho=0.5), 0.0), (Ascent(rho=0.5, source="momentum"), MEAN)],
)
def test_without_a_clean_pass_statistics_are_estimated_before_they_are_used(
    ascent, mean
):
    task = task_of(ascent)
    found = task.evaluate(*task.init(jax.random.key(0)))
    np.testing.assert_allclose(found["test"]["mean"], mean, rtol=0.01)


def test_the_learning_rate_falls_along_a_cosine_over_all_epochs():
    task = task_of(Ascent())
    found = jnp.array([task.learning_rate(step) for step in (0, 7, 21)])
    expected = [0.1 * (1 + np.cos(np.pi * done)) for done in (0, 1 / 3, 1)]
    np.testing.assert_allclose(found, expected, atol=1e-7)
