"""Gradients of groups of the batch, against the formulas in NumPy."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.training.config import Ascent
from experiments.training.gradient import gradient_fn
from experiments.training.sharding import shard_batch
from experiments.training.step import init_state
from experiments.training.streams import StepKeys
from tests.experiments.training.running import SMALL, train_tiny, use_devices

RHO = 0.5
W = np.array([3.0, -4.0])
BATCH = np.random.default_rng(0).uniform(0.01, 0.1, size=(16, 2))
KEY = jax.random.key(7)


def quartic(params, model_state, batch, key):
    """Its gradient is 4 b w^3, b the mean over the rows that are no padding."""
    is_row = jnp.any(batch != 0, axis=1)
    count = jnp.sum(is_row)
    mean = jnp.sum(batch, axis=0) / jnp.maximum(count, 1)
    loss = jnp.sum(mean * params["kernel"] ** 4)
    metrics = {
        "loss": loss * count,
        "count": count * 1.0,
        "noise": jax.random.uniform(key),
        "groups": jnp.ones([]),
    }
    return loss, (model_state + jnp.max(batch, axis=0), metrics)


def taken(group, batch=BATCH, rho=RHO):
    ascent = Ascent(rho=rho, group=group)
    state = init_state(
        lambda key: ({"kernel": jnp.asarray(W, jnp.float32)}, jnp.zeros(2)),
        *(optax.identity(), ("loss",), 0),
    )
    gradient = jax.jit(gradient_fn(quartic, ascent, num_steps=1))
    keys = StepKeys(prepare=KEY, source=KEY, loss=KEY)
    return gradient(state, shard_batch(batch.astype(np.float32)), keys)


def expected(batch, rho=RHO):
    """The loss at w, and the gradient at w + eps, of one group."""
    mean = batch.mean(axis=0)
    grads = 4 * mean * W**3
    eps = rho * grads / np.linalg.norm(grads)
    return np.sum(mean * W**4), 4 * mean * (W + eps) ** 3


@pytest.mark.parametrize(
    ("group", "num_devices", "size"),
    [("batch", 8, 16), ("device", 8, 2), ("device", 2, 8), (2, 8, 2), (1, 4, 1)],
)
def test_each_group_climbs_its_own_eps(monkeypatch, group, num_devices, size):
    use_devices(monkeypatch, num_devices)
    (loss, (model_state, metrics)), grads = taken(group)
    groups = BATCH.reshape(-1, size, 2)
    losses, gradients = zip(*map(expected, groups), strict=True)
    np.testing.assert_allclose(grads["kernel"], np.mean(gradients, axis=0), rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(model_state, groups.max(axis=1).mean(axis=0), rtol=1e-5)
    assert metrics["groups"] == len(groups)
    assert metrics["count"] == 16
    np.testing.assert_allclose(metrics["loss"], 16 * np.mean(losses), rtol=1e-5)


def test_the_eps_of_a_group_is_not_that_of_the_batch():
    alone, together = (taken(group)[1]["kernel"] for group in (2, "batch"))
    assert np.abs(alone - together).max() > 1e-3 * np.abs(together).max()


def test_groups_that_do_not_climb_are_groups_all_the_same():
    (_, (model_state, metrics)), grads = taken(2, rho=0.0)
    groups = BATCH.reshape(-1, 2, 2)
    gradients = [expected(group, rho=0.0)[1] for group in groups]
    np.testing.assert_allclose(grads["kernel"], np.mean(gradients, axis=0), rtol=1e-5)
    np.testing.assert_allclose(model_state, groups.max(axis=1).mean(axis=0), rtol=1e-5)
    assert metrics["groups"] == len(groups)


@pytest.mark.parametrize("num_devices", [1, 4])
def test_the_keys_are_those_of_the_places_in_the_batch(monkeypatch, num_devices):
    use_devices(monkeypatch, num_devices)
    (_, (_, metrics)), _ = taken(4)
    keys = [jax.random.fold_in(KEY, place) for place in range(4)]
    noise = sum(float(jax.random.uniform(key)) for key in keys)
    assert float(metrics["noise"]) == pytest.approx(noise)


def test_groups_count_by_their_examples_and_padding_not_at_all():
    padded = np.concatenate([BATCH[:5], np.zeros((11, 2))])
    (loss, _), grads = taken(2, padded)
    groups = [BATCH[:2], BATCH[2:4], BATCH[4:5]]
    losses, gradients = zip(*map(expected, groups), strict=True)
    np.testing.assert_allclose(loss, np.average(losses, weights=[2, 2, 1]), rtol=1e-5)
    np.testing.assert_allclose(
        grads["kernel"], np.average(gradients, axis=0, weights=[2, 2, 1]), rtol=1e-5
    )


def test_groups_that_cross_devices_are_refused():
    with pytest.raises(ValueError, match=r"has 2 .* groups of 4 do not divide"):
        taken(4)


def test_a_net_with_dropout_and_batch_norm_is_the_same_on_any_layout(
    monkeypatch, tmp_path
):
    ascent = Ascent(rho=0.5, normalization="elementwise", group=2)
    config = dataclasses.replace(SMALL, ascent=ascent)
    states = []
    for num_devices in (8, 1):
        use_devices(monkeypatch, num_devices)
        outcome = train_tiny(tmp_path / str(num_devices), config, max_steps=5)
        states.append(jax.device_get(outcome.state))
    chex.assert_trees_all_close(*states, rtol=1e-4, atol=1e-5)
