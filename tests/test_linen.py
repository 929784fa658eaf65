"""Flax Linen: gradient functions reach the ascent through a `TrainState`."""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax.training.train_state import TrainState

import asam_jax
import asam_jax.linen

assert_close = functools.partial(chex.assert_trees_all_close, rtol=1e-5, atol=1e-6)

INPUTS = jax.random.normal(jax.random.key(0), (8, 4))
RHO, LEARNING_RATE = 0.5, 0.1


class Model(nn.Module):
    """A perceptron with BatchNorm and dropout."""

    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=False)(nn.Dense(8)(x))
        x = nn.Dropout(0.5, deterministic=False)(nn.relu(x))
        return nn.Dense(1)(x)


class StateWithStatistics(TrainState):
    """A `TrainState` as Flax's own examples extend it."""

    batch_stats: Any = None


@functools.cache
def initial_variables():
    return jax.jit(Model().init)(jax.random.key(1), INPUTS)


@functools.cache
def make_state(rho=RHO, cls: Any = StateWithStatistics):
    variables = initial_variables()
    return cls.create(
        apply_fn=Model().apply,
        params=variables["params"],
        tx=optax.chain(asam_jax.asam(rho), optax.sgd(LEARNING_RATE, momentum=0.9)),
        **({} if cls is TrainState else {"batch_stats": variables["batch_stats"]}),
    )


@jax.jit
@functools.partial(jax.value_and_grad, has_aux=True)
def value_and_grad(params, batch_stats, key):
    """The loss, the moved statistics, and the gradients."""
    outputs, moved = Model().apply(
        {"params": params, "batch_stats": batch_stats},
        INPUTS,
        rngs={"dropout": key},
        mutable=["batch_stats"],
    )
    return jnp.mean((outputs - 1) ** 2), moved["batch_stats"]


@jax.jit
def train_step(state, key):
    (loss, batch_stats), grads = value_and_grad(state.params, state.batch_stats, key)
    state = asam_jax.linen.apply_gradients(
        state,
        grads=grads,
        grad_fn=lambda p: value_and_grad(p, state.batch_stats, key)[1],
        batch_stats=batch_stats,
    )
    return state, loss


def test_a_step_is_the_sharpness_aware_one():
    state, key = make_state(), jax.random.key(2)
    stepped, _ = train_step(state, key)

    @jax.jit
    def expected(params, batch_stats):
        _, grads = value_and_grad(params, batch_stats, key)
        eps = asam_jax.perturbation(params, grads, RHO)
        _, ascended = value_and_grad(optax.tree.add(params, eps), batch_stats, key)
        return optax.tree.add_scale(params, -LEARNING_RATE, ascended)

    assert_close(stepped.params, expected(state.params, state.batch_stats))
    assert int(stepped.step) == int(state.step) + 1


def test_statistics_move_once_and_in_the_clean_pass():
    state = make_state()
    statistics = state.batch_stats
    for number in range(2):
        key = jax.random.key(number)
        (loss, statistics), _ = value_and_grad(state.params, statistics, key)
        state, actual_loss = train_step(state, key)
        assert_close(actual_loss, loss)
        assert_close(state.batch_stats, statistics)


def test_both_passes_draw_the_same_dropout_mask():
    state, key = make_state(rho=0.0), jax.random.key(2)
    gradients = []

    def recording_step(state):
        _, grads = value_and_grad(state.params, state.batch_stats, key)

        def grad_fn(params):
            gradients.extend([grads, value_and_grad(params, state.batch_stats, key)[1]])
            return gradients[-1]

        asam_jax.linen.apply_gradients(state, grads=grads, grad_fn=grad_fn)
        return tuple(gradients)

    first, second = jax.jit(recording_step)(state)
    assert_close(second, first)


def test_the_state_keeps_its_optimizer():
    # It is part of the state's structure: another one would compile each step anew.
    state = make_state()
    stepped, _ = train_step(state, jax.random.key(0))
    assert stepped.tx is state.tx
    assert jax.tree.structure(stepped) == jax.tree.structure(state)


def test_a_plain_train_state_is_stepped_as_well():
    state = make_state(cls=TrainState)
    statistics = initial_variables()["batch_stats"]

    def grad_fn(params):
        return value_and_grad(params, statistics, jax.random.key(2))[1]

    @jax.jit
    def step(state):
        grads = grad_fn(state.params)
        return asam_jax.linen.apply_gradients(state, grads=grads, grad_fn=grad_fn)

    expected, _ = train_step(make_state(), jax.random.key(2))
    assert_close(step(state).params, expected.params)


def test_the_optimizer_may_be_any_object_with_init_and_update():
    state = make_state()
    wrapped = optax.MultiSteps(state.tx, every_k_schedule=1)
    state = state.replace(tx=wrapped, opt_state=wrapped.init(state.params))
    stepped, _ = train_step(state, jax.random.key(0))
    expected, _ = train_step(make_state(), jax.random.key(0))
    assert_close(stepped.params, expected.params)
    assert stepped.tx is wrapped


@pytest.mark.parametrize("cls", [TrainState, StateWithStatistics])
def test_flax_own_apply_gradients_is_an_error_that_names_ours(cls):
    # Flax takes grad_fn for an attribute to replace: without the error this would be
    # a plain step, and no one would know.
    state = make_state(cls=cls)
    with pytest.raises(TypeError, match=r"use asam_jax\.linen\.apply_gradients"):
        state.apply_gradients(grads=state.params, grad_fn=lambda p: p)
