import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.training.clean_statistics import NUM_PASSES, with_clean_statistics
from experiments.training.config import Ascent
from experiments.training.task import Task

KEY = jax.random.key(0)
UNCLEAN = Ascent(rho=1.0, source="momentum")


def task_of(inputs, ascent=UNCLEAN) -> Task:
    """A task whose model state is a running mean of w times the batch."""

    def loss_fn(params, model_state, batch, key):
        return jnp.zeros([]), (0.9 * model_state + 0.1 * params * batch, {})

    return Task(
        init=lambda key: (jnp.ones([]), jnp.zeros([])),
        loss_fn=loss_fn,
        metric_names=("loss", "count"),
        inputs=inputs,
        prepare=lambda inputs, key: 2 * inputs,
        evaluate=lambda params, model_state: {"test": {"state": float(model_state)}},
        ascent=ascent,
        optimizer=optax.sgd(0.1),
        learning_rate=optax.constant_schedule(0.1),
        steps_per_epoch=10,
        num_epochs=1,
        unit="numbers",
        conclude=lambda params, folder: "",
    )


def test_the_statistics_are_those_of_the_first_batches_at_the_parameters():
    batches = np.random.default_rng(0).normal(size=NUM_PASSES)
    task = with_clean_statistics(task_of(lambda start: itertools.chain(batches)), KEY)
    state = 100.0
    for batch in batches:
        state = 0.9 * state + 0.1 * 3.0 * 2 * batch
    found = task.evaluate(jnp.asarray(3.0), jnp.asarray(100.0))
    np.testing.assert_allclose(found["test"]["state"], state, rtol=1e-5)


def test_inputs_without_end_are_left_after_the_passes():
    task = with_clean_statistics(task_of(lambda start: itertools.repeat(1.0)), KEY)
    found = task.evaluate(jnp.asarray(3.0), jnp.asarray(6.0))
    np.testing.assert_allclose(found["test"]["state"], 6.0, rtol=1e-5)


def test_statistics_of_clean_passes_stay_as_they_are():
    task = task_of(lambda start: itertools.repeat(1.0), Ascent(rho=1.0))
    found = with_clean_statistics(task, KEY).evaluate(jnp.ones([]), jnp.asarray(100.0))
    assert found["test"]["state"] == 100.0


def test_a_clean_pass_is_that_of_the_whole_batch():
    assert Ascent().has_clean_pass
    assert Ascent(rho=1.0, every=5, start=0.5, where="norm-layers").has_clean_pass
    for ascent in (
        Ascent(rho=1.0, part=4),
        Ascent(rho=1.0, source="momentum"),
        Ascent(rho=1.0, source="stale"),
        Ascent(rho=1.0, source="random"),
    ):
        assert not ascent.has_clean_pass
